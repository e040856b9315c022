"""Colour maps and line colours that colour-blind readers can tell apart.

References
----------
viridis, magma, inferno: van der Walt and Smith (CC0). cividis: Nunez, Anderton and Renslow, PLoS ONE 2018 (CC0).
BrBG, PiYG: ColorBrewer, Brewer and Harrower. Line colours: Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError

_CONTROLS = {
    "viridis": (
        "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d31688e"
        "2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc74"
        "46c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"
    ),
    "magma": (
        "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c5a167e6219806a1c81721f81"
        "792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75ca3e72d2426fd9466be04c67e75263ec5860f1605df4695c"
        "f7725cf97b5dfb8560fc8e64fd9869fea16efeaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf"
    ),
    "inferno": (
        "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e781c6d"
        "801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed6925f1711f"
        "f47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4"
    ),
    "cividis": (
        "00204d00245500275e002b67002e6f00316f00356e12386d1f3c6d28406c30436c36476b3d4a6b424e6b48526b4d556c52596c575c6d"
        "5b606e60646f646770696b716d6e727272747676767a7a787f7d788481798885798d8979928d789791789c9577a19976a69d75aca174"
        "b1a573b6a971bbae6fc1b26dc6b66bccbb69d1bf66d7c463dcc860e2cd5ce8d259edd654f3db4ff9e04affe544ffea46"
    ),
    "BrBG": "5430058c510abf812ddfc27df6e8c3f5f5f5c7eae580cdc135978f01665e003c30",
    "PiYG": "8e0152c51b7dde77aef1b6dafde0eff7f7f7e6f5d0b8e1867fbc414d9221276419",
}

COLORMAPS: tuple[str, ...] = tuple(_CONTROLS)
"""Names of the colour maps; BrBG and PiYG are the diverging ones."""

OKABE_ITO: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Line colours, without the yellow that is lost on white."""


@cache
def lookup_table(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a colour map, uint8 (256, 3), linear between evenly spaced control points.

    Raises
    ------
    InputError
        When there is no colour map of that name.
    """
    if name not in _CONTROLS:
        raise InputError(f"Unknown colour map {name!r}.", remedy=f"Known: {', '.join(COLORMAPS)}.")
    controls = np.frombuffer(bytes.fromhex(_CONTROLS[name]), dtype=np.uint8).reshape(-1, 3)
    at = np.linspace(0, 255, len(controls))
    between = np.stack([np.interp(np.arange(256), at, channel) for channel in controls.T], axis=1)
    table = np.rint(between).astype(np.uint8)
    table.setflags(write=False)
    return table
