"""One panel of histograms on which a range can be picked: data in, ranges out. Knows nothing of napari."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QWheelEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_asmil.analysis.histogram import Bins
from napari_asmil.viewer.plots.style import Palette, line_pen

LEFT, BELOW, RIGHT = 52, 40, 12
"""Room in px for the axes, and for a number that reaches out on the right."""
HEIGHT = 132
APART = {"bottom": 42, "left": 20}
"""Powers of ten along an axis are at least so far apart in px."""
LEAST = 0.5
"""Where a logarithmic axis of counts begins, so that a bin of one tile stands out."""
SELECTED = "#ff5a00"
"""As on the slide."""
STYLES = (0, 2, 3, 4)
"""Of lines, without the one whose colour is near that of what is selected; the first is that of the filled one."""


@dataclass(frozen=True)
class Bars:
    """Counts of one set of values, int (B,); `style` chooses colour and dash; `filled` is one that is picked from."""

    counts: NDArray[np.intp]
    style: int = 0
    filled: bool = True


class _Box(pg.ViewBox):
    """Tells what is dragged and clicked in place of moving the view."""

    spanned = Signal(float, float)
    pressed = Signal()

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            ends = (self.mapSceneToView(at).x() for at in (ev.buttonDownScenePos(), ev.scenePos()))
            self.spanned.emit(*sorted(ends))

    def mouseClickEvent(self, ev: Any) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self.pressed.emit()


class _Decades(pg.AxisItem):
    """An axis given log10 of what it counts, while `decades`: powers of ten, and 2 and 5 times these where they fit."""

    decades = True

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        if not self.decades:
            found: list[tuple[float, list[float]]] = super().tickValues(minVal, maxVal, size)
            return found[:1]
        powers = np.arange(np.ceil(minVal), np.floor(maxVal) + 1)
        a_decade, apart = size / max(maxVal - minVal, 1e-9), APART[self.orientation]
        powers = powers[:: math.ceil(apart / a_decade)]
        between = np.log10([2.0, 5.0]) + np.arange(np.floor(minVal), maxVal)[:, None]
        fits = between[(between >= minVal) & (between <= maxVal)] if a_decade > 3 * apart else np.empty(0)
        return [(1.0, powers.tolist()), (0.3, fits.ravel().tolist())]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if not self.decades:
            return [f"{value:.6g}" for value in values]
        return [f"{10**value:.6g}".replace("e-0", "e-") for value in values]


class _Bottom(_Decades):
    """One whose name stays inside, which pyqtgraph pushes over the edge."""

    def resizeEvent(self, event: Any = None) -> None:
        super().resizeEvent(event)
        self.label.setY(self.size().height() - self.label.boundingRect().height())


class _Plot(pg.PlotWidget):
    """A low plot that leaves the wheel to the dock it lies in."""

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class HistogramPanel(QWidget):
    """Histograms over each other on one axis, the selected part of the filled one on top of it.

    Parameters
    ----------
    title, unit : str
        What is counted, and its unit.
    tip : str
        What it means.
    decades : bool
        Values are log10 of what the axis names.
    mark : (float, str), optional
        A value that is marked with a line, and what it is.
    """

    picked = Signal(float, float)
    """A person picked the values between these two, in the axis' own numbers; ends beyond the axis are infinite."""
    dropped = Signal()
    """A person picked none."""

    def __init__(
        self, title: str, unit: str, tip: str, *, decades: bool = False, mark: tuple[float, str] | None = None
    ) -> None:
        super().__init__()
        self._palette, self._log, self._top = Palette(), True, 1.0
        self._bins: Bins | None = None
        self._bars: Sequence[Bars] = ()
        self._chosen: NDArray[np.intp] | None = None
        self._wanted = (-np.inf, np.inf)
        self._box = _Box(enableMenu=False)
        self.plot = self._make_plot(f"{title} ({unit})", decades)
        self.plot.setAccessibleName(f"Histogram of {title}")
        self._items: list[Any] = []
        self._part = pg.PlotCurveItem([0, 1], [0], stepMode="center")
        self._part.setZValue(5)
        self.plot.addItem(self._part)
        self.region = pg.LinearRegionItem((0, 1), movable=True)
        self.region.setZValue(10)
        self.region.hide()
        self.region.sigRegionChanged.connect(self._on_region)
        self.plot.addItem(self.region, ignoreBounds=True)
        self._mark = None
        if mark is not None:
            self._mark = pg.InfiniteLine(mark[0], angle=90, label=mark[1], labelOpts={"position": 0.9})
            self.plot.addItem(self._mark, ignoreBounds=True)
        self._box.spanned.connect(self._on_span)
        self._box.pressed.connect(self._on_press)
        self.setToolTip(f"{tip}. Drag to select the tiles of a range of values; click to select none.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(1)
        column.addWidget(self.plot)
        self.set_palette(self._palette)

    def _make_plot(self, label: str, decades: bool) -> Any:
        left, bottom = _Decades("left"), _Bottom("bottom")
        bottom.decades = decades
        plot = _Plot(viewBox=self._box, axisItems={"left": left, "bottom": bottom})
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.setMinimumSize(160, HEIGHT)
        for axis in (left, bottom):
            axis.enableAutoSIPrefix(False)
        left.setWidth(LEFT)
        bottom.setHeight(BELOW)
        plot.setLabel("left", "tiles")
        plot.setLabel("bottom", label)
        plot.getPlotItem().layout.setContentsMargins(1, 1, RIGHT, 1)
        return plot

    @property
    def range(self) -> tuple[float, float] | None:
        """The range that is picked, or None."""
        low, high = self.region.getRegion()
        return (float(low), float(high)) if self.region.isVisible() else None

    def set_range(self, low: float, high: float) -> None:
        """Show a range, without a signal; infinite ends lie at those of the axis."""
        self._wanted = low, high
        if self._bins is not None:
            with QSignalBlocker(self.region):
                self.region.setRegion((max(low, self._bins.low), min(high, self._bins.high)))
            self.region.show()

    def drop_range(self) -> None:
        """Show no range, without a signal."""
        self.region.hide()

    def set_axis(self, bins: Bins, top: float) -> None:
        """Count on these bins, up to `top` tiles in one; what is drawn stays until `set_bars`."""
        if (bins, top) != (self._bins, self._top):
            self._bins, self._top = bins, top
            self.plot.setXRange(bins.low, bins.high, padding=0)
            with QSignalBlocker(self.region):
                self.region.setBounds((bins.low, bins.high))
            if self.range is not None:
                self.set_range(*self._wanted)
            self._fit()

    def set_bars(self, bars: Sequence[Bars], chosen: NDArray[np.intp] | None = None) -> None:
        """Draw these counts in place of those drawn, and how many of the filled ones are selected."""
        self._bars, self._chosen = tuple(bars), chosen
        while len(self._items) > len(bars):
            self.plot.removeItem(self._items.pop())
        while len(self._items) < len(bars):
            self._items.append(pg.PlotCurveItem([0, 1], [0], stepMode="center"))
            self.plot.addItem(self._items[-1])
        for item, one in zip(self._items, self._bars, strict=True):
            pen = line_pen(one.style, self._palette, 1.0 if one.filled else 1.5)
            shade = QColor(pen.color())
            shade.setAlphaF(0.45)
            self._draw(item, one.counts, pen, shade if one.filled else None)
            item.setZValue(0 if one.filled else 2)
        self._part.setVisible(chosen is not None)
        if chosen is not None:
            self._draw(self._part, chosen, pg.mkPen(SELECTED), QColor(SELECTED))

    def set_counted(self, what: str) -> None:
        """Say what is counted."""
        self.plot.setLabel("left", what)

    def set_log(self, log: bool) -> None:
        """Count on a logarithmic axis or on a linear one."""
        self._log = log
        self.plot.getAxis("left").decades = log
        self.plot.getAxis("left").picture = None
        self._fit()
        self.set_bars(self._bars, self._chosen)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        self.plot.setBackground(palette.background)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(palette.grid)
            axis.setTextPen(palette.text)
        shade = QColor(SELECTED)
        shade.setAlphaF(0.14)
        self.region.setBrush(shade)
        self.region.setHoverBrush(shade)
        for line in self.region.lines:
            line.setPen(pg.mkPen(palette.cursor, width=1))
            line.setHoverPen(pg.mkPen(palette.cursor, width=3))
        if self._mark is not None:
            self._mark.setPen(pg.mkPen(palette.text, style=Qt.PenStyle.DashLine))
            self._mark.label.setColor(palette.text)
            self._mark.label.fill = pg.mkBrush(palette.background)
        self.set_bars(self._bars, self._chosen)

    def _draw(self, item: Any, counts: NDArray[np.intp], pen: Any, shade: QColor | None) -> None:
        assert self._bins is not None
        base = float(np.log10(LEAST)) if self._log else 0.0
        height = np.log10(np.maximum(counts, LEAST)) if self._log else counts.astype(np.float64)
        item.setData(self._bins.edges, height, pen=pen, brush=shade, fillLevel=base if shade is not None else None)

    def _fit(self) -> None:
        low, high = (np.log10(LEAST), np.log10(max(self._top, 2))) if self._log else (0.0, max(self._top, 1.0))
        self.plot.setYRange(float(low), float(high), padding=0.02 if self._log else 0)

    def _on_span(self, low: float, high: float) -> None:
        if self._bins is not None and high > self._bins.low and low < self._bins.high:
            self.set_range(low, high)
            self._on_region()

    def _on_press(self) -> None:
        if self.range is not None:
            self.drop_range()
            self.dropped.emit()

    def _on_region(self) -> None:
        if self.range is not None and self._bins is not None:
            low, high = self.range
            self._wanted = low if low > self._bins.low else -np.inf, high if high < self._bins.high else np.inf
            self.picked.emit(*self._wanted)
