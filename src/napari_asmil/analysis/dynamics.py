"""How much a map moves between epochs, and the concentration that keeps that number honest.

All functions take numpy probabilities over tiles on the last axis (they must sum to 1) and work in float64.

References
----------
Jensen-Shannon divergence between consecutive epochs: ASMIL (ICLR 2026), eq. 3; here in bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from scipy.stats import rankdata

FLAT = 0.99
"""Effective tiles / M at or above which a map of at least `FLAT_TILES` tiles is called flat."""
FLAT_TILES = 20
COLLAPSED = 0.05
"""Normalised entropy below which a map is called collapsed."""


def entropy(p: ArrayLike) -> NDArray[np.float64]:
    """Shannon entropy in nats, shape of `p` without its last axis; 0 log 0 = 0."""
    given = np.asarray(p, dtype=np.float64)
    return np.asarray(0.0 - xlogy(given, given).sum(axis=-1))  # of one tile 0, not -0


def normalized_entropy(p: ArrayLike) -> NDArray[np.float64]:
    """Entropy / log M, from 0 (one tile) to 1 (uniform); 1 for a bag of one tile."""
    tiles = np.shape(p)[-1]
    return entropy(p) / np.log(tiles) if tiles > 1 else np.ones_like(entropy(p))


def effective_tiles(p: ArrayLike) -> NDArray[np.float64]:
    """exp(entropy): the number of tiles a uniform map of the same entropy would use, 1 to M."""
    return np.exp(entropy(p))


def jsd(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Jensen-Shannon divergence in bits, from 0 (identical) to 1 (disjoint), never negative; NaN of maps with NaN.

    Raises
    ------
    ValueError
        When the two maps have different numbers of tiles: JSD needs one tile set.
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"JSD needs one tile set, but the maps have {a.shape[-1]} and {b.shape[-1]} tiles")
    both = a + b  # not halved: half of the least number there is would be 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(a > 0, a * np.log(2 * a / both), 0.0) + np.where(b > 0, b * np.log(2 * b / both), 0.0)
    total = np.where(np.isnan(both).any(axis=-1), np.nan, terms.sum(axis=-1))  # a NaN is not above 0, so is no term
    return np.asarray(np.maximum(total / (2 * np.log(2)), 0.0))


def top_count(tiles: int, share: float) -> int:
    """How many tiles the top `share` of M are: at least one."""
    return max(1, round(share * tiles))


def top_mass(p: ArrayLike, share: float = 0.01) -> NDArray[np.float64]:
    """Mass on the top `share` of tiles (at least one tile)."""
    given = np.asarray(p, dtype=np.float64)
    k = top_count(given.shape[-1], share)
    return np.asarray(np.partition(given, -k, axis=-1)[..., -k:].sum(axis=-1))


def top_tiles(p: ArrayLike, k: int) -> NDArray[np.bool_]:
    """The k highest tiles of a map (M,), as a mask (M,); ties go to the lower tile index."""
    given = np.asarray(p, dtype=np.float64)
    least = np.partition(given, -k)[-k]
    chosen = given > least
    chosen[np.flatnonzero(given == least)[: k - int(chosen.sum())]] = True
    return np.asarray(chosen)


def top_overlap(p: ArrayLike, q: ArrayLike, share: float = 0.02) -> float:
    """Jaccard overlap of the top `share` tiles (at least one) of two maps (M,)."""
    k = top_count(np.shape(p)[-1], share)
    first, second = top_tiles(p, k), top_tiles(q, k)
    return float((first & second).sum() / (first | second).sum())


def rank_correlation(p: ArrayLike, q: ArrayLike) -> float:
    """Spearman correlation of two maps (M,); NaN when either is constant."""
    a, b = rankdata(p), rankdata(q)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def is_flat(effective_share: ArrayLike, tiles: ArrayLike) -> NDArray[np.bool_]:
    """Whether maps are flat, from effective tiles / M and M; a map of few tiles never is."""
    return np.asarray((np.asarray(effective_share) >= FLAT) & (np.asarray(tiles) >= FLAT_TILES))


def is_collapsed(normalized: ArrayLike, tiles: ArrayLike) -> NDArray[np.bool_]:
    """Whether maps are collapsed, from normalised entropy and M; a map of one tile never is."""
    return np.asarray((np.asarray(normalized) < COLLAPSED) & (np.asarray(tiles) > 1))


def verdict(p: ArrayLike) -> str:
    """Words for a map (M,) that JSD alone would flatter: "flat", "collapsed", or ""."""
    return verdict_of(float(effective_tiles(p)), np.shape(p)[-1])


def verdict_of(effective: float, tiles: int) -> str:
    """As `verdict`, from the effective tiles of a map of so many."""
    if is_flat(effective / tiles, tiles):
        return "flat"
    return "collapsed" if tiles > 1 and is_collapsed(np.log(effective) / np.log(tiles), tiles) else ""
