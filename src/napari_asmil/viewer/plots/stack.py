"""Panels over each other with one key and one cursor. Knows nothing of napari."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_asmil.viewer.plots.curves import CurvePanel
from napari_asmil.viewer.plots.key import COLUMNS, KeyGrid
from napari_asmil.viewer.plots.style import Palette, line_sample

SAMPLE = QSize(40, 12)
"""Of a line in the key, in px: as long as the longest dash with its gap."""


Named = tuple[int, str]
"""The style of a curve, and what it is."""


class Key(KeyGrid):
    """Which line is which: a piece of each curve and its name."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[Named]] = []

    @property
    def names(self) -> list[str]:
        """All names, row by row."""
        return [name for row in self.rows for _, name in row]

    def show_rows(self, rows: Sequence[Sequence[Named]], palette: Palette) -> None:
        """Write the key: each row begins with a curve, and those that belong to it stand under it, two in a line."""
        self.clear()
        self.rows = [list(row) for row in rows]
        down = 0
        for (style, name), *members in self.rows:
            self._name(style, name, palette, down, 0, across=True)
            for at, (style_, name_) in enumerate(members):
                self._name(style_, name_, palette, down + 1 + at // COLUMNS, at % COLUMNS)
            down += 1 + -(-len(members) // COLUMNS)

    def _name(self, style: int, name: str, palette: Palette, row: int, column: int, *, across: bool = False) -> None:
        sample = line_sample(style, palette, SAMPLE, self.devicePixelRatioF())
        words = self.add(sample, name, row, column, across=across)
        words.setWordWrap(True)
        words.setToolTip(name)


class CurveStack(QWidget):
    """Curve panels that share a key, a cursor and their colours; panels themselves are put into `column`."""

    picked = Signal(int)
    thread_picked = Signal(object, int)

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
            panel.thread_picked.connect(self.thread_picked)

    def set_names(self, names: Sequence[str]) -> None:
        """Say which curve is which, in the order of their styles."""
        self.set_key([[named] for named in enumerate(names)])

    def set_key(self, rows: Sequence[Sequence[Named]]) -> None:
        """Say which curve is which, by their styles."""
        if [list(row) for row in rows] != self.key.rows:
            self.key.show_rows(rows, self._palette)

    def set_epoch(self, epoch: int) -> None:
        """Put every cursor at an epoch, without a signal."""
        for panel in self.panels:
            panel.set_epoch(epoch)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        self.key.show_rows(self.key.rows, palette)
        for panel in self.panels:
            panel.set_palette(palette)

    def _on_picked(self, epoch: int) -> None:
        self.set_epoch(epoch)
        self.picked.emit(epoch)
