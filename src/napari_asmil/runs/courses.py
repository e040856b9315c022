"""Numbers over epochs that a run does not store, derived one epoch at a time and kept while the run is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis import dynamics
from napari_asmil.errors import InputError
from napari_asmil.runs.reader import Run
from napari_asmil.runs.schema import probabilities

Floats = NDArray[np.float64]
Steps = Iterator[Floats | None]
"""The numbers of one epoch after the other; None is a place to pause within an epoch."""

STEP = 1 << 15
"""Values of z that are normalised between two pauses: a few milliseconds."""
SATURATED = 0.99
"""A sigmoid above it, or below one minus it, is saturated."""

LAST = "jsd_last"
FAMILIES: dict[str, tuple[str, ...]] = {
    "mass": ("top01_mass", "top10_mass"),
    "ranks": ("rank_correlation",),
    "last": (LAST,),
    "scores": ("z_mean", "z_sd", "z_saturation"),
    "rows": ("row_jsd", "row_entropy"),
}
"""Numbers that are derived together, in the order of their last axis."""
FAMILY = {name: family for family, names in FAMILIES.items() for name in names}
OF_SCORES = frozenset(("scores", "rows"))
"""Families that need raw scores and have a value for each row."""


def saturation(z: NDArray[np.floating]) -> Floats:
    """Share of tiles whose sigmoid(z) is above `SATURATED` or below one minus it: (..., M) to (...), NaN for NaN."""
    beyond = np.abs(z) > np.log(SATURATED / (1 - SATURATED))
    return np.where(np.isnan(z).any(axis=-1), np.nan, beyond.mean(axis=-1))


def score_numbers(z: NDArray[np.floating]) -> Floats:
    """Mean of z over tiles, its standard deviation (over M, not M - 1) and `saturation`: (..., M) to (..., 3)."""
    given = np.asarray(z, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # a score may be infinite
        return np.stack([given.mean(axis=-1), given.std(axis=-1), saturation(given)], axis=-1)


@dataclass
class _Known:
    """What is known of one slide: (epochs, ...) of which the first `done` are there; `lost` could not be read."""

    values: Floats
    done: int = 0
    under_way: int = 0
    lost: set[int] = field(default_factory=set)

    def take(self, numbers: Floats) -> None:
        if self.done == len(self.values):
            more = np.full((max(8, len(self.values)), *self.values.shape[1:]), np.nan)
            self.values = np.concatenate([self.values, more])
        self.values[self.done] = numbers
        self.done += 1


class Courses:
    """Courses over epochs of one open run; get it with `Courses.of`.

    ``values`` gives what is known so far, ``compute`` derives what is missing. Names, all from float32 rows as stored,
    in float64:

    - ``top01_mass``, ``top10_mass``: mass of the map as stored on its top .1 % and 10 % of tiles
    - ``rank_correlation``: Spearman of the map as stored with that of the epoch before
    - ``jsd_last``: JSD in bits of the map as stored to that of the last committed epoch
    - ``z_mean``, ``z_sd``, ``z_saturation``: of the raw scores of each row, see `score_numbers`
    - ``row_jsd``, ``row_entropy``: JSD in bits to the epoch before and entropy in nats of each row, by the model's own
      normaliser
    """

    _all: ClassVar[WeakKeyDictionary[Run, Courses]] = WeakKeyDictionary()

    def __init__(self, run: Run) -> None:
        self._run = ref(run)
        self._known: dict[tuple[str, str], _Known] = {}

    @classmethod
    def of(cls, run: Run) -> Courses:
        """The courses of an open run, made on first use and kept as long as the run."""
        if run not in cls._all:
            cls._all[run] = cls(run)
        return cls._all[run]

    @property
    def run(self) -> Run:
        """The run."""
        run = self._run()
        assert run is not None, "who asks for numbers of a run holds it"
        return run

    def values(self, name: str, slide_id: str) -> Floats:
        """What is known: float64 (E,), of rows (E, K); NaN where it is not defined or not computed yet."""
        family, run = FAMILY[name], self.run
        epochs = run.n_epochs
        rows = (len(run.row_names),) if family in OF_SCORES else ()
        found = np.full((epochs, *rows), np.nan)
        known = self._known.get((family, slide_id))
        if known is not None:
            done = min(known.done, epochs)
            found[:done] = known.values[:done, ..., FAMILIES[family].index(name)]
        return found

    def missing(self, name: str, slide_ids: Iterable[str]) -> int:
        """How many epochs of these slides are yet to be computed, counted slide by slide."""
        epochs, family = self.run.n_epochs, FAMILY[name]
        return sum(self._missing(family, slide_id, epochs) for slide_id in slide_ids)

    def reference(self, slide_ids: Iterable[str]) -> set[int]:
        """Which last epochs the known values of ``jsd_last`` are to."""
        known = [self._known.get((FAMILY[LAST], slide_id)) for slide_id in slide_ids]
        return {k.done - 1 for k in known if k is not None and k.done}

    def lost(self, name: str, slide_ids: Iterable[str]) -> int:
        """How many maps (or scores) of these slides could not be read: the run is damaged."""
        known = [self._known.get((FAMILY[name], slide_id)) for slide_id in slide_ids]
        return sum(len(k.lost) for k in known if k is not None)

    def compute(self, name: str, slide_ids: Iterable[str]) -> Iterator[None]:
        """Compute what is missing, with a place to pause every few milliseconds.

        What is known when it pauses, or is given up, stays known.
        """
        family, run = FAMILY[name], self.run
        for slide_id in slide_ids:
            while self._missing(family, slide_id, run.n_epochs):
                known = self._known.setdefault((family, slide_id), _empty(run, family))
                if family == "last":
                    yield from self._compute_anew(run, slide_id, known)
                else:
                    yield from _go_on(run, family, slide_id, known)

    def _missing(self, family: str, slide_id: str, epochs: int) -> int:
        known = self._known.get((family, slide_id))
        if known is None:
            return epochs
        if family == "last":  # another last epoch makes all numbers others
            return 0 if known.done == epochs else epochs - known.under_way
        return max(0, epochs - known.done)

    def _compute_anew(self, run: Run, slide_id: str, known: _Known) -> Iterator[None]:
        """As `_go_on` from the start; the numbers known before stand until all new ones are there."""
        fresh = _empty(run, "last")
        try:
            for _ in _go_on(run, "last", slide_id, fresh):
                known.under_way = fresh.done
                yield
        finally:
            known.under_way = 0
        self._known["last", slide_id] = fresh


def _go_on(run: Run, family: str, slide_id: str, known: _Known) -> Iterator[None]:
    """Compute epoch after epoch; end where another who computes the same has come further."""
    expected = known.done
    for numbers in _STEPS[family](run, slide_id, known):
        if known.done != expected:
            return
        if numbers is not None:
            known.take(numbers)
            expected += 1
        yield


def _empty(run: Run, family: str) -> _Known:
    rows = (len(run.row_names),) if family in OF_SCORES else ()
    return _Known(np.full((0, *rows, len(FAMILIES[family])), np.nan))


def _map(run: Run, slide_id: str, epoch: int, known: _Known) -> Floats | None:
    """The map as stored, None where it cannot be read or is not of numbers."""
    try:
        p = probabilities(run.attention(epoch, slide_id))
    except InputError:
        known.lost.add(epoch)
        return None
    return p if np.isfinite(p).all() else None


def _scores(run: Run, slide_id: str, epoch: int, known: _Known) -> NDArray[np.float32]:
    """Raw scores, NaN where they cannot be read."""
    try:
        return run.scores(epoch, slide_id)
    except InputError:
        known.lost.add(epoch)
        return np.full((len(run.row_names), run.slide(slide_id).n_tiles), np.nan, np.float32)


def _mass(run: Run, slide_id: str, known: _Known) -> Steps:
    for epoch in range(known.done, run.n_epochs):
        p = _map(run, slide_id, epoch, known)
        yield np.array([np.nan if p is None else float(dynamics.top_mass(p, share)) for share in (0.001, 0.1)])


def _ranks(run: Run, slide_id: str, known: _Known) -> Steps:
    before = None if known.done == 0 else _map(run, slide_id, known.done - 1, known)
    for epoch in range(known.done, run.n_epochs):
        p = _map(run, slide_id, epoch, known)
        yield np.array([np.nan if p is None or before is None else dynamics.rank_correlation(before, p)])
        before = p


def _last(run: Run, slide_id: str, known: _Known) -> Steps:
    epochs = run.n_epochs
    last = _map(run, slide_id, epochs - 1, known)
    for epoch in range(epochs):
        p = _map(run, slide_id, epoch, known)
        yield np.array([np.nan if p is None or last is None else float(dynamics.jsd(p, last))])


def _score_numbers(run: Run, slide_id: str, known: _Known) -> Steps:
    for epoch in range(known.done, run.n_epochs):
        z = _scores(run, slide_id, epoch, known)
        found = np.full((len(z), len(FAMILIES["scores"])), np.nan)
        for rows in _blocks(z, STEP):
            found[rows] = score_numbers(z[rows])
            yield None
        yield found


def _rows(run: Run, slide_id: str, known: _Known) -> Steps:
    normalizer = run.normalizer
    step = STEP // 16 if normalizer.name == "entmax" else STEP  # whose threshold is found in many steps
    before = None if known.done == 0 else _scores(run, slide_id, known.done - 1, known)
    for epoch in range(known.done, run.n_epochs):
        z = _scores(run, slide_id, epoch, known)
        found = np.full((len(z), len(FAMILIES["rows"])), np.nan)
        for rows in _blocks(z, step):
            p = np.exp(normalizer.log(z[rows]))
            old = np.full_like(p, np.nan) if before is None else np.exp(normalizer.log(before[rows]))
            found[rows, 0] = _where_whole(dynamics.jsd(old, p), old, p)
            found[rows, 1] = _where_whole(dynamics.entropy(p), p)
            yield None
        before = z
        yield found


def _where_whole(numbers: Floats, *maps: Floats) -> Floats:
    """`numbers` (K,), NaN where one of the maps (K, M) is not of numbers."""
    whole = np.logical_and.reduce([np.isfinite(p).all(axis=-1) for p in maps])
    return np.where(whole, numbers, np.nan)


def _blocks(z: NDArray[np.float32], step: int) -> Iterator[slice]:
    """Rows of (K, M) a few at a time, so that a block has about `step` values."""
    each = max(1, step // max(z.shape[1], 1))
    return (slice(at, at + each) for at in range(0, len(z), each))


_STEPS: dict[str, Callable[[Run, str, _Known], Steps]] = {
    "mass": _mass,
    "ranks": _ranks,
    "last": _last,
    "scores": _score_numbers,
    "rows": _rows,
}
