"""Pictures of tiles, read from the slide at a resolution that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap

if TYPE_CHECKING:
    from napari_asmil.geometry import TileGrid
    from napari_asmil.slides import Slide


def level_for(slide: Slide, tile: float, side: float) -> int:
    """The coarsest level of the file on which a tile of so many level-0 px is at least `side` px wide, else 0."""
    return max((at for at in range(slide.stored) if tile / max(slide.downsamples[at]) >= side), default=0)


def read_tile(slide: Slide, tiles: TileGrid, tile: int, side: float) -> tuple[NDArray[np.uint8], int]:
    """Pixels of a tile, uint8 (h, w, 3), and the level they are of; white where it reaches beyond the slide.

    Raises
    ------
    InputError
        When the file cannot be read there.
    """
    level = level_for(slide, tiles.size, side)
    down_y, down_x = slide.downsamples[level]
    x, y = tiles.xy[tile].tolist()
    top, left = round(y / down_y), round(x / down_x)
    high, wide = max(1, round(tiles.size / down_y)), max(1, round(tiles.size / down_x))
    return slide.read(level, top, top + high, left, left + wide), level


def pixmap(pixels: NDArray[np.uint8], side: int, ratio: float) -> QPixmap:
    """Pixels as a picture of at most `side` px a side on a screen with `ratio` device px each."""
    pixels = np.ascontiguousarray(pixels)
    height, width, _ = pixels.shape
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation if max(height, width) > side * ratio else None
    wanted = QSize(round(side * ratio), round(side * ratio))
    keep = Qt.AspectRatioMode.KeepAspectRatio
    made = QPixmap.fromImage(image.scaled(wanted, keep, smooth or Qt.TransformationMode.FastTransformation))
    made.setDevicePixelRatio(ratio)
    return made
