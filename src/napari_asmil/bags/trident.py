"""TRIDENT's HDF5 layout, which our own extraction writes too.

Datasets ``features`` (M, D) and ``coords`` (M, 2) int, x and y of the top-left corner in level-0 px; the tile
edge is the attribute ``patch_size_level0`` of ``coords``. Ours adds the dataset ``tile_labels`` (M,) and the
file attributes ``mpp``, ``slide_path`` and ``contours_path`` (relative to the file).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.bag import FEATURE_CACHE, Bag, finite
from napari_asmil.bags.given import Given
from napari_asmil.errors import InputError
from napari_asmil.files import complete
from napari_asmil.geometry import TileGrid

TRUTH = "tile_truth"
"""File attribute that says in words when a tile counts as tumour."""

NUMBERS = {
    "patch_size",
    "patch_size_level0",
    "level0_magnification",
    "target_magnification",
    "level0_width",
    "level0_height",
    "mpp",
}
"""Attributes that must be positive numbers where they are."""


EDGES = {"patch_size", "patch_size_level0"}


def sniff(path: Path) -> bool:
    """Whether the file is HDF5 with features, coordinates and a tile edge."""
    if not h5py.is_hdf5(path):
        return False
    with _opened(path) as file:
        return _own(file, "features") and _own(file, "coords") and bool(EDGES & set(file["coords"].attrs))


def read(path: Path, given: Given) -> Bag:
    """Read a bag; its features stay in the file until they are asked for.

    Raises
    ------
    InputError
        When rows do not match, there are no tiles, the tile edge is unknown or tiles lie outside the slide.
    """
    with _opened(path) as file:
        attrs = _plain(file["coords"].attrs, path)
        own = _plain(file.attrs, path)
        shape = file["features"].shape
        xy = _whole(file["coords"][()], path)
        tile_labels = file["tile_labels"][()].astype(np.float32) if _own(file, "tile_labels") else None
        encoder = str(_plain(file["features"].attrs, path).get("encoder") or "")
    notes = [str(own["derivation"])] if own.get("derivation") else []
    size, edge_note = _edge(attrs, path)
    width, height = attrs.get("level0_width"), attrs.get("level0_height")
    slide_size = (int(width), int(height)) if width and height else None
    mpp = given.mpp or own.get("mpp")
    paths = {}
    for name in ("slide_path", "contours_path"):
        paths[name] = _beside(own.get(name), path)
        if own.get(name) and paths[name] is None:
            notes.append(f"{name} {own[name]} is not there")
    return Bag(
        slide_id=path.stem,
        n_tiles=shape[0],
        n_features=shape[1] if len(shape) == 2 else 0,
        load=partial(_features, path, path.stem),
        tiles=TileGrid(xy, size),
        tile_labels=tile_labels,
        source=path,
        encoder=encoder,
        tile_truth=str(own.get(TRUTH) or ""),
        mpp=mpp,
        tile_px=_whole_number(attrs["patch_size"], "patch_size", path) if "patch_size" in attrs else None,
        slide_size=slide_size,
        slide_path=paths["slide_path"],
        contours_path=paths["contours_path"],
        derivation=[edge_note, *notes],
    )


def _whole_number(given: object, name: str, path: Path) -> int:
    try:
        return int(given)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        raise InputError(
            f"Its attribute {name} is {given!r}, not a number of px.", remedy="Extract the slide again.", path=path
        ) from None


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


def _opened(path: Path) -> Any:
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise InputError(
            f"It is HDF5 but cannot be opened ({error}).",
            remedy="It is probably cut off or still being written; copy it again from where it came from.",
            path=path,
        ) from error


def _own(file: Any, name: str) -> bool:
    """Whether a dataset of this name lies in the file itself; links and storage that lead out are not followed."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        return False
    return not (file[name].external or file[name].is_virtual)


def _features(path: Path, slide_id: str) -> NDArray[np.float32]:
    def read_all() -> NDArray[np.float32]:
        with _opened(path) as file:
            array = np.asarray(file["features"][()], dtype=np.float32)
        return finite(array, slide_id, path)

    try:
        stat = path.stat()
        return FEATURE_CACHE.get((path, stat.st_mtime_ns, stat.st_size), read_all)
    except (OSError, KeyError) as error:
        raise InputError(f"Its features cannot be read ({error}).", remedy="Was the file moved?", path=path) from error


def _plain(attrs: Any, path: Path) -> dict[str, Any]:
    """Attributes as Python values; TRIDENT writes None as the string 'None'."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in attrs.items()}
    found = {name: None if value == "None" else value for name, value in plain.items() if np.ndim(value) == 0}
    for name in NUMBERS & found.keys():
        value = found[name]
        if value is not None and not (isinstance(value, int | float) and 0 < value < np.inf):
            raise InputError(f"Its attribute {name} is {value!r}, not a positive number.", path=path)
    return found


def _edge(attrs: dict[str, Any], path: Path) -> tuple[float, str]:
    """Tile edge in level-0 px, and how it was derived."""
    tile, level0, target = (attrs.get(n) for n in ("patch_size", "level0_magnification", "target_magnification"))
    seen = f"{tile} px" + (f" at {target}x" if target else "")
    if attrs.get("patch_size_level0"):
        edge = float(attrs["patch_size_level0"])
        if not tile:
            return edge, f"tile edge: {edge:g} level-0 px, from the attribute patch_size_level0 of coords"
        return edge, f"tile edge: {seen} = {edge:g} level-0 px, from the attribute patch_size_level0 of coords"
    if tile and level0 and target:
        edge = float(int(tile) * int(level0) // int(target))
        return (
            edge,
            f"tile edge: {seen} x {level0 / target:g} = {edge:g} level-0 px, from level0_magnification {level0}x",
        )
    raise InputError(
        "The tile edge in level-0 px is not in the file: coords has no attribute patch_size_level0.",
        remedy="Add it, or extract the features again.",
        path=path,
    )


def _whole(coords: NDArray[Any], path: Path) -> NDArray[np.int64]:
    xy = coords.astype(np.int64)
    if coords.ndim != 2 or coords.shape[1] != 2 or (xy != coords).any():
        raise InputError(
            f"Its coords, of shape {coords.shape}, are not whole level-0 px with x and y per tile.", path=path
        )
    return xy


def _relative(target: Path, beside: Path) -> str:
    try:
        return Path(os.path.relpath(target, beside.parent)).as_posix()
    except ValueError:  # another drive
        return Path(target).resolve().as_posix()


def _beside(given: Any, beside: Path) -> Path | None:
    """The existing file that an attribute names, relative to the feature file; never a network location."""
    if not isinstance(given, str) or "\0" in given or given.startswith(("//", "\\\\")):
        return None
    target = Path(os.path.normpath(beside.parent / PurePosixPath(given)))
    return target if target.is_file() else None
