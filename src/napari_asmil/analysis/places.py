"""Tiles as places: which one lies under a point, which lie inside a path, and where a choice of them ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class TileFinder:
    """Finds the tile at a point without looking at all of them, on a lattice or off it, overlapping or not.

    Tiles are sorted once by the square of one tile edge that their corner lies in; a point is covered only by tiles
    whose corner lies in its own square or in the one before it, along each axis.

    Parameters
    ----------
    xy : int64 (M, 2)
        Top-left corner (x, y) of each tile in level-0 px.
    size : float
        Edge of a tile in level-0 px.
    """

    def __init__(self, xy: NDArray[np.int64], size: float) -> None:
        self._xy, self._size = xy, size
        squares = np.floor(xy / size).astype(np.int64)
        self._first = squares.min(axis=0)
        squares -= self._first
        self._columns, self._rows = (squares.max(axis=0) + 1).tolist()
        keys = squares[:, 1] * self._columns + squares[:, 0]
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def at(self, y: float, x: float) -> int | None:
        """The tile that covers a point in world coordinates; of several the one whose centre is the nearest."""
        corner = np.array([x, y]) + 0.5
        column, row = (np.floor(corner / self._size).astype(np.int64) - self._first).tolist()
        found = [self._between(r, column - 1, column) for r in (row - 1, row) if 0 <= r < self._rows]
        near = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
        within = corner - self._xy[near]
        covers = ((within >= 0) & (within < self._size)).all(axis=1)
        if not covers.any():
            return None
        off = np.abs(within[covers] - self._size / 2).max(axis=1)
        return int(near[covers][off.argmin()])

    def _between(self, row: int, first: int, last: int) -> NDArray[np.intp]:
        """Tiles whose corner lies in these squares of a row."""
        first, last = max(first, 0), min(last, self._columns - 1)
        if first > last:
            return np.empty(0, dtype=np.intp)
        keys = np.array([row * self._columns + first, row * self._columns + last + 1])
        here = slice(*np.searchsorted(self._keys, keys).tolist())
        return self._order[here]


def inside(points: ArrayLike, path: ArrayLike) -> NDArray[np.bool_]:
    """Which points (M, 2) a closed path (V, 2) goes round, bool (M,): all loops of a path that crosses itself count.

    Points on the path may fall to either side.
    """
    at, ring = np.asarray(points, dtype=np.float64), np.asarray(path, dtype=np.float64)
    turns = np.zeros(len(at), dtype=np.int64)
    if len(ring) < 3:
        return np.zeros(len(at), dtype=bool)
    order = np.argsort(at[:, 0], kind="stable")
    first, second = at[order, 0], at[order, 1]
    ends = np.roll(ring, -1, axis=0)
    low, high = np.minimum(ring[:, 0], ends[:, 0]), np.maximum(ring[:, 0], ends[:, 0])
    begin, stop = np.searchsorted(first, low), np.searchsorted(first, high)
    for edge in np.flatnonzero(begin < stop):
        (a0, a1), (b0, b1) = ring[edge], ends[edge]
        here = slice(begin[edge], stop[edge])
        crossing = a1 + (first[here] - a0) * ((b1 - a1) / (b0 - a0))
        turns[order[here]] += np.where(crossing > second[here], 1 if b0 > a0 else -1, 0)
    return np.asarray(turns != 0)


def outline(chosen: ArrayLike) -> NDArray[np.float64]:
    """The border of what is chosen in an image, bool (h, w): line segments (N, 2, 2), each a start and its extent.

    In (y, x) pixels, where pixel 0 covers -0.5 to 0.5. Pieces in one line are one segment.
    """
    padded = np.pad(np.asarray(chosen, dtype=bool), 1)
    across = _runs(padded[1:, 1:-1] != padded[:-1, 1:-1])
    down = _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T)[:, :, ::-1]
    return np.concatenate([across, down])


def around(xy: NDArray[np.int64], size: float) -> NDArray[np.float64]:
    """The borders of tiles with these corners (x, y), (M, 2), in world coordinates: segments as `outline` has them.

    An edge that two tiles share whole, one on each side of it, is no border.
    """
    (x, y), across, down = xy.T, np.zeros(len(xy)), np.ones(len(xy))
    four = ((y, x, across), (y + size, x, across), (y, x, down), (y, x + size, down))
    edges = np.concatenate([np.stack(edge, axis=1) for edge in four])
    side = np.repeat([1, -1, 1, -1], len(xy))
    found, which = np.unique(edges, axis=0, return_inverse=True)
    first, last = (np.bincount(which.ravel(), weights=side == each, minlength=len(found)) for each in (1, -1))
    y, x, steep = found[(first == 0) | (last == 0)].T
    start = np.stack([y, x], axis=1) - 0.5
    return np.stack([start, size * np.stack([steep, 1 - steep], axis=1)], axis=1)


def edges(xy: NDArray[np.int64], size: float) -> NDArray[np.float64]:
    """Every edge of tiles with these corners (x, y), (M, 2), in world coordinates: segments as `outline` has them.

    Edges that lie on one another, or end to end in one line, are one segment: a lattice has as many as lines.
    """
    found = []
    for line, along in ((1, 0), (0, 1)):
        first = xy[:, (line, along)].astype(np.float64)
        places = np.unique(np.concatenate([first, first + np.array([size, 0])]), axis=0)
        new = np.append(True, (np.diff(places[:, 0]) != 0) | (np.diff(places[:, 1]) > size))
        starts = np.flatnonzero(new)
        ends = np.append(starts[1:], len(places)) - 1
        length = places[ends, 1] + size - places[starts, 1]
        segments = np.stack([places[starts] - 0.5, np.stack([np.zeros(len(starts)), length], axis=1)], axis=1)
        found.append(segments if line == 1 else segments[:, :, ::-1])
    return np.concatenate(found)


def _runs(border: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Unbroken runs along each line, (N, 2, 2): where each starts as (line, place), and its extent."""
    steps = np.diff(np.pad(border, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return np.stack([starts - 0.5, (ends - starts).astype(np.float64)], axis=1)
