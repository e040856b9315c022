"""Small slide files with known pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

SlideMaker = Callable[..., tuple[Path, NDArray[np.uint8]]]

APERIO = "Aperio Image Library v11.2.1\r\n600x400 (128x128) |AppMag = 20|MPP = 0.4990|Left = 1"


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """A picture in which every pixel is different from its neighbours: 400 rows, 600 columns."""
    return np.random.default_rng(3).integers(0, 256, (400, 600, 3), dtype=np.uint8)


@pytest.fixture
def aperio(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    """An SVS of two levels, 1 and 4, with the mpp in the description only."""
    path = tmp_path / "aperio.svs"
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, description=APERIO, **options)
        writer.write(pixels[::8, ::8], description=APERIO, photometric="rgb", metadata=None)
        writer.write(pixels[::4, ::4], description=APERIO, **options)
    return path


@pytest.fixture
def ome(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    """An OME-TIFF of three levels in SubIFDs, 250 nm per px."""
    path = tmp_path / "slide.ome.tif"
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(pixels, subifds=2, metadata={"axes": "YXS", **sizes}, **options)
        writer.write(pixels[::2, ::2], subfiletype=1, **options)
        writer.write(pixels[::4, ::4], subfiletype=1, **options)
    return path


@pytest.fixture
def make_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Factory: a TIFF of one array; keywords go to tifffile."""

    def make(array: NDArray[np.generic], name: str = "plain.tif", **options: object) -> Path:
        path = tmp_path / name
        tifffile.imwrite(path, array, **{"metadata": None, **options})
        return path

    return make
