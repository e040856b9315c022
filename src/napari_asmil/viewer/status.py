"""The states of a job and what the window shows of it, made from its events. Knows no Qt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from napari_asmil.events import BatchDone, EpochDone, Event, Started


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
    """What the window shows of a job; every field tells its change through `events`.

    Attributes
    ----------
    done, total : int
        Units of work; 0 in all while that is not known.
    fraction : float
        Share of the work that is done, batches included.
    seconds_left : float or None
        From the pace since the start, pauses left out.
    detail : str
        What is being done this moment.
    message : str
        How the job ended.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    state: State = State.IDLE
    title: str = ""
    unit: str = "epochs"
    done: int = 0
    total: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None
    detail: str = ""
    message: str = ""
    path: Path | None = None


_BESIDES = {"check": "checking bag", "record": "recording slide"}
"""Phases that are no share of an epoch's progress, in words."""
_PHASES = {"train": "bag", "attend": "looking at slide", "extract": "extracting tile", **_BESIDES}


class Tracker:
    """Follows the events of one job; `show` brings what it knows into the status, `hear` is cheap."""

    def __init__(self, status: Status, title: str, unit: str) -> None:
        self.status = status
        self._batch: BatchDone | None = None
        self._position = 0.0
        self._from = 0.0
        self._begun = self._paused_at = time.monotonic()
        status.title, status.unit = title, unit
        status.done = status.total = 0
        status.fraction, status.seconds_left, status.loss = 0.0, None, None
        status.detail, status.message, status.path = "", "", None

    def hear(self, event: Event) -> None:
        """Take in one event of the job."""
        status = self.status
        if isinstance(event, Started):
            status.path, status.unit = event.path, event.unit
            status.total, status.done = event.total, event.done
            self._position = self._from = float(event.done)
            self._begun = time.monotonic()
        elif isinstance(event, BatchDone):
            self._batch = event
            self._advance(event)
        elif isinstance(event, EpochDone):
            status.done = max(status.done, event.epoch)
            self._position = float(status.done)

    def _advance(self, batch: BatchDone) -> None:
        """Move on by a batch: a share of its epoch, or one of the units themselves where there are no epochs."""
        if batch.phase in _BESIDES or not self.status.total:
            return
        if batch.epoch == 0:
            self.status.done = batch.step
            self._position = float(batch.step)
        else:
            self._position = self.status.done + min(1.0, batch.step / max(1, batch.steps))

    def pause(self) -> None:
        """Stop the clock."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Let the clock go on."""
        self._begun += time.monotonic() - self._paused_at

    def show(self) -> None:
        """Bring progress into the status."""
        status, batch = self.status, self._batch
        if batch is not None:
            where = f"epoch {batch.epoch}: " if batch.epoch else ""
            status.detail = f"{where}{_PHASES.get(batch.phase, batch.phase)} {batch.step} of {batch.steps}"
            if batch.loss is not None:
                status.loss = batch.loss
        if status.total:
            status.fraction = min(1.0, self._position / status.total)
        gone = self._position - self._from
        if status.state is State.RUNNING and gone > 0:
            status.seconds_left = (time.monotonic() - self._begun) / gone * (status.total - self._position)
