"""A middle and how far the values lie around it, over slides, rows or seeds, epoch by epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUARTILES_FROM = 5
"""From so many values on a band is that of the quartiles; fewer have no quartiles worth the name."""

Floats = NDArray[np.float64]


def quantiles(values: ArrayLike, *shares: float) -> Floats:
    """Quantiles over the last axis, linear between values; NaN are left out.

    Parameters
    ----------
    values : (E, N)
    shares : float
        Each 0 to 1.

    Returns
    -------
    float64 (len(shares), E), NaN where there is no value.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=1)  # NaN come last
    last = (~np.isnan(ordered)).sum(axis=1) - 1
    if not ordered.shape[1]:
        return np.full((len(shares), len(ordered)), np.nan)
    rows, found = np.arange(len(ordered)), []
    for share in shares:
        place = np.maximum(last, 0) * share
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(last, 0))
        low, high = ordered[rows, below], ordered[rows, above]
        found.append(low + (high - low) * (place - below))
    return np.stack(found)


def how_many(values: ArrayLike) -> int:
    """How many of the last axis have a value at any epoch: (E, N) to 0 to N."""
    return int((~np.isnan(np.asarray(values, dtype=np.float64))).any(axis=0).sum())


def middle_and_band(values: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Median with its band over the last axis: (E, N) to three of (E,).

    The band is that of `band_words` for `how_many` there are.
    """
    given = np.asarray(values, dtype=np.float64)
    ends = (0.25, 0.75) if how_many(given) >= QUARTILES_FROM else (0.0, 1.0)
    low, middle, high = quantiles(given, ends[0], 0.5, ends[1])
    return middle, low, high


def band_words(count: int) -> str:
    """What the band of so many values is."""
    return "quartiles" if count >= QUARTILES_FROM else "least to greatest"
