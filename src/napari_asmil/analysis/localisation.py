"""How well a map agrees with tile truth.

`labels` is the share of each tile inside the tumour, shape (M,), 0 to 1; a tile counts as tumour at
`labels >= TUMOUR`. Where truth has one class only, ranking measures are NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from napari_asmil.analysis.dynamics import top_tiles

TUMOUR = 0.5


def is_tumour(labels: ArrayLike) -> NDArray[np.bool_]:
    """Tiles of which at least half lies in the tumour, bool (M,)."""
    return np.asarray(np.asarray(labels, dtype=np.float64) >= TUMOUR)


def tile_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve of any monotone score (M,) against tile truth (Mann-Whitney, ties half)."""
    truth = is_tumour(labels)
    positive, negative = int(truth.sum()), int((~truth).sum())
    if positive == 0 or negative == 0:
        return float("nan")
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def topk_recall(p: ArrayLike, labels: ArrayLike) -> float:
    """Share of the k tumour tiles among the k highest of `p`, k the true number; NaN when k = 0."""
    truth = is_tumour(labels)
    k = int(truth.sum())
    if k == 0:
        return float("nan")
    return float(truth[top_tiles(p, k)].mean())


def dice(p: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> float:
    """Dice of the min-max scaled map at `threshold` against tile truth.

    Blind to concentration (flat maps score best), so never shown without it. A constant map marks nothing.
    """
    given, truth = np.asarray(p, dtype=np.float64), is_tumour(labels)
    low, high = given.min(), given.max()
    marked = (given - low) / (high - low) >= threshold if high > low else np.zeros(len(given), dtype=bool)
    total = int(marked.sum() + truth.sum())
    return float(2 * (marked & truth).sum() / total) if total else float("nan")


def tumour_mass(p: ArrayLike, labels: ArrayLike) -> float:
    """Share of the map's mass on tumour tiles, 0 to 1."""
    return float(np.asarray(p, dtype=np.float64)[is_tumour(labels)].sum())
