"""A cohort small enough to train in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.geometry import TileGrid
from napari_asmil.runs import open_run
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
    method = changes.get("method", "asmil")
    settings = {"dim": 16, "heads": 4, "tokens": 2} if method == "asmil" else {"dim": 16, "attention_dim": 8}
    return Recipe.make({"method": method, "epochs": 3, "settings": settings, **changes})


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Tensors of the last committed checkpoint."""
    last = open_run(run).commit(open_run(run).n_epochs - 1)
    return load_file(run / "checkpoints" / last["checkpoint"] / "model.safetensors")


def assert_same_run(one: Path, other: Path) -> None:
    """Same weights, optimiser, scalars and curves, bit for bit."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    first, second = open_run(one), open_run(other)
    assert first.n_epochs == second.n_epochs
    for name in first.scalar_names:
        np.testing.assert_array_equal(first.scalars(name), second.scalars(name))
    for name, curve in first.curves().items():
        np.testing.assert_array_equal(curve, second.curves()[name])
