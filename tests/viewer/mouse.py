"""Mouse events of a widget, each of them delivered: Qt's own test moves are merged before they arrive.

A canvas of vispy hears no more than a hundred moves a second, so the pointer is moved at a hand's pace.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

PACE_MS = 12
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def send(widget: QWidget, kind: QEvent.Type, at: QPoint, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
    """Deliver one event now."""
    where = QPointF(widget.mapToGlobal(at))
    QApplication.sendEvent(widget, QMouseEvent(kind, QPointF(at), where, button, held, Qt.KeyboardModifier.NoModifier))


def move(widget: QWidget, at: QPoint, held: Qt.MouseButton = NONE) -> None:
    """Move the pointer there."""
    QTest.qWait(PACE_MS)
    send(widget, QEvent.Type.MouseMove, at, NONE, held)


def drag(widget: QWidget, points: Sequence[QPoint]) -> None:
    """Press the left button at the first point, move along the others, release at the last."""
    send(widget, QEvent.Type.MouseButtonPress, points[0], LEFT, LEFT)
    for begin, end in itertools.pairwise(points):
        for part in (0.25, 0.5, 0.75, 1.0):
            move(widget, begin + (end - begin) * part, LEFT)
    send(widget, QEvent.Type.MouseButtonRelease, points[-1], LEFT, NONE)
