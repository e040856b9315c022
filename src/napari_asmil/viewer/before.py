"""A viewer as it was: what comparing maps changes, and puts back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def camera_of(viewer: Any) -> dict[str, Any]:
    """Where the camera of a viewer is."""
    return {name: getattr(viewer.scene.camera, name) for name in ("center", "zoom")}


def set_camera(viewer: Any, values: dict[str, Any]) -> None:
    """Put the camera where `camera_of` found it."""
    for name, value in values.items():
        setattr(viewer.scene.camera, name, value)


@dataclass(frozen=True)
class Before:
    """What a comparison changes: which layers in which order, what is visible and selected, grid and camera."""

    order: list[Any]
    visible: list[bool]
    selected: list[Any]
    grid: dict[str, Any]
    camera: dict[str, Any]

    @classmethod
    def of(cls, viewer: Any) -> Before:
        """A viewer as it is now."""
        order = list(viewer.layers)
        return cls(
            order,
            [layer.visible for layer in order],
            list(viewer.layers.selection),
            {name: getattr(viewer.canvas.grid, name) for name in ("stride", "shape", "spacing", "enabled")},
            camera_of(viewer),
        )

    def restore(self, viewer: Any) -> None:
        """Put it back; layers that were deleted meanwhile stay away."""
        there = [
            (layer, visible) for layer, visible in zip(self.order, self.visible, strict=True) if layer in viewer.layers
        ]
        for at, (layer, visible) in enumerate(there):
            layer.visible = visible
            viewer.layers.move(viewer.layers.index(layer), at)
        viewer.layers.selection = {layer for layer in self.selected if layer in viewer.layers}
        for name, value in self.grid.items():
            setattr(viewer.canvas.grid, name, value)
        set_camera(viewer, self.camera)
