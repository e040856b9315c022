"""One controller a viewer: what is open, what is shown, and the job. Docks are views of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary, ref

from napari.utils.notifications import show_error
from psygnal import Signal
from psygnal.containers import EventedList

from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Event, Finished
from napari_asmil.viewer import footprint, layers, limits
from napari_asmil.viewer.ahead import Ahead
from napari_asmil.viewer.compare import Comparison
from napari_asmil.viewer.fields import in_fields
from napari_asmil.viewer.follow import Follower, Leaving
from napari_asmil.viewer.idle import Idle
from napari_asmil.viewer.keys import bind
from napari_asmil.viewer.marks import Marks
from napari_asmil.viewer.opening import Request, open_request
from napari_asmil.viewer.selection import Selection
from napari_asmil.viewer.stage import Stage
from napari_asmil.viewer.steps import Flip

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.bags import Cohort
    from napari_asmil.runs import MapView, Run, Source
    from napari_asmil.slides import Slide
    from napari_asmil.viewer.instead import Instead
    from napari_asmil.viewer.job import Job


class Controller:
    """What one viewer shows: a slide, contours, runs and one map over epochs. It holds no numbers of its own.

    Use `Controller.of`, never the constructor. Everything here belongs to the main thread. `slide`, `contours` and
    `map` are what our layers hold: a layer that a person deletes is gone from here too.

    Attributes
    ----------
    runs : EventedList of Run
        The open runs.
    cohort : Cohort or None
        Bags to train on or attend to.
    opened, asked : Request
        The files that are open, and those that were refused last.
    report : tuple of str
        What was opened last, and what was derived from it, in lines.
    comparison : Comparison
        Maps side by side.
    slide_order : tuple of str or None
        Slides in the order in which a person goes through them, a table's; None is that of the run.
    locked : bool
        Colour limits over all epochs, or of each alone.
    tuning : bool
        Whether a number of the normaliser is being dragged: limits are of the epoch alone until it is let go.
    flip : Flip
        Back to the map that was shown before.
    selection : Selection
        Tiles of the shown slide that a person has picked.
    marks : Marks
        What shows them on the canvas.
    idle : Idle
        What can wait until the window has time.
    """

    runs_changed = Signal()
    slide_changed = Signal()
    contours_changed = Signal()
    cohort_changed = Signal()
    current_changed = Signal(description="Another run or slide is shown.")
    map_changed = Signal(description="The map is another: its run, slide, source, transform or limits.")
    epoch_changed = Signal(int)
    told = Signal(description="Another report of what was opened.")
    run_grew = Signal(object, description="A run has more committed epochs than before.")

    _all: ClassVar[WeakKeyDictionary[Any, Controller]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._has_window = False
        self._epoch = 0
        self.cohort: Cohort | None = None
        self.slide_order: tuple[str, ...] | None = None
        self.opened, self.asked, self.report = Request(), Request(), tuple[str, ...]()
        self.locked, self.tuning = True, False
        self.selection, self.idle = Selection(), Idle()
        self.runs: EventedList[Run] = EventedList()
        self.runs.events.inserted.connect(self._on_runs)
        self.runs.events.removed.connect(self._on_runs)
        self.follower = Follower(self)
        viewer.dims.events.current_step.connect(self._on_step)
        self.stage = Stage(viewer)
        self.comparison = Comparison(viewer, self.stage, self.idle, self.limit)
        self.stage.changed.connect(self._on_stage)
        self.marks = Marks(self)
        self.ahead, self.flip = Ahead(self), Flip(self)
        bind(viewer, self)

    @classmethod
    def of(cls, viewer: Any) -> Controller:
        """The controller of a napari viewer (or of the proxy that plugins are given), made on first use."""
        viewer = getattr(viewer, "__wrapped__", viewer)
        if viewer not in cls._all:
            cls._all[viewer] = cls(viewer)
        return cls._all[viewer]

    @cached_property
    def job(self) -> Job:
        """The one job (extract, train, attend) of this viewer; its events come to `on_event`."""
        from napari_asmil.viewer.job import Job

        job = Job()
        job.event.connect(self.on_event)
        return job

    @cached_property
    def instead(self) -> Instead:
        """The spread of several maps, shown in place of the map."""
        from napari_asmil.viewer.instead import Instead

        return Instead(self)

    @property
    def viewer(self) -> Any:
        """The napari viewer."""
        return self._viewer()

    # ---- what is open -------------------------------------------------------------------------

    @property
    def slide(self) -> Slide | None:
        """The slide whose picture is shown."""
        return self.stage.slide

    @property
    def contours(self) -> Contours | None:
        """The annotation that is drawn."""
        return self.stage.contours

    def open_slide(self, path: str | Path, *, mpp: float | None = None, dask: bool = False) -> Slide:
        """Show the picture of a slide in place of the one shown; through dask by choice."""
        return self.stage.open_slide(path, mpp=mpp, dask=dask)

    def open_contours(self, path: str | Path) -> Contours:
        """Draw an annotation in place of the one drawn."""
        return self.stage.open_contours(path)

    def set_cohort(self, cohort: Cohort | None) -> None:
        """Bags to train on or attend to; where their tiles lie stays drawn, or goes with them."""
        self.cohort = cohort
        if footprint.layer_of(self.viewer) is not None:
            footprint.show(self)
        self.cohort_changed.emit()

    def tell(self, lines: Sequence[str]) -> None:
        """Say what was opened and derived; docks that are opened later say it too."""
        self.report = tuple(map(in_fields, lines))
        self.told.emit()

    def refuse(self, error: InputError, asked: Request | None = None) -> None:
        """Say what cannot be used, here and over the canvas; what was `asked` for stays in the fields of the dock."""
        self.asked = asked or Request()
        self.tell(["REFUSED", str(error)])
        show_error(in_fields(str(error)))

    def add_run(self, path: str | Path) -> Run:
        """Open a run folder, finished or still being written; one that is open already is returned as it is."""
        from napari_asmil.runs import open_run

        if (known := self.find_run(path)) is not None:
            return known
        run = open_run(path)
        self._know(run)
        return run

    def remove_run(self, run: Run) -> None:
        """Close a run; its map is taken away."""
        self.comparison.forget(run)
        if self.current is not None and self.current[0] is run:
            self.stage.put("map", None)
        self.runs.remove(run)

    def find_run(self, path: str | Path) -> Run | None:
        """The open run of this folder, or None."""
        return next((run for run in self.runs if run.path.resolve() == Path(path).resolve()), None)

    def clear(self) -> None:
        """Take our layers away; runs stay open."""
        self.comparison.leave()
        self.stage.clear()

    def _know(self, run: Run) -> None:
        if run not in self.runs:
            self.follower.know(run)
            self.runs.append(run)

    def _on_runs(self) -> None:
        self.follower.watch()
        self.runs_changed.emit()

    # ---- what is shown ------------------------------------------------------------------------

    @property
    def map(self) -> MapView | None:
        """What the map layer shows."""
        return self.stage.map

    @property
    def map_layer(self) -> Any | None:
        """The one map layer."""
        return self.stage.map_layer

    @property
    def current(self) -> tuple[Run, str] | None:
        """The run and slide that the map shows."""
        return None if self.map is None else (self.map.run, self.map.slide.slide_id)

    @property
    def slide_id(self) -> str | None:
        """The slide a person looks at: that of the map, or the one whose picture is shown."""
        if self.current is not None:
            return self.current[1]
        return None if self.slide is None else layers.slide_name(self.slide.path)

    def show_map(self, run: Run, slide_id: str, source: Source | None = None, transform: str | None = None) -> MapView:
        """Show one run's attention on one slide, with the slide's picture and contours where the run knows them.

        Parameters
        ----------
        run : Run
        slide_id : str
        source : Source, optional
            Normaliser, row and branch; by default the map as stored.
        transform : str, optional
            Display transform; by default the one at hand.

        Raises
        ------
        InputError
            When the run cannot give this map.
        """
        from napari_asmil.runs import MapView, Source

        layers.check_has_epochs(run)
        layer, shown = self.map_layer, self.map
        source = source or Source()
        transform = transform or (shown.transform_name if shown is not None else "m_alpha")
        if shown is not None and self.current == (run, slide_id):
            shown.set(source, transform)
            layers.redraw(layer)
            self.limit()
            return shown
        view = MapView(run, slide_id, source, transform)
        if shown is None or (shown.slide.slide_id, shown.slide.bag_hash) != (slide_id, view.slide.bag_hash):
            self.selection.clear()
        if shown is None or shown.slide.slide_id != slide_id:
            self.stage.bring(run.slide(slide_id))
        if shown is None:
            self.stage.put("map", layers.map_data(view))
        else:
            self.stage.show(view)
            self._on_map()
        return view

    def set_locked(self, locked: bool) -> None:
        """Lock the colour limits over all epochs, or let each epoch have its own."""
        self.locked = locked
        self.limit()

    def limit(self, *, unless_by_hand: bool = False) -> None:
        """Give every map its colour limits, and say so."""
        self._apply_limits(unless_by_hand=unless_by_hand)
        layers.name_colours(self.viewer)
        self.map_changed.emit()

    def _apply_limits(self, *, unless_by_hand: bool = False) -> None:
        panes = self.comparison.maps if self.comparison.shared else []
        single = [layer for layer in layers.maps_of(self.viewer) if layer not in panes]
        locked = self.locked and not self.tuning
        for shown in (panes, *([layer] for layer in single)):
            limits.apply(shown, self._epoch, locked=locked, shared=len(shown) > 1, unless_by_hand=unless_by_hand)

    def _on_map(self) -> None:
        """The map layer shows another run or slide."""
        assert self.map is not None
        self._know(self.map.run)
        self.limit()
        self.current_changed.emit()

    def _on_stage(self, kind: str) -> None:
        if kind in ("slide", "map"):
            footprint.hide(self)
        if kind == "slide":
            self.slide_changed.emit()
        elif kind == "contours":
            self.contours_changed.emit()
        elif self.map is None:
            self.selection.clear()
            self.map_changed.emit()
            self.current_changed.emit()
        else:
            self.set_epoch(self.map.steps - 1)
            self._on_map()

    # ---- epochs -------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The epoch under the slider; 0 is the initialisation."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Move the slider; an epoch beyond the last shown is clamped to it."""
        axis = layers.epoch_axis(self.viewer)
        if axis is None:
            self._move_to(epoch)
        else:
            self.viewer.dims.set_current_step(axis, epoch)

    def _on_step(self) -> None:
        axis = layers.epoch_axis(self.viewer)
        if axis is not None:
            self._move_to(int(self.viewer.dims.current_step[axis]))

    def _move_to(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            if not self.locked:
                self._apply_limits()
            self.epoch_changed.emit(epoch)

    def on_event(self, event: Event) -> None:
        """Hear an event of the job: a committed epoch appears on the slide, a bag is taken up."""
        if isinstance(event, EpochDone):
            self.follower.expect(event.path)
        elif isinstance(event, Finished) and event.why == "done" and event.path.suffix in (".h5", ".hdf5"):
            try:
                open_request(self, Request(features=event.path))
            except InputError as error:
                self.refuse(error, Request(features=event.path))

    def live_in(self, window: Any) -> None:
        """Know the window, so that the end of the window is the end of the job."""
        if not self._has_window:
            self._has_window = True
            window.destroyed.connect(self.close)
            self._leaving = Leaving(window, self.follower)

    def close(self) -> None:
        """Stop the job and close the slide; runs stay as they are on disk."""
        with suppress(RuntimeError):  # Qt's own end takes the timers first
            self.follower.stop()
            self.idle.stop()
        if "job" in vars(self):
            self.job.close()
        if self.slide is not None:
            self.slide.close()
