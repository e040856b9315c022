"""Colours and dashes of curves: Okabe and Ito's colours, told apart by dash too, never by colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap

from napari_asmil.viewer.plots.lines import LOOKS

_ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
_ON_LIGHT = ("#0072B2", "#D55E00", "#007A59", "#AA4499", "#8A6100", "#000000")
"""On light ground the hues are kept and the pale ones darkened, so that thin lines keep a contrast of 3 to 1."""
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3), (1, 3), (12, 4))


@dataclass(frozen=True)
class Palette:
    """Colours of a plot as ``#rrggbb``: what it is drawn on, axes and words, grid, and the cursor."""

    background: str = "#23242b"
    text: str = "#f0f1f2"
    grid: str = "#565f6c"
    cursor: str = "#f0f1f2"
    dark: bool = True


PAPER = Palette(background="#ffffff", text="#000000", grid="#808080", cursor="#000000", dark=False)
"""Of plots in files."""

_PALE = 0.5
"""How much of the ground is in the colour of a thread; it is opaque, which is drawn many times faster."""
_BAND_ALPHA = 55
"""Of 255: a band lies under threads and over the grid."""


def colour_of(index: int, palette: Palette) -> QColor:
    """Return the colour of the `index`-th curve."""
    colours = _ON_DARK if palette.dark else _ON_LIGHT
    return QColor(colours[index % LOOKS])


def line_pen(index: int, palette: Palette, width: float = 1.0) -> QPen:
    """Return the pen of the `index`-th curve: cosmetic; a colour and a dash that no other of the first 36 has.

    `lines.style_of` tells which index has a given colour and dash.
    """
    pen = QPen(colour_of(index, palette))
    pen.setWidthF(width)
    pen.setCosmetic(True)
    dash = _DASHES[(index + index // LOOKS) % LOOKS]
    if dash:
        pen.setDashPattern(list(dash))
    return pen


def thread_pen(index: int, palette: Palette) -> QPen:
    """Return the pen of thin curves that go with the `index`-th: its colour, paler, one pixel wide."""
    colour, ground = colour_of(index, palette), QColor(palette.background)
    mixed = [c * (1 - _PALE) + g * _PALE for c, g in zip(colour.getRgbF()[:3], ground.getRgbF()[:3], strict=True)]
    pen = QPen(QColor.fromRgbF(*mixed))
    pen.setWidthF(1)
    pen.setCosmetic(True)
    return pen


def band_colour(index: int, palette: Palette) -> QColor:
    """Return the colour of the band around the `index`-th curve."""
    colour = colour_of(index, palette)
    colour.setAlpha(_BAND_ALPHA)
    return colour


def line_sample(index: int, palette: Palette, size: QSize, ratio: float = 1.0) -> QPixmap:
    """Draw a short piece of the `index`-th curve for a key."""
    sample = QPixmap(size * ratio)
    sample.setDevicePixelRatio(ratio)
    sample.fill(Qt.GlobalColor.transparent)
    painter = QPainter(sample)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(line_pen(index, palette, 2))
    middle = size.height() / 2
    painter.drawLine(QPointF(0, middle), QPointF(size.width(), middle))
    painter.end()
    return sample
