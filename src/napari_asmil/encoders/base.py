from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns tiles into feature vectors, each tile on its own: the batch it comes in changes nothing.

    Attributes
    ----------
    name : str
        As bags record it; a change of what is computed changes the name, which holds a digest of weights where there
        are any.
    dim : int
        Features per tile, D.
    tile_px : int or None
        Edge in px of the tiles it looks at; None where any will do.
    mpp : float or None
        Micrometres per px that it was made for, where that is known.
    licence : str
        Of its weights, in words.
    batch : int
        Tiles it wants at once; 1 where that makes no difference.
    how : str
        How it computes here (device, precision), in words; may be empty.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def tile_px(self) -> int | None: ...  # noqa: D102

    @property
    def mpp(self) -> float | None: ...  # noqa: D102

    @property
    def licence(self) -> str: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    @property
    def how(self) -> str: ...  # noqa: D102

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of RGB tiles uint8 (N, s, s, 3)."""
        ...
