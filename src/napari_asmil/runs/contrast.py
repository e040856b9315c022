"""Two maps of one slide, tile by tile: their difference as a map, and how much they agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.agreement import Agreement, agreeing, log2_ratio, uniform_difference
from napari_asmil.errors import InputError
from napari_asmil.runs.lazy import LazyMaps, Limits
from napari_asmil.runs.reader import Run
from napari_asmil.runs.recorded import RunSlide
from napari_asmil.runs.view import LEAST_DECADE, MapView

Kind = Literal["log2", "plain"]
KINDS: dict[Kind, tuple[str, str]] = {
    "log2": ("α A / α B", "log2 ratio"),
    "plain": ("M·(α A − α B)", "× uniform"),
}
"""What a difference is, and its unit."""
LEAST_REACH = 0.01
"""Colours reach at least so far to both sides: maps that differ by rounding alone show no pattern."""


def check_attention(*views: MapView) -> None:
    """Refuse maps of values that are no attention over the tiles."""
    for view in views:
        if view.run.no_attention:
            raise InputError(view.run.no_attention, path=view.run.path)


def check_same_tiles(a: RunSlide, b: RunSlide) -> None:
    """Refuse two recorded slides that have not the same tiles in the same order.

    Raises
    ------
    InputError
        With the reason.
    """
    if why := a.other_tiles(b):
        raise InputError(
            f"The maps are not of one tile set: {why}.", remedy="Compare runs that were trained on the same bags."
        )


class Difference(LazyMaps):
    """How two maps A and B differ on each tile, by step of the slider, each at its own epoch there.

    Raises
    ------
    InputError
        When the two have not the same tiles, or one is no attention over them.
    """

    def __init__(self, a: MapView, b: MapView, kind: Kind = "log2") -> None:
        if kind not in get_args(Kind):
            raise InputError(f"Unknown difference {kind!r}.", remedy=f"Known: {', '.join(KINDS)}.")
        check_attention(a, b)
        check_same_tiles(a.slide, b.slide)
        super().__init__()
        self.a, self.b, self.kind = a, b, kind
        self.drawing = a.drawing
        self._reach: dict[int, float] = {}

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of both."""
        return (*self.a.runs, *self.b.runs)

    @property
    def cost(self) -> int:
        """Scores that are read to derive one step."""
        return self.a.cost + self.b.cost

    @property
    def n_epochs(self) -> int:
        """Steps of the slider."""
        return max(self.a.steps, self.b.steps)

    @property
    def quantity(self) -> str:
        """What is subtracted from what."""
        return KINDS[self.kind][0]

    @property
    def unit(self) -> str:
        """Its unit."""
        return KINDS[self.kind][1]

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return self.quantity

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return f"{self.quantity} ({self.unit}), A: {self.a.label}, B: {self.b.label}"

    def probabilities(self, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both maps at a step, float64 (M,) each, see `pair_at`."""
        return pair_at(self.a, self.b, step)

    def values(self, epoch: int) -> NDArray[np.float32]:
        """The difference on each tile at a step, float32 (M,)."""
        between = log2_ratio if self.kind == "log2" else uniform_difference
        return between(*self.probabilities(epoch)).astype(np.float32)

    def limits(self, epoch: int | None = None) -> Limits:
        """Symmetric limits of one step, or over all; of a ratio, those of tiles above a thousandth of uniform."""
        steps = range(self.n_epochs) if epoch is None else [epoch]
        reach = max([LEAST_REACH, *(self._reached(step) for step in steps)])
        return -reach, reach

    def refresh(self) -> int:
        """Take up newly committed epochs of both."""
        self.a.refresh()
        self.b.refresh()
        return self.n_epochs

    def _reached(self, step: int) -> float:
        if step not in self._reach:
            try:
                p, q = self.probabilities(step)
            except InputError:
                return 0.0  # not kept: the epoch may be there later
            least = 10.0**LEAST_DECADE / len(p)
            if self.kind == "log2":
                shown = log2_ratio(np.maximum(p, least), np.maximum(q, least))
            else:
                shown = uniform_difference(p, q)
            self._reach[step] = float(np.abs(shown).max())
        return self._reach[step]


def pair_at(a: MapView, b: MapView, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two maps at a step of the slider, each at its own epoch there, float64 (M,) each.

    Raises
    ------
    InputError
        When one of them is not there, or no numbers.
    """
    found = []
    for letter, view in (("A", a), ("B", b)):
        try:
            epoch = view.epoch_at(step)
        except InputError as error:
            raise InputError(f"{letter}: {error}") from error
        p = view.probabilities(epoch)
        if not np.isfinite(p).all():
            raise InputError(f"{letter}: the map of epoch {epoch} is not a number (NaN) on some tiles.")
        found.append(p)
    return found[0], found[1]


def agreeing_at(a: MapView, b: MapView, step: int) -> Iterator[Agreement | None]:
    """How much two maps of the same tiles agree at a step of the slider: yields None until it is known.

    Raises
    ------
    InputError
        As `pair_at`.
    """
    pair = pair_at(a, b, step)
    yield None
    yield from agreeing(*pair)


class Course:
    """Agreement of two maps of the same tiles along the slider, found step by step.

    Attributes
    ----------
    found : dict of int to Agreement
        By step, as far as it is known.
    missing : dict of int to str
        Why a step has none.
    """

    def __init__(self, a: MapView, b: MapView) -> None:
        self.a, self.b = a, b
        self.found: dict[int, Agreement] = {}
        self.missing: dict[int, str] = {}

    @property
    def steps(self) -> int:
        """Steps of the slider."""
        return max(self.a.steps, self.b.steps)

    @property
    def done(self) -> bool:
        """Whether every step is known, or known to have none."""
        return len(self.found) + len(self.missing) >= self.steps

    def look_again(self) -> None:
        """Epochs that were not there may be there now."""
        self.missing.clear()

    def find(self, first: int) -> Iterator[int]:
        """Find what is not known yet, `first` before the rest; yields the step at hand between pieces of work."""
        for step in (first, *range(self.steps)):
            if step in self.found or step in self.missing or step >= self.steps:
                continue
            try:
                for agreed in agreeing_at(self.a, self.b, step):
                    if agreed is not None:
                        self.found[step] = agreed
                    yield step
            except InputError as error:
                self.missing[step] = str(error)
                yield step

    def values(self, name: str) -> NDArray[np.float64]:
        """One number of `Agreement` by step, float64 (E,), NaN where it is not known."""
        values = np.full(self.steps, np.nan)
        for step, agreed in self.found.items():
            values[step] = getattr(agreed, name)
        return values
