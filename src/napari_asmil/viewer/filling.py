"""Courses that curves wait for are computed while the window is idle, as long as the curves are looked at."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from inspect import GEN_CLOSED, getgeneratorstate
from typing import TYPE_CHECKING
from weakref import ref

from napari_asmil.runs.courses import Courses
from napari_asmil.viewer.scopes import Want

if TYPE_CHECKING:
    from napari_asmil.viewer.docks.choices import ChosenPanel
    from napari_asmil.viewer.docks.dynamics import DynamicsDock

    Work = Generator[None, None, None]


class Filling:
    """What a dock's panels want computed, the latest wish first; a closed or hidden dock wants nothing."""

    def __init__(self, dock: DynamicsDock) -> None:
        self._dock = ref(dock)
        self._idle = dock.controller.idle
        self._working: dict[ChosenPanel, tuple[Sequence[Want], Work]] = {}

    def fill(self, panel: ChosenPanel, wants: Sequence[Want]) -> None:
        """Compute what a panel wants, and no longer what it wanted before; what is being computed goes on."""
        left = [want for want in wants if want.missing]
        if not left:
            self.stop(panel)
            return
        before, work = self._working.get(panel, ((), None))
        if work is None or getgeneratorstate(work) == GEN_CLOSED or before != wants:
            work = _compute(self._dock, panel, left)
            self._idle.do(_key(panel), work)
            self._working[panel] = wants, work

    def stop(self, panel: ChosenPanel) -> None:
        """Compute no more for a panel."""
        if self._working.pop(panel, None) is not None:
            self._idle.drop(_key(panel))


def _key(panel: ChosenPanel) -> tuple[str, int]:
    return "courses", id(panel)


def _compute(dock: ref[DynamicsDock], panel: ChosenPanel, wants: Sequence[Want]) -> Work:
    for want in wants:
        for _ in Courses.of(want.run).compute(want.course, want.slide_ids):
            if not _tell(dock, panel):
                return
            yield
    _tell(dock, panel)


def _tell(dock: ref[DynamicsDock], panel: ChosenPanel) -> bool:
    """Tell a dock that there is more to draw in a panel; says whether anyone looks at it."""
    there = dock()
    return there is not None and there.draw_soon(panel)
