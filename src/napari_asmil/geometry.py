"""Where tiles lie: level-0 px, top-left corners, and the one pixel-centre rule.

A slide pixel `i` has its centre at world coordinate `i`, so it covers ``[i - .5, i + .5)``. A tile whose
top-left slide pixel is `x0` and whose edge is `s` level-0 px covers ``[x0 - .5, x0 + s - .5)`` and has its
centre at ``x0 + s / 2 - .5``. Everything that draws tiles goes through `TileRaster`.
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
        given = np.asarray(values, dtype=np.float32)
        image = np.full(self.shape[0] * self.shape[1], np.nan, dtype=np.float32)
        if self._overlaps:
            inside = self._cover > 0
            total = np.bincount(self._flat, weights=given[self._tile], minlength=len(image))
            image[inside] = total[inside] / self._cover[inside]
        else:
            image[self._flat] = given[self._tile]
        return image.reshape(self.shape)

    def tile_image(self) -> NDArray[np.intp]:
        """Index of a tile covering each pixel, shape (h, w); -1 where there is none."""
        image = np.full(self.shape[0] * self.shape[1], -1, dtype=np.intp)
        image[self._flat] = self._tile
        return image.reshape(self.shape)


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
