"""How values are spread over tiles, and where one tile stands among the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Bins:
    """Bins of equal width between two finite ends; values beyond an end are counted in the bin at that end.

    Attributes
    ----------
    low, high : float
        The ends, low < high.
    count : int
        How many bins.
    """

    low: float
    high: float
    count: int = 64

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Where bins begin and end, float64 (count + 1,)."""
        return np.linspace(self.low, self.high, self.count + 1)

    def index(self, values: ArrayLike) -> NDArray[np.intp]:
        """The bin of each value that is a number, of any shape; bins take their lower edge, the last takes both."""
        given = np.asarray(values, dtype=np.float64).ravel()
        finite = np.isfinite(given)
        given = given if finite.all() else given[finite]
        scaled = (given - self.low) * (self.count / (self.high - self.low))
        at = np.clip(scaled, 0, self.count - 1).astype(np.intp)
        near = np.flatnonzero(np.abs(scaled - np.rint(scaled)) < self._rounding)  # off by a rounding at an edge
        value, bin_ = given[near], at[near]
        bin_ -= (value < self.edges[bin_]) & (bin_ > 0)
        bin_ += (value >= self.edges[bin_ + 1]) & (bin_ < self.count - 1)
        at[near] = bin_
        return at

    @property
    def _rounding(self) -> float:
        """How far from an edge, in bins, a value may be taken to its wrong side."""
        widths = max(abs(self.low), abs(self.high)) * self.count / (self.high - self.low)
        return 16 * float(np.finfo(np.float64).eps) * (widths + self.count)

    def counts(self, values: ArrayLike) -> NDArray[np.intp]:
        """How many of the values lie in each bin, (count,); what is not a number is in none."""
        return np.bincount(self.index(values), minlength=self.count)


def extent(values: ArrayLike) -> tuple[float, float] | None:
    """Least and greatest of the values that are numbers, or None where none is."""
    given = np.asarray(values)
    low, high = float(given.min()), float(given.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = given[np.isfinite(given)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True)
class Interval:
    """Values from `low` to `high`, both included; an end may be infinite."""

    low: float
    high: float

    def holds(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which tiles lie inside, bool (M,); of rows (K, M), those with any row inside."""
        given = np.asarray(values, dtype=np.float64)
        inside = (given >= self.low) & (given <= self.high)
        return np.asarray(inside if inside.ndim == 1 else inside.any(axis=0))


@dataclass(frozen=True)
class Standing:
    """Where one tile stands among M.

    Attributes
    ----------
    rank : int
        1 is the highest; tiles of the same value share the best of their ranks.
    ties : int
        How many others have the very same value.
    percentile : float
        As the display transform: the mean rank of its ties from below, less a half, in percent of M.
    """

    rank: int
    ties: int
    percentile: float


def standing(values: ArrayLike, tile: int) -> Standing:
    """Where `tile` stands among values (M,)."""
    given = np.asarray(values)
    above, same = int((given > given[tile]).sum()), int((given == given[tile]).sum())
    below = len(given) - above - same
    return Standing(above + 1, same - 1, (below + same / 2) / len(given) * 100)


def highest(values: ArrayLike, k: int) -> NDArray[np.intp]:
    """The k tiles with the greatest values (M,), greatest first; ties go to the lower index."""
    given = np.asarray(values)
    k = min(k, len(given))
    if k == 0:
        return np.empty(0, dtype=np.intp)
    among = np.flatnonzero(given >= np.partition(given, -k)[-k])
    return np.asarray(among[np.argsort(-given[among], kind="stable")][:k])


def ties_at_the_end(values: ArrayLike, chosen: NDArray[np.intp]) -> int:
    """How many tiles beyond those `chosen` have the very value of the last of them: which are left out is chance."""
    given = np.asarray(values)
    if not len(chosen):
        return 0
    last = given[chosen[-1]]
    return int((given == last).sum() - (given[chosen] == last).sum())
