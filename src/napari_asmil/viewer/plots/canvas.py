"""A plot over epochs and the ink on it, the same in the window and in a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QPainterPath, QWheelEvent
from qtpy.QtWidgets import QGraphicsItem, QGraphicsPathItem

from napari_asmil.viewer.plots.lines import Floats, Series, Threads, on_axis
from napari_asmil.viewer.plots.style import Palette, band_colour, line_pen, thread_pen

AXIS_WIDTH = 62
"""Of the left axis in px, so that stacked panels share their epochs."""
FEW_TICKS = 4
DIGIT_WIDTH, TICK_GAP = 8, 8
"""Of the numbers under an axis, in px."""
BELOW = 36
"""Height of the epochs' axis in px, for its numbers and its name."""
ABOVE, MARGIN = 6, 12
"""Over a plot and right of it in px, where half of the uppermost and of the last number reach out."""
HEIGHT = 128
"""Of a plot in px: JSD and concentration must be in sight together."""
PADDING = 0.06
"""Of the height, above the greatest value and below the least."""
EDGE = 3
"""Half of a dot, and a line's width, in px."""
DOTS, THICK = 20, 60
"""Up to so many epochs each has a dot (on a longer curve they would hide the dashes), and the line is thick and smooth
(on a longer curve that would cost more than moving the cursor may)."""
_Cache = QGraphicsItem.CacheMode
BAND, THREAD, CURVE, LIT = 1, 2, 3, 20
"""What lies over what."""


class EpochAxis(pg.AxisItem):
    """An axis with ticks at whole epochs only."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Steps of 1, 2 or 5 times a power of ten, as dense as their numbers fit."""
        digits = len(str(int(max(maxVal, 1))))
        apart = (DIGIT_WIDTH * digits + TICK_GAP) * (maxVal - minVal) / max(size, 1.0)
        steps = (float(lead * 10**power) for power in range(9) for lead in (1, 2, 5))
        return [(next(step for step in steps if step >= apart), 0.0)]

    def resizeEvent(self, event: Any = None) -> None:
        """Keep all of the name inside, which pyqtgraph pushes over the edge."""
        super().resizeEvent(event)
        self.label.setY(
            self.size().height() - self.label.boundingRect().height() + self.label.document().documentMargin()
        )


class ValueAxis(pg.AxisItem):
    """An axis whose numbers do not touch when it is logarithmic."""

    def logTickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Write 1, 2 and 5 of each decade; where there are but a few ticks, all."""
        written: list[str] = super().logTickStrings(values, scale, spacing)
        if len(values) <= FEW_TICKS:
            return written
        leads = [round(10 ** (value - math.floor(value + 1e-9))) for value in values]
        return [text if lead in (1, 2, 5) else "" for text, lead in zip(written, leads, strict=True)]


class Box(pg.ViewBox):
    """The place of curves: of one that lies at its edge, all of the line and of its dots is seen."""

    def shape(self) -> QPainterPath:
        """What curves are cut to: a little more than the place itself."""
        path = QPainterPath()
        path.addRect(self.rect().adjusted(-EDGE, -EDGE, EDGE, EDGE))
        return path


class Plot(pg.PlotWidget):
    """A low plot that leaves the wheel to the dock it lies in."""

    left = Signal()
    """The pointer is no longer over it."""

    def sizeHint(self) -> QSize:
        """Low, and as wide as there is room."""
        return QSize(200, HEIGHT)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the dock."""
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        """Tell that the pointer is gone."""
        super().leaveEvent(event)
        self.left.emit()


def prepare(plot: Any) -> None:
    """Give a plot item the axes that all of ours have, and nothing that a person could drag."""
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setLabel("bottom", "epoch")
    for side in ("left", "bottom"):
        plot.getAxis(side).enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(AXIS_WIDTH)
    plot.getAxis("bottom").setStyle(hideOverlappingLabels=False)
    plot.getAxis("bottom").setHeight(BELOW)
    plot.layout.setContentsMargins(1, ABOVE, MARGIN, 1)


def dress(plot: Any, palette: Palette) -> None:
    """Give the axes of a plot item the colours of a palette."""
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(palette.grid)
        axis.setTextPen(palette.text)


class Ink:
    """The curves, threads and bands on a plot item; drawing anew keeps the items there are."""

    def __init__(self, plot: Any) -> None:
        self._plot = plot
        self.curves: list[Any] = []
        self.threads: list[Any] = []
        self.bands: list[QGraphicsPathItem] = []

    def draw(
        self, series: Sequence[Series], threads: Sequence[Threads], palette: Palette, log: bool, top: float = math.inf,
        cached: bool = True,
    ) -> None:  # fmt: skip
        """Draw these in place of those drawn, and fit the axes to them; on a logarithmic axis 0 leaves a gap.

        The axis ends at `top`, which no value can be above.

        Threads and dots are kept as pixels unless `cached` is False, so that what moves over them costs nothing.
        """
        banded = [curve for curve in series if curve.band is not None]
        self._match(self.curves, len(series), lambda: _curve(CURVE))
        self._match(self.threads, len(threads), lambda: _curve(THREAD))
        self._match(self.bands, len(banded), _band)
        drawn = [on_axis(curve.y, log) for curve in series]
        for item, curve, y in zip(self.curves, series, drawn, strict=True):
            thick = len(y) <= THICK
            pen = line_pen(curve.style, palette, 2 if thick else 1)
            y = y if np.isfinite(y).any() else y[:0]
            dots = "o" if len(y) <= DOTS else None
            item.setData(
                np.arange(len(y)), y, pen=pen, antialias=thick, symbol=dots, symbolBrush=pen.color(), symbolPen=None,
                useCache=cached,
            )  # fmt: skip
        spun = [on_axis(each.y, log) for each in threads]
        for item, each, y in zip(self.threads, threads, spun, strict=True):
            _spin(item, y, thread_pen(each.style, palette))
            item.curve.setCacheMode(_Cache.DeviceCoordinateCache if cached else _Cache.NoCache)
        shaded: list[Floats] = []
        for item, curve in zip(self.bands, banded, strict=True):
            assert curve.band is not None
            low, high = (on_axis(end, log) for end in curve.band)
            colour = band_colour(curve.style, palette)
            item.setPath(_band_path(low, high))
            item.setBrush(colour)
            item.setPen(pg.mkPen(colour, width=1))
            shaded += [low, high]
        self._fit([*drawn, *spun, *shaded], float(on_axis(np.array([top]), log)[0]))

    def _fit(self, drawn: Sequence[Floats], top: float) -> None:
        last = max((y.shape[-1] for y in drawn), default=1) - 1
        self._plot.setXRange(0, max(1, last), padding=0.03)
        flat = np.concatenate([y.ravel() for y in drawn]) if drawn else np.empty(0)
        finite = flat[np.isfinite(flat)]
        if finite.size:
            low, high = float(finite.min()), float(finite.max())
            if high == low:
                high = min(low + max(abs(low), 1e-6) * 0.1, max(top, low))
                low = min(low, high - max(abs(high), 1e-6) * 0.1)
            room = PADDING * (high - low)
            self._plot.setYRange(low - room, min(high + room, max(top, high)), padding=0)

    def _match(self, items: list[Any], count: int, make: Any) -> None:
        while len(items) > count:
            self._plot.removeItem(items.pop())
        while len(items) < count:
            items.append(make())
            self._plot.addItem(items[-1], ignoreBounds=True)


def _curve(height: int) -> Any:
    item = pg.PlotDataItem(connect="finite", symbolSize=4)
    item.setZValue(height)
    return item


def _band() -> QGraphicsPathItem:
    item = QGraphicsPathItem()
    item.setZValue(BAND)
    return item


def _spin(item: Any, y: Floats, pen: Any) -> None:
    """All threads (L, E) as one item, each ending in a gap; one of few epochs has dots, since it may have no line."""
    lines, epochs = y.shape
    gap = np.full((lines, 1), np.nan)
    x, broken = np.tile(np.arange(epochs + 1.0), lines), np.concatenate([y, gap], axis=1).ravel()
    some = bool(np.isfinite(broken).any())
    dots = "o" if epochs <= 2 else None
    item.setData(
        x if some else x[:0], broken if some else broken[:0],
        pen=pen, symbol=dots, symbolBrush=pen.color(), symbolPen=None,
    )  # fmt: skip


def _band_path(low: Floats, high: Floats) -> QPainterPath:
    """The area between two curves (E,), in as many pieces as there are stretches without a gap."""
    path, known = QPainterPath(), np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.r_[False, known, False]))
    for start, stop in edges.reshape(-1, 2):
        x = np.arange(start, stop, dtype=float)
        piece = pg.arrayToQPath(np.r_[x, x[::-1], x[:1]], np.r_[low[start:stop], high[start:stop][::-1], low[start]])
        path.addPath(piece)
    path.setFillRule(Qt.FillRule.WindingFill)
    return path
