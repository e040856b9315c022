"""zarr folders as strangers may have written them: no link, no codec that could run code, no size beyond the files'."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import FAULTS, check_numbers, check_room
from napari_asmil.errors import InputError

CODECS = {"bytes", "blosc", "gzip", "zstd", "zlib", "lz4", "lzma", "bz2", "crc32c", "transpose", "sharding_indexed",
          "shuffle", "vlen-utf8"}  # fmt: skip
"""Of zarr 2 and 3; another (as numcodecs' pickle) is not loaded."""
LONGEST = 2**24
"""Bytes of a metadata file that are read."""
AGAIN = "Write it again with plain zarr, or copy it again from where it came from."


def metadata(folder: Path, path: Path) -> dict[str, Any]:
    """What a group or array says of itself, as in zarr 3: ``attributes`` and, of an array, ``shape`` and codecs.

    Parameters
    ----------
    folder : Path
        The group or array; empty when it is none.
    path : Path
        The file that is named where something is wrong.
    """
    told: dict[str, Any] = {}
    if not folder.resolve().is_relative_to(path.resolve()):
        raise _linked(folder, path)
    for name in ("zarr.json", ".zarray", ".zgroup", ".zattrs"):
        file = folder / name
        if file.is_symlink() or not file.is_file():
            continue
        try:
            with file.open("rb") as stream:
                found = json.loads(stream.read(LONGEST))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"Its {name} in {folder.name} is damaged.", remedy=AGAIN, path=path) from error
        if isinstance(found, dict):
            told |= {"attributes": found} if name == ".zattrs" else found
    return told


def is_group(folder: Path) -> bool:
    """Whether the folder is a group of zarr 2 or 3."""
    return folder.is_dir() and ((folder / "zarr.json").is_file() or (folder / ".zgroup").is_file())


def is_array(folder: Path, path: Path) -> bool:
    """Whether the folder is an array of zarr 2 or 3, and no group."""
    return folder.is_dir() and "shape" in metadata(folder, path)


def attributes(folder: Path, path: Path) -> dict[str, Any]:
    """The attributes of a group or array; empty when there are none."""
    found = metadata(folder, path).get("attributes")
    return found if isinstance(found, dict) else {}


def open_array(folder: Path, path: Path) -> Any:
    """An array of zarr, to be read whole.

    Raises
    ------
    InputError
        When it is none, is no array of numbers, lies behind a link or holds one or an unknown codec, or is larger
        than its files.
    """
    import zarr

    told = metadata(folder, path)
    name = folder.relative_to(path).as_posix()
    unknown = _codecs(told) - CODECS
    if unknown:
        raise InputError(f"Its {name} is packed by {min(unknown)!r}, which is not read.", remedy=AGAIN, path=path)
    stored = 0
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            inside = Path(parent, entry)
            if inside.is_symlink():
                raise _linked(folder, path)
            stored += inside.stat().st_size
    try:
        array = zarr.open_array(folder, mode="r")
        chunk, dtype = array.chunks, array.dtype
    except (AttributeError, NotImplementedError, *FAULTS) as error:
        raise InputError(f"Its {name} is no array of zarr ({error}).", remedy=AGAIN, path=path) from error
    check_numbers(name, array.shape, dtype, path)
    check_room(array.shape, path, stored, dtype)
    check_room(chunk, path, stored, dtype)
    return array


def read_array(folder: Path, path: Path) -> NDArray[Any]:
    """All numbers of an array; raises as `open_array`."""
    array = open_array(folder, path)
    try:
        return np.asarray(array[...])
    except FAULTS as error:
        name = folder.relative_to(path).as_posix()
        raise InputError(f"Its {name} cannot be read ({error}).", remedy=AGAIN, path=path) from error


def _linked(folder: Path, path: Path) -> InputError:
    name = folder.relative_to(path).as_posix()
    return InputError(f"Its {name} holds a link, and links are not followed.", remedy=AGAIN, path=path)


def _codecs(told: Any, depth: int = 0) -> set[str]:
    """Names of all codecs, filters and compressors of an array, nested ones too."""
    found: set[str] = set()
    if depth > 8:
        return {"nested codecs"}
    if isinstance(told, dict):
        for key in ("codecs", "index_codecs", "filters", "compressor"):
            given = told.get(key) or []
            for codec in given if isinstance(given, list) else [given]:
                name = codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec
                found |= {str(name).removeprefix("numcodecs.")}
                inner = codec.get("configuration") if isinstance(codec, dict) else None
                found |= _codecs(inner, depth + 1)
    return found
