"""One controller a viewer: what is open, what is shown, and the job. Docks are views of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary, ref

from napari.utils.notifications import show_warning
from psygnal import Signal
from psygnal.containers import EventedList

from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Event
from napari_asmil.viewer import layers
from napari_asmil.viewer.follow import Follower

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.bags import Cohort
    from napari_asmil.runs import MapView, Run, RunSlide, Source
    from napari_asmil.slides import Slide
    from napari_asmil.viewer.job import Job


class Controller:
    """What one viewer shows: a slide, contours, runs and one map over epochs. It holds no numbers of its own.

    Use `Controller.of`, never the constructor. Everything here belongs to the main thread.

    Attributes
    ----------
    runs : EventedList of Run
        The open runs.
    slide, contours, cohort
        The open slide picture, annotation and bags, or None.
    map : MapView or None
        What the map layer shows; `current` is its (run, slide_id).
    job : Job
        The one job (extract, train, attend) of this viewer.
    """

    runs_changed = Signal()
    slide_changed = Signal()
    contours_changed = Signal()
    cohort_changed = Signal()
    current_changed = Signal(description="Another run or slide is shown.")
    map_changed = Signal(description="The map is another: its run, slide, source or transform.")
    epoch_changed = Signal(int)
    run_grew = Signal(object, description="A run has more committed epochs than before.")

    _all: ClassVar[WeakKeyDictionary[Any, Controller]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._epoch = 0
        self._window: Any = None
        self.slide: Slide | None = None
        self.contours: Contours | None = None
        self.cohort: Cohort | None = None
        self.map: MapView | None = None
        self._seen: WeakKeyDictionary[Run, int] = WeakKeyDictionary()
        self.runs: EventedList[Run] = EventedList()
        self.runs.events.inserted.connect(self._on_runs)
        self.runs.events.removed.connect(self._on_runs)
        self.follower = Follower(self)
        viewer.dims.events.current_step.connect(self._on_step)

    @classmethod
    def of(cls, viewer: Any) -> Controller:
        """The controller of a napari viewer (or of the proxy that plugins are given), made on first use."""
        viewer = getattr(viewer, "__wrapped__", viewer)
        if viewer not in cls._all:
            cls._all[viewer] = cls(viewer)
        return cls._all[viewer]

    @cached_property
    def job(self) -> Job:
        """The one job of this viewer; its events come to `on_event`."""
        from napari_asmil.viewer.job import Job

        job = Job()
        job.event.connect(self.on_event)
        return job

    @property
    def viewer(self) -> Any:
        """The napari viewer."""
        return self._viewer()

    # ---- what is open -------------------------------------------------------------------------

    def open_slide(self, path: str | Path, *, dask: bool = False) -> Slide:
        """Show the picture of a slide in place of the one shown; through dask by choice."""
        from napari_asmil.slides import open_slide

        slide = open_slide(path)
        self._set_slide(slide, dask=dask)
        return slide

    def _set_slide(self, slide: Slide | None, *, dask: bool = False) -> None:
        layers.show_slide(self.viewer, slide, dask=dask)
        if self.slide is not None:
            self.slide.close()
        self.slide = slide
        self.slide_changed.emit()

    def open_contours(self, path: str | Path) -> Contours:
        """Draw an annotation in place of the one drawn."""
        from napari_asmil.annotations import read_annotations

        contours = read_annotations(path)
        self._set_contours(contours)
        return contours

    def _set_contours(self, contours: Contours | None) -> None:
        layers.show_contours(self.viewer, contours)
        self.contours = contours
        self.contours_changed.emit()

    def set_cohort(self, cohort: Cohort | None) -> None:
        """Bags to train on or attend to."""
        self.cohort = cohort
        self.cohort_changed.emit()

    def add_run(self, path: str | Path) -> Run:
        """Open a run folder, finished or still being written; a run that is open already is returned as it is."""
        from napari_asmil.runs import open_run

        known = self.find_run(path)
        if known is not None:
            return known
        run = open_run(path)
        self._seen[run] = run.n_epochs
        self.runs.append(run)
        return run

    def _on_runs(self) -> None:
        self.follower.poll()
        self.runs_changed.emit()

    def find_run(self, path: str | Path) -> Run | None:
        """The open run of this folder, or None."""
        return next((run for run in self.runs if Path(run.path).resolve() == Path(path).resolve()), None)

    # ---- what is shown ------------------------------------------------------------------------

    @property
    def current(self) -> tuple[Run, str] | None:
        """The run and slide that the map shows."""
        return None if self.map is None else (self.map.run, self.map.slide.slide_id)

    def show_map(self, run: Run, slide_id: str, source: Source | None = None, transform: str = "m_alpha") -> MapView:
        """Show one run's attention on one slide, with the slide's picture and contours where the run knows them.

        Raises
        ------
        InputError
            When the run recorded no places of tiles for this slide.
        """
        from napari_asmil.runs import MapView

        view = MapView(run, slide_id, source, transform)
        before = self.current
        if before is None or before[1] != slide_id:
            self._bring(run.slide(slide_id))
        layers.show_map(self.viewer, view)
        self.map = view
        if before is None:
            self.set_epoch(run.n_epochs - 1)
        if self.current != before:
            self.current_changed.emit()
        self.map_changed.emit()
        return view

    def _bring(self, slide: RunSlide) -> None:
        """The picture and contours that belong under a map, where known; those of another slide are taken away."""
        self._replace(slide, slide.slide_path, self.slide, self.open_slide, self._set_slide)
        self._replace(slide, slide.contours_path, self.contours, self.open_contours, self._set_contours)

    @staticmethod
    def _replace(slide: RunSlide, path: Path | None, shown: Any, show: Any, put: Any) -> None:
        if shown is not None and (Path(shown.path).stem == slide.slide_id or shown.path == path):
            return
        try:
            if path is not None and Path(path).exists():
                show(path)
            elif shown is not None:
                put(None)
        except InputError as error:
            show_warning(str(error))
            put(None)

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
            self._move_to(self.viewer.dims.current_step[axis])

    def _move_to(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            self.epoch_changed.emit(epoch)

    # ---- what happens -------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Hear an event of the job: a committed epoch appears on the slide."""
        if isinstance(event, EpochDone):
            self.follower.expect(event.path)

    def refresh(self, run: Run) -> None:
        """Look for epochs committed since; the slider grows, and follows if it was at the newest epoch."""
        if run.refresh() == self._seen.get(run):
            return
        self._seen[run] = run.n_epochs
        newest = layers.last_step(self.viewer)
        follows = newest is not None and self._epoch == newest
        layers.grow(self.viewer, run)
        if follows:
            self.set_epoch(layers.last_step(self.viewer) or 0)
        self.run_grew.emit(run)

    def appear(self, path: Path) -> None:
        """Show what a job has just committed to a run: open the run if it is new, otherwise let it grow."""
        run = self.find_run(path)
        if run is not None:
            self.refresh(run)
            return
        run = self.add_run(path)
        slide_id = self._slide_to_watch(run)
        if slide_id is not None:
            self.show_map(run, slide_id)

    def _slide_to_watch(self, run: Run) -> str | None:
        """The slide of a new run to show first: the one that is open, otherwise the first with places."""
        placed = [slide.slide_id for slide in run.slides if slide.tiles is not None]
        open_now = [] if self.slide is None else [Path(self.slide.path).stem]
        if self.current is not None:
            open_now.append(self.current[1])
        return next((slide for slide in open_now if slide in placed), placed[0] if placed else None)

    def live_in(self, window: Any) -> None:
        """Know the window, so that the end of the window is the end of the job."""
        if self._window is None:
            self._window = window
            window.destroyed.connect(self.close)

    def close(self) -> None:
        """Stop the job and close the files; runs stay as they are on disk."""
        self.follower.stop()
        if "job" in vars(self):
            self.job.close()
        if self.slide is not None:
            self.slide.close()
