"""One epoch of a slide spread out: raw scores, and M·α by each normaliser, derived with places to pause."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.display import log10_m_alpha
from napari_asmil.analysis.dynamics import effective_tiles
from napari_asmil.analysis.histogram import Bins, extent
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import schema
from napari_asmil.runs.reader import Run
from napari_asmil.runs.rows import rows_called
from napari_asmil.runs.view import MEAN, MapView, Source

SAMPLED = 2e7
"""Axes are locked over so many epochs, evenly spaced, that about this many scores are read."""
DECADE = 0.1
"""Ends of an axis of log10 M·α lie on tenths of a decade."""

Steps = Generator[None, None, "EpochNumbers"]


@dataclass
class EpochNumbers:
    """Numbers of one epoch.

    Attributes
    ----------
    z : float32 (K, M) or None
        Raw scores of the chosen rows; None where they were not recorded.
    why : str
        Why there are none.
    maps : dict of Source to float64 (M,)
        Probabilities by each source; one that is lost or no numbers is left out.
    logs : dict of Source to float64 (M,)
        log10 M·α of these, as the display transform.
    effective : dict of Source to float
        Effective tiles of these.
    """

    z: NDArray[np.float32] | None = None
    why: str = ""
    maps: dict[Source, NDArray[np.float64]] = field(default_factory=dict)
    logs: dict[Source, NDArray[np.float64]] = field(default_factory=dict)
    effective: dict[Source, float] = field(default_factory=dict)

    def take(self, source: Source, p: NDArray[np.float64]) -> None:
        """Take a map that is of numbers."""
        if np.isfinite(p).all():
            self.maps[source], self.logs[source] = p, log10_m_alpha(p)
            self.effective[source] = float(effective_tiles(p))


def laid_beside(view: MapView, row: str = MEAN) -> list[Source]:
    """What is spread out beside a map: as stored, by softmax, by NSF, and the map itself where it is none of these.

    Numbers of a normaliser are those of the map where it is by that one, and 1 and 0 otherwise.
    """
    shown = view.source
    found = [Source(branch=shown.branch)]
    if view.slide.has_scores:
        both = {normalizer.name: normalizer for normalizer in (Normalizer("softmax"), Normalizer("nsf"))}
        if shown.normalizer is not None and shown.normalizer.name in both:
            both[shown.normalizer.name] = shown.normalizer
        found += [Source(normalizer, row) for normalizer in both.values()]
    return found if shown in found else [*found, shown]


def deriving(
    run: Run,
    slide_id: str,
    epoch: int,
    sources: Sequence[Source],
    row: str = MEAN,
    known: Mapping[Source, NDArray[np.float64]] | None = None,
) -> Steps:
    """Derive the numbers of an epoch row by row, and return them.

    Parameters
    ----------
    run : Run
    slide_id : str
    epoch : int
        A committed one.
    sources : sequence of Source
        Maps to derive.
    row : str
        Whose raw scores: a row, a part that rows share, or "mean" for all of them.
    known : mapping of Source to float64 (M,), optional
        Maps that are at hand.
    """
    numbers, known = EpochNumbers(), known or {}
    scores = None
    try:
        scores = run.scores(epoch, slide_id)
    except InputError as error:
        numbers.why = str(error).removeprefix(f"{error.path}: ")
    yield
    for source in sources:
        if source in known:
            numbers.take(source, known[source])
        elif source.normalizer is None:
            with suppress(InputError):
                numbers.take(source, schema.probabilities(run.attention(epoch, slide_id, source.branch)))
        elif scores is not None:
            rows = _rows(run, source.row)
            p = np.zeros(scores.shape[1])
            for at in rows:
                p += source.normalizer.probabilities(scores[at])
                yield
            numbers.take(source, p / len(rows))
        yield
    if scores is not None:
        numbers.z = scores if row == MEAN else scores[_rows(run, row)]
    return numbers


class Ends:
    """Where the axes of raw scores and of log10 M·α end: they only ever grow.

    Attributes
    ----------
    z, maps : (float, float) or None
        Least and greatest; None while nothing was seen.
    epochs : set of int
        Those `locking` has looked at.
    """

    def __init__(self) -> None:
        self.z: tuple[float, float] | None = None
        self.maps: tuple[float, float] | None = None
        self.epochs: set[int] = set()

    def widen(self, numbers: EpochNumbers) -> None:
        """Let the axes reach all values of an epoch, and log10 M·α half a decade on both sides of uniform."""
        if numbers.z is not None and (found := extent(numbers.z)) is not None:
            self.z = _union(self.z, found)
        for logs in numbers.logs.values():
            low, high = float(logs.min()), float(logs.max())
            ends = math.floor(low / DECADE) * DECADE, math.ceil(high / DECADE) * DECADE
            self.maps = _union(_union(self.maps, ends), (-0.5, 0.5))

    @property
    def bins(self) -> tuple[Bins | None, Bins | None]:
        """Bins of raw scores and of log10 M·α between these ends."""
        return _bins(self.z), _bins(self.maps)


def locking(view: MapView, sources: Sequence[Source], row: str, ends: Ends) -> Generator[None, None, str]:
    """Let the axes reach the values of all epochs, or of as many as can be afforded; returns which in words.

    It goes on after the last epoch that was looked at, so what a run has more than before is looked at alone.
    """
    last, begin = view.run.n_epochs, max(ends.epochs, default=-1) + 1
    count = min(last - begin, max(4, int(SAMPLED / (view.cost * len(sources)))))
    for epoch in sorted({round(at) for at in np.linspace(begin, last - 1, count).tolist()}):
        ends.widen((yield from deriving(view.run, view.slide.slide_id, epoch, sources, row)))
        ends.epochs.add(epoch)
        yield
    return f"all {last}" if len(ends.epochs) == last else f"{len(ends.epochs)} of {last}"


def _rows(run: Run, row: str) -> list[int]:
    return list(range(len(run.row_names))) if row == MEAN else rows_called(run.row_names, row)


def _union(known: tuple[float, float] | None, more: tuple[float, float]) -> tuple[float, float]:
    return more if known is None else (min(known[0], more[0]), max(known[1], more[1]))


def _bins(ends: tuple[float, float] | None) -> Bins | None:
    if ends is None:
        return None
    low, high = ends
    return Bins(low, high) if high > low else Bins(low - 0.5, high + 0.5)
