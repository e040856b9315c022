"""Another map in place of attention, while it is asked for: how far that depends on chance, scores, tiles alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import ref

from napari.utils.notifications import show_info

from napari_asmil.errors import InputError
from napari_asmil.runs import LazyMaps, MapView, Run, Source
from napari_asmil.runs.alone import TilesAlone
from napari_asmil.runs.contrast import check_same_tiles
from napari_asmil.runs.extremes import RowExtreme
from napari_asmil.runs.kin import differ_by_seed_alone
from napari_asmil.runs.raw import RawScores
from napari_asmil.runs.spread import OverEpochs, OverRows, OverViews
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.viewer.controller import Controller

What = Literal["epochs", "runs", "rows", "anchor", "least", "greatest", "score", "alone"]
WAYS: dict[What, str] = {
    "epochs": "spread over the last epochs",
    "runs": "spread over runs",
    "rows": "spread over rows of the model",
    "anchor": "spread of model and anchor",
    "least": "least of the rows",
    "greatest": "greatest of the rows",
    "score": "raw score",
    "alone": "each tile judged alone",
}
"""What can be shown instead, as forms name it."""
COLORMAP = "magma"
WINDOW = 5


class Instead:
    """Shows another map of the same tiles instead of the map, and follows it from slide to slide.

    Attributes
    ----------
    window : int
        How many epochs make a spread over epochs.
    chosen : list of Run or None
        The runs of a spread over runs; None for those that differ from the one shown by their seed alone.
    class_name : str
        Whose probability is shown of tiles judged alone; the last class where the run has none of this name.
    """

    def __init__(self, controller: Controller) -> None:
        self._owner = ref(controller)
        self._key: Any = None
        self._before: tuple[bool, list[Any]] | None = None
        self.window = WINDOW
        self.chosen: list[Run] | None = None
        self.class_name = ""
        controller.map_changed.connect(self._on_map)
        controller.runs_changed.connect(self._on_runs)
        controller.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def layer(self) -> Any | None:
        """The layer that shows it, or None."""
        controller = self._controller
        found = [] if controller.viewer is None else list(controller.viewer.layers)
        return next((layer for layer in found if layers.entry(layer).get("kind") == layers.INSTEAD), None)

    @property
    def what(self) -> What | None:
        """What is shown instead, None while the map itself is."""
        return None if self.layer is None else self._key[0]

    @property
    def _controller(self) -> Controller:
        controller = self._owner()
        assert controller is not None
        return controller

    # ---- what can be shown --------------------------------------------------------------------

    def reason(self, what: What) -> str:
        """Why this cannot be shown; empty where it can."""
        view = self._controller.map
        if view is None:
            return "No map is shown."
        if self._controller.comparison.active:
            return "Leave the comparison first."
        if view.run.no_attention:
            return view.run.no_attention
        if what == "epochs" and view.n_epochs < 2:
            return "This run has one epoch."
        if what == "runs" and len(self.candidates()) < 2:
            return "No other open run has this slide with the same tiles and this attention."
        try:
            if what not in ("epochs", "runs"):
                self._make(what, view)
        except InputError as error:
            return str(error).removeprefix(f"{error.path}: ")
        return ""

    def candidates(self) -> list[Run]:
        """The open runs that have this map of this slide, on the same tiles."""
        view = self._controller.map
        return [] if view is None else [run for run in self._controller.runs if _like(run, view) is not None]

    def taken(self) -> list[Run]:
        """Of the candidates those whose maps a spread over runs is of."""
        view, runs = self._controller.map, self.candidates()
        if self.chosen is not None or view is None:
            return [run for run in runs if run in (self.chosen or [])]
        return [run for run in runs if differ_by_seed_alone(run, view.run)]

    # ---- showing ------------------------------------------------------------------------------

    def show(self, what: What) -> None:
        """Show this in place of the map.

        Raises
        ------
        InputError
            When it cannot be shown, with the reason.
        """
        controller = self._controller
        if controller.map is None or controller.comparison.active or controller.map.run.no_attention:
            raise InputError(self.reason(what))
        spread, key = self._make(what, controller.map), self._wanted(what)
        viewer, layer, below = controller.viewer, self.layer, controller.map_layer
        self._key = key
        if layer is not None and layers.fits(layer, spread):
            layers.show_view(layer, spread)
        elif layer is not None:
            layers.swap(viewer, layer, layers.like(layer, spread))
        else:
            assert below is not None
            layer = layers.make(layers.map_data(spread, layers.INSTEAD), colormap=COLORMAP, opacity=below.opacity)
            layers.show_colour_bar(layer)
            self._before, below.visible = (bool(below.visible), list(viewer.layers.selection)), False
            viewer.layers.insert(viewer.layers.index(below) + 1, layer)
        controller.limit()

    def hide(self) -> None:
        """Show the map itself again."""
        if self.layer is not None:
            self._controller.viewer.layers.remove(self.layer)

    def _make(self, what: What, view: MapView) -> LazyMaps:
        slide_id = view.slide.slide_id
        if what == "score":
            return RawScores(MapView(view.run, slide_id, view.source))
        if what == "alone":
            known = self.class_name in view.run.class_names
            return TilesAlone(MapView(view.run, slide_id), self.class_name if known else None)
        if what == "epochs":
            return OverEpochs(MapView(view.run, slide_id, view.source), self.window)
        if what == "rows":
            return OverRows(view)
        if what == "least" or what == "greatest":
            return RowExtreme(view, what)
        if what == "anchor":
            both = [MapView(view.run, slide_id), MapView(view.run, slide_id, Source(branch="anchor"))]
            return OverViews(both, ["model", "anchor"])
        runs = self.taken()
        if len(runs) < 2:
            raise InputError(
                "No two of the open runs differ by their seed alone." if self.chosen is None else "Choose two runs."
            )
        return OverViews([MapView(run, slide_id, view.source) for run in runs], _names(runs))

    def _wanted(self, what: What) -> tuple[Any, ...]:
        """What a spread depends on."""
        view = self._controller.map
        assert view is not None
        runs = tuple(self.taken()) if what == "runs" else ()
        return what, view.run, view.slide.slide_id, view.source, self.window, runs, self.class_name

    # ---- following ----------------------------------------------------------------------------

    def _on_map(self) -> None:
        controller = self._owner()
        if controller is None or controller.viewer is None or controller.comparison.active or controller.tuning:
            return
        if self.layer is None:
            self._give_back()
            return
        what = cast("What", self._key[0])
        if controller.map is None:
            controller.idle.do("no map", self._going())  # not now: napari may be about to delete this layer, too
        elif self._wanted(what) != self._key:
            try:
                self.show(what)
            except InputError as error:
                self.hide()
                show_info(f"What was shown instead of attention is gone. {error}")

    def _on_runs(self) -> None:
        if self.chosen is not None:
            self.chosen = [run for run in self.chosen if run in self._controller.runs]
        self._on_map()

    def _on_removed(self, event: Any) -> None:
        """The map comes back when this layer goes, whoever took it away, and none has its place."""
        controller = self._owner()
        if controller is None or layers.entry(event.value).get("kind") != layers.INSTEAD or self.layer is not None:
            return
        if not controller.comparison.active:  # else once that is left
            self._give_back()
        controller.limit()

    def _give_back(self) -> None:
        """Show the map as it was before its place was taken."""
        controller, before = self._controller, self._before
        self._before = None
        if before is None:
            return
        visible, selected = before
        if controller.map_layer is not None:
            controller.map_layer.visible = visible
        there = controller.viewer.layers
        if not there.selection:
            there.selection = {layer for layer in selected if layer in there}

    def _going(self) -> Iterator[None]:
        controller = self._owner()
        if controller is not None and controller.viewer is not None and controller.map is None:
            self.hide()
        yield


def _like(run: Run, view: MapView) -> MapView | None:
    """The same map of another run, where it has that."""
    try:
        other = MapView(run, view.slide.slide_id, view.source)
        check_same_tiles(view.slide, other.slide)
    except InputError:
        return None
    return other


def _names(runs: Sequence[Run]) -> list[str]:
    """Their names, with the folder where two are called alike."""
    names = [run.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{run.path.parent.name}/{name}"
        for run, name in zip(runs, names, strict=True)
    ]
