"""Points in the plane, in groups told apart by colour and shape: places in, a point out. Knows nothing of napari."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.graphicsItems.ScatterPlotItem import renderSymbol
from qtpy.QtCore import QPoint, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QLabel, QToolTip, QVBoxLayout, QWidget

from napari_asmil.viewer.plots.key import COLUMNS, KeyGrid
from napari_asmil.viewer.plots.style import Palette, line_pen

SYMBOLS = ("o", "s", "t", "d", "star", "p")
POINT, RING = 9, 18
"""Diameters in px."""
NEAR = 10
"""A click or the pointer means the nearest point within so many px."""
EXTENT = QSize(240, 260)


@dataclass(frozen=True, eq=False)
class Group:
    """Points that look alike: their name, their indices, and which colour and shape."""

    name: str
    members: NDArray[np.intp]
    style: int


def symbol_of(style: int) -> str:
    """Shape of a style; with its colour it is like no other of the first 36."""
    return SYMBOLS[(style + style // len(SYMBOLS)) % len(SYMBOLS)]


class _Plot(pg.PlotWidget):
    def sizeHint(self) -> QSize:
        return EXTENT


class _Key(KeyGrid):
    """Which mark is which group, and how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[QLabel] = []
        self._drawn: tuple[object, ...] = ()

    @property
    def texts(self) -> list[str]:
        """What it says."""
        return [label.text() for label in self._words]

    def show_groups(self, groups: Sequence[Group], palette: Palette) -> None:
        """Write the key; marks are drawn anew only where they are others."""
        drawn = (palette, *((group.name, group.style) for group in groups))
        if drawn != self._drawn:
            self._drawn = drawn
            self._lay_out(groups, palette)
        for label, group in zip(self._words, groups, strict=True):
            label.setText(f"{group.name} ({len(group.members)})")

    def _lay_out(self, groups: Sequence[Group], palette: Palette) -> None:
        self.clear()
        self._words = []
        for at, group in enumerate(groups):
            brush = pg.mkBrush(line_pen(group.style, palette).color())
            mark = QPixmap.fromImage(renderSymbol(symbol_of(group.style), POINT + 1, pg.mkPen(None), brush))
            self._words.append(self.add(mark, "", *divmod(at, COLUMNS)))


class ScatterPanel(QWidget):
    """Points with a key; the pointer names a point, a click picks it, and one is ringed.

    Attributes
    ----------
    describe : callable
        The name of a point, from its index.
    """

    picked = Signal(int)
    """A person clicked on the point of this index."""

    def __init__(self) -> None:
        super().__init__()
        self._palette = Palette()
        self._places = np.empty((0, 2))
        self._groups: Sequence[Group] = ()
        self.describe: Callable[[int], str] = str
        self._ringed: int | None = None
        self._extent = 0.0
        self.plot, self.key, self.pointed = _Plot(), _Key(), QLabel()
        self._items: list[Any] = []
        self.ring = pg.ScatterPlotItem(symbol="o", size=RING, brush=None)
        self._lay_out()
        self.set_palette(self._palette)

    def _lay_out(self) -> None:
        plot = self.plot
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setAspectLocked(True)
        plot.setMinimumSize(200, 200)
        for side in ("left", "bottom"):
            plot.getAxis(side).enableAutoSIPrefix(False)
        plot.addItem(self.ring)
        plot.scene().sigMouseClicked.connect(self._on_click)
        plot.scene().sigMouseMoved.connect(self._on_move)
        plot.setToolTip("Click a point to open its slide; drag and wheel move and zoom, a double click shows all again")
        self.pointed.setToolTip("The slide under the pointer, or else the slide that is shown")
        self.pointed.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.key, plot, self.pointed):
            column.addWidget(part)
        column.setStretch(1, 1)

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the points are drawn, float64 (S, 2)."""
        return self._places

    def set_points(self, places: NDArray[np.float64], groups: Sequence[Group]) -> None:
        """Draw points (S, 2) in place of those drawn; every point is in one group."""
        self._places, self._groups = places, groups
        while len(self._items) > len(groups):
            self.plot.removeItem(self._items.pop())
        while len(self._items) < len(groups):
            self._items.append(pg.ScatterPlotItem(size=POINT, pen=None))
            self.plot.addItem(self._items[-1])
        for item, group in zip(self._items, groups, strict=True):
            item.setSymbol(symbol_of(group.style))
            item.setBrush(QColor(line_pen(group.style, self._palette).color()))
            item.setData(x=places[group.members, 0], y=places[group.members, 1])
        self.key.show_groups(groups, self._palette)
        self._draw_ring()

    def set_ring(self, index: int | None) -> None:
        """Ring one point, or none."""
        self._ringed = index
        self._draw_ring()

    def set_axes(self, bottom: str, left: str) -> None:
        """Name the axes."""
        self.plot.setLabel("bottom", bottom)
        self.plot.setLabel("left", left)

    def set_extent(self, extent: float) -> None:
        """Show the plane from -extent to extent; where that is as it was, a person's own zoom stays."""
        if extent != self._extent and extent > 0:
            self._extent = extent
            self._show_all()

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        self.plot.setBackground(palette.background)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(palette.grid)
            self.plot.getAxis(side).setTextPen(palette.text)
        self.ring.setPen(pg.mkPen(palette.text, width=2))
        self.set_points(self._places, self._groups)

    def place_on_screen(self, index: int) -> QPoint:
        """Where a point lies in the plot's viewport, in px."""
        return self.plot.mapFromScene(self.plot.getViewBox().mapViewToScene(QPointF(*self._places[index])))

    def _draw_ring(self) -> None:
        ringed = self._ringed
        at = self._places[:0] if ringed is None else self._places[ringed : ringed + 1]
        self.ring.setData(x=at[:, 0], y=at[:, 1])
        self._tell(None)

    def _show_all(self) -> None:
        e = self._extent
        self.plot.setRange(xRange=(-e, e), yRange=(-e, e), padding=0.05)

    def _tell(self, index: int | None) -> None:
        index = self._ringed if index is None else index
        self.pointed.setText(self.describe(index) if index is not None and index < len(self._places) else "")

    def _nearest(self, scene: QPointF) -> int | None:
        box = self.plot.getViewBox()
        if not len(self._places) or not box.sceneBoundingRect().contains(scene):
            return None
        at = box.mapSceneToView(scene)
        width, height = box.viewPixelSize()
        apart = np.hypot((self._places[:, 0] - at.x()) / width, (self._places[:, 1] - at.y()) / height)
        nearest = int(apart.argmin())
        return nearest if apart[nearest] <= NEAR else None

    def _on_move(self, scene: QPointF) -> None:
        index = self._nearest(scene)
        self._tell(index)
        if index is not None:
            QToolTip.showText(self.plot.mapToGlobal(self.plot.mapFromScene(scene)), self.describe(index), self.plot)

    def _on_click(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if event.double():
            self._show_all()
        elif (index := self._nearest(event.scenePos())) is not None:
            self.picked.emit(index)
