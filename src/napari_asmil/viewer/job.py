"""One long job at a time: extracting, training and running share this worker, its progress and its stop."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from napari.qt.threading import thread_worker
from napari.utils import cancelable_progress
from napari.utils.notifications import notification_manager, show_error
from psygnal import Signal, SignalGroupDescriptor
from qtpy.QtCore import QTimer
from superqt.utils import GeneratorWorker

from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, Checkpointed, EpochDone, Event, Finished, Started

logger = logging.getLogger(__name__)

# napari waits for workers when its event loop ends; a script that never ran the loop would abort in them
atexit.register(GeneratorWorker.await_workers)

TICK_MS = 100
"""How often progress is shown and napari's Cancel button is looked at."""


class State(StrEnum):
    """Where a job is."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"


_START = {"start": State.PREPARING}
_OVER = {"end": State.DONE, "fail": State.FAILED}
TRANSITIONS: dict[State, dict[str, State]] = {
    State.IDLE: _START,
    State.PREPARING: {"begin": State.RUNNING, "stop": State.STOPPING, **_OVER},
    State.RUNNING: {"pause": State.PAUSED, "stop": State.STOPPING, **_OVER},
    State.PAUSED: {"resume": State.RUNNING, "stop": State.STOPPING, **_OVER},
    State.STOPPING: {"end": State.IDLE, "fail": State.FAILED},
    State.DONE: _START,
    State.FAILED: _START,
}
"""What can happen to a job in each state, and the state that follows."""
ACTIONS = frozenset({"start", "pause", "resume", "stop"})
"""What a person can ask for; the rest of `TRANSITIONS` is what the work itself does."""


def allowed(state: State) -> frozenset[str]:
    """Actions a person may take in `state`: the one rule behind every button's enabledness."""
    return ACTIONS & TRANSITIONS[state].keys()


@dataclass
class Status:
    """What the window shows of a job; every field tells its change through `events`."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    state: State = State.IDLE
    title: str = ""
    unit: str = "epochs"
    done: int = 0
    total: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None
    message: str = ""
    path: Path | None = None


class _Worker(GeneratorWorker[Event, None, None]):
    """A worker that is asked to stop, so that its generator can return and free what it holds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stop = threading.Event()
        self.going = threading.Event()
        self.going.set()
        self.window_closed = False

    def ask_to_stop(self) -> None:
        self.stop.set()
        self.going.set()

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


def _until_stopped(events: Iterator[Event], stop: threading.Event, going: threading.Event) -> Iterator[Event]:
    """Pass events on, wait while paused, and close a generator that goes on working after `stop`."""
    asked = False
    try:
        for event in events:
            if asked and isinstance(event, BatchDone | EpochDone):
                return
            asked = stop.is_set()
            yield event
            going.wait()
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


class _Clock:
    """Seconds left, from the pace since the start without the pauses."""

    def __init__(self) -> None:
        self._begun = self._paused_at = time.monotonic()
        self._from: float | None = None

    def pause(self) -> None:
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        self._begun += time.monotonic() - self._paused_at

    def left(self, position: float, total: float) -> float | None:
        """Return the seconds from `position` to `total` (units of work), None while nothing can be said."""
        if self._from is None:
            self._from, self._begun = position, time.monotonic()
        gone = position - self._from
        return (time.monotonic() - self._begun) / gone * (total - position) if gone > 0 else None


class Job:
    """The one long job of a viewer.

    `status` tells what the window shows; `event` passes the job's own events on, in the main thread.
    What runs is a generator of array-free events made from a `threading.Event` that asks it to stop.
    """

    event = Signal(object)

    def __init__(self) -> None:
        self.status = Status()
        self._worker: _Worker | None = None
        self._bar: cancelable_progress | None = None
        self._error: Exception | None = None
        self._last: Finished | None = None
        self._position = 0.0
        self._loss: float | None = None
        self._clock = _Clock()
        self._showwarning = warnings.showwarning
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def active(self) -> bool:
        """Whether a worker is at work, in whatever state."""
        return self._worker is not None

    def start(
        self, make_events: Callable[[threading.Event], Iterator[Event]], title: str, unit: str = "epochs"
    ) -> None:
        """Start a job in a worker thread.

        Parameters
        ----------
        make_events : callable
            Takes the event that asks to stop and returns the generator of the job; called in the worker thread.
        title : str
            What the job does, in a few words; napari's activity bar and closing dialog show it.
        unit : str
            What is counted, in the plural.

        Raises
        ------
        InputError
            When a job is at work already.
        """
        if self.active:
            raise InputError(f"{self.status.title} is still at work.", remedy="Stop it or wait until it has ended.")
        self._error = self._last = self._loss = None
        self._position, self._clock = 0.0, _Clock()
        self._showwarning = warnings.showwarning
        self._worker = self._make_worker(make_events, title)
        self._bar = cancelable_progress(total=0, desc=title, unit=f" {unit}")
        self.status.title, self.status.unit = title, unit
        self.status.done = self.status.total = 0
        self.status.fraction, self.status.seconds_left, self.status.loss = 0.0, None, None
        self.status.message, self.status.path = "", None
        self._move("start")
        self._timer.start()
        self._worker.start()

    def pause(self) -> None:
        """Hold the job after the batch at hand; it keeps its memory."""
        self._move("pause")
        self._clock.pause()
        if self._worker is not None:
            self._worker.going.clear()

    def resume(self) -> None:
        """Let a paused job go on."""
        self._move("resume")
        self._clock.resume()
        if self._worker is not None:
            self._worker.going.set()

    def stop(self) -> None:
        """Ask the job to end after the batch at hand; what it committed stays."""
        self._move("stop")
        if self._worker is not None:
            self._worker.ask_to_stop()

    def close(self) -> None:
        """Stop because the window closes, and say nothing more."""
        if self._worker is not None:
            self._worker.quit()
        self._close_bar()
        self._timer.stop()

    def _make_worker(self, make_events: Callable[[threading.Event], Iterator[Event]], title: str) -> _Worker:
        def work() -> Iterator[Event]:
            yield from _until_stopped(make_events(worker.stop), worker.stop, worker.going)

        work.__qualname__ = title  # napari's closing dialog names the function
        worker: _Worker = thread_worker(work, worker_class=_Worker, ignore_errors=True)()
        worker.yielded.connect(self._on_event)
        worker.warned.connect(_log_warning)
        worker.errored.connect(self._on_error)
        worker.finished.connect(self._on_finished)
        return worker

    def _move(self, happening: str) -> None:
        following = TRANSITIONS[self.status.state].get(happening)
        if following is None:
            raise RuntimeError(f"a job that is {self.status.state} cannot {happening}")
        self.status.state = following

    def _on_event(self, event: Event) -> None:
        if self._worker is None or self._worker.window_closed:
            return
        match event:
            case Started():
                self.status.path, self.status.unit = event.path, event.unit
                self.status.total, self.status.done = event.total, event.done
                self._position = float(event.done)
                self._clock.left(self._position, event.total)
                if self.status.state is State.PREPARING:
                    self._move("begin")
            case BatchDone():
                self._loss = event.loss if event.loss is not None else self._loss
                if event.phase == "train":
                    self._position = self.status.done + min(1.0, event.step / max(1, event.steps))
            case EpochDone():
                self.status.done = event.epoch
                self._position = float(event.epoch)
            case Finished():
                self._last = event
            case Checkpointed():
                pass
        self.event.emit(event)

    def _on_error(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self, _: None = None) -> None:
        worker, self._worker = self._worker, None
        warnings.showwarning = self._showwarning
        self.close()
        error, self._error = self._error, None
        if error is not None:
            logger.error("%s failed", self.status.title, exc_info=error)
            _let_go_of_locals(error)
        if worker is None or worker.window_closed:
            return
        self._show_progress()
        failed = error is not None or (self._last is not None and self._last.why == "failed")
        self.status.message = self._outcome(error)
        self.status.seconds_left = None
        self._move("fail" if failed else "end")
        if failed:
            self._notify(error)

    def _outcome(self, error: Exception | None) -> str:
        if error is not None:
            return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if self._last is not None and self._last.message:
            return self._last.message
        ended = "Stopped" if self.status.state is State.STOPPING else "Done"
        return f"{ended}: {self.status.done} of {self.status.total} {self.status.unit}."

    def _notify(self, error: Exception | None) -> None:
        if error is None or isinstance(error, InputError):
            show_error(self.status.message)
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def _tick(self) -> None:
        if self._bar is not None and self._bar.is_canceled and "stop" in allowed(self.status.state):
            self.stop()
        self._show_progress()
        if self._bar is not None and self.status.total:
            bar, ahead = self._bar, self.status.done - self._bar.n
            if bar.total != self.status.total:
                bar.total = self.status.total
            if ahead > 0:
                bar.update(ahead)  # lets Qt deliver events: nothing may follow

    def _show_progress(self) -> None:
        self.status.loss = self._loss
        if self.status.total:
            self.status.fraction = min(1.0, self._position / self.status.total)
            if self.status.state is State.RUNNING:
                self.status.seconds_left = self._clock.left(self._position, self.status.total)

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()


def _log_warning(warned: tuple[Any, ...]) -> None:
    message, category, filename, lineno = warned[:4]
    logger.warning("%s", warnings.formatwarning(message, category, filename, lineno).strip())


def _let_go_of_locals(error: BaseException | None) -> None:
    """Free what the frames of an error hold (the model): napari keeps every error it has shown."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
