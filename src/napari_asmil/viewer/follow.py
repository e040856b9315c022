"""Runs that are still being written: look for new epochs, in step with the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari_asmil.runs import Run
    from napari_asmil.viewer.controller import Controller

POLL_MS = 1000
"""How often a run that another process writes is looked at."""
EXPECT_MS = 200
"""Epochs that our own job announces are shown together at most this often."""


class Follower:
    """Refreshes the unfinished runs of a controller: on a timer, and soon after an epoch is announced."""

    def __init__(self, controller: Controller) -> None:
        self._controller = ref(controller)
        self._expected: set[Path] = set()
        self._slow, self._soon = QTimer(), QTimer()
        self._slow.setInterval(POLL_MS)
        self._soon.setInterval(EXPECT_MS)
        self._soon.setSingleShot(True)
        self._slow.timeout.connect(self._look)
        self._soon.timeout.connect(self._look_at_expected)

    def poll(self) -> None:
        """Watch from now on while any open run is unfinished."""
        if self._unfinished() and not self._slow.isActive():
            self._slow.start()

    def expect(self, path: Path) -> None:
        """A new epoch of the run at `path` is committed; it is shown within `EXPECT_MS`."""
        self._expected.add(Path(path))
        if not self._soon.isActive():
            self._soon.start()

    def stop(self) -> None:
        """Look no more."""
        self._slow.stop()
        self._soon.stop()

    def _unfinished(self) -> list[Run]:
        controller = self._controller()
        if controller is None or controller.viewer is None:
            return []
        return [run for run in controller.runs if run.n_epochs <= run.planned_epochs]

    def _look(self) -> None:
        runs = self._unfinished()
        if not runs:
            self._slow.stop()
        for run in runs:
            self._controller().refresh(run)  # type: ignore[union-attr]

    def _look_at_expected(self) -> None:
        controller = self._controller()
        expected, self._expected = self._expected, set()
        if controller is not None:
            for path in expected:
                controller.appear(path)
