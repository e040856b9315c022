"""CLAM's HDF5 layout, and other HDF5 files of features that do not say their tile edge.

``h5_files/<slide>.h5`` holds ``features`` (M, D) and ``coords`` (M, 2) int32, x and y of the top-left corner in level-0
px, and no attribute at all. The edge is in ``patches/<slide>.h5``: attributes ``patch_size`` (px at ``patch_level``),
``downsample`` of that level and, in some, ``custom_downsample``, on the same coordinates (CLAM: wsi_core/
WholeSlideImage.py, create_patches_fp.py, extract_features_fp.py). So it is looked for there, and not guessed: in
``patches`` of the folder that holds ``h5_files``, and of the one above it, nearest first. The same corners in another
experiment may be of tiles of another size: such a file is told of and not believed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import rows_and_columns
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.edges import Edge, clam_edge, placed, same_rows, trident_edge
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import dataset, loader, opened, whole_coords
from napari_asmil.bags.siblings import beside, elsewhere, shown
from napari_asmil.errors import InputError
from napari_asmil.words import listed

PATCHES = "patches"
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
    tiles, px = None, None
    if xy is None:
        xy, found, notes = places_beside(path, n_tiles)
    else:
        same_rows(slide_id, n_tiles, len(xy), path)
        found, notes = (own, []) if own is not None else edge_beside(path, xy, given.tile_size)
    if xy is not None:
        missing = f"the file does not say their edge, and no {PATCHES}/{slide_id}.h5 beside it does"
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
    """The edge that attributes of a dataset of coordinates say, CLAM's or else TRIDENT's; None when they do not."""
    clam, trident = clam_edge(coords, path, where), trident_edge(coords, path, f" ({where})")
    if clam is None or trident is None or abs(clam.size - trident.size) <= 1:
        return clam or trident
    doubt = f"the file contradicts itself: that is {clam.size:g} level-0 px, which is taken, but {trident.how}"
    return replace(clam, doubts=(*clam.doubts, doubt))


def edge_beside(path: Path, xy: NDArray[np.int64], tile_size: float | None = None) -> tuple[Edge | None, list[str]]:
    """The edge from the nearest patches file beside the features that holds the same corners, and notes on others.

    Files of other extractions are only told of, where they would be of use; with a `tile_size` given none is needed.
    """
    taken: Edge | None = None
    notes = []
    for file in beside(path, PATCHES, ENDINGS):
        other, edge = _places(file, path)
        if other is not None and np.array_equal(other, xy) and edge is not None:
            if taken is None:
                taken = edge
            elif abs(edge.size - taken.size) > 0.5:
                notes.append(f"{shown(file, path)} says {edge.size:g} level-0 px; the nearer file is believed")
        elif taken is None:
            notes.append(_of_no_use(file, path, other, edge))
    if taken is None:
        notes += _proposals(path, xy, tile_size)
    return taken, notes


def _of_no_use(file: Path, path: Path, other: NDArray[np.int64] | None, edge: Edge | None) -> str:
    if other is None or edge is None:
        return f"{shown(file, path)} does not say the edge of a tile"
    return f"{shown(file, path)} holds other corners ({len(other)}), so nothing is taken from it"


def _proposals(path: Path, xy: NDArray[np.int64], tile_size: float | None) -> list[str]:
    """What patches files of other extractions with the same corners say of the edge, which a person may take."""
    says: dict[float, list[str]] = {}
    for file in elsewhere(path, PATCHES, ENDINGS):
        other, edge = _places(file, path)
        if other is not None and edge is not None and np.array_equal(other, xy):
            says.setdefault(edge.size, []).append(shown(file, path))
    return [
        f"the same corners in {listed(files)} are of tiles of {size:g} level-0 px"
        + (f": give --tile-size {size:g} if that is of this extraction" if tile_size is None else "")
        for size, files in says.items()
        if tile_size is None or abs(size - tile_size) > 0.5
    ]


def places_beside(path: Path, n_tiles: int) -> tuple[NDArray[np.int64] | None, Edge | None, list[str]]:
    """Corners and edge for features without any, from a file of the same name beside them with as many rows.

    Those of ``h5_files`` were written with the features and come first; patches files must agree.
    """
    corners: list[tuple[Path, NDArray[np.int64], Edge | None]] = []
    notes = []
    own = [file for file in beside(path, "h5_files", ENDINGS) if file.parent.parent == path.absolute().parent.parent]
    for file in [*own, *beside(path, PATCHES, ENDINGS)]:
        xy, edge = _places(file, path)
        if xy is None or len(xy) != n_tiles:
            rows = "no corners" if xy is None else f"{len(xy)} corners"
            notes.append(f"{shown(file, path)} holds {rows} for {n_tiles} rows, so nothing is taken from it")
            continue
        corners.append((file, xy, edge))
        if file in own:
            break
    if not corners:
        there = f"{path.stem}.h5 in h5_files or patches beside it: put it there"
        return None, None, [f"{NOT_PLACED}: the file holds no coordinates, nor does {there}", *notes]
    file, xy, edge = corners[0]
    if any(not np.array_equal(xy, other) for _, other, _ in corners):
        names = " and ".join(shown(file, path) for file, _, _ in corners)
        return None, None, [f"{NOT_PLACED}: {names} hold different corners; take away the one that is not its", *notes]
    how = f"corners: from {shown(file, path)}, whose rows are as many; their order is taken to be the same"
    return xy, edge, [how, *notes]


def _places(file: Path, path: Path) -> tuple[NDArray[np.int64] | None, Edge | None]:
    """Corners and edge in a file beside; (None, None) where it is of no use."""
    try:
        if not h5py.is_hdf5(file):
            return None, None
        with opened(file) as opened_file:
            xy = whole_coords(opened_file, file)
            edge = edge_of(opened_file["coords"], file, f"from {shown(file, path)}")
            return xy, None if edge is None else replace(edge, beside=shown(file, path))
    except InputError:
        return None, None
