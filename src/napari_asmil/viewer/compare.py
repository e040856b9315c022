"""Two to four maps side by side: napari's grid, one camera, each pane with slide, map and contours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.experimental import link_layers, unlink_layers

from napari_asmil.errors import InputError
from napari_asmil.runs import MapView
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.runs import Run, Source
    from napari_asmil.viewer.stage import Stage

MAX_CELLS = 4
LINKED = ("colormap", "opacity", "gamma", "interpolation2d")
"""What a person changes in one pane changes in all."""
SPACING = 4
"""Screen px between panes."""


@dataclass(frozen=True)
class Cell:
    """One pane: a run, where its map comes from, and both in words."""

    run: Run
    source: Source
    label: str


def cell_of(view: MapView) -> Cell:
    """What is compared when a map is put on the list."""
    return Cell(view.run, view.source, f"{view.run.name} · {view.run.label}: {view.source_label}")


class Comparison:
    """Panes of one slide in the grid; leaving puts layers, order, grid and camera back as they were.

    Attributes
    ----------
    picked : list of Cell
        What is to be compared.
    cells : tuple of Cell
        What the panes show; empty while there are none.
    shared : bool
        The same colour limits in all panes, so that one colour is one number.
    """

    def __init__(self, viewer: Any, stage: Stage, limit: Callable[[], None]) -> None:
        self._viewer: Callable[[], Any] = ref(viewer)
        self._stage = stage
        self._limit = limit
        self._layers: list[Any] = []
        self._before: _Before | None = None
        self.picked: list[Cell] = []
        self.cells: tuple[Cell, ...] = ()
        self.shared = True

    @property
    def active(self) -> bool:
        """Whether panes are shown."""
        return bool(self.cells)

    @property
    def maps(self) -> list[Any]:
        """The map layer of each pane, as far as nobody has deleted it."""
        there = self._viewer().layers
        return [layer for layer in self._layers if layers.entry(layer)["kind"] == "map" and layer in there]

    def enter(self, cells: Sequence[Cell], slide_id: str, transform: str) -> None:
        """Show `cells` side by side, in place of the panes that are there.

        Raises
        ------
        InputError
            When there are not 2 to 4 cells, or a run cannot give its map.
        """
        if not 2 <= len(cells) <= MAX_CELLS:
            raise InputError(f"A comparison has 2 to {MAX_CELLS} panes, not {len(cells)}.")
        views = [MapView(cell.run, slide_id, cell.source, transform) for cell in cells]
        self.leave()
        viewer = self._viewer()
        self._before = _Before.of(viewer)
        for layer in viewer.layers:
            layer.visible = False
        panes = [self._pane(view, at) for at, view in enumerate(views)]
        self._layers = [layer for pane in panes for layer in pane]
        for at, layer in enumerate(self._layers):
            viewer.layers.insert(at, layer)  # lowest: that is where napari starts to count panes
        viewer.layers.selection = {self.maps[0]}
        grid, shape = viewer.canvas.grid, _shape(len(cells), viewer.canvas.size, self._layers[0].extent.world)
        grid.stride, grid.shape, grid.spacing, grid.enabled = len(panes[0]), shape, SPACING, True
        self.cells, self.picked = tuple(cells), list(cells)
        self.share(self.shared)
        viewer.fit_to_view()

    def show(self, transform: str) -> None:
        """Show all panes through another display transform."""
        for layer in self.maps:
            layer.data.set(transform=transform)
            layers.redraw(layer)
        self._limit()

    def share(self, shared: bool) -> None:
        """The same colour limits in all panes, or each its own."""
        self.shared = shared
        unlink_layers(self.maps)
        link_layers(self.maps, (*LINKED, *(("contrast_limits",) if shared else ())))
        for at, layer in enumerate(self.maps):
            layers.show_colour_bar(layer, at == 0 or not shared)
        self._limit()

    def leave(self) -> None:
        """Take the panes away."""
        if self._before is None:
            return
        viewer = self._viewer()
        unlink_layers(self.maps)
        self.cells = ()
        viewer.canvas.grid.enabled = False
        for layer in self._layers:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        self._layers = []
        before, self._before = self._before, None
        before.restore(viewer)
        self._limit()

    def _pane(self, view: MapView, at: int) -> list[Any]:
        """Slide, map and contours of one pane."""
        stage, shown = self._stage, self._stage.map_layer
        looks = {} if shown is None else {"colormap": shown.colormap, "opacity": shown.opacity}
        data = [
            None if stage.slide is None else (*layers.slide_data(stage.slide), {}),
            (*layers.map_data(view), looks),
            None if stage.contours is None else (*layers.contours_data(stage.contours), {}),
        ]
        made = [layers.make(entry[:3], **entry[3]) for entry in data if entry is not None]
        for layer in made:
            layers.entry(layer)["cell"] = at
            layer.name = layers.pane_name(at, layer.name)
            layer.name_overlay.visible = layers.entry(layer)["kind"] == "map"
            layer.name_overlay.font_size = layers.FONT_SIZE
        return made


def _shape(count: int, canvas: Sequence[float], extent: Any) -> tuple[int, int]:
    """Rows and columns in which `count` panes show their picture the largest."""
    high, wide = (extent[1] - extent[0])[-2:]
    shapes = [(rows, -(-count // rows)) for rows in range(1, count + 1)]
    return max(shapes, key=lambda shape: min(canvas[0] / shape[0] / high, canvas[1] / shape[1] / wide))


@dataclass(frozen=True)
class _Before:
    """What a comparison changes: which layers in which order, what is visible and selected, grid and camera."""

    order: list[Any]
    visible: list[bool]
    selected: list[Any]
    grid: dict[str, Any]
    camera: dict[str, Any]

    @classmethod
    def of(cls, viewer: Any) -> _Before:
        order = list(viewer.layers)
        return cls(
            order,
            [layer.visible for layer in order],
            list(viewer.layers.selection),
            {name: getattr(viewer.canvas.grid, name) for name in ("stride", "shape", "spacing", "enabled")},
            {name: getattr(viewer.scene.camera, name) for name in ("center", "zoom")},
        )

    def restore(self, viewer: Any) -> None:
        for layer, visible in zip(self.order, self.visible, strict=True):
            layer.visible = visible
        for at, layer in enumerate([layer for layer in self.order if layer in viewer.layers]):
            viewer.layers.move(viewer.layers.index(layer), at)
        viewer.layers.selection = {layer for layer in self.selected if layer in viewer.layers}
        for model, values in ((viewer.canvas.grid, self.grid), (viewer.scene.camera, self.camera)):
            for name, value in values.items():
                setattr(model, name, value)
