"""Tiles and strips of a TIFF page, read and decoded one by one from any thread.

Bytes are read without moving a shared file position, and decoded by `TiffPage.decode`, which lets other threads run.
"""

from __future__ import annotations

import os
import threading
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_asmil.slides.codec_sizes import SIZES
from napari_asmil.slides.pixels import Samples
from napari_asmil.slides.readers import Readers

BLOCK = 256
"""Smaller tiles and thin strips are read and kept in groups of about this many px a side."""

BLOCK_PIXELS = 4 * BLOCK**2
"""Strips are grouped up to about this many px."""

_JPEG = (6, 7, 34892, 33007)


class SharedFile:
    """A file of `size` bytes that several threads read at once; the last of them closes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.size = os.fstat(self._file).st_size
        self._lock = threading.Lock()
        self._readers = Readers(lambda: os.close(self._file))

    def read(self, at: int, count: int) -> bytes:
        """That many bytes from there.

        Raises
        ------
        ValueError
            When the file was closed, or ends before.
        """
        if at + count > self.size:
            raise ValueError(f"the file ends {at + count - self.size:,} bytes too early")
        with self._readers:
            found = self._pread(at, count)
        if len(found) < count:
            raise ValueError(f"the file became {count - len(found):,} bytes shorter")
        return found

    def close(self) -> None:
        """Let go of the file, now or when the last reader is done."""
        self._readers.close()

    def _pread(self, at: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, count, at)
        with self._lock:
            os.lseek(self._file, at, os.SEEK_SET)
            return os.read(self._file, count)


class Plane:
    """The tiles or strips of one page.

    Parameters
    ----------
    file : SharedFile
        Where they are read.
    page : tifffile page
        Whose they are.
    behind : int
        How many bytes its pixels lie behind those the page names, for planes stored in one stretch.
    fill : int or tuple of int
        Value of tiles that were not stored, of each sample where they differ.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    samples : int
        Samples a pixel.
    edge : (int, int)
        Rows and columns of a tile or strip.
    """

    def __init__(self, file: SharedFile, page: Any, *, behind: int = 0, fill: int | tuple[int, ...] = 0) -> None:
        key = page.keyframe
        planes, _, rows, columns, together = key.shaped
        self.shape = (int(rows), int(columns))
        self.samples = int(planes * together)
        self.dtype = np.dtype(key.dtype)
        self._planes, self._together = int(planes), int(together)
        self._file = file
        self._fill = [fill if isinstance(fill, int) or together == 3 else fill[plane % 3] for plane in range(planes)]
        self._offsets = np.asarray(page.dataoffsets, dtype=np.int64) + behind
        self._counts = np.asarray(page.databytecounts, dtype=np.int64)
        self._decode = key.decode
        self._compression = key.compression
        self._arguments: dict[str, Any] = {"_fullsize": False}
        self._header = key.jpegheader
        if key.compression in _JPEG:
            self._arguments |= {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
        edge = (key.tilelength, key.tilewidth) if key.is_tiled else (min(key.rowsperstrip, rows), columns)
        self.edge = (max(1, int(edge[0])), max(1, int(edge[1])))
        self._raw = None
        if _is_one_stretch(page, self.dtype):
            self._raw = self.dtype.newbyteorder(key.parent.byteorder)
            self.edge = (max(1, min(BLOCK_PIXELS // max(columns, 1), BLOCK, rows)), self.edge[1])

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.shape[0] // self.edge[0]), -(-self.shape[1] // self.edge[1])

    @property
    def needed(self) -> int:
        """How many tiles or strips the pixels take, in all planes."""
        rows, columns = self.grid
        return 1 if self._raw is not None else rows * columns * self._planes

    @property
    def listed(self) -> int:
        """How many tiles or strips the page lists."""
        return min(len(self._offsets), len(self._counts))

    @property
    def missing(self) -> int:
        """How many of those listed were not stored."""
        return int(((self._counts == 0) | (self._offsets == 0)).sum()) if self.listed == len(self._counts) else 0

    @property
    def end(self) -> int:
        """The byte behind the last tile."""
        if self._raw is not None:
            return int(self._offsets[0]) + prod((self._planes, *self.shape, self._together, int(self._raw.itemsize)))
        count = self.listed
        ends = self._offsets[:count] + self._counts[:count]
        return int(ends.max(initial=0))

    def region(self, y0: int, y1: int, x0: int, x1: int) -> Samples:
        """Pixels of a box inside the page, (y1 - y0, x1 - x0, samples)."""
        planes = [self._region(plane, y0, y1, x0, x1) for plane in range(self._planes)]
        return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)

    def _region(self, plane: int, y0: int, y1: int, x0: int, x1: int) -> Samples:
        high, wide = self.edge
        first, last = (y0 // high, x0 // wide), (-(-y1 // high), -(-x1 // wide))
        if last == (first[0] + 1, first[1] + 1):
            tile = self._tile(plane, *first)
            if tile is not None:
                top, left = first[0] * high, first[1] * wide
                return tile[y0 - top : y1 - top, x0 - left : x1 - left]
        out = np.full((y1 - y0, x1 - x0, self._together), self._fill[plane], dtype=self.dtype)
        for row in range(first[0], last[0]):
            for column in range(first[1], last[1]):
                tile = self._tile(plane, row, column)
                if tile is None:
                    continue
                top, left = row * high, column * wide
                ya, yb = max(y0, top), min(y1, top + tile.shape[0])
                xa, xb = max(x0, left), min(x1, left + tile.shape[1])
                out[ya - y0 : yb - y0, xa - x0 : xb - x0] = tile[ya - top : yb - top, xa - left : xb - left]
        return out

    def _tile(self, plane: int, row: int, column: int) -> Samples | None:
        """One tile or strip, which may reach beyond the page; None where it was not stored."""
        if self._raw is not None:
            return self._rows(plane, row)
        rows, columns = self.grid
        index = (plane * rows + row) * columns + column
        at, count = (int(self._offsets[index]), int(self._counts[index])) if index < self.listed else (0, 0)
        if not at or not count:
            return None
        data = self._file.read(at, count)
        self._check_size(data)
        decoded, _, _ = self._decode(data, index, **self._arguments)
        return decoded[0]  # type: ignore[no-any-return]  # tifffile has no types

    def _rows(self, plane: int, row: int) -> Samples:
        high, (rows, columns) = self.edge[0], self.shape
        assert self._raw is not None
        length = columns * self._together * self._raw.itemsize
        top = row * high
        count = min(high, rows - top)
        data = self._file.read(int(self._offsets[0]) + (plane * rows + top) * length, count * length)
        found = np.frombuffer(data, self._raw).reshape(count, columns, self._together)
        return found.astype(self.dtype, copy=False)

    def _check_size(self, data: bytes) -> None:
        """Refuse a picture inside that is far larger than its tile, before memory is taken for it."""
        if self._compression not in SIZES or (self._compression in _JPEG and self._header):
            return
        size = SIZES[self._compression](data)
        if size is None:
            raise ValueError("a tile does not say how large the picture in it is")
        if prod(size) > 4 * max(self.edge[0] * self.edge[1], 256) * max(self.samples, 4):
            raise ValueError(f"a tile of {self.edge[1]} x {self.edge[0]} px holds a picture of {size[1]} x {size[0]}")


def _is_one_stretch(page: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the pixels lie in the file as in an array, so that any rows can be read without the others."""
    key = page.keyframe
    if key.is_tiled or (key.compression, key.predictor, key.fillorder) != (1, 1, 1) or not page.dataoffsets:
        return False
    if dtype.itemsize * 8 != key.bitspersample or sum(page.databytecounts) != key.nbytes:
        return False
    ends = [at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return list(page.dataoffsets[1:]) == ends[:-1]


def block_of(edge: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the whole tiles or strips of that edge that are read and kept at once."""
    high, wide = edge
    across = max(1, BLOCK // wide) * wide
    return max(1, min(BLOCK // high, BLOCK_PIXELS // (high * across))) * high, across
