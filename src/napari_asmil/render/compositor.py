"""Tissue, map and contours on one picture, every pixel with a stated place on the slide.

Coordinates are those of `napari_asmil.geometry`: world = level-0 px, slide pixel `i` is centred on world `i`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from napari_asmil.geometry import TileGrid

if TYPE_CHECKING:
    from napari_asmil.slides.slide import Slide

Limits = tuple[float, float]

SMALL = 600
"""A slide or tile set below this many level-0 px is magnified by a whole number."""
BAND_PIXELS = 2**22
"""Pictures are made in bands: of about this many pixels of the map, four times as many of the slide."""
_ROUND = 1e-6


@dataclass(frozen=True)
class Placement:
    """Where a picture lies on the slide: ``world = origin + step * (row, column)``.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    step : float
        Level-0 px per picture pixel, on both axes.
    origin : (float, float)
        World coordinates (y, x) of the centre of picture pixel (0, 0).
    """

    shape: tuple[int, int]
    step: float
    origin: tuple[float, float]

    @classmethod
    def at(cls, bounds: tuple[float, float, float, float], step: float) -> Placement:
        """The picture of `step` level-0 px a pixel that starts where `bounds` does and covers it.

        `bounds` is (x0, y0, x1, y1) in level-0 px, x1 and y1 exclusive, as `TileGrid.bounds`.
        """
        x0, y0, x1, y1 = bounds
        shape = tuple(max(1, math.ceil(side / step - _ROUND)) for side in (y1 - y0, x1 - x0))
        return cls((shape[0], shape[1]), step, (y0 + step / 2 - 0.5, x0 + step / 2 - 0.5))

    @classmethod
    def fit(cls, bounds: tuple[float, float, float, float], max_px: int) -> Placement:
        """The picture of `bounds` whose longer side is at most `max_px`, magnified only when tiny."""
        longest = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        if longest > max_px:
            return cls.at(bounds, longest / max_px)
        return cls.at(bounds, 1 / max(1, min(SMALL, max_px) // math.ceil(longest)))

    def to_pixels(self, xy: ArrayLike) -> NDArray[np.float64]:
        """World (x, y), shape (N, 2), to fractional picture (column, row)."""
        origin = np.array(self.origin[::-1])
        return np.asarray((np.asarray(xy, dtype=np.float64) - origin) / self.step)

    @property
    def label(self) -> str:
        """The mapping in words, for a text chunk."""
        y, x = self.origin
        return f"level-0 y = {y!r} + {self.step!r} * row, level-0 x = {x!r} + {self.step!r} * column (pixel centres)"


def slide_picture(slide: Slide, placement: Placement) -> NDArray[np.uint8]:
    """The slide as `placement` wants it, uint8 (h, w, 3), from the coarsest level at least twice as fine.

    Twice, because levels are cut to whole pixels, which can put their far edge off by one of theirs: so it is off by
    less than half a picture pixel. Resampled with a filter as wide as a picture pixel; read band by band, so memory
    is bounded.
    """
    step = placement.step
    level = max((i for i, d in enumerate(slide.downsamples) if max(d) <= step / 2), default=0)
    dy, dx = slide.downsamples[level]
    height, width = placement.shape
    filtered = Image.Resampling.HAMMING if step > max(dy, dx) + _ROUND else Image.Resampling.NEAREST
    band = max(1, int(4 * BAND_PIXELS * dy * dx / (step * step * width)))
    picture = np.empty((height, width, 3), dtype=np.uint8)
    left, right = _span(placement.origin[1], step, 0, width, dx)
    margin = math.ceil(2 * step / min(dy, dx)) + 1
    x0, x1 = math.floor(left) - margin, math.ceil(right) + margin
    for row in range(0, height, band):
        end = min(row + band, height)
        top, bottom = _span(placement.origin[0], step, row, end, dy)
        y0, y1 = math.floor(top) - margin, math.ceil(bottom) + margin
        pixels = Image.fromarray(slide.read(level, y0, y1, x0, x1))
        box = (left - x0, top - y0, right - x0, bottom - y0)
        picture[row:end] = np.asarray(pixels.resize((width, end - row), filtered, box=box))
    return picture


def _span(origin: float, step: float, first: int, last: int, downsample: float) -> tuple[float, float]:
    """Edges, in pixels of a level, of picture pixels `first` to `last` (exclusive) on one axis."""
    start = (origin + step * (first - 0.5) + 0.5) / downsample
    return start, start + step * (last - first) / downsample


class TilePainter:
    """Draws one value a tile onto a picture: each picture pixel takes the tile its centre lies in.

    Where tiles overlap the values are averaged. A tile too small to hold any pixel centre gets the pixel that its
    own centre lies in, so no tile is ever lost.
    """

    def __init__(self, tiles: TileGrid, placement: Placement) -> None:
        self.shape = placement.shape
        low = placement.to_pixels(tiles.xy - 0.5)
        first = np.ceil(low - _ROUND).astype(np.int64)
        last = np.ceil(low + tiles.size / placement.step - _ROUND).astype(np.int64)
        centre = np.floor(placement.to_pixels(tiles.centres[:, ::-1]) + 0.5).astype(np.int64)
        tiny = last <= first
        first, last = np.where(tiny, centre, first), np.where(tiny, centre + 1, last)
        limit = np.array(self.shape[::-1])
        (self._x0, self._y0), (self._x1, self._y1) = first.clip(0, limit).T, last.clip(0, limit).T

    def paint(self, values: ArrayLike, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """Values (M,) to the rows `first` to `last` (exclusive) of an image (h, w), float32.

        NaN where there is no tile or its value is not finite.
        """
        given = np.asarray(values, dtype=np.float64)
        drawn = np.isfinite(given)
        rows = (first, self.shape[0] if last is None else last)
        count = self._sum(drawn, rows)
        image = self._sum(np.where(drawn, given, 0.0), rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(image, count, out=image)
        image[count == 0] = np.nan
        return image.astype(np.float32)

    def _sum(self, values: NDArray[np.generic], rows: tuple[int, int]) -> NDArray[np.float64]:
        """Sum of the values of all tiles on each pixel, through the differences at their four corners."""
        corners = np.zeros((rows[1] - rows[0] + 1, self.shape[1] + 1))
        top, bottom = (edge.clip(*rows) - rows[0] for edge in (self._y0, self._y1))
        np.add.at(corners, (top, self._x0), values)
        np.subtract.at(corners, (top, self._x1), values)
        np.subtract.at(corners, (bottom, self._x0), values)
        np.add.at(corners, (bottom, self._x1), values)
        np.cumsum(corners, axis=0, out=corners)
        return np.cumsum(corners, axis=1, out=corners)[:-1, :-1]


def blend(
    tissue: NDArray[np.uint8],
    image: NDArray[np.float32],
    limits: Limits,
    table: NDArray[np.uint8],
    opacity: float,
) -> NDArray[np.uint8]:
    """The colours of a map (h, w) over the tissue (h, w, 3); where the map is NaN the tissue stays as it is.

    What lies beyond the limits takes the end colours.
    """
    low, high = limits
    share = ((image - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    there = np.isfinite(share)
    index = np.rint(np.where(there, share, 0) * (len(table) - 1)).astype(np.uint8)
    mask = Image.fromarray(there.astype(np.uint8) * np.uint8(round(255 * opacity)))
    return np.asarray(Image.composite(Image.fromarray(table[index]), Image.fromarray(tissue), mask))


class Outlines:
    """Closed rings (N, 2) of world (x, y), light within dark, so that they show on any ground."""

    def __init__(self, rings: Sequence[ArrayLike], placement: Placement, width: float, colour: str = "#ffffff") -> None:
        size = placement.shape[::-1]
        fine = 3 if size[0] * size[1] <= BAND_PIXELS else 1
        lines = [_pixels(ring, placement, fine) for ring in rings]
        self._masks = []
        for ink, thick in (("#101010", 2.5 * width), (colour, width)) if rings else ():
            mask = Image.new("L", (size[0] * fine, size[1] * fine))
            pen = ImageDraw.Draw(mask)
            for line in lines:
                pen.line(line, fill=255, width=round(thick * fine), joint="curve")
            self._masks.append((ink, mask.reduce(fine)))

    def draw(self, picture: Image.Image) -> None:
        """Draw them on a picture of the placement's shape."""
        for colour, mask in self._masks:
            picture.paste(colour, (0, 0), mask)


def _pixels(ring: ArrayLike, placement: Placement, fine: int) -> list[tuple[float, float]]:
    """A closed line in pixels `fine` times finer than the picture's, without points that repeat a pixel."""
    points = np.rint(placement.to_pixels(ring) * fine + (fine - 1) / 2)
    points = np.concatenate([points, points[:1]])
    moved = np.append(True, (np.diff(points, axis=0) != 0).any(axis=1))
    return [(float(x), float(y)) for x, y in points[moved]]
