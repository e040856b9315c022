"""Tile pixels, read from the slide a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.geometry import TileGrid
from napari_asmil.slides import Slide

BLOCK = (1024, 8192)
"""Rows and columns of level-0 px whose tiles are read at once: wide, since slides are stored in rows of tiles."""
BATCH_PIXELS = 2**18
"""About this many tile pixels are handed out at once: well below a second of any encoder's work."""


def read_level(downsamples: list[tuple[float, float]], reduction: float) -> int:
    """The smallest level that still has at least the resolution wanted."""
    fine = [level for level, scale in enumerate(downsamples) if max(scale) <= reduction]
    return max(fine, default=0)


def blocks(grid: TileGrid) -> list[NDArray[np.intp]]:
    """Indices of the tiles of each block, in reading order; together every tile once."""
    cell = (grid.xy - grid.xy.min(axis=0)) // np.array(BLOCK[::-1])
    order = np.lexsort((grid.xy[:, 0], grid.xy[:, 1], cell[:, 0], cell[:, 1]))
    changes = np.any(np.diff(cell[order], axis=0) != 0, axis=1)
    return np.split(order, np.flatnonzero(changes) + 1)


def tile_batches(slide: Slide, grid: TileGrid, tile_px: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
    """All tiles as (indices (n,), RGB uint8 (n, tile_px, tile_px, 3)), a batch at a time.

    Tiles whose edge is `tile_px` level-0 px are the slide's own pixels; others are resampled, with an antialiased
    triangle filter, from the smallest level that has the resolution.
    """
    level = read_level(slide.downsamples, grid.size / tile_px)
    step = max(1, BATCH_PIXELS // tile_px**2)
    for block in blocks(grid):
        pixels, boxes = _read_block(slide, level, grid, block)
        for start in range(0, len(block), step):
            batch = slice(start, start + step)
            yield block[batch], np.stack([_cut(pixels, box, tile_px) for box in boxes[batch]])


def _read_block(
    slide: Slide, level: int, grid: TileGrid, block: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The pixels around a block's tiles, and each tile's box (x0, y0, x1, y1) in them."""
    down_y, down_x = slide.downsamples[level]
    corners = np.concatenate([grid.xy[block], grid.xy[block] + grid.size], axis=1) / (down_x, down_y, down_x, down_y)
    x0, y0 = np.floor(corners[:, :2].min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(corners[:, 2:].max(axis=0)).astype(int).tolist()
    return slide.read(level, y0, y1, x0, x1), corners - (x0, y0, x0, y0)


def _cut(pixels: NDArray[np.uint8], box: NDArray[np.float64], tile_px: int) -> NDArray[np.uint8]:
    x0, y0, x1, y1 = box.tolist()
    if x1 - x0 == tile_px and y1 - y0 == tile_px and x0 == int(x0) and y0 == int(y0):
        return pixels[int(y0) : int(y1), int(x0) : int(x1)]
    image = Image.fromarray(pixels[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))])
    inside = (x0 - int(x0), y0 - int(y0), x1 - int(x0), y1 - int(y0))
    return np.asarray(image.resize((tile_px, tile_px), Image.Resampling.BILINEAR, box=inside))
