"""The table of a run's slides at one epoch: sorted and filtered in numpy, so that thousands follow the slider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QFont, QHideEvent, QKeyEvent, QPixmap, QResizeEvent, QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_asmil.runs.table import SlideNumbers, SlideTable
from napari_asmil.viewer.docks.base import waiting
from napari_asmil.viewer.idle import Idle
from napari_asmil.viewer.slide_columns import NOTHING, Column, Filter, columns_of
from napari_asmil.viewer.thumbnails import SIDE, Thumbnails

ROW_HEIGHT = SIDE + 4
WIDEST = 240
"""Of a column in px; a longer name is cut in its middle, and told in full by its tooltip."""
ROOM = 8
"""Left free in a column in px, for the bold row."""
LOOK_MS = 80
"""Pictures are made this long after rows came into sight."""


class CohortModel(QAbstractTableModel):
    """Rows are slides that pass the filter, in the order of one column, ties in the run's order.

    A proxy model would ask Python for every comparison: too slow for thousands of slides at every epoch.

    Attributes
    ----------
    table : SlideTable or None
    numbers : SlideNumbers or None
        Of the epoch at hand; None where the run has not that epoch, or has lost it.
    rows : int (n,)
        Index of the slide in each row.
    shown : str or None
        The slide in the window.
    """

    arranged = Signal()
    """Other slides are shown, or in another order."""
    columns_changed = Signal()

    def __init__(self, thumbnails: Thumbnails) -> None:
        super().__init__()
        self.table: SlideTable | None = None
        self.numbers: SlideNumbers | None = None
        self.columns: tuple[Column, ...] = ()
        self.rows: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self.filter = Filter()
        self.shown: str | None = None
        self._valued: set[str] = set()
        self._pictured = False
        self._sorted_by: tuple[str, bool] | None = None
        self._thumbnails = thumbnails
        self._bold = QFont()
        self._bold.setBold(True)
        self._blank = QPixmap(SIDE, SIDE)
        self._blank.fill(Qt.GlobalColor.transparent)

    # ---- what is shown ------------------------------------------------------------------------

    def show(self, table: SlideTable | None, numbers: SlideNumbers | None) -> None:
        """Show the slides of a run with the numbers of an epoch."""
        valued = set() if table is None else table.valued()
        if table is self.table and valued == self._valued:
            self.show_numbers(numbers)
            return
        self.beginResetModel()
        self.table, self.numbers, self._valued = table, numbers, valued
        self.columns = () if table is None else columns_of(table)
        self._pictured = table is not None and any(slide.slide_path is not None for slide in table.run.slides)
        self.rows = self._arrange()
        self.endResetModel()
        self.columns_changed.emit()
        self.arranged.emit()

    def show_numbers(self, numbers: SlideNumbers | None) -> None:
        """Show another epoch; slides are sorted and filtered anew where that depends on it."""
        self.numbers = numbers
        column = self.sorted_by
        if self.filter.moves or (column is not None and column[0].moves):
            self._rearrange()
        if len(self.rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(self.columns) - 1))

    def set_filter(self, chosen: Filter) -> None:
        """Show the slides that pass."""
        if chosen != self.filter:
            self.filter = chosen
            self._rearrange()

    def set_shown(self, slide_id: str | None) -> None:
        """Mark the slide in the window."""
        for name in (self.shown, slide_id):
            self.shown = slide_id
            row = self.row_of(name)
            if row is not None:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.columns) - 1))

    def picture_made(self, path: Path) -> None:
        """A slide's picture is there."""
        if self.table is not None and len(self.rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, 0), [Qt.ItemDataRole.DecorationRole])

    @property
    def sorted_by(self) -> tuple[Column, bool] | None:
        """The column of the order and whether it falls; None for the run's own order."""
        if self._sorted_by is None:
            return None
        title, falling = self._sorted_by
        return next(((column, falling) for column in self.columns if column.title == title), None)

    @property
    def order(self) -> tuple[str, ...]:
        """The slides in their order."""
        return () if self.table is None else tuple(self.table.slide_ids[row] for row in self.rows)

    def row_of(self, slide_id: str | None) -> int | None:
        """The row of a slide, None where it is not shown."""
        if self.table is None or slide_id not in self.table.slide_ids:
            return None
        found = np.flatnonzero(self.rows == self.table.slide_ids.index(slide_id))
        return int(found[0]) if len(found) else None

    def path_of(self, row: int) -> Path | None:
        """The picture's file of the slide in a row."""
        assert self.table is not None
        path: Path | None = self.table.run.slides[int(self.rows[row])].slide_path
        return path

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 is the run's own order. Called by the view."""
        falling = order == Qt.SortOrder.DescendingOrder
        self._sorted_by = (self.columns[column].title, falling) if 0 <= column < len(self.columns) else None
        self._rearrange()

    def _arrange(self) -> NDArray[np.intp]:
        if self.table is None:
            return np.empty(0, dtype=np.intp)
        rows = np.flatnonzero(self.filter.passing(self.table, self.numbers))
        if self.sorted_by is None or self.numbers is None:
            return rows
        column, falling = self.sorted_by
        keys = column.key(self.table, self.numbers)[rows]
        return rows[np.argsort(-keys if falling else keys, kind="stable")]  # NaN comes last

    def _rearrange(self) -> None:
        rows, before = self._arrange(), self.rows
        if np.array_equal(rows, before):
            return
        if len(rows) == len(before):
            self.layoutAboutToBeChanged.emit()
            held = self.persistentIndexList()
            at = {int(slide): row for row, slide in enumerate(rows)} if held else {}
            self.rows = rows
            moved = [at.get(int(before[index.row()])) for index in held]
            self.changePersistentIndexList(
                held,
                [
                    QModelIndex() if row is None else self.index(row, index.column())
                    for row, index in zip(moved, held, strict=True)
                ],
            )
            self.layoutChanged.emit()
        else:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
        self.arranged.emit()

    # ---- what Qt asks ------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Slides that pass the filter."""
        return len(self.rows) if parent is None or not parent.isValid() else 0

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Columns with a value in the run."""
        return len(self.columns) if parent is None or not parent.isValid() else 0

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell."""
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(index.row(), index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if self.columns[index.column()].right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.FontRole and self._is_shown(index.row()):
            return self._bold
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0 and self._pictured:
            path = self.path_of(index.row())
            picture = None if path is None else self._thumbnails.get(path)
            return self._blank if picture is None else picture
        if role == Qt.ItemDataRole.ToolTipRole and self.table is not None:
            name, heading = self.table.slide_ids[self.rows[index.row()]], self.columns[index.column()].title
            return name if index.column() == 0 else f"{name} · {heading}: {self._text(index.row(), index.column())}"
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings and what they mean."""
        if orientation == Qt.Orientation.Horizontal and section < len(self.columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.ToolTipRole:
                return f"{self.columns[section].tip} Click: sort up, down, as in the run."
        return None

    def _text(self, row: int, column: int) -> str:
        assert self.table is not None
        chosen, at = self.columns[column], int(self.rows[row])
        if self.numbers is None and chosen.moves:
            return NOTHING
        text = chosen.text(self.table, self.numbers, at)  # type: ignore[arg-type]
        return f"▸ {text}" if column == 0 and self._is_shown(row) else text

    def _is_shown(self, row: int) -> bool:
        return self.table is not None and self.table.slide_ids[self.rows[row]] == self.shown


class CohortView(QTableView):
    """The table in the window: a click or Enter opens a slide."""

    opened = Signal(int)
    """A person chose the slide of this row."""
    stepped = Signal(int)
    """A person asked for the slide so many rows on."""

    def __init__(self, idle: Idle) -> None:
        super().__init__()
        self.thumbnails = Thumbnails(idle, self._on_picture)
        self.cohort = CohortModel(self.thumbnails)
        self.setModel(self.cohort)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setAccessibleName("Slides of the run")
        self.setSortingEnabled(True)
        across, down = self.horizontalHeader(), self.verticalHeader()
        across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        across.setSortIndicatorClearable(True)
        across.setResizeContentsPrecision(0)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultSectionSize(ROW_HEIGHT)
        down.hide()
        self._look = waiting(self, LOOK_MS, self._want_pictures)
        self.verticalScrollBar().valueChanged.connect(self._look.start)
        self.cohort.arranged.connect(self._look.start)
        self.cohort.columns_changed.connect(self._fit)
        across.sortIndicatorChanged.connect(self._on_sorted)
        self.clicked.connect(self._on_clicked)

    def mark(self, slide_id: str | None, *, bring: bool = True) -> None:
        """Mark the slide in the window, and bring its row into sight."""
        self.cohort.set_shown(slide_id)
        row = self.cohort.row_of(slide_id)
        if row is None:
            self.clearSelection()
            return
        index = self.cohort.index(row, max(0, self.currentIndex().column()))
        self.setAutoScroll(False)  # it would bring the row into sight at every step of the slider
        self.setCurrentIndex(index)
        self.setAutoScroll(True)
        if bring and row not in self.visible_rows()[1:-1]:
            self.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens the row with the cursor; [ and ] step as they do in the window."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
        elif event.text() in ("[", "]"):
            self.stepped.emit(1 if event.text() == "]" else -1)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More rows may be in sight."""
        super().resizeEvent(event)
        self._look.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Rows are in sight again."""
        super().showEvent(event)
        self._look.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """No row is in sight."""
        super().hideEvent(event)
        self.thumbnails.stop()

    def visible_rows(self) -> range:
        """The rows in sight."""
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        count = self.cohort.rowCount()
        return range(max(0, first), (count if last < 0 else last + 1)) if first >= 0 else range(0)

    def _on_sorted(self) -> None:
        """A person sorted the table: its first rows are what they want to see."""
        self.scrollToTop()

    def _on_clicked(self, index: QModelIndex) -> None:
        self.opened.emit(index.row())

    def _on_picture(self, path: Path) -> None:
        self.cohort.picture_made(path)

    def _want_pictures(self) -> None:
        if self.isVisible():
            paths = [self.cohort.path_of(row) for row in self.visible_rows()]
            self.thumbnails.want(path for path in paths if path is not None and path.is_file())

    def _fit(self) -> None:
        """Give the columns the width of what is in sight, and the heading its arrow."""
        by, across = self.cohort.sorted_by, self.horizontalHeader()
        with QSignalBlocker(across):
            at = -1 if by is None else self.cohort.columns.index(by[0])
            falling = by is not None and by[1]
            across.setSortIndicator(at, Qt.SortOrder.DescendingOrder if falling else Qt.SortOrder.AscendingOrder)
        self.resizeColumnsToContents()
        for column in range(1, self.cohort.columnCount()):
            self.setColumnWidth(column, min(WIDEST, self.columnWidth(column) + ROOM))
        if self.cohort.table is not None:
            longest = max(self.cohort.table.slide_ids, key=len, default="")
            self.setColumnWidth(0, min(WIDEST, self.fontMetrics().horizontalAdvance(f"▸ {longest}") + SIDE + 3 * ROOM))
