"""Whether HDF5 can walk through a file's heaps of words, in which damage makes the library go round for ever.

A global heap collection is ``GCOL``, version 1, three bytes, its size (8 bytes), then objects: index (2), references
(2), four bytes, size (8), data filled up to a multiple of 8; index 0 is the free rest, whose size counts its own head
(HDF5 file format specification, III.E). libhdf5 2.0.0 was seen to hang where an object's size is zero.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

BEGIN = b"GCOL\x01"
HEAD = 16
LOOKED_AT = 2**23
"""Bytes at either end of a file in which heaps are looked for; words are few, and lie where the file began or ended."""


def sound_heaps(path: Path) -> bool:
    """Whether every heap at either end of the file ends."""
    stat = path.stat()
    return _sound(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _sound(path: Path, changed: int, size: int) -> bool:
    with path.open("rb") as file:
        parts = [file.read(LOOKED_AT if size > 2 * LOOKED_AT else size)]
        if size > 2 * LOOKED_AT:
            file.seek(size - LOOKED_AT)
            parts.append(file.read())
    return all(_all_end(part) for part in parts)


def _all_end(content: bytes) -> bool:
    at = content.find(BEGIN)
    while at >= 0:
        if not _ends(content, at):
            return False
        at = content.find(BEGIN, at + 1)
    return True


def _ends(content: bytes, begin: int) -> bool:
    """Whether the objects of a heap fill it, one after the other; a heap beyond the bytes at hand is not walked."""
    if begin + HEAD > len(content):
        return True
    (size,) = struct.unpack_from("<Q", content, begin + 8)
    at, end = begin + HEAD, begin + size
    if not HEAD <= size <= len(content) - begin:
        return True
    while at + HEAD <= end:
        index, length = struct.unpack_from("<H6xQ", content, at)
        step = HEAD + -(-length // 8) * 8 if index else length
        if not HEAD <= step <= end - at:
            return False
        at += step
    return True
