"""What every dock is: a scroll area of rows, a view of the controller that may be closed at any time."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

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
        self.setMinimumWidth(MIN_WIDTH)

    def showEvent(self, event: QShowEvent) -> None:
        """Let the controller know the window it lives in, so that closing it ends the job."""
        super().showEvent(event)
        self.controller.live_in(self.window())
