"""Marks on the canvas: outlines of the selected tiles, a box around the pinned one, and the path of a lasso."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.places import around, outline
from napari_asmil.geometry import TileRaster
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.runs import RunSlide
    from napari_asmil.viewer.controller import Controller

SELECTED, PINNED = "#ff5a00", "#ff2fd0"
"""Neither in viridis nor near the cyan of contours."""
OUTSET = 0.08
"""How far the box lies outside its tile, as a share of the tile's edge."""

Segments = NDArray[np.float64]


class Marks:
    """One Vectors layer, there while anything is marked; one that a person deletes comes back at the next change.

    While maps lie side by side nothing is marked: napari would draw the marks in one of the panes alone.
    """

    def __init__(self, controller: Controller) -> None:
        self._owner = ref(controller)
        self._held_back = False
        controller.selection.changed.connect(self.draw)
        controller.selection.pin_changed.connect(self.draw)
        controller.map_changed.connect(self._on_map)

    @property
    def layer(self) -> Any | None:
        """The layer, or None while nothing is marked."""
        controller = self._owner()
        if controller is None or controller.viewer is None:
            return None
        return next((la for la in controller.viewer.layers if layers.entry(la).get("kind") == layers.MARKS), None)

    def draw(self) -> None:
        """Mark what is selected and pinned now."""
        controller = self._owner()
        if controller is None or controller.viewer is None:
            return
        selection, parts = controller.selection, []
        if controller.map is not None:
            slide = controller.map.slide
            if selection.tiles is not None:
                parts.append((around_tiles(slide, selection.tiles), SELECTED))
            if selection.pinned is not None:
                parts.append((around_tile(slide, selection.pinned), PINNED))
        self._show(parts, f"selected: {selection.words}" if selection.words else "selected tiles")

    def draw_path(self, path: Sequence[Sequence[float]]) -> None:
        """Show the path of a lasso (y, x), closed, in place of the marks until they are drawn again."""
        ring = np.asarray(path, dtype=np.float64)
        if len(ring) > 1:
            self._show([(np.stack([ring, np.roll(ring, -1, axis=0) - ring], axis=1), SELECTED)], "lasso")

    def _on_map(self) -> None:
        """Make room for panes, and come back when they are gone."""
        controller = self._owner()
        if controller is not None and beside(controller) != self._held_back:
            self.draw()

    def _show(self, parts: Sequence[tuple[Segments, str]], name: str) -> None:
        controller, layer = self._owner(), self.layer
        assert controller is not None
        viewer = controller.viewer
        self._held_back = beside(controller)
        if not parts or self._held_back:
            if layer is not None:
                viewer.layers.remove(layer)
            return
        segments = np.concatenate([part for part, _ in parts])
        colours = np.repeat([colour for _, colour in parts], [len(part) for part, _ in parts])
        if layer is None:
            selected = list(viewer.layers.selection)
            viewer.layers.append(layers.make(layers.lines_data(segments, viewer.scene.camera.zoom)))
            viewer.layers.selection = selected  # a layer that is added takes the selection
            layer = self.layer
            assert layer is not None
        else:
            layer.data = segments
        layer.edge_color = _rgba(colours)
        layer.name = name


def beside(controller: Controller) -> bool:
    """Whether maps lie side by side."""
    return controller.comparison.active and not controller.comparison.swiping


def around_tiles(slide: RunSlide, tiles: NDArray[np.bool_]) -> Segments:
    """Outlines of these tiles, bool (M,), in world coordinates (N, 2, 2), each a start and its extent."""
    assert slide.tiles is not None
    raster = slide.tiles.drawing
    if not isinstance(raster, TileRaster):
        return around(slide.tiles.xy[tiles], slide.tiles.size)
    segments = outline(raster.to_image(tiles) > 0) * raster.pixel
    segments[:, 0] += raster.origin
    return segments


def around_tile(slide: RunSlide, tile: int) -> Segments:
    """A box a little larger than a tile, in world coordinates (4, 2, 2)."""
    assert slide.tiles is not None
    half = slide.tiles.size * (0.5 + OUTSET)
    corners = slide.tiles.centres[tile] + half * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    return np.stack([corners, np.roll(corners, -1, axis=0) - corners], axis=1)


def _rgba(colours: NDArray[np.str_]) -> NDArray[np.float64]:
    """Colours ``#rrggbb`` as (N, 4)."""
    names, which = np.unique(colours, return_inverse=True)
    numbers = [[int(name[at : at + 2], 16) / 255 for at in (1, 3, 5)] + [1.0] for name in names.tolist()]
    return np.array(numbers)[which]
