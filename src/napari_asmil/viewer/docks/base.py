"""What every dock is: a scroll area of rows, a view of the controller that may be closed at any time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_asmil.viewer.controller import Controller

MIN_WIDTH = 280


class Dock(QScrollArea):
    """Base of the docks: `self.controller`, and `self.body`, a column that scrolls.

    Connect the controller's signals to bound methods only: they hold the dock weakly, so a closed dock is freed.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.controller = Controller.of(napari_viewer)
        inner = QWidget()
        self.body = QVBoxLayout(inner)
        self.body.setContentsMargins(6, 6, 6, 6)
        self.body.setSpacing(6)
        self.body.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """As wide as the rows need, so that none is cut off."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(max(MIN_WIDTH, self.widget().minimumSizeHint().width() + bar), MIN_WIDTH // 2)

    def sizeHint(self) -> QSize:
        """The least width, and as much height as there is."""
        return QSize(self.minimumSizeHint().width(), self.widget().sizeHint().height())

    def event(self, event: QEvent) -> bool:
        """Leave the plugin's name out of the title on a tab, where there is room for little more than ours."""
        dock = self.parentWidget()
        if event.type() == QEvent.Type.ParentChange and isinstance(dock, QDockWidget):
            dock.setWindowTitle(dock.windowTitle().removesuffix(" (napari-asmil)"))
        taken: bool = super().event(event)
        return taken

    def showEvent(self, event: QShowEvent) -> None:
        """Let the controller know the window it lives in, so that closing it ends the job."""
        super().showEvent(event)
        self.controller.live_in(self.window())

    def add_group(self, title: str) -> QFormLayout:
        """A titled group of labelled rows."""
        box = QGroupBox(title)
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setContentsMargins(6, 6, 6, 6)
        form.setVerticalSpacing(5)
        self.body.addWidget(box)
        return form


def add_row(form: QFormLayout, label: str, field: QWidget, tip: str) -> None:
    """A labelled field; label and field tell what it is for."""
    field.setToolTip(tip)
    field.setAccessibleName(label)
    form.addRow(label, field)
    form.labelForField(field).setToolTip(tip)


def waiting(owner: QObject, ms: int, then: Callable[[], object]) -> QTimer:
    """A timer that calls `then` once, `ms` after it was started last; it lives as long as `owner`."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(ms)
    timer.timeout.connect(then)
    return timer


class PathField(QWidget):
    """A path that can be typed, or chosen as a file or a folder."""

    changed = Signal()

    def __init__(self, choices: dict[str, str], hint: str) -> None:
        """`choices` maps what a button offers to a file filter, "" for a folder and ">" for a file to write."""
        super().__init__()
        self._choices = choices
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.editingFinished.connect(self.changed)
        self.button = QToolButton()
        self.button.setText("…")
        self.button.setToolTip(", ".join(choices))
        if len(choices) == 1:
            self.button.clicked.connect(lambda: self._choose(next(iter(choices))))
        else:
            menu = QMenu(self.button)
            for name in choices:
                menu.addAction(name, lambda name=name: self._choose(name))
            self.button.setMenu(menu)
            self.button.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # it would lie on the dots
            self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        row.addWidget(self.button)

    @property
    def path(self) -> Path | None:
        """The path, or None where the field is empty."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def setToolTip(self, tip: str) -> None:
        """Say what the field is for wherever the pointer is over it."""
        super().setToolTip(tip)
        self.line.setToolTip(tip)
        self.line.setAccessibleDescription(tip)

    def set_path(self, path: Path | None) -> None:
        """Fill the field."""
        self.line.setText("" if path is None else str(path))
        self.line.setCursorPosition(0)
        self.changed.emit()

    def _choose(self, name: str) -> None:
        kind, start = self._choices[name], str(self.path or "")
        if kind == "":
            chosen = QFileDialog.getExistingDirectory(self, name, start)
        elif kind == ">":
            chosen, _ = QFileDialog.getSaveFileName(self, name, start)
        else:
            chosen, _ = QFileDialog.getOpenFileName(self, name, start, kind)
        if chosen:
            self.set_path(Path(chosen))
