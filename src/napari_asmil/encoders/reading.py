"""Tile pixels of a whole slide, read in the order in which it is stored, a little ahead of who asks for them."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.cache import ArrayCache
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import Slide
from napari_asmil.slides.lazy import TileArray

ROUTE = 1
"""Another number when the same slide and settings give tiles of other pixels: bags made before are then not kept."""
BLOCK = (1024, 8192)
"""Rows and columns of level-0 px whose tiles are read together: wide, since slides are stored in rows of tiles."""
CACHE = 2**26
"""Bytes of decoded tiles of the file that are kept meanwhile, or what two rows of tiles take if that is more."""
BATCH_PIXELS = 2**18
"""About this many tile pixels are handed out at once: well below a second of any encoder's work."""
READ_PIXELS = 2**19
"""About this many tile pixels are read at once, in a thread, while the ones before are handed out."""
AHEAD = 2
"""So many of those are held at most besides the one that is handed out."""


def read_level(downsamples: list[tuple[float, float]], reduction: float) -> int:
    """The smallest level that still has at least the resolution wanted."""
    fine = [level for level, scale in enumerate(downsamples) if max(scale) <= reduction]
    return max(fine, default=0)


def blocks(grid: TileGrid, width: int = BLOCK[1]) -> list[NDArray[np.intp]]:
    """Indices of the tiles of each block at least that wide, in reading order; together every tile once."""
    cell = (grid.xy - grid.xy.min(axis=0)) // (max(width, BLOCK[1]), BLOCK[0])
    order = np.lexsort((grid.xy[:, 0], grid.xy[:, 1], cell[:, 0], cell[:, 1]))
    changes = np.any(np.diff(cell[order], axis=0) != 0, axis=1)
    return np.split(order, np.flatnonzero(changes) + 1)


def tile_batches(slide: Slide, grid: TileGrid, tile_px: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
    """All tiles as (indices (n,), RGB uint8 (n, tile_px, tile_px, 3)), a batch at a time, always in the same order.

    Tiles whose edge is `tile_px` level-0 px are the slide's own pixels; others are resampled, with an antialiased
    triangle filter, from the smallest level that has the resolution. A thread reads ahead, and ends before this does.

    Raises
    ------
    InputError
        When the slide cannot be read where a tile lies.
    """
    level = read_level(slide.downsamples, grid.size / tile_px)
    scale = slide.downsamples[level]
    source, width = _source(slide.levels[level], grid.size / scale[0], once=_lie_apart(grid))
    step = max(1, BATCH_PIXELS // tile_px**2)
    together = max(step, READ_PIXELS // tile_px**2 // step * step)
    pieces = iter(
        [
            block[at : at + together]
            for block in blocks(grid, round(width * scale[1]))
            for at in range(0, len(block), together)
        ]
    )
    memory = _Memory((together, tile_px, tile_px, 3))
    ahead: deque[tuple[NDArray[np.intp], Future[NDArray[np.uint8]]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="tiles")
    try:
        while True:
            while len(ahead) < AHEAD and (piece := next(pieces, None)) is not None:
                ahead.append((piece, pool.submit(_read, source, scale, grid, piece, memory)))
            if not ahead:
                return
            indices, reading = ahead.popleft()
            tiles = reading.result()
            for start in range(0, len(indices), step):
                yield indices[start : start + step], tiles[start : start + step]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Memory:
    """Arrays that are handed out again when nobody holds them: memory that is new costs a tenth of the decoding."""

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self._shape = shape
        self._kept: list[NDArray[np.uint8]] = []

    def take(self, count: int) -> NDArray[np.uint8]:
        """Room for so many tiles."""
        for array in self._kept:
            if sys.getrefcount(array) == 3:  # the list, the loop and the call: no batch is a view of it any more
                return array[:count]
        self._kept.append(np.empty(self._shape, dtype=np.uint8))
        return self._kept[-1][:count]


def _source(level: TileArray, size: float, *, once: bool) -> tuple[TileArray, int]:
    """The level through a cache of its own, which holds two rows of tiles of that size, and the width of its blocks.

    A window's tiles thus stay in theirs. What can only be decoded whole is not decoded twice.
    """
    high, wide, _ = level.chunks
    if (high, wide) == level.shape[:2]:
        return level, wide
    rows = 2 * (size + 2 * high) * max(wide, BLOCK[1]) * 3
    return level.through(ArrayCache(max(CACHE, round(rows))), once=once), wide


def _lie_apart(grid: TileGrid) -> bool:
    """Whether tiles lie on one lattice at least a tile apart, so that no pixel is asked for twice."""
    return all(np.diff(np.unique(grid.xy[:, axis])).min(initial=grid.size) >= grid.size for axis in (0, 1))


def _read(
    level: TileArray, scale: tuple[float, float], grid: TileGrid, indices: NDArray[np.intp], memory: _Memory
) -> NDArray[np.uint8]:
    """Pixels of these tiles, uint8 (n, tile_px, tile_px, 3)."""
    down_y, down_x = scale
    corners = np.concatenate([grid.xy[indices], grid.xy[indices] + grid.size], axis=1)
    out = memory.take(len(indices))
    tile_px = out.shape[1]
    for tile, box in zip(out, (corners / (down_x, down_y, down_x, down_y)).tolist(), strict=True):
        x0, y0, x1, y1 = box
        left, top, right, bottom = int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))
        if (left, top, right, bottom) == (x0, y0, x1, y1) and x1 - x0 == y1 - y0 == tile_px:
            level.read(top, bottom, left, right, tile)
        else:
            image = Image.fromarray(level.read(top, bottom, left, right))
            inside = (x0 - left, y0 - top, x1 - left, y1 - top)
            tile[:] = np.asarray(image.resize((tile_px, tile_px), Image.Resampling.BILINEAR, box=inside))
    return out
