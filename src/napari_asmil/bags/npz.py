"""npz files of one slide, for features from anywhere.

Arrays ``features`` (M, D) and ``coords`` (M, 2), x and y of the top-left corner in level-0 px; ``patch_size_level0``, a
number, is the tile edge in level-0 px where it is there. Nothing pickled is read.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import check_room, corners, kept, npz_array, npz_headers, rows_and_columns
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.edges import Edge, placed, same_rows
from napari_asmil.bags.given import Given
from napari_asmil.errors import InputError

EDGE = "patch_size_level0"


def sniff(path: Path) -> bool:
    """Whether the file is npz with features, and not of many bags."""
    names = npz_headers(path)
    return "features" in names and "bag_id" not in names


def read(path: Path, given: Given) -> Bag:
    """Read a bag; features stay in the file until they are asked for.

    Raises
    ------
    InputError
        When rows do not match, there are no tiles, or an edge given contradicts the file.
    """
    slide_id, headers = path.stem, npz_headers(path)
    shape, dtype = headers["features"]
    check_room(shape, path, dtype=dtype)
    n_tiles, n_features = rows_and_columns(shape, dtype.kind, slide_id, path)
    tiles, notes = None, [f"{NOT_PLACED}: the file has no array coords, so they can be trained on but not drawn"]
    if "coords" in headers:
        xy = corners(npz_array(path, "coords", headers["coords"]), path)
        same_rows(slide_id, n_tiles, len(xy), path)
        edge = _edge(path, headers)
        tiles, notes = placed(xy, edge, given, missing=f"the file has no {EDGE}, so their edge is unknown", path=path)
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=partial(load_features, path, slide_id, headers["features"]),
        tiles=tiles,
        source=path,
        mpp=given.mpp,
        derivation=notes,
        reread=partial(read, path),
    )


def load_features(path: Path, slide_id: str, header: tuple[tuple[int, ...], np.dtype[Any]]) -> NDArray[np.float32]:
    """The features, float32 (M, D); raises as `arrays.kept`."""
    return kept(path, slide_id, lambda: npz_array(path, "features", header))


def _edge(path: Path, headers: dict[str, Any]) -> Edge | None:
    if EDGE not in headers:
        return None
    shape, dtype = headers[EDGE]
    size = npz_array(path, EDGE, headers[EDGE]).item() if np.prod(shape) == 1 and dtype.kind in "fiu" else None
    if size is None or not 0 < size < 2**40:
        raise InputError(f"Its {EDGE} is no positive number.", remedy="Write it as one number.", path=path)
    return Edge(float(size), f"{size:g} level-0 px, from {EDGE}")
