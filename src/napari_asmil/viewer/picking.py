"""The pointer on the canvas: where it is, what it clicks, and the path of a lasso."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

HOVER_MS = 30
"""The pointer is told of at most this often."""
SLACK_PX = 4
"""A press that moves no farther is a click."""
STEP_PX = 3
"""Between two corners of a lasso, on the screen."""

Place = tuple[float, float]
"""A point (y, x) in world coordinates."""


class Picker:
    """Listens to one viewer's canvas while it is asked to; the camera keeps its own drags.

    With `lasso` on, dragging with the left button draws a path in place of moving the camera.
    """

    hovered = Signal(object, description="The pointer is at this `Place` of the slide, or None: it is in no plane.")
    clicked = Signal(float, float, description="A place was clicked with the left button, without dragging.")
    drawn = Signal(object, description="The lasso goes along these places so far.")
    closed = Signal(object, description="The lasso went along these places.")

    def __init__(self, viewer: Any) -> None:
        self._viewer: Callable[[], Any] = ref(getattr(viewer, "__wrapped__", viewer))
        self._lasso = False
        self._before: tuple[Any, bool] = (None, True)
        self._place: Place | None = None
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(HOVER_MS)
        self._soon.timeout.connect(self._tell)
        self._move, self._drag = _callbacks(ref(self))

    @property
    def listening(self) -> bool:
        """Whether the pointer is heard."""
        viewer = self._viewer()
        return viewer is not None and self._move in viewer.mouse_move_callbacks

    def listen(self) -> None:
        """Hear the pointer from now on."""
        viewer = self._viewer()
        if viewer is not None and not self.listening:
            viewer.mouse_move_callbacks.append(self._move)
            viewer.mouse_drag_callbacks.append(self._drag)

    def ignore(self) -> None:
        """Hear the pointer no more; a lasso is put away."""
        self.set_lasso(False)
        with suppress(RuntimeError):  # Qt's own end takes the timer first
            self._soon.stop()
        viewer = self._viewer()
        if viewer is not None and self.listening:
            viewer.mouse_move_callbacks.remove(self._move)
            viewer.mouse_drag_callbacks.remove(self._drag)

    @property
    def lasso(self) -> bool:
        """Whether dragging draws a path."""
        return self._lasso

    def set_lasso(self, lasso: bool) -> None:
        """Let dragging draw a path, or move the camera as it did before."""
        viewer = self._viewer()
        if viewer is None or lasso == self._lasso:
            return
        self._lasso = lasso
        camera = viewer.scene.camera
        if lasso:
            self._before = viewer.layers.selection.active, camera.mouse_pan
            camera.mouse_pan = False
            camera.events.mouse_pan.connect(self._keep_still)
        else:
            camera.events.mouse_pan.disconnect(self._keep_still)
            active, pans = viewer.layers.selection.active, self._before[1]
            if active is not self._before[0]:  # another layer is selected now, and its mode says whether one pans
                pans = active is None or active.mouse_pan
            camera.mouse_pan, self._before = pans, (None, True)

    def _keep_still(self) -> None:
        """When another layer is selected, napari lets the camera go."""
        viewer = self._viewer()
        if viewer is not None and viewer.scene.camera.mouse_pan:
            viewer.scene.camera.mouse_pan = False

    def on_move(self, event: Any) -> None:
        """Take note of where the pointer is."""
        self._place = _place(event)
        if not self._soon.isActive():
            self._soon.start()

    def on_drag(self, event: Any) -> Iterator[None]:
        """Tell a click from a drag, and follow a lasso."""
        if event.button != 1 or event.modifiers or _place(event) is None or not _at_rest(self._viewer()):
            return
        lasso, start, path = self._lasso, np.array(event.pos), [_place(event)]
        last, far = start, False
        yield
        while event.type == "mouse_move":
            at = np.array(event.pos)
            far = far or np.abs(at - start).max() > SLACK_PX
            if lasso and np.abs(at - last).max() >= STEP_PX:
                last = at
                path.append(_place(event))
                self.drawn.emit(path)
            yield
        if lasso and len(path) > 2:
            self.closed.emit(path)
        elif not far and path[0] is not None:
            self.clicked.emit(*path[0])

    def _tell(self) -> None:
        self.hovered.emit(self._place)


def _place(event: Any) -> Place | None:
    """Where an event is on the slide, None in a view that does not show the slide's plane."""
    count = len(event.position)
    if list(event.dims_displayed) != [count - 2, count - 1]:
        return None
    y, x = event.position[-2:]
    return float(y), float(x)


def _at_rest(viewer: Any) -> bool:
    """Whether the selected layer leaves the pointer to the camera: it is not being painted or moved."""
    active = viewer.layers.selection.active
    return active is None or active.mode == "pan_zoom"


def _callbacks(picker: ref[Picker]) -> tuple[Callable[..., None], Callable[..., Iterator[None]]]:
    """What napari calls, which must be functions and must not hold the picker."""

    def move(viewer: Any, event: Any) -> None:
        if (there := picker()) is not None:
            there.on_move(event)

    def drag(viewer: Any, event: Any) -> Iterator[None]:
        if (there := picker()) is not None:
            yield from there.on_drag(event)

    return move, drag
