"""One slide with its contours, laid out once, on which many maps are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from napari_asmil.annotations.contours import CROSS
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.render.compositor import (
    BAND_PIXELS,
    Limits,
    Outlines,
    Placement,
    TilePainter,
    blend,
    slide_picture,
)

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs.recorded import RunSlide
    from napari_asmil.runs.view import MapView
    from napari_asmil.slides.slide import Slide

OUTLINED = {"ignore": "#a0a0a0", "exclude": "#ffb000", "tumour": "#ffffff"}
"""Colour of outlines by what their group counts as; the last lies on top."""
SMALLEST_PX, LARGEST_PX = 64, 8192
"""Of the longer side of a picture."""


class Scene:
    """Tissue and contours at one place and scale; without a slide the ground is white.

    Raises
    ------
    InputError
        When `max_px` is out of range, or the slide is not the one the tiles were cut from, as far as sizes tell.
    """

    def __init__(self, shown: RunSlide, slide: Slide | None, contours: Contours | None, max_px: int) -> None:
        if not SMALLEST_PX <= max_px <= LARGEST_PX:
            raise InputError(f"The longer side must be {SMALLEST_PX} to {LARGEST_PX} px, not {max_px}.")
        self.mpp = slide.mpp if slide is not None and slide.mpp else shown.mpp
        self.placement = Placement.fit(_bounds(shown, slide), max_px)
        if slide is None:
            self._tissue = np.full((*self.placement.shape, 3), 255, dtype=np.uint8)
        else:
            self._tissue = slide_picture(slide, self.placement)
        width = max(2.0, letter_height(self.placement.shape) / 7)
        self._outlines = (
            []
            if contours is None
            else [
                Outlines(_rings(contours, role, self.placement.step), self.placement, width, colour)
                for role, colour in OUTLINED.items()
            ]
        )

    def painter(self, view: MapView) -> TilePainter:
        """What draws the values of a view's tiles here."""
        return TilePainter(tiles_of(view.slide), self.placement)

    def bare(self) -> Image.Image:
        """Tissue and contours without a map."""
        return self._outlined(self._tissue)

    def show(
        self, painter: TilePainter, values: ArrayLike, limits: Limits, table: NDArray[np.uint8], opacity: float
    ) -> Image.Image:
        """Tissue, the values (M,) of a painter's tiles in colour, and contours."""
        height, width = self.placement.shape
        band = max(1, BAND_PIXELS // width)
        picture = self._tissue.copy()
        for first in range(0, height, band):
            rows = slice(first, min(first + band, height))
            image = painter.paint(values, rows.start, rows.stop)
            picture[rows] = blend(self._tissue[rows], image, limits, table, opacity)
        return self._outlined(picture)

    def _outlined(self, pixels: NDArray[np.uint8]) -> Image.Image:
        picture = Image.fromarray(pixels)
        for outlines in self._outlines:
            outlines.draw(picture)
        return picture


def _rings(contours: Contours, role: str, step: float) -> list[NDArray[np.float64]]:
    """Outlines of the groups of one role, world (x, y); with what is ignored go lines, and a cross for each point."""
    chosen = [c for c in contours.polygons if contours.roles[c.group].replace("undecided", "ignore") == role]
    rings = [ring for c in chosen for ring in (c.exterior, *c.holes)]
    if role == "ignore":
        arms = max(CROSS, 4 * step) * np.array([(1.0, 0.0), (0.0, 1.0)])
        lines = [mark.xy for mark in contours.marks if mark.line]
        lines += [np.stack([point - arm, point + arm]) for point in contours.points for arm in arms]
        rings += [np.concatenate([line, line[-2:0:-1]]) for line in lines]  # there and back, as rings are closed
    return [ring - 0.5 for ring in rings]


def letter_height(shape: tuple[int, int]) -> int:
    """Height of the letters that go with a picture of this shape, px."""
    return min(max(round(max(shape) / 70), 13), 30)


def _bounds(shown: RunSlide, slide: Slide | None) -> tuple[float, float, float, float]:
    """What the picture covers, (x0, y0, x1, y1): the slide, or the tiles where its size is unknown."""
    size = shown.slide_size
    if slide is not None:
        height, width = slide.shape
        if size is not None and tuple(size) != (width, height):
            raise InputError(
                f"This slide is {width} x {height} px, but the tiles of {shown.slide_id!r} were cut from one of"
                f" {size[0]} x {size[1]} px.",
                remedy="Choose the slide that the features were made from.",
                path=slide.path,
            )
        size = (width, height)
    tiles = tiles_of(shown)
    if size is None:
        return tiles.bounds
    width, height = size
    outside = tiles.outside((width, height))
    if outside.any():
        raise InputError(
            f"{int(outside.sum())} of {len(tiles)} tiles of {shown.slide_id!r} lie outside the slide of"
            f" {width} x {height} px.",
            remedy="Choose the slide that the features were made from.",
            path=None if slide is None else slide.path,
        )
    return 0, 0, width, height


def tiles_of(shown: RunSlide) -> TileGrid:
    """The tiles of a recorded slide.

    Raises
    ------
    InputError
        When they were not placed.
    """
    if shown.tiles is None:
        raise InputError(
            f"The tiles of slide {shown.slide_id!r} were not placed when the run was made, so its map has no place.",
            remedy="Make the run again with what places them (--tile-size, --slides).",
        )
    return shown.tiles
