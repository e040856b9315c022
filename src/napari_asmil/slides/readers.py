"""What is closed while others still read it: the last of them closes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class Readers:
    """Those who read something at this moment, each inside ``with readers:``, from any thread.

    Parameters
    ----------
    let_go : callable
        Closes it; called once, when `close` was called and nobody reads.
    """

    def __init__(self, let_go: Callable[[], object]) -> None:
        self._let_go = let_go
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._lock:
            if self._closed:
                raise ValueError("the file was closed")
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            last = self._closed and not self._inside
        if last:
            self._let_go()

    def close(self) -> None:
        """Let nobody in any more, and close it now or when the last reader is done."""
        with self._lock:
            last = not self._closed and not self._inside
            self._closed = True
        if last:
            self._let_go()
