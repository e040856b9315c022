"""How much two maps of one slide agree, and how concentrated both are: the one says little without the other.

All functions take probabilities over the same M tiles and work in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_asmil.analysis import dynamics

SHARES = (0.01, 0.02)
"""Shares of the tiles whose overlap is told."""
LEAST = 1e-6
"""M * p below this counts as this much in a ratio, as it does in a map's decades."""


@dataclass(frozen=True)
class Agreement:
    """What two maps A and B have in common.

    Attributes
    ----------
    jsd : float
        Jensen-Shannon divergence in bits, 0 (identical) to 1 (disjoint).
    rank : float
        Spearman correlation, NaN where a map is constant.
    top1, top2 : float
        Jaccard overlap of the top 1 % and 2 % of tiles, NaN where ties leave open which tiles these are.
    effective_a, effective_b : float
        Effective tiles exp(entropy) of both.
    """

    jsd: float = np.nan
    rank: float = np.nan
    top1: float = np.nan
    top2: float = np.nan
    effective_a: float = np.nan
    effective_b: float = np.nan


def agreement(a: ArrayLike, b: ArrayLike) -> Agreement:
    """Compare two maps (M,).

    Raises
    ------
    ValueError
        When they have different numbers of tiles.
    """
    *_, found = agreeing(a, b)
    assert found is not None
    return found


def agreeing(a: ArrayLike, b: ArrayLike) -> Iterator[Agreement | None]:
    """As `agreement`, in steps: yields None until it has it."""
    p, q = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    divergence = float(dynamics.jsd(p, q))
    yield None
    rank = dynamics.rank_correlation(p, q)
    yield None
    top1, top2 = (_overlap(p, q, share) for share in SHARES)
    effective_a, effective_b = (float(dynamics.effective_tiles(each)) for each in (p, q))
    yield Agreement(divergence, rank, top1, top2, effective_a, effective_b)


def log2_ratio(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """log2(a / b) of two maps (M,): 0 alike, 1 twice as much in `a`; below `LEAST` / M both count as that."""
    least = LEAST / np.shape(a)[-1]
    return np.asarray(np.log2(np.maximum(a, least)) - np.log2(np.maximum(b, least)))


def uniform_difference(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """M * (a - b) of two maps (M,): 1 is what a uniform map gives every tile."""
    p, q = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return np.asarray((p - q) * p.shape[-1])


def _overlap(p: NDArray[np.float64], q: NDArray[np.float64], share: float) -> float:
    k = dynamics.top_count(len(p), share)
    return dynamics.top_overlap(p, q, share) if _settled(p, k) and _settled(q, k) else np.nan


def _settled(p: NDArray[np.float64], k: int) -> bool:
    """Whether the k highest tiles are the same whichever way ties are broken."""
    if k >= len(p):
        return True
    below, least = np.partition(p, (-k - 1, -k))[[-k - 1, -k]]
    return bool(least > below)
