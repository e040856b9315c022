"""How a job is followed on a terminal, and how it ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started

screen = Console(stderr=True, highlight=False)

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda:N or mps.")]


EVERY = 10.0
"""Seconds from line to line where stderr is no terminal."""

STOP = threading.Event()
"""Set by Ctrl-C; `follow` gives it to its job."""

_following = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C stops the job that is followed within a batch, or else ends the command; none is forgotten.

    An interrupt that some import swallows still stops the job that is followed next.
    """

    def on_interrupt(*_: object) -> None:
        STOP.set()
        if not _following.is_set():
            raise KeyboardInterrupt

    STOP.clear()
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def follow(make_events: Callable[[threading.Event], Iterator[Event]], title: str) -> Finished:
    """Show a job's progress on stderr until it is finished: a bar on a terminal, else a line every so often."""
    _following.set()
    try:
        with _bar(title) if screen.is_terminal else nullcontext(_lines()) as show:
            state = _State(title)
            for event in make_events(STOP):
                if isinstance(event, Finished):
                    return event
                state.take(event)
                show(state)
    finally:
        _following.clear()
    raise InputError("The job ended without saying so.")


@dataclass
class _State:
    """How far a job is, in words and numbers."""

    title: str
    name: str = ""
    phase: str = "getting ready"
    unit: str = ""
    done: int = 0
    total: int | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Started):
            self.done, self.total, self.unit = event.done, event.total, event.unit
            self.name = event.path.name.removesuffix(".asmil") if event.unit == "epochs" else ""
        elif isinstance(event, BatchDone):
            self.phase = f"{event.phase} {event.step}/{event.steps}"
        elif isinstance(event, EpochDone):
            self.done = event.epoch

    @property
    def words(self) -> str:
        return f"{self.title} {self.name}".strip() + f": {self.phase}"


@contextmanager
def _bar(title: str) -> Iterator[Callable[[_State], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(_State(title).words, total=None)
        yield lambda state: progress.update(task, description=state.words, total=state.total, completed=state.done)


def _lines() -> Callable[[_State], None]:
    last = time.monotonic()

    def show(state: _State) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            say([state.words + (f"; {state.done} of {state.total} {state.unit} done" if state.total else "")])

    return show


def say(lines: Iterable[str]) -> None:
    """Write lines for a person to stderr."""
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def finish(done: Finished) -> None:
    """Say how a job ended; leave with 3 when it was stopped."""
    typer.echo(f"{done.path}: {done.message}")
    if done.why != "done":
        raise typer.Exit(3)
