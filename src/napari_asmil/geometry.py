"""Where tiles lie: level-0 px, top-left corners, and the one pixel-centre rule.

A slide pixel `i` has its centre at world coordinate `i`, so it covers ``[i - .5, i + .5)``. A tile whose
top-left slide pixel is `x0` and whose edge is `s` level-0 px covers ``[x0 - .5, x0 + s - .5)`` and has its
centre at ``x0 + s / 2 - .5``. What a window draws is `TileGrid.drawing`: a raster, or rectangles where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_asmil.errors import InputError
from napari_asmil.words import counted

MAX_RASTER_PIXELS = 2**22
"""Above this a common raster is refused: drawing it would cost more than the slide itself."""
MAX_QUADS = 100_000
"""Above this tiles are not drawn one by one: a step of an epoch would take longer than a tenth of a second."""
MAX_PIECES = 30_000
"""Above this tiles that overlap are not cut."""
MAX_NEIGHBOURS = 64
"""A tile that overlaps more others than this is not cut along their edges."""


@dataclass(frozen=True, eq=False, repr=False)
class TileRaster:
    """A raster on which every tile of a grid covers whole pixels.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    pixel : int
        Edge of a raster pixel in level-0 px: the layer's ``scale``.
    origin : (float, float)
        Centre (y, x) of raster pixel (0, 0) in level-0 px: the layer's ``translate``.
    """

    shape: tuple[int, int]
    pixel: int
    origin: tuple[float, float]
    _flat: NDArray[np.intp]
    _tile: NDArray[np.intp]

    def __repr__(self) -> str:
        return f"TileRaster({self.shape[0]} x {self.shape[1]}, {self.pixel} level-0 px a pixel)"

    @cached_property
    def _cover(self) -> NDArray[np.int64]:
        return np.bincount(self._flat, minlength=self.shape[0] * self.shape[1])

    @cached_property
    def _overlaps(self) -> bool:
        return bool(self._cover.max() > 1)

    def to_image(self, values: ArrayLike) -> NDArray[np.float32]:
        """Scatter one value a tile, shape (M,), to an image (h, w): NaN outside, overlaps averaged."""
        given = np.asarray(values, dtype=np.float32)[self._tile]
        return _scatter(given, self._flat, self._cover, overlaps=self._overlaps).reshape(self.shape)

    def tile_image(self) -> NDArray[np.intp]:
        """Index of a tile covering each pixel, shape (h, w); -1 where there is none."""
        image = np.full(self.shape[0] * self.shape[1], -1, dtype=np.intp)
        image[self._flat] = self._tile
        return image.reshape(self.shape)


def _scatter(
    values: NDArray[np.float32], places: NDArray[np.intp], cover: NDArray[np.int64], *, overlaps: bool
) -> NDArray[np.float32]:
    """Values to their places, of which `cover` says how many come to each: NaN where none does, else their mean."""
    image = np.full(len(cover), np.nan, dtype=np.float32)
    if overlaps:
        inside = cover > 0
        total = np.bincount(places, weights=values, minlength=len(cover))
        image[inside] = total[inside] / cover[inside]
    else:
        image[places] = values
    return image


@dataclass(frozen=True, eq=False, repr=False)
class TileQuads:
    """Rectangles that fill what the tiles of a grid fill, each exactly where it lies, for tiles that share no raster.

    Tiles that overlap by a level-0 px or more are cut along each other's edges, so that no two rectangles do, unless
    they overlap too densely.

    Attributes
    ----------
    boxes : float64 (Q, 4)
        x0, y0, x1, y1 of each in level-0 px, x1 and y1 exclusive.
    mixed : bool
        Whether rectangles overlap, since every tile is a whole one.
    """

    boxes: NDArray[np.float64]
    mixed: bool
    _quad: NDArray[np.intp]
    _tile: NDArray[np.intp]

    @classmethod
    def of(cls, xy: NDArray[np.int64], size: float) -> TileQuads:
        """The rectangles of tiles with these corners (x, y), int64 (M, 2), and this edge."""
        cut = _cut(xy, size)
        if cut is not None:
            boxes, quad, tile = cut
            return cls(boxes, False, quad, tile)
        every = np.arange(len(xy))
        return cls(np.hstack([xy, xy + size]), True, every, every)

    def __repr__(self) -> str:
        return f"TileQuads({counted(len(self.boxes), 'rectangle')})"

    @property
    def shape(self) -> tuple[int]:
        """How many there are."""
        return (len(self.boxes),)

    @cached_property
    def vertices(self) -> NDArray[np.float64]:
        """Corners (y, x) in world coordinates, four by four, float64 (4Q, 2)."""
        x0, y0, x1, y1 = self.boxes.T
        return np.stack([y0, x0, y0, x1, y1, x1, y1, x0], axis=1).reshape(-1, 2) - 0.5

    @cached_property
    def faces(self) -> NDArray[np.intp]:
        """Two triangles each, as indices of vertices, (2Q, 3)."""
        first = 4 * np.arange(len(self.boxes))[:, None, None]
        return np.asarray(first + np.array([(0, 1, 2), (0, 2, 3)]), dtype=np.intp).reshape(-1, 3)

    @cached_property
    def _cover(self) -> NDArray[np.int64]:
        return np.bincount(self._quad, minlength=len(self.boxes))

    def to_image(self, values: ArrayLike) -> NDArray[np.float32]:
        """One value a tile, shape (M,), to one a rectangle, shape (Q,): where tiles overlap they are averaged."""
        given = np.asarray(values, dtype=np.float32)[self._tile]
        return _scatter(given, self._quad, self._cover, overlaps=len(self._quad) > len(self.boxes))


def _cut(xy: NDArray[np.int64], size: float) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]] | None:
    """Boxes that do not overlap, and as pairs which box lies in which tile; None where that makes too many.

    A place belongs to the first of the tiles that cover it, and each tile is cut along the edges of those around it.
    Less than a level-0 px is no overlap: corners are whole numbers where an edge is none.
    """
    from scipy.spatial import cKDTree

    tree, reach = cKDTree(xy), size - 1
    counts = tree.query_ball_point(xy, reach, p=np.inf, return_length=True) if reach >= 0 else np.ones(len(xy))
    if counts.max() > MAX_NEIGHBOURS:
        return None
    alone, crowded = np.flatnonzero(counts <= 1), np.flatnonzero(counts > 1)
    boxes, quads, tiles = [np.hstack([xy[alone], xy[alone] + size])], [np.arange(len(alone))], [alone]
    total = len(alone)
    for tile in crowded.tolist():
        near = np.sort(tree.query_ball_point(xy[tile], reach, p=np.inf))
        low, high = xy[near], xy[near] + size
        x, y = (_cuts(low[:, axis], high[:, axis], xy[tile, axis], size) for axis in (0, 1))
        across, down = (
            (low[:, axis, None] <= mid) & (mid < high[:, axis, None])
            for axis, mid in enumerate((edges[1:] + edges[:-1]) / 2 for edges in (x, y))
        )
        covers = down[:, :, None] & across[:, None, :]
        rows, columns = np.nonzero(near[covers.argmax(axis=0)] == tile)
        boxes.append(np.stack([x[columns], y[rows], x[columns + 1], y[rows + 1]], axis=1))
        piece, covering = np.nonzero(covers[:, rows, columns].T)
        quads.append(piece + total)
        tiles.append(near[covering])
        total += len(rows)
        if total > MAX_PIECES:
            return None
    return np.concatenate(boxes), np.concatenate(quads), np.concatenate(tiles)


def _cuts(low: NDArray[np.int64], high: NDArray[np.float64], first: int, size: float) -> NDArray[np.float64]:
    """Edges of tiles along an axis, as far as they lie within one that begins at `first`."""
    return np.unique(np.clip(np.concatenate([low, high]), first, first + size))


@dataclass(frozen=True, eq=False, repr=False)
class TileGrid:
    """Square tiles of one slide.

    Parameters
    ----------
    xy : int64 (M, 2)
        Top-left corner (x, y) of each tile in level-0 px, in the order of the features, for ever.
    size : float
        Edge of a tile in level-0 px; need not be whole.
    """

    xy: NDArray[np.int64]
    size: float

    def __post_init__(self) -> None:
        xy = np.array(self.xy, dtype=np.int64).reshape(-1, 2)
        xy.setflags(write=False)
        object.__setattr__(self, "xy", xy)
        if not self.size > 0:
            raise InputError(f"The tile edge must be a positive number of level-0 px, not {self.size}.")

    def __len__(self) -> int:
        return len(self.xy)

    def __repr__(self) -> str:
        return f"TileGrid({counted(len(self), 'tile')} of {self.size:g} level-0 px)"

    @property
    def centres(self) -> NDArray[np.float64]:
        """Tile centres (y, x) in world coordinates, float64 (M, 2)."""
        return self.xy[:, ::-1].astype(np.float64) + (self.size / 2 - 0.5)

    @property
    def bounds(self) -> tuple[int, int, float, float]:
        """(x0, y0, x1, y1): the box of level-0 px that all tiles together fill, x1 and y1 exclusive."""
        x0, y0 = self.xy.min(axis=0).tolist()
        x1, y1 = self.xy.max(axis=0).tolist()
        return x0, y0, x1 + self.size, y1 + self.size

    def outside(self, slide_size: tuple[int, int]) -> NDArray[np.bool_]:
        """Tiles, bool (M,), whose centre is not on a slide of (width, height) level-0 px: one may overhang by half."""
        middle = self.xy + self.size / 2
        return np.asarray(((middle < 0) | (middle >= slide_size)).any(axis=1))

    @cached_property
    def drawing(self) -> TileRaster | TileQuads:
        """What draws every tile exactly where it lies: the raster, or rectangles where there is none.

        Raises
        ------
        InputError
            When there is no raster and the tiles are more than `MAX_QUADS`.
        """
        try:
            return self.raster
        except InputError as error:
            if len(self) > MAX_QUADS:
                raise InputError(
                    f"{error} And {len(self):,} tiles are more than the {MAX_QUADS:,} that can be drawn one by one."
                ) from None
        return TileQuads.of(self.xy, self.size)

    @cached_property
    def raster(self) -> TileRaster:
        """The coarsest raster that draws every tile exactly where it lies.

        Its pixel is the greatest common divisor of the tile edge and all offsets between tiles: the tile
        itself when they lie edge to edge, finer when they overlap or some are shifted. No tile is moved.

        Raises
        ------
        InputError
            When there is none of at most `MAX_RASTER_PIXELS` pixels.
        """
        first = self.xy.min(axis=0)
        offset = self.xy - first
        edge = int(self.size)
        if edge != self.size:
            raise InputError(
                f"The tile edge is {self.size} level-0 px, not a whole number, so tiles cannot be drawn on one"
                " raster without moving some of them."
            )
        pixel = int(np.gcd.reduce(np.append(np.unique(offset), edge)))
        across = edge // pixel
        cell = offset // pixel
        width, height = (cell.max(axis=0) + across).tolist()
        if width * height > MAX_RASTER_PIXELS:
            raise InputError(
                f"The tiles share no lattice: drawing each where it lies needs a raster of {width} x {height}"
                f" pixels, more than {MAX_RASTER_PIXELS:,}."
            )
        within = np.arange(across)
        rows = cell[:, 1, None, None] + within[None, :, None]
        columns = cell[:, 0, None, None] + within[None, None, :]
        flat = (rows * width + columns).reshape(len(self), -1)
        return TileRaster(
            shape=(height, width),
            pixel=pixel,
            origin=(float(first[1]) + pixel / 2 - 0.5, float(first[0]) + pixel / 2 - 0.5),
            _flat=flat.ravel(),
            _tile=np.repeat(np.arange(len(self), dtype=np.intp), flat.shape[1]),
        )
