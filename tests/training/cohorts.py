"""A cohort small enough to train in a second."""

from __future__ import annotations

import numpy as np

from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.geometry import TileGrid
from napari_asmil.training import Recipe


def small_cohort(slides: int = 8, tiles: int = 16, features: int = 6, seed: int = 0) -> Cohort:
    """Positive slides (odd) have one tile that is far from the others; every fourth slide is for testing."""
    rng = np.random.default_rng(seed)
    bags, labels, splits = [], {}, {}
    for s in range(slides):
        x = rng.normal(size=(tiles, features))
        truth = np.zeros(tiles)
        if s % 2:
            x[s % tiles, 0] += 8
            truth[s % tiles] = 1
        rows, columns = np.divmod(np.arange(tiles), 4)
        grid = TileGrid(np.stack([columns, rows], axis=1) * 32, 32)
        bags.append(in_memory_bag(f"s{s}", x, grid, tile_labels=truth, encoder="test", mpp=0.5, slide_size=(128, 128)))
        labels[f"s{s}"], splits[f"s{s}"] = s % 2, "test" if s % 4 >= 2 else "train"
    return Cohort(tuple(bags), labels, ("normal", "tumour"), splits)


def small_recipe(**changes: object) -> Recipe:
    """A few epochs of a tiny ASMIL with its anchor."""
    settings = {"method": "asmil", "dim": 16, "attention_dim": 8, "heads": 4, "tokens": 2, "epochs": 3}
    return Recipe.make({**settings, **changes})
