"""STAMP's HDF5 layout: coordinates in micrometres.

``feats`` (M, D) float16 and ``coords`` (M, 2) float32, x and y of the top-left corner in µm; attributes of the file
``unit`` ("um"), ``tile_size_um``, ``tile_size_px``, ``extractor`` and ``feat_type`` ("tile", "slide" or "patient").
Older: ``tile_size`` with ``unit``; without a unit, 224 to a tile of 256 µm; ``patch_embeddings`` and no coordinates
(STAMP: src/stamp/modeling/data.py get_coords, src/stamp/preprocessing). Level-0 px are µm / mpp of the slide. STAMP
writes no other unit than "um"; coordinates in "px" are taken as level-0 px only where a person says the tile edge.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import corners, points, rows_and_columns
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.checks import steps
from napari_asmil.bags.edges import Edge, placed, same_rows
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import dataset, loader, opened, plain
from napari_asmil.errors import InputError

FEATURES = ("feats", "patch_embeddings")
NAMES = {"unit", "tile_size", "tile_size_um", "tile_size_px", "extractor", "feat_type", "encoder"}
HISTORIC_PX, HISTORIC_UM = 224, 256.0
EXPORT = "write the attributes unit = um and tile_size_um, or export features and coords in level-0 px to npz"
ONLY = "so they can be trained on but not drawn"


def sniff(path: Path) -> bool:
    """Whether the file is HDF5 with features under one of STAMP's names."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        return bool(set(FEATURES) & set(file))


def read(path: Path, given: Given) -> Bag:
    """Read a bag; it has tiles when the slide's mpp is known, or the tile edge in level-0 px is.

    Raises
    ------
    InputError
        When it holds features of a slide or patient as a whole, rows do not match, or there are no tiles.
    """
    slide_id = path.stem
    with opened(path) as file:
        name = next(name for name in FEATURES if name in set(file))
        attrs = plain(file.attrs, path, NAMES)
        kind = attrs.get("feat_type")
        if kind not in (None, "tile"):
            raise InputError(
                f"It holds features of a {kind} as a whole, which have no tiles.",
                remedy="Give STAMP's features of tiles.",
                path=path,
            )
        features = dataset(file, name, path)
        n_tiles, n_features = rows_and_columns(features.shape, features.dtype.kind, slide_id, path)
        found = dataset(file, "coords", path) if "coords" in set(file) else None
        coords = None if found is None else points(_numbers(found), path).astype(np.float64)
    tiles, mpp, notes = None, given.mpp, [f"{NOT_PLACED}: the file holds no coordinates, {ONLY}"]
    if coords is not None:
        same_rows(slide_id, n_tiles, len(coords), path)
        tiles, mpp, notes = _place(coords, attrs, given, path)
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, name, slide_id),
        tiles=tiles,
        source=path,
        encoder=str(attrs.get("extractor") or attrs.get("encoder") or ""),
        mpp=mpp,
        from_um=attrs.get("unit") in (None, "um"),
        tile_px=_tile_px(attrs),
        derivation=notes,
        reread=partial(read, path),
    )


def _numbers(found: Any) -> NDArray[Any]:
    return np.asarray(found[()]) if found.dtype.kind in "fiu" else np.empty(found.shape, found.dtype)


def _tile_px(attrs: dict[str, Any]) -> int | None:
    if "tile_size_px" in attrs:
        return int(attrs["tile_size_px"])
    return HISTORIC_PX if "tile_size_um" not in attrs and "unit" not in attrs else None


def _place(
    coords: NDArray[np.float64], attrs: dict[str, Any], given: Given, path: Path
) -> tuple[Any, float | None, list[str]]:
    """Tiles, the mpp they were placed by, and how."""
    if attrs.get("unit") == "px":
        asked = "the file says that its coordinates are px, and neither of which level nor the edge of a tile"
        tiles, notes = placed(corners(coords, path), None, given, missing=asked, path=path)
        how = "corners: the file's px, taken as level-0 px, as the tile edge was given in them"
        return tiles, given.mpp, notes if tiles is None else [*notes, how]
    scale, edge_um, how = _micrometres(coords, attrs)
    if edge_um is None:
        return None, given.mpp, [how]
    mpp = given.known_mpp
    if mpp is None and given.tile_size is not None:
        mpp = edge_um / given.tile_size
        how += f"; 1 level-0 px is {mpp:.4g} µm, as a tile of {given.tile_size:g} px was given"
    if mpp is None:
        return (
            None,
            None,
            [
                f"tiles of {edge_um:g} µm: {how}",
                f"{NOT_PLACED}: coordinates are in µm, so the slide, or its mpp, is needed (--slide-mpp)",
            ],
        )
    exact = coords * scale / mpp
    xy = np.round(exact).astype(np.int64)
    off = float(np.abs(exact - xy).max(initial=0))
    size = edge_um / mpp
    edge = Edge(size, f"{edge_um:g} µm / {mpp:.6g} µm per px ({given.mpp_source}) = {size:g} level-0 px; {how}")
    tiles, notes = placed(xy, edge, given, missing="", path=path)
    return tiles, mpp, [*notes, f"corners: µm / mpp, rounded to whole level-0 px, by {off:.2f} px at most"]


def _micrometres(coords: NDArray[np.float64], attrs: dict[str, Any]) -> tuple[float, float | None, str]:
    """µm per unit of the coordinates, the tile edge in µm (None when unknown), and how both were derived."""
    unit = attrs.get("unit")
    if unit not in (None, "um"):
        said = f"the file's coordinates are in {str(unit)[:20]!r}, which is no unit of STAMP"
        return 1.0, None, f"{NOT_PLACED}: {said}: {EXPORT}"
    if "tile_size_um" in attrs:
        return 1.0, float(attrs["tile_size_um"]), "from the attribute tile_size_um"
    if "tile_size" in attrs and unit is not None:
        return 1.0, float(attrs["tile_size"]), "from the attributes tile_size and unit"
    step = attrs.get("tile_size") or _smallest(coords)
    if step is not None and round(step) == HISTORIC_PX and unit is None:
        how = f"an old file without a unit, whose tiles lie {step:.4g} apart: 224 to 256 µm, as STAMP did then"
        return HISTORIC_UM / HISTORIC_PX, HISTORIC_UM, how
    what = "the unit of its coordinates or " if unit is None else ""
    return 1.0, None, f"{NOT_PLACED}: the file does not say {what}the size of its tiles: {EXPORT}"


def _smallest(coords: NDArray[np.float64]) -> float | None:
    apart = [step for step in steps(np.round(coords).astype(np.int64)) if step is not None]
    return float(min(apart)) if apart else None
