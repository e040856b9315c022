"""Line segments that are drawn on the slide as a layer of their own kind, one at a time."""

from __future__ import annotations

from typing import Any

from napari_asmil.viewer import layers

MOST_LINES = 200_000
"""More are not drawn: the window would be felt to wait for them."""


def layer_of(viewer: Any, kind: str) -> Any | None:
    """The layer of the kind, or None."""
    return next((layer for layer in viewer.layers if layers.entry(layer).get("kind") == kind), None)


def show(viewer: Any, kind: str, segments: Any, **looks: Any) -> bool:
    """Draw segments in place of those drawn; False where they are too many. The selection stays as it is."""
    hide(viewer, kind)
    if len(segments) > MOST_LINES:
        return False
    selected = list(viewer.layers.selection)
    data = layers.lines_data(segments, viewer.scene.camera.zoom, kind)
    viewer.layers.append(layers.make(data, **looks))
    viewer.layers.selection = selected  # a layer that is added takes the selection
    return True


def hide(viewer: Any, kind: str) -> None:
    """Take the lines of the kind away."""
    layer = layer_of(viewer, kind)
    if layer is not None:
        viewer.layers.remove(layer)
