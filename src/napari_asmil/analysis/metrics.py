"""Bag-level metrics from logits, macro throughout."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from napari_asmil.analysis.localisation import tile_auc


def auc(logits: ArrayLike, labels: ArrayLike) -> float:
    """Macro one-vs-rest area under the ROC curve of softmax probabilities; NaN where no class has both sides.

    Parameters
    ----------
    logits : (S, C)
    labels : int (S,)
    """
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=1)
    truth = np.asarray(labels)
    areas = [tile_auc(np.exp(log_p[:, c]), truth == c) for c in range(log_p.shape[1])]
    defined = [a for a in areas if not np.isnan(a)]
    return float(np.mean(defined)) if defined else float("nan")


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Share of bags whose greatest logit is their label."""
    return float((_predicted(logits) == np.asarray(labels)).mean())


def macro_f1(logits: ArrayLike, labels: ArrayLike) -> float:
    """F1 averaged over all C classes; a class neither present nor predicted counts 0."""
    predicted, truth = _predicted(logits), np.asarray(labels)
    scores = []
    for c in range(np.shape(logits)[1]):
        hit = np.sum((predicted == c) & (truth == c))
        total = np.sum(predicted == c) + np.sum(truth == c)
        scores.append(2 * hit / total if total else 0.0)
    return float(np.mean(scores))


def cross_entropies(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Cross-entropy of each bag in nats, float64 (S,)."""
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=1)
    return np.asarray(-log_p[np.arange(len(log_p)), np.asarray(labels)])


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Mean cross-entropy in nats."""
    return float(cross_entropies(logits, labels).mean())


def bag_metrics(logits: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """All of the above by name."""
    return {
        "auc": auc(logits, labels),
        "accuracy": accuracy(logits, labels),
        "macro_f1": macro_f1(logits, labels),
        "loss": cross_entropy(logits, labels),
    }


def _predicted(logits: ArrayLike) -> NDArray[np.intp]:
    return np.asarray(np.asarray(logits).argmax(axis=1))
