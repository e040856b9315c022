"""One panel of curves over epochs with a cursor: data in, epochs out. Knows nothing of napari."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPoint, QPointF, QRect, QSize, Qt, Signal
from qtpy.QtGui import QPen
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_asmil.viewer.plots.canvas import HEIGHT, LIT, Box, EpochAxis, Ink, Plot, ValueAxis, dress, prepare
from napari_asmil.viewer.plots.lines import (
    LOOKS,
    Pointed,
    Series,
    Threads,
    count_gaps,
    greatest,
    nearest,
    numbers,
    on_axis,
)
from napari_asmil.viewer.plots.style import Palette, line_pen
from napari_asmil.words import counted

__all__ = ["CurvePanel", "Series", "Threads"]

REACH = 8
"""Px around the pointer in which a curve is under it."""
NAME_WIDTH, BESIDE = 190, 10
"""Of the name beside the pointer, at most, and how far from it, in px."""


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
    thread_picked = Signal(object, int)
    """A person clicked on a thread: what it is of, and the epoch there. Sent before `picked`."""

    def __init__(self, title: str, unit: str, tip: str = "") -> None:
        super().__init__()
        self._palette = Palette()
        self._series: Sequence[Series] = ()
        self._threads: Sequence[Threads] = ()
        self._pointed: Pointed | None = None
        self._epoch = 0
        self._log = False
        self._said = ""
        self.unit = unit
        self.title, self.words, self.values = QLabel(), QLabel(), QLabel()
        self.log = QCheckBox("log")
        self.plot = self._make_plot()
        self.ink = Ink(self.plot.getPlotItem())
        self.cursor = pg.InfiniteLine(0, angle=90, movable=True)
        self.cursor.setZValue(LIT - 1)
        self.plot.addItem(self.cursor, ignoreBounds=True)
        self._lit = pg.PlotCurveItem(connect="finite")
        self._lit.setZValue(LIT)
        self.plot.addItem(self._lit, ignoreBounds=True)
        self.name = QLabel(self.plot)
        self.name.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.name.setWordWrap(True)
        self.name.hide()
        self._lay_out()
        self._connect()
        self.set_title(title, unit, tip)
        self.set_palette(self._palette)

    def _make_plot(self) -> Any:
        plot = Plot(viewBox=Box(), axisItems={"bottom": EpochAxis("bottom"), "left": ValueAxis("left")})
        plot.setMinimumSize(160, HEIGHT)
        prepare(plot.getPlotItem())
        return plot

    def _lay_out(self) -> None:
        self.values.setAlignment(Qt.AlignmentFlag.AlignRight)
        for label in (self.words, self.values):
            label.setWordWrap(True)
        self.words.hide()
        self.log.setToolTip("A logarithmic axis; a value of 0 has no place on it and leaves a gap")
        self.log.hide()
        self.head = QHBoxLayout()
        self.head.addWidget(self.title, 1)
        self.head.addWidget(self.log)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 4, 0, 0)
        self.column.setSpacing(1)
        self.column.addLayout(self.head)
        for part in (self.words, self.values, self.plot):
            self.column.addWidget(part)

    def _connect(self) -> None:
        self.cursor.sigDragged.connect(self._on_drag)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.plot.scene().sigMouseMoved.connect(self._on_move)
        self.plot.left.connect(self._on_leave)
        self.log.toggled.connect(self.set_log)

    # ---- what is drawn ------------------------------------------------------------------------

    @property
    def series(self) -> Sequence[Series]:
        """The curves that are drawn."""
        return self._series

    @property
    def threads(self) -> Sequence[Threads]:
        """The thin curves that are drawn."""
        return self._threads

    @property
    def is_log(self) -> bool:
        """Whether the axis is logarithmic."""
        return self._log

    def set_title(self, title: str, unit: str, tip: str = "") -> None:
        """Name the quantity and its unit."""
        self.unit = unit
        self.title.setText(f"<b>{escape(title)}</b>" + (f" ({escape(unit)})" if unit else ""))
        self.plot.setLabel("left", unit)
        self.plot.setAccessibleName(f"{title} by epoch")
        self.setToolTip(f"{tip}. " * bool(tip) + "Click, or drag the line, to go to an epoch.")

    def set_words(self, words: str) -> None:
        """Say what the curves are of and how they were averaged."""
        self._said = words
        self._say()

    def set_series(self, series: Sequence[Series], threads: Sequence[Threads] = ()) -> None:
        """Draw these curves, and these thin ones behind them, in place of those drawn."""
        self._series, self._threads = tuple(series), tuple(threads)
        self.ink.draw(self._series, self._threads, self._palette, self._log, greatest(self.unit))
        self.cursor.setBounds((0, max(0, self._last)))
        self.cursor.setValue(self._epoch)
        self._point_at(None)
        self._say()
        self._tell()

    def set_log(self, log: bool) -> None:
        """Draw on a logarithmic axis, where values of 0 leave gaps, or on a linear one."""
        self._log = log
        self.plot.getAxis("left").setLogMode(False, log)
        self.set_series(self._series, self._threads)

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
        dress(self.plot.getPlotItem(), palette)
        self.cursor.setPen(pg.mkPen(palette.cursor, width=1))
        self.cursor.setHoverPen(pg.mkPen(palette.cursor, width=3))
        self.name.setStyleSheet(
            f"background: {palette.background}; color: {palette.text}; border: 1px solid {palette.grid}; padding: 2px"
        )
        self.set_series(self._series, self._threads)

    def pen(self, index: int) -> QPen:
        """Return the pen of the curve at this place."""
        return QPen(self.ink.curves[index].opts["pen"])

    @property
    def _last(self) -> int:
        return max((y.shape[-1] for y in numbers(self._series, self._threads)), default=1) - 1

    def _say(self) -> None:
        gaps = count_gaps(self._series, self._threads) if self._log else 0
        gone = f"{counted(gaps, 'value')} of 0 or less cannot be on this axis: gaps." if gaps else ""
        said = " ".join(part for part in (self._said, gone) if part)
        if said != self.words.text():
            self.words.setText(said)
        self.words.setHidden(not said)

    def _tell(self) -> None:
        """Say the values under the cursor in the colours of their curves, and of which curve each is in the tooltip."""
        hues = [curve.style % LOOKS for curve in self._series]
        many = len(set(hues)) < len(hues)  # then a bar parts those of one colour from those of the next
        said, named = "", [f"<b>Epoch {self._epoch}</b>, in the order of the key"]
        for at, curve in enumerate(self._series):
            value = curve.y[self._epoch] if self._epoch < len(curve.y) else np.nan
            text, unit = (f"{value:.3g}", f" {escape(self.unit)}") if np.isfinite(value) else ("–", "")
            colour = line_pen(curve.style, self._palette).color().name()
            if at:
                said += " · " if not many else "&nbsp;·&nbsp;" if hues[at] == hues[at - 1] else "&nbsp;| &nbsp;"
            said += f"<span style='color:{colour}'>{text}</span>"
            named.append(f"{escape(curve.name)}: {text}{unit}")
        self.values.setText(said)
        self.values.setToolTip("<br>".join(named) if self._series else "Values at the cursor")

    # ---- the pointer --------------------------------------------------------------------------

    def _on_move(self, place: QPointF) -> None:
        box = self.plot.getViewBox()
        self._point_at(self._under(place) if box.sceneBoundingRect().contains(place) else None, place)

    def _on_leave(self) -> None:
        self._point_at(None)

    def _under(self, place: QPointF) -> Pointed | None:
        box = self.plot.getViewBox()
        at, pixel = box.mapSceneToView(place), box.viewPixelSize()
        return nearest(self._series, self._threads, (at.x(), at.y()), pixel, REACH, self._log)

    def _point_at(self, pointed: Pointed | None, place: QPointF | None = None) -> None:
        """Light the curve under the pointer, and write its name beside it."""
        if pointed is None or place is None:
            if self._pointed is not None:
                self._pointed = None
                self._lit.hide()
                self.name.hide()
            return
        drawn: Series | Threads
        if pointed.threads is None:
            drawn = self._series[pointed.line]
            name, y = drawn.name, drawn.y
        else:
            drawn = self._threads[pointed.threads]
            name, y = drawn.names[pointed.line], drawn.y[pointed.line]
        epoch = int(np.clip(round(self.plot.getViewBox().mapSceneToView(place).x()), 0, len(y) - 1))
        value = f"{y[epoch]:.3g} {self.unit}" if np.isfinite(y[epoch]) else "no value"
        if isinstance(drawn, Series) and drawn.band is not None and np.isfinite(y[epoch]):
            value += " ({:.3g} to {:.3g})".format(*(float(end[epoch]) for end in drawn.band))
        self._write_beside(f"{name}\nepoch {epoch}: {value}", self.plot.mapFromScene(place))
        if pointed != self._pointed:
            self._pointed = pointed
            pen = QPen(line_pen(drawn.style, self._palette, 3))
            pen.setStyle(Qt.PenStyle.SolidLine)
            self._lit.setData(np.arange(len(y)), on_axis(y, self._log), pen=pen)
            self._lit.show()

    def _write_beside(self, text: str, at: QPoint) -> None:
        """Write on the plot, beside a point of its widget, where there is room."""
        frame = self.plot.mapFromScene(self.plot.getViewBox().sceneBoundingRect()).boundingRect()
        self.name.setText(text)
        widest = max(self.name.fontMetrics().horizontalAdvance(line) for line in text.split("\n")) + 10
        width = min(widest, NAME_WIDTH, frame.width())
        size = QSize(width, self.name.heightForWidth(width))
        left = at.x() - size.width() - BESIDE if at.x() > frame.center().x() else at.x() + BESIDE
        top = at.y() - size.height() - BESIDE if at.y() > frame.center().y() else at.y() + BESIDE
        left = max(frame.left(), min(left, frame.right() - size.width()))
        self.name.setGeometry(QRect(QPoint(left, max(frame.top(), min(top, frame.bottom() - size.height()))), size))
        self.name.show()

    def _on_drag(self) -> None:
        self._pick(self.cursor.value())

    def _on_click(self, event: Any) -> None:
        box = self.plot.getViewBox()
        place = event.scenePos()
        if event.button() != Qt.MouseButton.LeftButton or not box.sceneBoundingRect().contains(place):
            return
        epoch = self._clipped(box.mapSceneToView(place).x())
        under = self._under(place)
        key = None if under is None or under.threads is None else self._threads[under.threads].key(under.line)
        if key is not None:
            self.thread_picked.emit(key, epoch)
        self._pick(epoch)

    def _clipped(self, position: float) -> int:
        return int(np.clip(round(position), 0, max(0, self._last)))

    def _pick(self, position: float) -> None:
        """Take the nearest epoch that any curve has."""
        epoch = self._clipped(position)
        changed = epoch != self._epoch
        self.set_epoch(epoch)
        self.cursor.setValue(epoch)
        if changed:
            self.picked.emit(epoch)
