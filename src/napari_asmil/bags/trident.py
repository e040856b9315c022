"""TRIDENT's HDF5 layout, which our own extraction writes too.

Datasets ``features`` (M, D), in older files (1, M, D), and ``coords`` (M, 2) int, x and y of the top-left corner in
level-0 px; the tile edge is the attribute ``patch_size_level0`` of ``coords``, or follows from ``patch_size`` and both
magnifications (trident/wsi_objects/WSI.py and IO.py). A slide without tissue has features (0,) or (0, D). Ours adds
the dataset ``tile_labels`` (M,) and the file attributes ``mpp``, ``slide_path`` and ``contours_path`` (relative to the
file).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.annotations import sniff as is_annotation
from napari_asmil.bags.arrays import rows_and_columns
from napari_asmil.bags.bag import Bag
from napari_asmil.bags.edges import placed, same_rows, trident_edge
from napari_asmil.bags.given import Given, pixel_size
from napari_asmil.bags.hdf5 import dataset, loader, numbers, opened, plain, whole_coords
from napari_asmil.bags.slide_files import beside
from napari_asmil.errors import InputError
from napari_asmil.files import complete
from napari_asmil.slides import sniff as is_slide

TRUTH = "tile_truth"
"""File attribute that says in words when a tile counts as tumour."""
OWN = {"derivation", "mpp", "slide_path", "contours_path", TRUTH}
"""Attributes of the file that our extraction writes."""
EDGES = {"patch_size", "patch_size_level0"}


def sniff(path: Path) -> bool:
    """Whether the file is HDF5 with features and coordinates that have TRIDENT's attributes."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        if not {"features", "coords"} <= set(file):
            return False
        attrs = set(dataset(file, "coords", path).attrs)
    return bool(EDGES & attrs) and not {"patch_level", "downsample"} <= attrs


def read(path: Path, given: Given) -> Bag:
    """Read a bag; its features stay in the file until they are asked for.

    Raises
    ------
    InputError
        When rows do not match, there are no tiles, or tiles lie outside the slide.
    """
    slide_id = path.stem
    with opened(path) as file:
        coords, features = dataset(file, "coords", path), dataset(file, "features", path)
        n_tiles, n_features = rows_and_columns(features.shape, features.dtype.kind, slide_id, path)
        attrs = plain(coords.attrs, path, {"level0_width", "level0_height"})
        own = plain(file.attrs, path, OWN)
        xy, found = whole_coords(file, path), trident_edge(coords, path)
        tile_labels = _labels(file, n_tiles, path) if "tile_labels" in set(file) else None
        encoder = str(plain(features.attrs, path, {"encoder"}).get("encoder") or "")
    same_rows(slide_id, n_tiles, len(xy), path)
    tiles, notes = placed(
        xy, found, given, missing="coords has no attribute patch_size_level0, so their edge is unknown", path=path
    )
    if own.get("derivation"):
        notes.append(str(own["derivation"]))
    width, height = attrs.get("level0_width"), attrs.get("level0_height")
    mpp, differing = pixel_size((given.mpp, "as given"), (own.get("mpp"), "of the feature file"))
    notes += differing
    paths = {name: _named(name, own.get(name), path, notes) for name in ("slide_path", "contours_path")}
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, "features", slide_id),
        tiles=tiles,
        tile_labels=tile_labels,
        source=path,
        encoder=encoder,
        tile_truth=str(own.get(TRUTH) or ""),
        mpp=mpp,
        tile_px=None if found is None else found.px,
        slide_size=(int(width), int(height)) if width and height else None,
        slide_path=paths["slide_path"],
        contours_path=paths["contours_path"],
        derivation=notes,
        reread=partial(read, path),
    )


def write_bag(path: str | Path, bag: Bag, *, attrs: Mapping[str, str] | None = None) -> None:
    """Write a bag in TRIDENT's layout; the file appears whole or not at all.

    Parameters
    ----------
    path : path-like
        The file, named after the slide: its stem is the slide id when it is read.
    bag : Bag
        With tiles.
    attrs : mapping of str to str, optional
        Further attributes of the file; ``derivation`` is shown when the bag is described.

    Raises
    ------
    InputError
        When the bag has no tiles or the file cannot be written.
    """
    path = Path(path)
    if bag.tiles is None:
        raise InputError(f"The bag of slide {bag.slide_id} has no tile coordinates to write.", path=path)
    whole = io.BytesIO()  # HDF5 crashes the process where the disk is full, so it does not write there itself
    with h5py.File(whole, "w") as file:
        features = file.create_dataset("features", data=bag.features())
        features.attrs.update({"name": bag.slide_id, "encoder": bag.encoder})
        coords = file.create_dataset("coords", data=bag.tiles.xy)
        edge = bag.tiles.size
        coords.attrs["patch_size_level0"] = int(edge) if edge == int(edge) else edge
        coords.attrs["patch_size"] = bag.tile_px or round(edge)
        coords.attrs["name"] = bag.slide_id
        if bag.slide_size is not None:
            coords.attrs["level0_width"], coords.attrs["level0_height"] = bag.slide_size
        if bag.tile_labels is not None:
            file.create_dataset("tile_labels", data=bag.tile_labels)
        file.attrs.update(attrs or {})
        if bag.mpp is not None:
            file.attrs["mpp"] = bag.mpp
        for name, target in (("slide_path", bag.slide_path), ("contours_path", bag.contours_path)):
            if target is not None:
                file.attrs[name] = _relative(target, path)
    with complete(path) as half:
        half.write_bytes(whole.getbuffer())


def _relative(target: Path, beside: Path) -> str:
    try:
        return Path(os.path.relpath(target, beside.parent)).as_posix()
    except ValueError:  # another drive
        return Path(target).resolve().as_posix()


def _labels(file: Any, n_tiles: int, path: Path) -> NDArray[np.float32]:
    """Shares of tumour, float32 (M,), from 0 to 1; refused when they are none."""
    labels = numbers(file, "tile_labels", path)
    if labels.shape != (n_tiles,) or not ((labels >= 0) & (labels <= 1)).all():
        raise InputError(
            f"Its tile_labels, {labels.dtype.name} of shape {labels.shape}, are not a share from 0 to 1 for each of"
            f" {n_tiles} tiles.",
            remedy="Write the share of each tile that is tumour, or leave tile_labels out.",
            path=path,
        )
    return labels.astype(np.float32)


def _named(name: str, given: Any, path: Path, notes: list[str]) -> Path | None:
    """The existing slide or annotation file that an attribute names; else None, and a line is added to `notes`.

    Slides may lie anywhere, as their paths lead up from the features; what is neither of the two is not opened.
    """
    if not given:
        return None
    target = beside(path, given) if isinstance(given, str) else None
    if target is None:
        notes.append(f"{name} {given!s:.200} is not there")
        return None
    if is_slide(target) or (name == "contours_path" and is_annotation(target)):
        return target
    notes.append(f"{name} {given!s:.200} is no {'slide' if name == 'slide_path' else 'annotation'} file, and not used")
    return None
