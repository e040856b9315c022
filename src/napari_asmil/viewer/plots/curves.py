"""One panel of curves over epochs with a cursor: data in, epochs out. Knows nothing of napari."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPen, QWheelEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_asmil.viewer.plots.style import Palette, line_pen

AXIS_WIDTH = 62
"""Of the left axis in px, so that stacked panels share their epochs."""
DIGIT_WIDTH, TICK_GAP = 8, 8
"""Of the numbers under an axis, in px."""
BELOW = 40
"""Height of the epochs' axis in px, for its numbers and its name."""
MARGIN = 12
"""Right of a plot in px, where the last epoch's number reaches out."""
HEIGHT = 140
"""Of a plot in px: JSD and concentration must be in sight together."""
DOTS, THICK = 20, 60
"""Up to so many epochs each has a dot (on a longer curve they would hide the dashes), and the line is thick and smooth
(on a longer curve that would cost more than moving the cursor may)."""


@dataclass(frozen=True)
class Series:
    """A named curve, float (E,) with a value for each epoch from 0 on, NaN where there is none.

    `style` chooses colour and dash, so that a run looks the same in every panel.
    """

    name: str
    y: NDArray[np.float64]
    style: int = 0


class _EpochAxis(pg.AxisItem):
    """An axis with ticks at whole epochs only."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        digits = len(str(int(max(maxVal, 1))))
        apart = (DIGIT_WIDTH * digits + TICK_GAP) * (maxVal - minVal) / max(size, 1.0)
        steps = (float(lead * 10**power) for power in range(9) for lead in (1, 2, 5))
        return [(next(step for step in steps if step >= apart), 0.0)]


class _Plot(pg.PlotWidget):
    """A low plot that leaves the wheel to the dock it lies in."""

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class CurvePanel(QWidget):
    """Curves of one quantity, with the values under the cursor in words above them.

    Parameters
    ----------
    title, unit : str
        What is drawn, and its unit; both stand above the plot.
    tip : str
        What the quantity means.
    """

    picked = Signal(int)
    """A person chose an epoch, by dragging the cursor or by a click."""

    def __init__(self, title: str, unit: str, tip: str = "") -> None:
        super().__init__()
        self._palette = Palette()
        self._series: Sequence[Series] = ()
        self._items: list[Any] = []
        self._epoch = 0
        self._log = False
        self.title, self.values = QLabel(), QLabel()
        self.values.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.values.setWordWrap(True)
        self.values.setToolTip("Values at the cursor, in the order of the key")
        self.plot = self._make_plot()
        self.cursor = pg.InfiniteLine(0, angle=90, movable=True)
        self.cursor.sigDragged.connect(self._on_drag)
        self.plot.addItem(self.cursor, ignoreBounds=True)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 4, 0, 0)
        self.column.setSpacing(1)
        for part in (self.title, self.values, self.plot):
            self.column.addWidget(part)
        self.set_title(title, unit, tip)
        self.set_palette(self._palette)

    def _make_plot(self) -> Any:
        plot = _Plot(axisItems={"bottom": _EpochAxis("bottom")})
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.setMinimumSize(160, HEIGHT)
        plot.getAxis("left").setWidth(AXIS_WIDTH)
        plot.getAxis("left").enableAutoSIPrefix(False)
        plot.getAxis("bottom").enableAutoSIPrefix(False)
        plot.setLabel("bottom", "epoch")
        plot.getAxis("bottom").setStyle(hideOverlappingLabels=False)
        plot.getAxis("bottom").setHeight(BELOW)
        plot.getPlotItem().layout.setContentsMargins(1, 1, MARGIN, 1)
        return plot

    def set_title(self, title: str, unit: str, tip: str = "") -> None:
        """Name the quantity and its unit."""
        self.title.setText(f"<b>{title}</b>" + (f" ({unit})" if unit else ""))
        self.plot.setLabel("left", unit)
        self.plot.setAccessibleName(f"{title} by epoch")
        self.setToolTip(f"{tip}. " * bool(tip) + "Click, or drag the line, to go to an epoch.")

    def set_series(self, series: Sequence[Series]) -> None:
        """Draw these curves in place of those drawn."""
        self._series = tuple(series)
        while len(self._items) > len(series):
            self.plot.removeItem(self._items.pop())
        while len(self._items) < len(series):
            self._items.append(pg.PlotDataItem(connect="finite", symbolSize=4))
            self.plot.addItem(self._items[-1])
        for item, curve in zip(self._items, self._series, strict=True):
            thick = len(curve.y) <= THICK
            pen = line_pen(curve.style, self._palette, 2 if thick else 1)
            y = self._drawn(curve.y)
            y = y if np.isfinite(y).any() else y[:0]
            dots = "o" if len(y) <= DOTS else None
            item.setData(
                np.arange(len(y)), y, pen=pen, antialias=thick, symbol=dots, symbolBrush=pen.color(), symbolPen=None
            )
        self._fit()
        self._tell()

    def set_log(self, log: bool) -> None:
        """Draw on a logarithmic axis, where values of 0 leave gaps, or on a linear one."""
        self._log = log
        self.plot.getAxis("left").setLogMode(False, log)
        self.set_series(self._series)

    def set_epoch(self, epoch: int) -> None:
        """Put the cursor at an epoch, without a signal; nothing else is drawn anew."""
        if epoch != self._epoch:
            self._epoch = epoch
            self.cursor.setValue(epoch)
            self._tell()

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        self.plot.setBackground(palette.background)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(palette.grid)
            axis.setTextPen(palette.text)
        self.cursor.setPen(pg.mkPen(palette.cursor, width=1))
        self.cursor.setHoverPen(pg.mkPen(palette.cursor, width=3))
        self.set_series(self._series)

    def pen(self, index: int) -> QPen:
        """Return the pen of the curve at this place."""
        return QPen(self._items[index].opts["pen"])

    def _drawn(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._log:
            return y
        return np.log10(y, out=np.full(len(y), np.nan), where=y > 0)

    def _fit(self) -> None:
        last = max((len(curve.y) for curve in self._series), default=1) - 1
        self.plot.setXRange(0, max(1, last), padding=0.03)
        self.cursor.setBounds((0, max(0, last)))
        self.cursor.setValue(self._epoch)
        drawn = [self._drawn(curve.y) for curve in self._series]
        finite = np.concatenate(drawn)[np.isfinite(np.concatenate(drawn))] if drawn else np.empty(0)
        if finite.size:
            low, high = float(finite.min()), float(finite.max())
            self.plot.setYRange(low, high if high > low else low + max(abs(low), 1e-6) * 0.1, padding=0.06)

    def _tell(self) -> None:
        """Say the values under the cursor, in the colours of their curves."""
        said = []
        for curve in self._series:
            value = curve.y[self._epoch] if self._epoch < len(curve.y) else np.nan
            colour = line_pen(curve.style, self._palette).color().name()
            said.append(f"<span style='color:{colour}'>{value:.3g}</span>" if np.isfinite(value) else "–")
        self.values.setText(" · ".join(said))

    def _on_drag(self) -> None:
        self._pick(self.cursor.value())

    def _on_click(self, event: Any) -> None:
        box = self.plot.getViewBox()
        if event.button() == Qt.MouseButton.LeftButton and box.sceneBoundingRect().contains(event.scenePos()):
            self._pick(box.mapSceneToView(event.scenePos()).x())

    def _pick(self, position: float) -> None:
        """Take the nearest epoch that any curve has."""
        last = max((len(curve.y) for curve in self._series), default=1) - 1
        epoch = int(np.clip(round(position), 0, max(0, last)))
        changed = epoch != self._epoch
        self.set_epoch(epoch)
        self.cursor.setValue(epoch)
        if changed:
            self.picked.emit(epoch)
