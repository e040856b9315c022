"""Bags and folders of bags made through our own writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.bags import Bag, in_memory_bag, write_bag
from napari_asmil.geometry import TileGrid

BagMaker = Callable[..., Bag]


@pytest.fixture
def make_bag() -> BagMaker:
    """Factory: a bag of random features on a row of 64 px tiles; keywords replace what it has."""

    def make(slide_id: str = "s0", tiles: int = 6, dim: int = 4, **given: object) -> Bag:
        xy = np.stack([np.arange(tiles) * 64, np.zeros(tiles, int)], axis=1)
        features = np.random.default_rng(len(slide_id) + tiles).normal(size=(tiles, dim))
        options = {"encoder": "colour", "mpp": 0.5, "tile_px": 64, "slide_size": (64 * tiles, 64), **given}
        return in_memory_bag(
            slide_id, options.pop("features", features), options.pop("grid", TileGrid(xy, 64)), **options
        )

    return make


@pytest.fixture
def folder(tmp_path: Path, make_bag: BagMaker) -> Path:
    """Four bag files s0.h5 .. s3.h5."""
    path = tmp_path / "features"
    path.mkdir()
    for index in range(4):
        write_bag(path / f"s{index}.h5", make_bag(f"s{index}", tiles=3 + index))
    return path
