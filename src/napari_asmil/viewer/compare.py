"""Two to six maps at once: panes of napari's grid under one camera, or two of them divided by a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.experimental import link_layers, unlink_layers

from napari_asmil.errors import InputError
from napari_asmil.runs import MapView
from napari_asmil.runs.contrast import Difference, Kind, check_attention, check_same_tiles
from napari_asmil.runs.view import NOW, When
from napari_asmil.viewer import layers
from napari_asmil.viewer.before import Before, camera_of, set_camera
from napari_asmil.viewer.swipe import Border, HalfMap, check_columns

if TYPE_CHECKING:
    from napari_asmil.runs import LazyMaps, Run, Source
    from napari_asmil.viewer.idle import Idle
    from napari_asmil.viewer.stage import Stage

MAX_CELLS = 6
LINKED = ("colormap", "opacity", "gamma", "interpolation2d")
"""What a person changes in one pane changes in all."""
SPACING = 4
"""Screen px between panes."""
DIVERGING = "BrBG"
"""Colours of a difference, which a stained slide has not: brown below, teal above, white where both are alike."""

MENDING = "mending panes"


@dataclass(frozen=True)
class Cell:
    """One of the maps: a run, where its map comes from, all of it in words, and which epoch it is at."""

    run: Run
    source: Source
    label: str
    when: When = NOW

    def view(self, kind: type[MapView], slide_id: str, transform: str, along: Sequence[Run]) -> MapView:
        """The map on a slide."""
        return kind(self.run, slide_id, self.source, transform, self.when, along)


def cell_of(view: MapView, when: When | None = None) -> Cell:
    """What is compared when a map is put on the list, at its own epoch or at another."""
    when = when or view.when
    said = ", ".join(filter(None, [view.source_label, when.label]))
    return Cell(view.run, view.source, f"{view.run.name} · {view.run.label}: {said}", when)


class Comparison:
    """Maps of one slide at once; leaving puts layers, order, grid and camera back as they were.

    Attributes
    ----------
    picked : list of Cell
        What is to be compared.
    cells : tuple of Cell
        What is compared; empty while nothing is.
    pair : (int, int)
        Which two of the cells are A and B.
    refusal : str
        Why A and B cannot be set off against each other; empty when they can.
    difference : {"log2", "plain"} or None
        What the pane beside the others shows of A and B.
    swiping : bool
        Show A and B in one place, divided by a line, rather than all cells side by side.
    border : Border or None
        That line, while it is there.
    shared : bool
        The same colour limits for all maps, so that one colour is one number.
    """

    def __init__(self, viewer: Any, stage: Stage, idle: Idle, limit: Callable[[], None]) -> None:
        self._viewer: Callable[[], Any] = ref(viewer)
        self._stage, self._idle = stage, idle
        self._limit = limit
        self._panes: list[list[Any]] = []
        self._views: list[MapView] = []
        self._before: Before | None = None
        self._fitted: Any = None
        self.picked: list[Cell] = []
        self.cells: tuple[Cell, ...] = ()
        self.pair, self.refusal = (0, 1), ""
        self.difference: Kind | None = None
        self.swiping, self.shared = False, True
        self.border: Border | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def active(self) -> bool:
        """Whether maps are compared."""
        return bool(self.cells)

    @property
    def maps(self) -> list[Any]:
        """The map layer of each cell that is shown, as far as nobody has deleted it."""
        return [layer for layer in self._there() if layers.entry(layer)["kind"] == "map"]

    @property
    def difference_layer(self) -> Any | None:
        """The layer that shows how A and B differ."""
        return next((la for la in self._there() if layers.entry(la)["kind"] == layers.DIFFERENCE), None)

    @property
    def views(self) -> tuple[MapView, MapView] | None:
        """The maps A and B, where they are of the same tiles."""
        if not self.active or self.refusal:
            return None
        return self._views[self.pair[0]], self._views[self.pair[1]]

    # ---- entering and leaving -----------------------------------------------------------------

    def enter(self, cells: Sequence[Cell], slide_id: str, transform: str) -> None:
        """Show `cells`, side by side or swiped, in place of those that are there.

        Raises
        ------
        InputError
            When there are not 2 to 6 cells, or a run cannot give its map.
        """
        if not 2 <= len(cells) <= MAX_CELLS:
            raise InputError(f"A comparison has 2 to {MAX_CELLS} panes, not {len(cells)}.")
        runs = list(dict.fromkeys(cell.run for cell in cells))
        kind = HalfMap if self.swiping else MapView
        views = [cell.view(kind, slide_id, transform, runs) for cell in cells]
        if self.swiping:
            check_columns(views)
        self.leave()
        self._before = Before.of(self._viewer())
        self._views, self._fitted = views, None
        self.cells, self.picked = tuple(cells), list(cells)
        if max(self.pair) >= len(cells):
            self.pair = (0, 1)
        self._judge_pair()
        (self._swipe if self.swiping else self._lay_side_by_side)()
        self._viewer().layers.selection = {self.maps[0]}
        self.share(self.shared)

    def leave(self) -> None:
        """Take the maps away."""
        if self._before is None:
            return
        viewer = self._viewer()
        self._idle.drop(MENDING)
        if maps := self.maps:
            unlink_layers(maps)
        self.cells, gone, self._panes, self._views = (), self._there(), [], []
        if self.border is not None:
            self.border.remove()
            self.border = None
        viewer.canvas.grid.enabled = False
        for layer in gone:
            viewer.layers.remove(layer)
        before, self._before = self._before, None
        before.restore(viewer)
        self._limit()

    def forget(self, run: Run) -> None:
        """Compare no more maps of a run that is closed."""
        if any(cell.run is run for cell in self.cells):
            self.leave()
        self.picked = [cell for cell in self.picked if cell.run is not run]

    # ---- how they are shown -------------------------------------------------------------------

    def show(self, transform: str) -> None:
        """Show all maps through another display transform."""
        for layer in self.maps:
            layers.view_of(layer).set(transform=transform)
            layers.redraw(layer)
        self._limit()

    def share(self, shared: bool) -> None:
        """The same colour limits for all maps, or each its own."""
        self.shared = shared
        unlink_layers(self.maps)
        common = [name for name in LINKED if all(hasattr(layer, name) for layer in self.maps)]
        link_layers(self.maps, (*common, *(("contrast_limits",) if shared else ())))
        for at, layer in enumerate(self.maps):
            layers.show_colour_bar(layer, at == 0 or not shared)
            if self.swiping and not shared:
                layer.colorbar.position = "top_left" if at == 0 else "top_right"
        self._limit()

    def choose(self, pair: tuple[int, int], difference: Kind | None, *, swiping: bool | None = None) -> None:
        """Choose which two cells are A and B, what is shown of their difference, and whether they are swiped.

        Raises
        ------
        InputError
            When A and B are the same cell, or cannot be swiped.
        """
        if pair[0] == pair[1]:
            raise InputError("A and B are the same map.")
        swiping = self.swiping if swiping is None else swiping
        new_pair, new_way = pair != self.pair, swiping != self.swiping
        if swiping and new_way:
            check_columns(self._views)
        self.pair, self.difference, self.swiping = pair, difference, swiping
        if not self.active:
            return
        if new_way or (new_pair and self.swiping):
            camera = camera_of(self._viewer())
            self.enter(self.cells, self._views[0].slide.slide_id, self._views[0].transform_name)
            if self.swiping and not new_way:
                set_camera(self._viewer(), camera)
        elif not self.swiping:
            self._judge_pair()
            self._put_difference()
            self._limit()

    def mend(self) -> None:
        """Draw what a person's deleting has left: without its map a pane goes, without two maps all of them."""
        if not self.active or self._viewer() is None:
            return
        if len(self.maps) < 2:
            self.leave()
            return
        if self.swiping:
            return
        left = [(pane, [layer for layer in pane if layer in self._viewer().layers]) for pane in self._panes]
        kept = [pane for pane, there in left if any(_is_map(layer) for layer in there)]
        common = set.intersection(*({_kind(layer) for layer in there} for pane, there in left if pane in kept))
        for pane, there in left:
            for layer in there:
                if not _is_map(layer) and (pane not in kept or _kind(layer) not in common):
                    self._viewer().layers.remove(layer)
        self._panes = [[layer for layer in pane if layer in self._viewer().layers] for pane in kept]
        if self.difference_layer is None:
            self.difference = None
        self._arrange()
        self.share(self.shared)

    def _mending(self) -> Iterator[None]:
        self.mend()
        yield

    # ---- side by side -------------------------------------------------------------------------

    def _lay_side_by_side(self) -> None:
        viewer = self._viewer()
        for layer in viewer.layers:
            layer.visible = False
        self._panes = [self._pane(view, at) for at, view in enumerate(self._views)]
        for at, layer in enumerate(layer for pane in self._panes for layer in pane):
            viewer.layers.insert(at, layer)  # lowest: that is where napari starts to count panes
        self._put_difference()

    def _put_difference(self) -> None:
        """Show the pane of the difference that is chosen, or none."""
        viewer, count = self._viewer(), len(self._views)
        for pane in [pane for pane in self._panes if layers.entry(pane[0])["cell"] == count]:
            self._panes.remove(pane)
            for layer in [la for la in pane if la in viewer.layers]:
                viewer.layers.remove(layer)
        if self.difference is not None and (views := self.views) is not None:
            selected, at = list(viewer.layers.selection), len(self._there())
            pane = self._pane(Difference(*views, self.difference), count)
            for layer in pane:
                viewer.layers.insert(at, layer)
                at += 1
            self._panes.append(pane)
            viewer.layers.selection = selected
        self._arrange()

    def _arrange(self) -> None:
        """Give the panes their places; a camera that nobody has moved since shows all of the slide."""
        viewer = self._viewer()
        still = self._fitted is None or camera_of(viewer) == self._fitted
        grid = viewer.canvas.grid
        grid.stride, grid.spacing = len(self._panes[0]), SPACING
        grid.shape = _shape(len(self._panes), viewer.canvas.size, self._panes[0][0].extent.world)
        grid.enabled = True
        if still:
            viewer.fit_to_view()
            self._fitted = camera_of(viewer)
        layers.keep_contours_thin(viewer)

    def _pane(self, view: LazyMaps, at: int) -> list[Any]:
        """Slide, map and contours of one pane."""
        stage, shown = self._stage, self._stage.map_layer
        looks = {} if shown is None else {"colormap": shown.colormap, "opacity": shown.opacity}
        kind = "map"
        if isinstance(view, Difference):
            kind, looks["colormap"] = layers.DIFFERENCE, layers.colours(DIVERGING)
        data = [
            None if stage.slide is None else (*layers.slide_data(stage.slide), {}),
            (*layers.map_data(view, kind), looks),
            None if stage.contours is None else (*layers.contours_data(stage.contours), {}),
        ]
        made = [layers.make(entry[:3], **entry[3]) for entry in data if entry is not None]
        for layer in made:
            layers.entry(layer)["cell"] = at
            layer.name = layers.pane_name(at, layer.name)
            layer.name_overlay.visible = _is_map(layer)
            layer.name_overlay.font_size = layers.FONT_SIZE
            if layers.entry(layer)["kind"] == layers.DIFFERENCE:
                layer.name = f"{view.quantity}, A = {self.pair[0] + 1}, B = {self.pair[1] + 1}"
                layers.show_colour_bar(layer)
        return made

    # ---- swiped -------------------------------------------------------------------------------

    def _swipe(self) -> None:
        """A and B over the slide that is there, under its contours, and the line between them on top."""
        viewer, shown = self._viewer(), self._stage.map_layer
        looks = {} if shown is None else {"colormap": shown.colormap, "opacity": shown.opacity}
        for layer in layers.maps_of(viewer):
            layer.visible = False
        above = self._stage.layer("contours")
        at = len(viewer.layers) if above is None else viewer.layers.index(above)
        halves = []
        for cell in self.pair:
            halves.append(layers.make(layers.map_data(self._views[cell]), **looks))
            layers.entry(halves[-1])["cell"] = cell
            halves[-1].name = layers.pane_name(cell, halves[-1].name)
        self.border = Border(viewer, *halves)
        self._panes = [[halves[0], self.border.layer], [halves[1]]]
        viewer.layers.append(self.border.layer)
        for half in reversed(halves):  # A last: what comes in last is what napari's list shows as selected
            viewer.layers.insert(at, half)
        viewer.canvas.grid.enabled = False

    # ---- what is there ------------------------------------------------------------------------

    def _there(self) -> list[Any]:
        """Our layers, as far as nobody has deleted them."""
        viewer = self._viewer()
        return [layer for pane in self._panes for layer in pane if layer in viewer.layers]

    def _judge_pair(self) -> None:
        a, b = (self._views[at] for at in self.pair)
        try:
            check_same_tiles(a.slide, b.slide)
            check_attention(a, b)
            self.refusal = ""
        except InputError as error:
            self.refusal = error.sentence

    def _on_removed(self, event: Any) -> None:
        if any(event.value is layer for pane in self._panes for layer in pane):
            self._idle.do(MENDING, self._mending())  # not now: napari may be about to delete more


def _is_map(layer: Any) -> bool:
    return layers.entry(layer)["kind"] in ("map", layers.DIFFERENCE)


def _kind(layer: Any) -> str:
    """What must be in all panes or in none."""
    return "map" if _is_map(layer) else str(layers.entry(layer)["kind"])


def _shape(count: int, canvas: Sequence[float], extent: Any) -> tuple[int, int]:
    """Rows and columns in which `count` panes show their picture the largest."""
    high, wide = (extent[1] - extent[0])[-2:]
    shapes = [(rows, -(-count // rows)) for rows in range(1, count + 1)]
    return max(shapes, key=lambda shape: min(canvas[0] / shape[0] / high, canvas[1] / shape[1] / wide))
