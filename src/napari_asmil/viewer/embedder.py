"""Bag vectors of a run drawn in the plane, epoch after epoch, away from the main thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from threadpoolctl import threadpool_limits

from napari_asmil.analysis.embedding import Plane, refusal, tsne
from napari_asmil.errors import InputError
from napari_asmil.runs import Run, open_run

PCA, TSNE = "PCA", "t-SNE"

Places = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Axes:
    """Principal components of one epoch, sought when the run had `known` epochs; None where no epoch has any."""

    plane: Plane | None
    epoch: int
    known: int


@dataclass(frozen=True, eq=False)
class Found:
    """One epoch: float64 (S, 2), or in a sentence why it cannot be drawn; and its axes, where they are fixed."""

    epoch: int
    places: Places | str
    axes: Axes | None = None


@dataclass(eq=False)
class Course:
    """The places of a run's slides by one method, as far as they are known.

    Attributes
    ----------
    epochs : list
        For each epoch from 0 on as `Found.places`.
    axes : Axes or None
        Of every epoch, by PCA.
    extent : float
        All points lie within this distance of 0 along both axes.
    halted : bool
        Whether a person, or an error, stopped it.
    why : str
        The error, in a sentence.
    """

    epochs: list[Places | str] = field(default_factory=list)
    axes: Axes | None = None
    extent: float = 0.0
    halted: bool = False
    why: str = ""

    def add(self, found: Found) -> None:
        """Take up the next epoch; the first begins anew."""
        if found.epoch == 0:
            self.epochs, self.axes, self.extent = [], found.axes, 0.0
        self.epochs.append(found.places)
        if not isinstance(found.places, str):
            self.extent = max(self.extent, float(np.abs(found.places).max()))

    def is_old(self, run: Run) -> bool:
        """Whether its axes are of so early an epoch that all is better drawn again.

        Once the run has twice the epochs, or is finished: a live run's axes stay most of the time, and its epochs
        are drawn three times on average.
        """
        if self.axes is None:
            return False
        finished = run.n_epochs > run.planned_epochs
        return run.n_epochs >= 2 * self.axes.known or (finished and run.n_epochs > self.axes.known)

    def last_places(self) -> Places | None:
        """The newest places that are known."""
        return next((places for places in reversed(self.epochs) if not isinstance(places, str)), None)


class Embedder(QObject):
    """One thread that goes on with a course, reads the run by itself, and can be stopped between two epochs.

    Parameters
    ----------
    run : Run
    method : str
        `PCA` or `TSNE`.
    course : Course
        Where it goes on from; it is not changed.
    """

    found = Signal(object, object)
    """This embedder, and a `Found`."""
    ended = Signal(object, str)
    """This embedder, and the error in a sentence, or nothing."""

    def __init__(self, run: Run, method: str, course: Course) -> None:
        super().__init__()
        self._path, self._method = run.path, method
        self._stop = threading.Event()
        self._begin, self._before, self._axes = len(course.epochs), course.last_places(), course.axes
        self._thread = threading.Thread(target=self._work, name=f"{method} of bag vectors", daemon=True)

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the epoch at hand."""
        self._stop.set()

    def _work(self) -> None:
        why = ""
        try:
            for found in self._draw(open_run(self._path)):
                if not self._tell(self.found, found) or self._stop.is_set():
                    break
        except InputError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the panel must hear that this has ended
            why = f"{self._method} failed ({type(error).__name__}: {error})."
        self._tell(self.ended, why)

    def _tell(self, signal: Any, what: Found | str) -> bool:
        """Whether there is still somebody to tell: with the window our Qt side goes too."""
        try:
            signal.emit(self, what)
        except RuntimeError:
            return False
        return True

    def _draw(self, run: Run) -> Iterator[Found]:
        if self._method == PCA and self._begin == 0:
            self._axes = _axes_of(run)
        before = self._before
        for epoch in range(self._begin, run.n_epochs):
            places: Places | str
            try:
                vectors = run.bags(range(epoch, epoch + 1))[0]
                places = refusal(vectors)
                if not places and self._axes is None:
                    with threadpool_limits(1, "openmp"):  # with more, the window waits for its turn
                        before = places = tsne(vectors, before)
                elif not places and self._axes is not None:
                    plane = self._axes.plane
                    places = "Its axes are still to be made." if plane is None else plane.project(vectors)
            except InputError as error:
                places = str(error)
            yield Found(epoch, places, self._axes)


def _axes_of(run: Run) -> Axes:
    """Of the newest epoch that can be drawn."""
    for epoch in reversed(range(run.n_epochs)):
        with suppress(InputError):
            vectors = run.bags(range(epoch, epoch + 1))[0]
            if not refusal(vectors):
                return Axes(Plane.of(vectors), epoch, run.n_epochs)
    return Axes(None, 0, run.n_epochs)
