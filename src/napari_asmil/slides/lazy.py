"""Levels as arrays that read through a bounded tile cache."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_asmil.cache import ArrayCache
from napari_asmil.slides.backend import Level


class TileArray:
    """A uint8 (y, x, 3) array of one level; blocks are read when asked for and kept in `cache`.

    It has what napari and dask need of an array: shape, dtype, ndim, size, chunks, slicing, ``__array__``.

    Attributes
    ----------
    requests : int
        How often pixels were asked for.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, level: Level, cache: ArrayCache, key: Hashable) -> None:
        self._level = level
        self._cache = cache
        self._key = key
        self.shape = (*level.shape, 3)
        self.size = level.shape[0] * level.shape[1] * 3
        self.chunks = (min(level.block[0], level.shape[0]), min(level.block[1], level.shape[1]), 3)
        self.requests = 0
        self._once = False

    def __len__(self) -> int:
        return self.shape[0]

    def __deepcopy__(self, memo: dict[int, object]) -> TileArray:
        return self  # a copied layer reads the same file through the same cache

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:, :], dtype=dtype)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        rows, columns, *rest = _expand(index)
        y0, y1, inner_rows = _span(rows, self.shape[0])
        x0, x1, inner_columns = _span(columns, self.shape[1])
        self.requests += 1
        pixels: NDArray[np.uint8] = self.region(y0, y1, x0, x1)[(inner_rows, inner_columns, *rest)]
        return pixels

    def through(self, cache: ArrayCache, *, once: bool = False) -> TileArray:
        """The same level, whose blocks are kept in another cache; not those that one box holds whole, if `once`."""
        other = TileArray(self._level, cache, self._key)
        other._once = once
        return other

    def read(self, y0: int, y1: int, x0: int, x1: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Pixels of a box, uint8 (y1 - y0, x1 - x0, 3), white outside the level; in `out` if given."""
        self.requests += 1
        rows, columns, _ = self.shape
        inside = [min(max(v, 0), limit) for v, limit in ((y0, rows), (y1, rows), (x0, columns), (x1, columns))]
        ya, yb, xa, xb = inside
        if inside == [y0, y1, x0, x1]:
            return self.region(ya, yb, xa, xb, out)
        if out is None:
            out = np.empty((y1 - y0, x1 - x0, 3), dtype=np.uint8)
        out[:] = 255
        if yb > ya and xb > xa:
            self.region(ya, yb, xa, xb, out[ya - y0 : yb - y0, xa - x0 : xb - x0])
        return out

    def region(self, y0: int, y1: int, x0: int, x1: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Pixels of a box inside the level, uint8 (y1 - y0, x1 - x0, 3), from blocks; in `out` if given."""
        if out is None:
            out = np.empty((y1 - y0, x1 - x0, 3), dtype=np.uint8)
        height, width = self._level.block
        for row in range(y0 // height, -(-y1 // height) if y1 > y0 else 0):
            for column in range(x0 // width, -(-x1 // width) if x1 > x0 else 0):
                top, left = row * height, column * width
                whole = self._once and y0 <= top and x0 <= left and top + height <= y1 and left + width <= x1
                block = self._decoded(row, column) if whole else self._block(row, column)
                ya, yb = max(y0, top), min(y1, top + height)
                xa, xb = max(x0, left), min(x1, left + width)
                out[ya - y0 : yb - y0, xa - x0 : xb - x0] = block[ya - top : yb - top, xa - left : xb - left]
        return out

    def _block(self, row: int, column: int) -> NDArray[np.uint8]:
        return self._cache.get((self._key, row, column), lambda: _alone(self._decoded(row, column)))

    def _decoded(self, row: int, column: int) -> NDArray[np.uint8]:
        (height, width), (rows, columns) = self._level.block, self._level.shape
        y0, x0 = row * height, column * width
        return self._level.region(y0, min(y0 + height, rows), x0, min(x0 + width, columns))


def halved(finer: TileArray, block: int = 256) -> Level:
    """The level of half the size, made from `finer` as it is looked at (mean of 2 x 2 pixels)."""
    rows, columns, _ = finer.shape

    def region(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        source = finer.region(2 * y0, min(2 * y1, rows), 2 * x0, min(2 * x1, columns)).astype(np.uint16)
        source = np.pad(source, ((0, source.shape[0] % 2), (0, source.shape[1] % 2), (0, 0)), mode="edge")
        rounded = source[::2, ::2] + source[1::2, ::2] + source[::2, 1::2] + source[1::2, 1::2] + 2
        return (rounded >> 2).astype(np.uint8)

    return Level(shape=(-(-rows // 2), -(-columns // 2)), block=(block, block), region=region)


def _alone(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels without what they were cut from, which a cache would keep and not count."""
    whole = pixels.base
    return pixels if whole is None or memoryview(whole).nbytes <= pixels.nbytes else pixels.copy()  # type: ignore[arg-type]


def _expand(index: Any) -> tuple[Any, ...]:
    given = index if isinstance(index, tuple) else (index,)
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given = given[:at] + (slice(None),) * (4 - len(given)) + given[at + 1 :]
    return given + (slice(None),) * (3 - len(given))


def _span(index: Any, length: int) -> tuple[int, int, Any]:
    """First and last + 1 pixel that `index` needs, and the index into that stretch."""
    if not isinstance(index, slice):
        at = range(length)[index]
        return at, at + 1, 0
    wanted = range(length)[index]
    if not wanted:
        return 0, 0, slice(None)
    return min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1, slice(None, None, wanted.step)
