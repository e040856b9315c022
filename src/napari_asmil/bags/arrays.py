"""Arrays as strangers may have written them: their shape, kind and size are looked at before they are read."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.bag import FEATURE_CACHE, finite
from napari_asmil.errors import InputError

ALWAYS_ROOM = 2**27
"""Bytes that any file may hold, a number taken as 4 at least: it becomes float32."""
MOST_PACKED = 100
"""Beyond that, bytes that a byte of a file may hold: features are hardly ever packed to a tenth of their size."""
NUMBERS = "fiub"
"""Kinds of numpy's dtypes that are read; of words and records a file of a few kB may hold gigabytes."""
FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    EOFError,
    MemoryError,
    OverflowError,
    LookupError,
    SyntaxError,
    TokenError,
)
"""What libraries raise when a file is damaged."""
NPZ_FAULTS = (zipfile.BadZipFile, zlib.error, *FAULTS)
MOST_ARRAYS = 1000
LONGEST_HEADER = 2**14
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How numpy packs the arrays of an npz file."""


def check_room(shape: Sequence[int], path: Path, stored: int | None = None, dtype: np.dtype[Any] | None = None) -> None:
    """Refuse an array that its file cannot hold, before memory is taken for it.

    Parameters
    ----------
    shape : sequence of int
        What the file declares.
    path : Path
        The file.
    stored : int, optional
        Bytes that hold the array; the size of the file unless given.
    dtype : dtype, optional
        Of its elements; float32 unless given.

    Raises
    ------
    InputError
        When it is larger than `ALWAYS_ROOM` and `MOST_PACKED` bytes a stored byte.
    """
    stored = path.stat().st_size if stored is None else stored
    each = max(4, 4 if dtype is None else dtype.itemsize)
    if min(shape, default=0) < 0 or math.prod(shape) * each > max(ALWAYS_ROOM, MOST_PACKED * stored):
        raise InputError(
            f"It declares an array of {' x '.join(map(str, shape))} numbers, more than its {stored:,} bytes can hold.",
            remedy="It is damaged or not what it seems; copy it again from where it came from.",
            path=path,
        )


def check_numbers(what: str, shape: Sequence[int], dtype: Any, path: Path, kinds: str = NUMBERS) -> None:
    """Refuse an array that is none of numbers, by what its file declares: nothing of it is read.

    Raises
    ------
    InputError
        When its dtype is not of one of the `kinds`.
    """
    if not isinstance(dtype, np.dtype) or dtype.kind not in kinds:
        name = getattr(dtype, "name", str(dtype))
        raise InputError(
            f"Its {what}, {name:.40} of shape {tuple(shape)}, are no numbers.",
            remedy="Write them as numbers, or extract the features again.",
            path=path,
        )


def rows_and_columns(shape: Sequence[int], kind: str, slide_id: str, path: Path) -> tuple[int, int]:
    """M and D of features (M, D), of older ones (1, M, D), or of none, (0,) or (0, D).

    Raises
    ------
    InputError
        When they have another shape, or are no numbers; one vector is told apart.
    """
    if kind not in "fiu":
        raise InputError(f"The features of slide {slide_id} are no numbers.", remedy="Extract them again.", path=path)
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 1 and not shape[0]:
        return 0, 0
    if len(shape) == 1:
        raise InputError(
            f"It holds one vector of {shape[0]} numbers: of a single tile, or of a slide as a whole.",
            remedy="Give a file with one row of features a tile, (M, D).",
            path=path,
        )
    if len(shape) != 2:
        raise InputError(
            f"The features of slide {slide_id} have shape {tuple(shape)}; one row a tile, (M, D), is needed.",
            remedy="Pool or cut them to one vector a tile.",
            path=path,
        )
    return int(shape[0]), int(shape[1])


def corners(coords: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Whole level-0 px, int64 (M, 2), of coordinates (M, 2), (1, M, 2) or none, (0,); floats may be whole numbers.

    Raises
    ------
    InputError
        When they are none, or have another shape.
    """
    given = points(coords, path)
    xy = given.astype(np.int64)
    if (xy != given).any():
        raise InputError(
            f"Its coordinates are not whole level-0 px; the first tile begins at x = {given[0, 0]:g},"
            f" y = {given[0, 1]:g}.",
            remedy="Coordinates must be the top-left corners in level-0 px.",
            path=path,
        )
    return xy


def points(coords: NDArray[Any], path: Path) -> NDArray[Any]:
    """Finite numbers x, y, (M, 2); raises as `corners`."""
    if coords.ndim == 3 and coords.shape[0] == 1:
        coords = coords[0]
    if coords.shape == (0,):
        coords = coords.reshape(0, 2)
    if coords.dtype.kind not in "fiu" or coords.ndim != 2 or coords.shape[1] != 2:
        raise InputError(
            f"Its coordinates, {coords.dtype.name} of shape {coords.shape}, are no x and y per tile.",
            remedy="Extract the features again.",
            path=path,
        )
    if not (np.abs(coords.astype(np.float64)) < 2**40).all():
        raise InputError("Its coordinates hold NaN, infinite or absurd numbers.", remedy="Extract again.", path=path)
    return coords


def kept(
    path: Path, slide_id: str, read: Callable[[], NDArray[Any]], *, within: str = "", folder: Path | None = None
) -> NDArray[np.float32]:
    """Features float32 (M, D) through the bounded cache of all bags, while nothing of their files changes.

    Parameters
    ----------
    path, slide_id : Path, str
        The feature file, and the slide it is of.
    read : callable
        Reads them.
    within : str
        Which array or table of the file they are.
    folder : Path, optional
        The folder of their array, where `path` is one: writing in it leaves the time of `path` as it is.

    Raises
    ------
    InputError
        When the file is gone or damaged, or holds NaN or infinite values.
    """

    def make() -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(read(), dtype=np.float32)
        array = array[0] if array.ndim == 3 else array
        return finite(array, slide_id, path)

    try:
        written = tuple(_written(file) for file in ([path] if folder is None else sorted(folder.rglob("*"))))
        return FEATURE_CACHE.get((path, slide_id, within, written), make)
    except InputError:
        raise
    except FAULTS as error:
        raise InputError(f"Its features cannot be read ({error}).", remedy="Was the file moved?", path=path) from error


def _written(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def npz_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of each array of an npz file, without reading them; empty when it is none.

    What is no array of npy version 1 or 2, or holds Python objects, is left out.
    """
    found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    if not path.is_file():
        return found
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist()[:MOST_ARRAYS]:
                if not member.filename.endswith(".npy") or member.compress_type not in PACKINGS:
                    continue
                with file.open(member) as stream:
                    begins = io.BytesIO(stream.read(LONGEST_HEADER))
                version = np.lib.format.read_magic(begins)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(begins)
                if not dtype.hasobject:
                    found[member.filename.removesuffix(".npy")] = shape, dtype
    except (RecursionError, SyntaxError, *NPZ_FAULTS):
        return {}
    return found


def npz_array(path: Path, name: str, header: tuple[Sequence[int], np.dtype[Any]], kinds: str = NUMBERS) -> NDArray[Any]:
    """An array of an npz file by its name and header (`npz_headers`); nothing pickled is read.

    Raises
    ------
    InputError
        When its dtype is not of one of the `kinds`, it is larger than the file can hold, or damaged.
    """
    shape, dtype = header
    check_numbers(f"array {name}", shape, dtype, path, kinds)
    check_room(shape, path, dtype=dtype)
    try:
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except NPZ_FAULTS as error:
        raise InputError(
            f"Its array {name} cannot be read ({error}).", remedy="Copy it again from where it came from.", path=path
        ) from error
