"""Panels over each other with one key and one cursor. Knows nothing of napari."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_asmil.viewer.plots.curves import CurvePanel
from napari_asmil.viewer.plots.style import Palette, line_sample

SAMPLE = QSize(30, 12)


class Key(QWidget):
    """Which line is which: a piece of each curve and its name."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = QGridLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setVerticalSpacing(1)
        self._rows.setColumnStretch(1, 1)
        self.names: list[str] = []

    def show_names(self, names: Sequence[str], palette: Palette) -> None:
        """Write the key of curves with the styles 0, 1, ... in this order."""
        while (item := self._rows.takeAt(0)) is not None:
            item.widget().deleteLater()
        self.names = list(names)
        for row, name in enumerate(names):
            sample, words = QLabel(), QLabel(name)
            sample.setPixmap(line_sample(row, palette, SAMPLE, self.devicePixelRatioF()))
            words.setWordWrap(True)
            words.setToolTip(name)
            self._rows.addWidget(sample, row, 0)
            self._rows.addWidget(words, row, 1)


class CurveStack(QWidget):
    """Curve panels that share a key, a cursor and their colours; panels themselves are put into `column`."""

    picked = Signal(int)

    def __init__(self, panels: Sequence[CurvePanel]) -> None:
        super().__init__()
        self.panels = tuple(panels)
        self.key = Key()
        self._palette = Palette()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.addWidget(self.key)
        for panel in self.panels:
            self.column.addWidget(panel)
            panel.picked.connect(self._on_picked)

    def set_names(self, names: Sequence[str]) -> None:
        """Say which curve is which, in the order of their styles."""
        if list(names) != self.key.names:
            self.key.show_names(names, self._palette)

    def set_epoch(self, epoch: int) -> None:
        """Put every cursor at an epoch, without a signal."""
        for panel in self.panels:
            panel.set_epoch(epoch)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        self.key.show_names(self.key.names, palette)
        for panel in self.panels:
            panel.set_palette(palette)

    def _on_picked(self, epoch: int) -> None:
        self.set_epoch(epoch)
        self.picked.emit(epoch)
