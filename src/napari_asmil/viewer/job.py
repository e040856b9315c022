"""One long job at a time: extracting, training and running share this worker, its progress and its stop."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress

from napari.utils import cancelable_progress
from napari.utils.notifications import notification_manager, show_error
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_asmil.errors import InputError
from napari_asmil.events import Event, Finished, Started
from napari_asmil.viewer.status import TRANSITIONS, State, Status, Tracker, allowed
from napari_asmil.viewer.worker import MakeEvents, Worker, let_go_of_locals, make_worker

logger = logging.getLogger(__name__)

TICK_MS = 200
"""How often progress is shown and napari's Cancel button is looked at."""


class Job:
    """The one long job of a viewer.

    `status` is what the window shows; `event` passes the job's own events on, in the main thread. What runs is a
    generator of array-free events, made from a `threading.Event` that asks it to stop.
    """

    event = Signal(object)

    def __init__(self) -> None:
        self.status = Status()
        self._tracker = Tracker(self.status, "", "epochs")
        self._worker: Worker | None = None
        self._bar: cancelable_progress | None = None
        self._error: Exception | None = None
        self._last: Finished | None = None
        self._showwarning = warnings.showwarning
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def active(self) -> bool:
        """Whether a worker is at work, in whatever state."""
        return self._worker is not None

    def start(self, make_events: MakeEvents, title: str, unit: str = "epochs") -> None:
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
        self._error = self._last = None
        self._showwarning = warnings.showwarning
        self._tracker = Tracker(self.status, title, unit)
        self._worker = worker = make_worker(make_events, title)
        worker.yielded.connect(self._on_event)
        worker.errored.connect(self._on_error)
        worker.finished.connect(self._on_finished)
        self._bar = cancelable_progress(total=0, desc=title, bar_format=f"{{bar}}| {{n_fmt}}/{{total_fmt}} {unit}")
        self._move("start")
        self._timer.start()
        worker.start()

    def pause(self) -> None:
        """Hold the job after the batch at hand; it keeps its memory."""
        self._move("pause")
        self._tracker.pause()
        if self._worker is not None:
            self._worker.going.clear()

    def resume(self) -> None:
        """Let a paused job go on."""
        self._move("resume")
        self._tracker.resume()
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
        with suppress(RuntimeError):  # Qt's own end takes the timer first
            self._tidy()

    def _move(self, happening: str) -> None:
        following = TRANSITIONS[self.status.state].get(happening)
        if following is None:
            raise RuntimeError(f"a job that is {self.status.state} cannot {happening}")
        self.status.state = following

    def _on_event(self, event: Event) -> None:
        if self._worker is None or self._worker.window_closed:
            return
        self._worker.heard.set()
        self._tracker.hear(event)
        if isinstance(event, Started) and self.status.state is State.PREPARING:
            self._move("begin")
        elif isinstance(event, Finished):
            self._last = event
        self.event.emit(event)

    def _on_error(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self, _: None = None) -> None:
        worker, self._worker = self._worker, None
        warnings.showwarning = self._showwarning
        self._tidy()
        error, self._error = self._error, None
        if error is not None:
            logger.error("%s failed", self.status.title, exc_info=error)
            let_go_of_locals(error)
        if worker is None or worker.window_closed:
            return
        self._tracker.show()
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
        bar, status = self._bar, self.status
        if bar is None:
            return
        if bar.is_canceled and "stop" in allowed(status.state):
            self.stop()
        self._tracker.show()
        if status.total and bar.total != status.total:
            bar.total = status.total
        if status.total and status.done > bar.n:
            bar.update(status.done - bar.n)  # lets Qt deliver events, our own end among them: nothing may follow

    def _tidy(self) -> None:
        self._timer.stop()
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
