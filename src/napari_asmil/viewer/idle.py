"""Work for when the window has nothing else to do: generators, advanced a few milliseconds at a time."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator
from time import perf_counter

from qtpy.QtCore import QTimer

Work = Iterator[object]
SLICE_MS = 8.0
"""How long the window is kept at a time; a step of the work itself may take longer."""


class Idle:
    """Generators that run in the main thread between its events, the newest first.

    Each `yield` is a place where the window may have its turn. A generator that ends, fails or is replaced is
    forgotten; what it raises is raised here, once.
    """

    def __init__(self) -> None:
        self._works: dict[Hashable, Work] = {}
        self._running: Work | None = None
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._slice)

    @property
    def active(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self._works)

    def do(self, key: Hashable, work: Work) -> None:
        """Do `work`, before all else and in place of what was to be done under the same key."""
        self.drop(key)
        self._works[key] = work
        self._timer.start()

    def drop(self, key: Hashable) -> None:
        """Do no more of what is to be done under `key`."""
        work = self._works.pop(key, None)
        if work is not None and work is not self._running:  # that one is closed when it gives up its turn
            _close(work)

    def finish(self) -> None:
        """Do all that is left now, however long it takes: for tests and benchmarks."""
        while self._works:
            self._slice()

    def stop(self) -> None:
        """Forget everything."""
        for key in list(self._works):
            self.drop(key)
        self._timer.stop()

    def _slice(self) -> None:
        until = perf_counter() + SLICE_MS / 1000
        while self._works and perf_counter() < until:
            key = next(reversed(self._works))
            work = self._running = self._works[key]
            try:
                next(work)
            except BaseException as end:
                if self._works.get(key) is work:
                    del self._works[key]
                if not isinstance(end, StopIteration):
                    raise
            finally:
                self._running = None
            if self._works.get(key) is not work:
                _close(work)
        if not self._works:
            self._timer.stop()


def _close(work: Work) -> None:
    if isinstance(work, Generator):
        work.close()
