"""Runs that are still being written: each new epoch appears, in step with the window."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from qtpy.QtCore import QEvent, QObject, QTimer

from napari_asmil.analysis.localisation import is_tumour
from napari_asmil.errors import InputError
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.runs import Run, RunSlide
    from napari_asmil.viewer.controller import Controller

POLL_MS = 1000
"""How often a run that another process writes is looked at."""
EXPECT_MS = 200
"""Epochs that our own job announces are shown together, at most this often."""
RESPITE = 40
"""Where showing is slow, the window has so many times as long to itself before it shows again, up to `POLL_MS`."""


class Follower:
    """Refreshes the unfinished runs of a controller: on a timer, and soon after an epoch is announced.

    While `held`, it looks at nothing.
    """

    def __init__(self, controller: Controller) -> None:
        self._owner = ref(controller)
        self._seen: WeakKeyDictionary[Run, int] = WeakKeyDictionary()
        self._expected: set[Path] = set()
        self.held = False
        self._slow, self._soon = QTimer(), QTimer()
        self._slow.setInterval(POLL_MS)
        self._soon.setInterval(EXPECT_MS)
        self._soon.setSingleShot(True)
        self._slow.timeout.connect(self.look)
        self._soon.timeout.connect(self.look_at_expected)

    def know(self, run: Run) -> None:
        """A run was opened; the epochs it has now are no news."""
        self._seen[run] = run.n_epochs

    def watch(self) -> None:
        """Look regularly from now on, as long as any open run is unfinished."""
        if self._unfinished() and not self._slow.isActive():
            self._slow.start()

    def expect(self, path: Path) -> None:
        """A new epoch of the run at `path` is committed; it is shown within `EXPECT_MS`."""
        self._expected.add(path)
        if not self._soon.isActive():
            self._soon.start()

    def stop(self) -> None:
        """Look no more."""
        self._slow.stop()
        self._soon.stop()

    def refresh(self, run: Run) -> None:
        """Show epochs committed since; the slider grows, and follows if it was at the newest epoch of this run."""
        controller = self._owner()
        if controller is None or run.refresh() == self._seen.get(run):
            return
        before = self._seen.get(run)
        self._seen[run] = run.n_epochs
        shown = layers.maps_of(controller.viewer, run)
        follows = any(layers.view_of(layer).steps - 1 == controller.epoch for layer in shown)
        layers.grow(shown)
        if follows:
            controller.set_epoch(run.n_epochs - 1)
        controller.limit(unless_by_hand=True)
        controller.run_grew.emit(run)
        if before == 0 and controller.map is None:
            self._show_first(controller, run)

    def look(self) -> None:
        """Look at every unfinished run now, but for those that are looked at soon anyway."""
        runs = self._unfinished()
        if not runs or self.held:
            self._slow.stop()
            return
        for run in runs:
            if run.path not in self._expected:
                self.refresh(run)

    def look_at_expected(self) -> None:
        """Look at the runs whose epochs were announced; a run that is new here is opened and shown."""
        controller = self._owner()
        expected, self._expected = self._expected, set()
        if controller is None or controller.viewer is None or self.held:
            return
        begun = perf_counter()
        for path in expected:
            run = controller.find_run(path)
            if run is not None:
                self.refresh(run)
            elif path.is_dir():
                self._show_first(controller, controller.add_run(path))
        took_ms = 1000 * (perf_counter() - begun)
        self._soon.setInterval(round(min(POLL_MS, max(EXPECT_MS, RESPITE * took_ms))))

    def _show_first(self, controller: Controller, run: Run) -> None:
        """Show a new run on the slide that is open, where it has recorded that."""
        liked = [] if controller.slide_id is None else [controller.slide_id]
        placed = any(slide.tiles is not None for slide in run.slides)
        if run.n_epochs and placed and not controller.comparison.active:
            controller.show_map(run, first_slide(run, liked).slide_id)

    def _unfinished(self) -> list[Run]:
        controller = self._owner()
        if controller is None or controller.viewer is None:
            return []
        return [run for run in controller.runs if run.n_epochs <= run.planned_epochs]


class Leaving(QObject):
    """Holds a follower off from the moment its window is asked to close until that is refused.

    Between closing and the window's end napari has no sliders any more, and a timer may still fire.
    """

    def __init__(self, window: QObject, follower: Follower) -> None:
        super().__init__()
        self._follower = ref(follower)
        window.installEventFilter(self)

    def eventFilter(self, window: QObject, event: QEvent) -> bool:
        """Look at nothing once the window is asked to close; go on if it is still visible after that."""
        follower = self._follower()
        if follower is not None and event.type() == QEvent.Type.Close:
            follower.held = True
            QTimer.singleShot(0, partial(_go_on_if_visible, ref(window), self._follower))
        return False


def _go_on_if_visible(window: ref[QObject], follower: ref[Follower]) -> None:
    there, held = window(), follower()
    with suppress(RuntimeError):  # the window's Qt side is gone
        if there is not None and held is not None and there.isVisible():
            held.held = False
            held.watch()


def first_slide(run: Run, liked: Sequence[str] = ()) -> RunSlide:
    """The slide to show first: one of `liked`, else with a picture, rather with tumour, with raw scores, a test slide.

    Raises
    ------
    InputError
        When no slide has places.
    """
    placed = [slide for slide in run.slides if slide.tiles is not None]
    if not placed:
        raise InputError("No slide of this run has tile coordinates, so none of its maps has a place.", path=run.path)
    return max(placed, key=lambda slide: _appeal(slide, liked))


def _appeal(slide: RunSlide, liked: Sequence[str]) -> tuple[bool, ...]:
    pictured = slide.slide_path is not None and slide.slide_path.exists()
    tumour = slide.tile_labels is not None and bool(is_tumour(slide.tile_labels).any())
    return slide.slide_id in liked, pictured, tumour, slide.has_scores, slide.split == "test"
