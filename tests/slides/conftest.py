"""Small slide files with known pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.slides.layouts import aperio as write_aperio
from tests.slides.layouts import ome as write_ome

SlideMaker = Callable[..., tuple[Path, NDArray[np.uint8]]]


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """A picture in which every pixel is different from its neighbours: 400 rows, 600 columns."""
    return np.random.default_rng(3).integers(0, 256, (400, 600, 3), dtype=np.uint8)


@pytest.fixture
def aperio(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    """An SVS of two levels, 1 and 4, with the mpp in the description only."""
    return write_aperio(tmp_path / "aperio.svs", pixels)


@pytest.fixture
def ome(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    """An OME-TIFF of three levels in SubIFDs, 250 nm per px."""
    return write_ome(tmp_path / "slide.ome.tif", pixels)


@pytest.fixture
def make_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Factory: a TIFF of one array; keywords go to tifffile."""

    def make(array: NDArray[np.generic], name: str = "plain.tif", **options: object) -> Path:
        path = tmp_path / name
        tifffile.imwrite(path, array, **{"metadata": None, **options})
        return path

    return make
