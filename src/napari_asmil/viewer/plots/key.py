"""Which mark is which, beside a plot."""

from __future__ import annotations

from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

COLUMNS = 2
"""Marks side by side."""


class KeyGrid(QWidget):
    """Marks with their words, in rows of `COLUMNS`."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = QGridLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setVerticalSpacing(1)
        for column in range(COLUMNS):
            self._rows.setColumnStretch(2 * column + 1, 1)

    def clear(self) -> None:
        """Take away all that is in it."""
        while (item := self._rows.takeAt(0)) is not None:
            item.widget().hide()
            item.widget().deleteLater()

    def add(self, mark: QPixmap, words: str, row: int, column: int, *, across: bool = False) -> QLabel:
        """Put a mark with its words into a place, the words over the whole row if `across`; returns their label."""
        picture, label = QLabel(), QLabel(words)
        picture.setPixmap(mark)
        self._rows.addWidget(picture, row, 2 * column)
        self._rows.addWidget(label, row, 2 * column + 1, 1, 2 * COLUMNS - 1 if across else 1)
        return label
