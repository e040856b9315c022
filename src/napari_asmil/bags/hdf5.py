"""HDF5 files of features: only what lies in the file itself, of a size that the file can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import FAULTS, check_numbers, check_room, corners, kept
from napari_asmil.bags.heaps import sound_heaps
from napari_asmil.errors import InputError

NUMBERS = {
    "patch_size",
    "patch_size_level0",
    "level0_magnification",
    "target_magnification",
    "level0_width",
    "level0_height",
    "custom_downsample",
    "mpp",
    "tile_size",
    "tile_size_um",
    "tile_size_px",
}
"""Attributes that must be positive numbers where they are."""
LONGEST = 2000
"""A word or sentence in an attribute is cut here."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading; what the library objects to in it is told.

    Raises
    ------
    InputError
        When it cannot be opened or is damaged.
    """
    try:
        if not sound_heaps(path):
            raise OSError("a heap in it has no end")
        file = h5py.File(path, "r", locking="best-effort")
    except FAULTS as error:
        raise InputError(
            f"It is HDF5 but cannot be opened ({error}).",
            remedy="It is probably cut off or still being written; copy it again from where it came from.",
            path=path,
        ) from error
    with file:
        try:
            yield file
        except InputError:
            raise
        except FAULTS as error:
            raise InputError(
                f"It is HDF5 but damaged ({error}).", remedy="Copy it again from where it came from.", path=path
            ) from error


def holds(path: Path, name: str) -> bool:
    """Whether it is an HDF5 file with something of this name at its top."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        return name in set(file)


def dataset(file: Any, name: str, path: Path) -> Any:
    """A dataset that lies in the file itself; links and storage that lead out of it are not followed.

    Raises
    ------
    InputError
        When it is none, lies elsewhere, or is larger than the file can hold.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise InputError(_elsewhere(name), remedy="Copy the data into one file.", path=path)
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise InputError(f"Its dataset {name} is no array.", remedy="Extract the features again.", path=path)
    if found.external or found.is_virtual:
        raise InputError(_elsewhere(name), remedy="Copy the data into one file.", path=path)
    check_room(found.shape, path, dtype=found.dtype)
    if found.chunks and math.prod(found.chunks) > math.prod(found.shape):
        check_room(found.chunks, path, dtype=found.dtype)
    return found


def numbers(file: Any, name: str, path: Path) -> NDArray[Any]:
    """All numbers of a dataset; raises as `dataset`, and where they are none."""
    found = dataset(file, name, path)
    check_numbers(name, found.shape, found.dtype, path)
    return np.asarray(found[()])


def _elsewhere(name: str) -> str:
    return f"Its dataset {name} lies in another file or place, and what leads out of a file is not followed."


def load_features(path: Path, name: str, slide_id: str) -> NDArray[np.float32]:
    """The features of a dataset, float32 (M, D); raises as `arrays.kept`."""

    def read() -> NDArray[Any]:
        with opened(path) as file:
            return numbers(file, name, path)

    return kept(path, slide_id, read, within=name)


def loader(path: Path, name: str, slide_id: str) -> partial[NDArray[np.float32]]:
    """What `Bag.load` is for a dataset of features."""
    return partial(load_features, path, name, slide_id)


def whole_coords(file: Any, path: Path) -> NDArray[np.int64]:
    """The dataset ``coords`` as corners, int64 (M, 2), in level-0 px."""
    return corners(numbers(file, "coords", path), path)


def plain(attrs: Any, path: Path, names: set[str]) -> dict[str, Any]:
    """Attributes of these names as Python values; TRIDENT writes None as the string 'None'.

    Raises
    ------
    InputError
        When one that must be a positive number (`NUMBERS`) is none.
    """
    found: dict[str, Any] = {}
    for name in names & set(attrs):
        value = attrs[name]
        value = value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if value is None or isinstance(value, h5py.Empty) or value == "None" or np.ndim(value):
            continue
        if name in NUMBERS and not (
            isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**40
        ):
            raise InputError(f"Its attribute {name} is {value!r:.100}, not a positive number.", path=path)
        found[name] = value[:LONGEST] if isinstance(value, str) else value
    return found
