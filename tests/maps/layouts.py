"""Writers of files of scores, each from the description of its layout: one small slide, one hot tile.

The slide is 1000 x 800 px, its M = 24 tiles are 100 px wide, 6 across and 4 down, the first at x = 37, y = 53. The
scores are `LOGITS`, or what a layout makes of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.geometry import TileGrid

SLIDE, EDGE, TILES, HOT = (1000, 800), 100, 24, 9
XY = np.array([(37 + 100 * (tile % 6), 53 + 100 * (tile // 6)) for tile in range(TILES)])
LOGITS = np.random.default_rng(3).normal(0, 2, TILES)
LOGITS[HOT] = 7.5
PERCENTILES = (np.argsort(np.argsort(LOGITS)) + 1) / TILES * 100
"""Of no two equal scores, in percent of the tiles that are no higher: what CLAM's score2percentile gives."""


def softmax(z: np.ndarray) -> np.ndarray:
    """In float64, from the definition."""
    e = np.exp(z.astype(np.float64) - z.max())
    return np.asarray(e / e.sum())


def patches(folder: Path, slide_id: str = "s1", xy: np.ndarray = XY) -> Path:
    """CLAM's patches file: 50 px at a level of downsample 2."""
    path = folder / "patches" / f"{slide_id}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        coords = file.create_dataset("coords", data=xy, maxshape=(None, 2), chunks=(32, 2))
        coords.attrs["patch_size"], coords.attrs["patch_level"] = 50, 1
        coords.attrs["downsample"] = (2.0, 2.0)
    return path


def features(folder: Path, slide_id: str = "s1") -> Path:
    """A feature file of the same tiles."""
    path = folder / f"{slide_id}_features" / f"{slide_id}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    bag = in_memory_bag(slide_id, np.ones((TILES, 3)), TileGrid(XY, EDGE), encoder="test", slide_size=SLIDE, mpp=0.5)
    write_bag(path, bag)
    return path


def block_map(path: Path, scores: np.ndarray = LOGITS, xy: np.ndarray = XY, name: str = "attention_scores") -> Path:
    """Scores (M, 1) float32 and corners without attributes, as CLAM's save_hdf5 leaves them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=np.asarray(scores, dtype=np.float32).reshape(len(xy), -1))
        file.create_dataset("coords", data=xy.astype(np.int32))
    return path


def clam_blockmap(folder: Path) -> Path:
    patches(folder)
    return block_map(folder / "heatmaps" / "s1_blockmap.h5")


def clam_roi_percentiles(folder: Path) -> Path:
    patches(folder)
    return block_map(folder / "heatmaps" / "s1_0.5_roi_False.h5", PERCENTILES)


def slideflow_npz(folder: Path) -> Path:
    np.savez(folder / "s1.index.npz", arr_0=XY + EDGE // 2)
    np.savez(folder / "s1_att.npz", arr_0=softmax(LOGITS).astype(np.float32))
    return folder / "s1_att.npz"


def named_npz(folder: Path) -> Path:
    np.savez(folder / "s1.npz", attention=LOGITS, coords=XY)
    return folder / "s1.npz"


def npy_vector(folder: Path) -> Path:
    features(folder)
    np.save(folder / "s1_attention.npy", LOGITS.astype(np.float32)[None])
    return folder / "s1_attention.npy"


def csv_attention(folder: Path) -> Path:
    path = folder / "s1.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tile", "x", "y", "tile_size", "attention"])
        writer.writerows((tile, *XY[tile].tolist(), EDGE, LOGITS[tile]) for tile in range(TILES))
    return path


def wsinfer_csv(folder: Path) -> Path:
    path = folder / "s1.csv"
    tumour = 1 / (1 + np.exp(-LOGITS))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["minx", "miny", "width", "height", "prob_Other", "prob_Tumor"])
        writer.writerows((*XY[t].tolist(), EDGE, EDGE, 1 - tumour[t], tumour[t]) for t in range(TILES))
    return path


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "CLAM block map": clam_blockmap,
    "CLAM region of percentiles": clam_roi_percentiles,
    "slideflow npz": slideflow_npz,
    "npz with places": named_npz,
    "npy with features": npy_vector,
    "csv": csv_attention,
    "WSInfer csv": wsinfer_csv,
}
HELP: dict[str, dict[str, Any]] = {
    "slideflow npz": {"tile_size": EDGE},
    "npz with places": {"tile_size": EDGE, "values": "logits"},
    "npy with features": {"features": "s1_features/s1.h5", "values": "logits"},
    "csv": {"values": "logits"},
    "WSInfer csv": {"column": "prob_Tumor"},
}
"""What each layout must be told besides."""
