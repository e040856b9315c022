"""Which map is looked at tile by tile, and its numbers at the epoch under the slider, each derived once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.places import TileFinder
from napari_asmil.errors import InputError
from napari_asmil.render.facts import whole_map
from napari_asmil.runs import MapView
from napari_asmil.runs.trajectory import why_other_tiles
from napari_asmil.viewer.layers import entry, view_of

if TYPE_CHECKING:
    from napari_asmil.geometry import TileGrid
    from napari_asmil.viewer.controller import Controller
    from napari_asmil.viewer.selection import Mask

Made = TypeVar("Made")


class Inspected:
    """The map that is shown; while maps are compared, that of the pane whose layer is selected, else the first."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._kept: dict[str, tuple[Any, Any]] = {}

    @property
    def layer(self) -> Any | None:
        """The layer of the map; None where none is shown. A pane that shows no attention map is passed over."""
        controller = self._controller
        if controller.viewer is None:
            return None
        panes = [layer for layer in controller.comparison.maps if isinstance(view_of(layer), MapView)]
        active = controller.viewer.layers.selection.active
        return active if active in panes else panes[0] if panes else controller.map_layer

    @property
    def view(self) -> MapView | None:
        """The map; None where none is shown."""
        layer = self.layer
        view = None if layer is None else view_of(layer)
        return view if isinstance(view, MapView) else None

    @property
    def pane(self) -> str:
        """Which pane it is, in words; "" outside a comparison."""
        if not self._controller.comparison.active:
            return ""
        cell = None if self.layer is None else entry(self.layer).get("cell")
        return "the map before the comparison" if cell is None else f"pane {cell + 1}"

    @property
    def other_tiles(self) -> str:
        """Why its tiles are not those that can be selected and pinned, those of the map that is marked; else ""."""
        view, marked = self.view, self._controller.map
        if view is None or marked is None or view.slide is marked.slide:
            return ""
        key = (view.run, marked.slide)
        return self._keep("tiles", key, lambda: why_other_tiles(view.run, marked.slide))

    @property
    def chosen(self) -> Mask | None:
        """Which of its tiles are selected, bool (M,); None where none is, or they are others."""
        return None if self.other_tiles else self._controller.selection.tiles

    @property
    def pinned(self) -> int | None:
        """Which of its tiles is pinned; None where none is, or they are others."""
        return None if self.other_tiles else self._controller.selection.pinned

    def epoch(self) -> int:
        """The epoch of the run that is shown.

        Raises
        ------
        InputError
            When no map is shown, or its run has no such epoch.
        """
        return self._view().epoch_at(self._controller.epoch)

    def p(self) -> NDArray[np.float64]:
        """Probabilities, float64 (M,).

        Raises
        ------
        InputError
            As `epoch`, or when the map is lost or no numbers.
        """
        view, epoch = self._view(), self.epoch()
        return self._keep("p", (view.run, view.slide.slide_id, view.source, epoch), lambda: whole_map(view, epoch))

    def values(self) -> NDArray[np.float64]:
        """What is shown of each tile in the transform's unit, float64 (M,); raises as `p`."""
        view, p = self._view(), self.p()
        key = (view.run, view.slide.slide_id, view.source, self.epoch(), view.transform_name)
        return self._keep("values", key, lambda: view.transform.values(p))

    def tile_at(self, y: float, x: float) -> int | None:
        """The tile at a place in world coordinates."""
        tiles = self._view().slide.tiles
        assert tiles is not None
        return self._finder(tiles).at(y, x)

    def _finder(self, tiles: TileGrid) -> TileFinder:
        return self._keep("finder", tiles, lambda: TileFinder(tiles.xy, tiles.size))

    def _view(self) -> MapView:
        view = self.view
        if view is None:
            raise InputError("No map is shown.", remedy="Open a run in Open slide and bags.")
        return view

    def _keep(self, name: str, key: Any, make: Callable[[], Made]) -> Made:
        """What was made for this key, or is now."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != key:
            kept = self._kept[name] = key, make()
        made: Made = kept[1]
        return made
