"""Two maps over one slide, divided by a line that is moved: left of it is A, right of it B."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakMethod, ref

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileRaster
from napari_asmil.runs import MapView
from napari_asmil.viewer import layers

GRIP = 6.0
"""Screen px beside the line where it is still taken hold of."""
NO_COLUMNS = "Maps are swiped by the columns of their tiles, and the tiles of this slide share none."
COLOUR = "#e00000"
"""Neither in maps nor in stained slides."""


class HalfMap(MapView):
    """A map that is drawn on one side of a line alone; its values and limits are those of the whole map.

    Attributes
    ----------
    left : bool
        Which side is drawn.
    border : float
        Where the line is, an x in world coordinates; a raster pixel belongs to the side on which its centre lies.
    """

    left = True
    border = np.inf

    def _drawn(self, step: int) -> NDArray[np.float32]:
        image = super()._drawn(step).copy()
        x = (self.border - self.raster.origin[1]) / self.raster.pixel
        column = int(np.clip(np.ceil(x), 0, image.shape[1]))
        hidden = slice(column, None) if self.left else slice(column)
        image[:, hidden] = np.nan
        return image


def check_columns(views: Sequence[MapView]) -> None:
    """Refuse maps that have no columns at which they could be divided.

    Raises
    ------
    InputError
        With the reason.
    """
    if not all(isinstance(view.drawing, TileRaster) for view in views):
        raise InputError(NO_COLUMNS, remedy="Compare them side by side.")


class Border:
    """The line between two maps: it can be dragged, and moved with `move`.

    Attributes
    ----------
    x : float
        Where it is, in world coordinates.
    low, high : float
        Where the maps begin and end.
    """

    moved = Signal(float, description="The line is at another x.")

    def __init__(self, viewer: Any, a: Any, b: Any) -> None:
        self._viewer: Callable[[], Any] = ref(viewer)
        self._halves = (a, b)
        a.data.left, b.data.left = True, False
        sides = [side for layer in self._halves for side in _sides(layer.data)]
        ends = [edge for layer in self._halves for edge in _sides(layer.data, axis=0)]
        self.low, self.high = min(sides), max(sides)
        self.x = (self.low + self.high) / 2
        self.layer = layers.make(_line(min(ends), max(ends), layers.CONTOUR_WIDTH / viewer.scene.camera.zoom))
        self._drag = _dragger(WeakMethod(self._follow))
        viewer.mouse_drag_callbacks.append(self._drag)
        self.move(self.x)

    @property
    def steps(self) -> int:
        """Over how many tile edges it can be moved."""
        pixel: int = self._halves[0].data.raster.pixel
        return max(1, round((self.high - self.low) / pixel))

    def move(self, x: float) -> None:
        """Move the line to the edge of a tile of A next to an x in world coordinates, as far as there are maps."""
        first, pixel = _sides(self._halves[0].data)[0], self._halves[0].data.raster.pixel
        self.x = float(np.clip(first + round((x - first) / pixel) * pixel, self.low, self.high))
        viewer = self._viewer()
        for layer in self._halves:
            layer.data.border = self.x
            if layer in viewer.layers:
                layer.refresh(extent=False)
        self.layer.translate = (0, self.x)
        self.moved.emit(self.x)

    def remove(self) -> None:
        """Let go of the pointer."""
        viewer = self._viewer()
        if self._drag in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._drag)

    def _follow(self, viewer: Any, event: Any) -> Iterator[None]:
        """Move with the pointer, in place of the camera, when the press was on the line."""
        there = self.layer in viewer.layers and self.layer.visible
        if event.button != 1 or not there or abs(event.position[-1] - self.x) * viewer.scene.camera.zoom > GRIP:
            return
        event.handled = True
        yield
        while event.type == "mouse_move":
            self.move(event.position[-1])
            event.handled = True
            yield


def _sides(view: MapView, axis: int = 1) -> Sequence[float]:
    """Where a map begins and ends along an axis, in world coordinates."""
    first, pixel = view.raster.origin[axis] - view.raster.pixel / 2, view.raster.pixel
    return first, first + view.raster.shape[axis] * pixel


def _line(top: float, bottom: float, width: float) -> layers.LayerData:
    properties = {
        "ndim": 2,
        "name": "A | B",
        "vector_style": "line",
        "edge_color": COLOUR,
        "edge_width": width,
        "opacity": 1.0,
        "axis_labels": ("y", "x"),
        "units": ("pixel", "pixel"),
        "metadata": {layers.KEY: {"kind": layers.BORDER}},
    }
    return np.array([[[top, 0.0], [bottom - top, 0.0]]]), properties, "vectors"


def _dragger(follow: WeakMethod[Callable[..., Iterator[None]]]) -> Callable[..., Iterator[None]]:
    """What napari calls, which must not hold the line."""

    def drag(viewer: Any, event: Any) -> Iterator[None]:
        if (there := follow()) is not None:
            yield from there(viewer, event)

    return drag
