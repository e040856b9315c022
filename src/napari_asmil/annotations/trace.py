"""Outlines of a mask, exactly along the edges of its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MOST_EDGES = 1_000_000
"""Of pixels along the outlines: a mask with more is noise."""

Ring = NDArray[np.float64]


def trace(mask: NDArray[np.bool_]) -> list[tuple[Ring, list[Ring]]]:
    """Outlines of the parts of a mask (rows, columns), each with those of its holes.

    Pixel ``(row, column)`` covers ``[column, column + 1) x [row, row + 1)``. Pixels that touch at a corner only are
    parts of their own.

    Returns
    -------
    list of (ring, list of rings)
        float64 (N, 2), x then y in px of the mask; only where the outline turns, the first not repeated.

    Raises
    ------
    ValueError
        When the outlines have more than `MOST_EDGES` pixel edges.
    """
    inside = np.pad(mask, 1)
    parts = ndimage.label(inside)[0].ravel()
    wide, flat = inside.shape[1], inside.ravel()
    outward = np.array([-wide, 1, wide, -1])  # top, right, bottom, left: clockwise, so the pixel lies to the right
    sides = []
    for at, step in enumerate(outward):
        bare = np.flatnonzero(flat & ~np.roll(flat, -step))
        if len(bare) * 4 > MOST_EDGES:  # outlines are closed: as many sides face one way as the other
            raise ValueError(f"its outlines have more than {MOST_EDGES} pixel edges: it is noise")
        sides.append(bare * 4 + at)
    edges = np.sort(np.concatenate(sides))
    pixel, side = edges // 4, edges % 4
    ahead = np.roll(outward, -1)[side]
    straight = flat[pixel + ahead]
    turning = straight & flat[pixel + ahead + outward[side]]
    follower = np.where(straight, np.where(turning, pixel + ahead + outward[side], pixel + ahead), pixel)
    facing = (side + np.where(straight, np.where(turning, -1, 0), 1)) % 4
    after = np.searchsorted(edges, follower * 4 + facing)
    row, column = np.divmod(pixel, wide)
    ends = np.stack([column - 1 + np.isin(side, (0, 1)), row - 1 + np.isin(side, (1, 2))], axis=1).astype(np.float64)
    turns = facing != side
    cycles = ((int(parts[pixel[cycle[0]]]), ends[cycle][turns[cycle]]) for cycle in _cycles(after))
    return _grouped([(part, ring) for part, cycle in cycles for ring in _simple(cycle)])


def _cycles(after: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The cycles of a permutation."""
    following, seen = after.tolist(), bytearray(len(after))
    found = []
    for first in range(len(following)):
        at, ring = first, []
        while not seen[at]:
            seen[at] = 1
            ring.append(at)
            at = following[at]
        if ring:
            found.append(np.array(ring))
    return found


def _simple(cycle: Ring) -> list[Ring]:
    """A closed line that touches itself at corners, as rings that do not."""
    found: list[Ring] = []
    path: list[tuple[float, ...]] = []
    at: dict[tuple[float, ...], int] = {}
    for corner in map(tuple, cycle.tolist()):
        if corner in at:
            loop = path[at[corner] :]
            del path[at[corner] + 1 :]
            for passed in loop[1:]:
                del at[passed]
            found.append(np.array(loop))
        else:
            at[corner] = len(path)
            path.append(corner)
    return [*found, np.array(path)]


def _grouped(rings: list[tuple[int, Ring]]) -> list[tuple[Ring, list[Ring]]]:
    """Rings by part: the one that runs clockwise is the outside, the others are holes."""
    outside: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for part, ring in rings:
        if _area(ring) > 0:
            outside[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    return [(ring, holes.get(part, [])) for part, ring in outside.items()]


def _area(ring: Ring) -> float:
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
