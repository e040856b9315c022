"""What the groups of the open annotation count as; shown while there are contours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QComboBox, QGroupBox, QHeaderView, QLabel, QTableWidget, QVBoxLayout

from napari_asmil.annotations import ROLES
from napari_asmil.annotations.roles import shown
from napari_asmil.viewer.layers import ROLE_COLORS
from napari_asmil.viewer.opening import with_truth

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.viewer.controller import Controller

MOST_ROWS = 6
"""Of the table before it scrolls."""
FOLLOWS = "Tile labels of open bags follow. What runs and feature files recorded stays as it was."


class RolesGroup(QGroupBox):
    """A row a group, with its number of contours and what it counts as; hidden where nothing is drawn."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("What the contours count as")
        self._controller = controller
        self.table, self.marks, self.note = QTableWidget(0, 2), QLabel(), QLabel(FOLLOWS)
        self.cropped = QCheckBox("Counted from the scanned area")
        self._lay_out()
        self.cropped.toggled.connect(self._on_cropped)
        controller.contours_changed.connect(self.refresh)
        controller.slide_changed.connect(self.refresh)
        self.refresh()

    def _lay_out(self) -> None:
        self.table.horizontalHeader().hide()
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setToolTip("Tile labels are the share of a tile inside tumour less what is excluded")
        self.table.setAccessibleName("Groups of contours")
        self.cropped.setToolTip(
            "QuPath counts from the corner of the scanned area unless the slide was opened with --no-crop; the file"
            " does not say which. Choose what lays the contours on the tissue"
        )
        self.note.setToolTip("Extract or train again where recorded numbers should follow too")
        column = QVBoxLayout(self)
        for part in (self.table, self.marks, self.cropped, self.note):
            column.addWidget(part)
        column.addStretch()
        for label in (self.marks, self.note):
            label.setWordWrap(True)

    def refresh(self) -> None:
        """Show the groups of the contours that are drawn."""
        contours = self._controller.contours
        self.setVisible(contours is not None and bool(contours.groups or contours.marks))
        if contours is None:
            return
        self.table.setRowCount(len(contours.groups))
        for row, (group, number) in enumerate(contours.groups.items()):
            name, combo = QLabel(f" {shown(group)} ({number})"), self._combo(group, contours.roles[group])
            name.setToolTip(shown(group))
            self.table.setCellWidget(row, 0, name)
            self.table.setCellWidget(row, 1, combo)
            self.table.setRowHeight(row, combo.sizeHint().height())
        rows = sum(self.table.rowHeight(row) for row in range(min(len(contours.groups), MOST_ROWS)))
        self.table.setFixedHeight(rows + 2 * self.table.frameWidth())
        for part in (self.table, self.note):
            part.setVisible(bool(contours.groups))
        points, lines = len(contours.points), len(contours.lines)
        self.marks.setText(f"Points ({points}) and lines ({lines}) have no area and count as nothing.")
        self.marks.setVisible(bool(contours.marks))
        self.cropped.setVisible(any(self._bounds) or any(contours.origin))
        with QSignalBlocker(self.cropped):
            self.cropped.setChecked(any(contours.origin))

    def combo(self, group: str) -> QComboBox:
        """The choice of a group's role."""
        contours = self._controller.contours
        assert contours is not None
        found: QComboBox = self.table.cellWidget(list(contours.groups).index(group), 1)
        return found

    @property
    def _bounds(self) -> tuple[int, int]:
        slide = self._controller.slide
        return (0, 0) if slide is None else slide.bounds

    def _combo(self, group: str, role: str) -> QComboBox:
        combo = QComboBox()
        for name in (*ROLES, *(["undecided"] if role == "undecided" else [])):
            combo.addItem(_swatch(ROLE_COLORS[name]), name)
        combo.setCurrentText(role)
        combo.setToolTip(f"What the contours of {shown(group)} count as")
        combo.setAccessibleName(shown(group))
        combo.currentTextChanged.connect(partial(self._on_role, group))
        return combo

    def _on_role(self, group: str, role: Any) -> None:
        contours = self._controller.contours
        if contours is not None and role in ROLES:
            recast(self._controller, contours.with_roles({group: role}))

    def _on_cropped(self, cropped: bool) -> None:
        contours = self._controller.contours
        if contours is not None:
            recast(self._controller, contours.counted_from(self._bounds if cropped else (0, 0)))


def recast(controller: Controller, contours: Contours) -> None:
    """Draw the open contours as they are given, and derive the tile labels of open bags from them again."""
    controller.stage.change_contours(contours)
    cohort = controller.cohort
    if cohort is None:
        return
    drawn = [bag.contours_path == contours.path for bag in cohort.bags]
    if any(drawn):
        bags = [with_truth(bag, contours) if own else bag for bag, own in zip(cohort.bags, drawn, strict=True)]
        controller.set_cohort(replace(cohort, bags=tuple(bags)))


def _swatch(colour: str) -> QIcon:
    picture = QPixmap(12, 12)
    picture.fill(QColor(colour))
    return QIcon(picture)
