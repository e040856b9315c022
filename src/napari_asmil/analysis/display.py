"""Named ways to show a map: from probabilities over M tiles to the numbers that get a colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


@dataclass(frozen=True)
class Transform:
    """A display transform.

    Attributes
    ----------
    label, unit : str
        As legends name it.
    values : callable
        Probabilities (M,) to displayed values (M,), float64.
    limits : (float, float) or None
        Fixed colour limits, or None when they follow the data.
    hides_concentration : bool
        Whether a flat and a collapsed map can look the same through it.
    """

    label: str
    unit: str
    values: Callable[[ArrayLike], NDArray[np.float64]]
    limits: tuple[float, float] | None = None
    hides_concentration: bool = False


def m_alpha(p: ArrayLike) -> NDArray[np.float64]:
    """M * p: 1 is what a uniform map would give every tile."""
    given = np.asarray(p, dtype=np.float64)
    return np.asarray(given * len(given))


def log10_m_alpha(p: ArrayLike) -> NDArray[np.float64]:
    """log10(M * p), floored at -6 so that zeros can be drawn."""
    return np.log10(np.maximum(m_alpha(p), 1e-6))


def percentile(p: ArrayLike) -> NDArray[np.float64]:
    """Rank in percent, 0 to 100; ties share their mean rank, so a constant map is 50 everywhere."""
    ranks = rankdata(p)
    return np.asarray((ranks - 0.5) / len(ranks) * 100)


def min_max(p: ArrayLike) -> NDArray[np.float64]:
    """Scaled so that this map's least tile is 0 and its greatest 1; a constant map is 0 everywhere."""
    given = np.asarray(p, dtype=np.float64)
    low, high = given.min(), given.max()
    return np.asarray((given - low) / (high - low)) if high > low else np.zeros_like(given)


def probability(p: ArrayLike) -> NDArray[np.float64]:
    """The value itself."""
    return np.asarray(p, dtype=np.float64)


TRANSFORMS: dict[str, Transform] = {
    "m_alpha": Transform("M·α", "× uniform", m_alpha),
    "log10": Transform("log10 M·α", "decades over uniform", log10_m_alpha),
    "percentile": Transform("percentile", "% of tiles", percentile, (0.0, 100.0), True),
    "minmax": Transform("min-max", "share of this map's range", min_max, (0.0, 1.0), True),
    "probability": Transform("α", "probability", probability),
}

AS_STORED: dict[str, dict[str, Transform]] = {
    "percentiles": {"percentile": Transform("percentile", "as stored", probability, (0.0, 100.0), True)},
    "scaled": {"minmax": Transform("value", "as stored", probability, (0.0, 1.0), True)},
}
"""How values that are no attention over the tiles are shown, by what they are: as they are, and in no other way."""
