"""How much of each tile a shape covers."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_asmil.geometry import TileGrid

MOST_CORNERS = 500
"""A shape of more corners is cut into pieces of fewer: cutting a tile out takes as long as the shape has corners."""
SMALLEST_PIECE = 1.0
"""Level-0 px; a piece is not cut further, however many corners it has."""


def covered(shape: BaseGeometry, grid: TileGrid) -> NDArray[np.float64]:
    """Share of each tile's area inside a valid `shape`, float64 (M,) in [0, 1]."""
    corner = grid.xy.astype(np.float64)
    boxes = np.concatenate([corner, corner + grid.size], axis=1)
    tiles = shapely.box(*boxes.T)
    shapely.prepare(shape)
    touched = shapely.intersects(shape, tiles)
    inside = touched & shapely.contains(shape, tiles)
    share = inside.astype(np.float64)
    edge = np.flatnonzero(touched & ~inside)
    pieces = _pieces(shape)
    for which, piece in shapely.STRtree(pieces).query(tiles[edge]).T:
        tile = edge[which]
        share[tile] += shapely.clip_by_rect(pieces[piece], *boxes[tile]).area / grid.size**2
    whole: NDArray[np.float64] = np.minimum(share, 1.0)
    return whole


def _pieces(shape: BaseGeometry) -> list[BaseGeometry]:
    """Parts of a shape that do not overlap, none with more than `MOST_CORNERS` corners."""
    x0, y0, x1, y1 = shape.bounds
    if shapely.get_num_coordinates(shape) <= MOST_CORNERS or max(x1 - x0, y1 - y0) < SMALLEST_PIECE:
        return [shape]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    halves = [(x0, y0, x, y1), (x, y0, x1, y1)] if x1 - x0 > y1 - y0 else [(x0, y0, x1, y), (x0, y, x1, y1)]
    return [piece for half in halves for piece in _pieces(shapely.clip_by_rect(shape, *half))]
