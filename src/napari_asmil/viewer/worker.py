"""The worker thread of a job: it can be paused, and stopped so that what it held is freed."""

from __future__ import annotations

import atexit
import gc
import logging
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from napari.qt.threading import thread_worker
from superqt.utils import GeneratorWorker

from napari_asmil.events import BatchDone, Event
from napari_asmil.viewer.triton import load_triton_beside_mesa

MakeEvents = Callable[[threading.Event], Iterator[Event]]
"""Takes the event that asks to stop and returns a job's events; called in the worker thread."""

GRACE = 2
"""Batches a generator may still tell of after it was asked to stop: the one at hand, and one it had not yet told."""

PATIENCE_S = 0.1
"""How long a batch waits for the window to have heard of the one before: a busy window is given the machine."""

logger = logging.getLogger(__name__)

# napari waits for workers when its event loop ends; a script that never ran the loop would abort in them
atexit.register(GeneratorWorker.await_workers)
# Python's last collection walks every object of torch and napari, and keeps a closed window's process for seconds
atexit.register(gc.freeze)


class Worker(GeneratorWorker[Event, None, None]):
    """A worker that is asked to stop, so that its generator returns: one that is quit would keep the model."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stop = threading.Event()
        self.going = threading.Event()
        self.going.set()
        self.heard = threading.Event()
        self.heard.set()
        self.window_closed = False

    def ask_to_stop(self) -> None:
        """Let the generator end after the batch at hand, paused or not."""
        self.stop.set()
        self.going.set()
        self.heard.set()

    def quit(self) -> None:
        """Stop because the window closes; only napari calls this."""
        self.window_closed = True
        self.ask_to_stop()

    def work(self) -> Any:
        """Run the generator; superqt would swallow a RuntimeError (CUDA out of memory is one) and never finish."""
        result = super().work()
        if isinstance(result, RuntimeError):
            raise result
        return result


def make_worker(make_events: MakeEvents, title: str) -> Worker:
    """Make a worker that napari's closing dialog calls `title`."""

    def work() -> Iterator[Event]:
        load_triton_beside_mesa()
        yield from _until_stopped(make_events(worker.stop), worker)

    work.__qualname__ = title
    worker: Worker = thread_worker(work, worker_class=Worker, ignore_errors=True)()
    worker.warned.connect(_log_warning)
    return worker


def _until_stopped(events: Iterator[Event], worker: Worker) -> Iterator[Event]:
    """Pass events on, wait while paused, and close a generator that begins another batch after `stop`."""
    late = 0
    try:
        for event in events:
            late += worker.stop.is_set() and isinstance(event, BatchDone)
            if late > GRACE:
                return
            worker.heard.wait(PATIENCE_S)
            worker.heard.clear()
            yield event
            worker.going.wait()
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


def _log_warning(warned: tuple[Any, ...]) -> None:
    message, category, filename, lineno = warned[:4]
    logger.warning("%s", warnings.formatwarning(message, category, filename, lineno).strip())


def let_go_of_locals(error: BaseException | None) -> None:
    """Free what the frames of an error hold (the model): napari keeps every error it has shown."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
