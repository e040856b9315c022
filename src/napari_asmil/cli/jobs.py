"""How a job is followed on a terminal, and how it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
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


def follow(make_events: Callable[[threading.Event], Iterator[Event]], title: str) -> Finished:
    """Show a job's progress on stderr until it is finished; Ctrl-C stops it within a batch, to be resumed."""
    stop = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with Progress(*columns, console=screen, transient=True) as progress:
            task = progress.add_task(title, total=None)
            for event in make_events(stop):
                if isinstance(event, Started):
                    progress.update(task, total=event.total, completed=event.done)
                elif isinstance(event, BatchDone):
                    progress.update(task, description=f"{title}: {event.phase} {event.step}/{event.steps}")
                elif isinstance(event, EpochDone):
                    progress.update(task, completed=event.epoch)
                elif isinstance(event, Finished):
                    return event
    finally:
        signal.signal(signal.SIGINT, before)
    raise InputError("The job ended without saying so.")


def say(lines: Iterable[str]) -> None:
    """Write lines for a person to stderr."""
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def finish(done: Finished) -> None:
    """Say how a job ended; leave with 3 when it was stopped."""
    typer.echo(f"{done.path}: {done.message}")
    if done.why != "done":
        raise typer.Exit(3)
