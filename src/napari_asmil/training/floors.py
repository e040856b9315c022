"""What trivial methods reach on the same bags: a result they match is no evidence for a model or its attention.

Three floors: a logistic regression on pooled features (is a bag model needed?), one feature number as the score of
a tile (is the map more than a stain?), and bag labels dealt out anew (`folds.permute_labels`; does something leak?).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_asmil.analysis.localisation import is_tumour, tile_auc
from napari_asmil.bags import Bag, Cohort
from napari_asmil.encoders.registry import feature_names

NAMED_NUMBER = "haematoxylin mean"

Features = NDArray[np.float32]
POOLINGS: dict[str, Callable[[Features], Features]] = {
    "mean": lambda x: x.mean(axis=0),
    "mean, sd": lambda x: np.concatenate([x.mean(axis=0), x.std(axis=0)]),
    "min, max": lambda x: np.concatenate([x.min(axis=0), x.max(axis=0)]),
}
"""Ways from the features (M, D) of a bag to one vector."""


@dataclass(frozen=True)
class NumberFloor:
    """One feature as the score of a tile, judged on the bags that have tumour tiles and others.

    Attributes
    ----------
    name : str
        The feature.
    sign : {1, -1}
        -1 when low values mean tumour.
    tile_auc, average_precision : float
        Means over the bags.
    """

    name: str
    sign: int
    tile_auc: float
    average_precision: float


@dataclass(frozen=True)
class Floors:
    """All floors of one cross-validation.

    Attributes
    ----------
    pooled : dict of str to list of float
        Bag AUC on each fold's test bags, by pooling.
    named, best : NumberFloor or None
        Mean haematoxylin, and the feature that agrees best with the truth (picked with that truth in hand);
        None without tile truth, or without names.
    prevalence : float or None
        Mean share of tumour tiles in the bags judged: the average precision of any blind map.
    """

    pooled: dict[str, list[float]]
    named: NumberFloor | None
    best: NumberFloor | None
    prevalence: float | None


def bag_auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Area under the ROC curve from class probabilities (S, C); one against the rest, macro mean, beyond two classes.

    NaN when a class is missing.
    """
    classes = probabilities.shape[1]
    if len(np.unique(labels)) < classes:
        return float("nan")
    if classes == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr", labels=np.arange(classes)))


def floors_of(folds: Sequence[Cohort]) -> Floors:
    """The floors that need no bag model, on the folds of `make_folds`."""
    cohort = folds[0]
    judged = [bag for bag in cohort.bags if _has_both(bag)]
    named, best = number_floors(judged)
    return Floors(
        pooled=pooled_floors(folds),
        named=named,
        best=best,
        prevalence=float(np.mean([is_tumour(bag.tile_labels).mean() for bag in judged])) if judged else None,
    )


def pooled_floors(folds: Sequence[Cohort]) -> dict[str, list[float]]:
    """Bag AUC of a logistic regression on pooled, z-scored features, per fold and pooling."""
    vectors = {bag.slide_id: {name: pool(bag.features()) for name, pool in POOLINGS.items()} for bag in folds[0].bags}
    return {name: [_pooled_auc(fold, {i: v[name] for i, v in vectors.items()}) for fold in folds] for name in POOLINGS}


def _pooled_auc(fold: Cohort, vectors: dict[str, Features]) -> float:
    train, test = ([bag.slide_id for bag in fold.select(split)] for split in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit([vectors[one] for one in train], [fold.labels[one] for one in train])
    found = np.zeros((len(test), len(fold.class_names)))
    found[:, model.classes_] = model.predict_proba([vectors[one] for one in test])
    return bag_auc(np.array([fold.labels[one] for one in test]), found)


def _has_both(bag: Bag) -> bool:
    return bag.tile_labels is not None and 0 < is_tumour(bag.tile_labels).sum() < bag.n_tiles


def number_floors(bags: Sequence[Bag]) -> tuple[NumberFloor | None, NumberFloor | None]:
    """Mean haematoxylin, and the best single feature, as tile scores of bags that hold both kinds of tiles."""
    if not bags:
        return None, None
    names = feature_names(bags[0].encoder) or tuple(f"feature {number}" for number in range(bags[0].n_features))
    per_bag = [[tile_auc(column, bag.tile_labels) for column in bag.features().T] for bag in bags]
    aucs = np.mean(per_bag, axis=0)
    best = int(np.argmax(np.abs(aucs - 0.5)))
    named = names.index(NAMED_NUMBER) if NAMED_NUMBER in names else None
    return (
        None if named is None else _number_floor(bags, names[named], named, 1, aucs),
        _number_floor(bags, names[best], best, 1 if aucs[best] >= 0.5 else -1, aucs),
    )


def _number_floor(bags: Sequence[Bag], name: str, column: int, sign: int, aucs: NDArray[np.float64]) -> NumberFloor:
    precision = [average_precision_score(is_tumour(b.tile_labels), sign * b.features()[:, column]) for b in bags]
    auc = float(aucs[column]) if sign > 0 else 1 - float(aucs[column])
    return NumberFloor(name, sign, auc, float(np.mean(precision)))
