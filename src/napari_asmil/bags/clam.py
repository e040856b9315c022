"""CLAM's HDF5 layout, and other HDF5 files of features that do not say their tile edge.

``h5_files/<slide>.h5`` holds ``features`` (M, D) and ``coords`` (M, 2) int32, x and y of the top-left corner in level-0
px, and no attribute at all. The edge is in ``patches/<slide>.h5``: attributes ``patch_size`` (px at ``patch_level``),
``downsample`` of that level and, in some, ``custom_downsample``, on the same coordinates (CLAM: wsi_core/
WholeSlideImage.py, create_patches_fp.py, extract_features_fp.py). So it is looked for there, and not guessed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import rows_and_columns
from napari_asmil.bags.bag import Bag
from napari_asmil.bags.edges import Edge, clam_edge, placed, same_rows, trident_edge
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import dataset, loader, opened, whole_coords
from napari_asmil.bags.siblings import shown, siblings
from napari_asmil.errors import InputError

PATCHES = ("patches",)
ENDINGS = (".h5", "_patches.h5")


def sniff(path: Path) -> bool:
    """Whether the file is HDF5 with features, or with nothing but the corners of tiles."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        names = set(file)
    return "features" in names or names == {"coords"}


def read(path: Path, given: Given) -> Bag:
    """Read a bag, its tile edge from the patches file of the same slide; features stay in the file.

    Raises
    ------
    InputError
        When it is a patches file, rows do not match, there are no tiles, or an edge given contradicts the file.
    """
    slide_id = path.stem
    with opened(path) as file:
        if "features" not in set(file):
            raise InputError(
                "It says where tiles lie but holds no features (it is CLAM's or TRIDENT's patches file).",
                remedy="Give the file of features that was extracted with it, and leave this one where it is.",
                path=path,
            )
        features = dataset(file, "features", path)
        n_tiles, n_features = rows_and_columns(features.shape, features.dtype.kind, slide_id, path)
        xy, own = None, None
        if "coords" in set(file):
            xy = whole_coords(file, path)
            own = edge_of(file["coords"], path, "from the attributes of its coords")
    tiles, notes, px = None, ["tiles: the file has no coordinates"], None
    if xy is None:
        xy, found, notes = places_beside(path, n_tiles)
    else:
        same_rows(slide_id, n_tiles, len(xy), path)
        found, notes = (own, []) if own is not None else edge_beside(path, xy)
    if xy is not None:
        missing = f"the file does not say their edge, and no {PATCHES[0]}/{slide_id}.h5 beside it does"
        tiles, derived = placed(xy, found, given, missing=missing, path=path)
        notes, px = [*derived, *notes], None if found is None else found.px
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, "features", slide_id),
        tiles=tiles,
        source=path,
        mpp=given.mpp,
        tile_px=px,
        derivation=notes,
        reread=partial(read, path),
    )


def edge_of(coords: Any, path: Path, where: str) -> Edge | None:
    """The edge that attributes of a dataset of coordinates say, CLAM's or TRIDENT's; None when they do not."""
    return clam_edge(coords, path, where) or trident_edge(coords, path, f" ({where})")


def edge_beside(path: Path, xy: NDArray[np.int64]) -> tuple[Edge | None, list[str]]:
    """The edge from a patches file of the same slide that holds the same corners, and notes on those that do not."""
    found: list[Edge] = []
    notes = []
    for file in siblings(path, PATCHES, ENDINGS):
        other, edge = _places(file)
        if other is None or edge is None:
            notes.append(f"{shown(file)} beside it does not say the edge of a tile")
        elif not np.array_equal(other, xy):
            notes.append(f"{shown(file)} beside it holds other corners ({len(other)}), so nothing is taken from it")
        else:
            found.append(edge)
    return _only(found, notes)


def places_beside(path: Path, n_tiles: int) -> tuple[NDArray[np.int64] | None, Edge | None, list[str]]:
    """Corners and edge for features without any: of files of the same name with as many rows, which must agree."""
    corners: list[tuple[Path, NDArray[np.int64]]] = []
    found: list[Edge] = []
    notes = []
    for file in siblings(path, ("h5_files", *PATCHES), ENDINGS):
        xy, edge = _places(file)
        if xy is None or len(xy) != n_tiles:
            rows = "no corners" if xy is None else f"{len(xy)} corners"
            notes.append(f"{shown(file)} beside it holds {rows} for {n_tiles} rows, so nothing is taken from it")
            continue
        corners.append((file, xy))
        found += [] if edge is None else [edge]
    if not corners:
        missing = f"the file holds no coordinates, nor does a file {path.stem}.h5 in h5_files or patches beside it"
        return None, None, [f"tiles are not placed: {missing}", *notes]
    file, xy = corners[0]
    if any(not np.array_equal(xy, other) for _, other in corners):
        names = " and ".join(shown(file) for file, _ in corners)
        return None, None, [f"tiles are not placed: {names} beside it hold different corners", *notes]
    edge, notes = _only(found, notes)
    return (
        xy,
        edge,
        [f"corners: from {shown(file)}, whose rows are as many; their order is taken to be the same", *notes],
    )


def _places(file: Path) -> tuple[NDArray[np.int64] | None, Edge | None]:
    """Corners and edge in a file beside; (None, None) where it is of no use."""
    try:
        if not h5py.is_hdf5(file):
            return None, None
        with opened(file) as opened_file:
            xy = whole_coords(opened_file, file)
            return xy, edge_of(opened_file["coords"], file, f"from {shown(file)}")
    except InputError:
        return None, None


def _only(found: list[Edge], notes: list[str]) -> tuple[Edge | None, list[str]]:
    sizes = sorted({edge.size for edge in found})
    if len(sizes) > 1:
        said = " and ".join(f"{size:g}" for size in sizes)
        return None, [*notes, f"files beside it say different tile edges ({said} level-0 px), so none is taken"]
    return (found[0] if found else None), notes
