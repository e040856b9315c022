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
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_asmil.analysis.localisation import is_tumour, tile_auc
from napari_asmil.analysis.metrics import auc
from napari_asmil.bags import Bag, Cohort
from napari_asmil.encoders.registry import feature_names

NAMED_NUMBER = "haematoxylin mean"

Features = NDArray[np.float32]
Judged = Sequence[tuple[Bag, NDArray[np.bool_]]]
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

    @property
    def label(self) -> str:
        """The feature, and "low" where low values mean tumour."""
        return self.name if self.sign > 0 else f"low {self.name}"


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


def floors_of(folds: Sequence[Cohort]) -> Floors:
    """The floors that need no bag model, on the folds of `make_folds`."""
    judged = with_truth(folds[0].bags)
    named, best = number_floors(judged)
    return Floors(
        pooled=pooled_floors(folds),
        named=named,
        best=best,
        prevalence=float(np.mean([truth.mean() for _, truth in judged])) if judged else None,
    )


def pooled_floors(folds: Sequence[Cohort]) -> dict[str, list[float]]:
    """Bag AUC of a logistic regression on pooled, z-scored features, per fold and pooling."""
    vectors = {bag.slide_id: {name: pool(bag.features()) for name, pool in POOLINGS.items()} for bag in folds[0].bags}
    return {name: [_pooled_auc(fold, {i: v[name] for i, v in vectors.items()}) for fold in folds] for name in POOLINGS}


def _pooled_auc(fold: Cohort, vectors: dict[str, Features]) -> float:
    train, test = ([bag.slide_id for bag in fold.select(split)] for split in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit([vectors[one] for one in train], [fold.labels[one] for one in train])
    return auc(model.predict_log_proba([vectors[one] for one in test]), [fold.labels[one] for one in test])


def with_truth(bags: Sequence[Bag]) -> list[tuple[Bag, NDArray[np.bool_]]]:
    """The bags that hold both tumour tiles and others, with the truth bool (M,)."""
    known = [(bag, is_tumour(bag.tile_labels)) for bag in bags if bag.tile_labels is not None]
    return [(bag, truth) for bag, truth in known if truth.any() and not truth.all()]


def number_floors(judged: Judged) -> tuple[NumberFloor | None, NumberFloor | None]:
    """Mean haematoxylin, and the best single feature, as tile scores of the bags of `with_truth`."""
    if not judged:
        return None, None
    bag = judged[0][0]
    names = feature_names(bag.encoder) or tuple(f"feature {number}" for number in range(bag.n_features))
    aucs = np.mean([[tile_auc(column, truth) for column in bag.features().T] for bag, truth in judged], axis=0)
    best = int(np.argmax(np.abs(aucs - 0.5)))
    named = names.index(NAMED_NUMBER) if NAMED_NUMBER in names else None
    return (
        None if named is None else _number_floor(judged, names, named, 1),
        _number_floor(judged, names, best, 1 if aucs[best] >= 0.5 else -1),
    )


def _number_floor(judged: Judged, names: Sequence[str], column: int, sign: int) -> NumberFloor:
    scores = [(sign * bag.features()[:, column], truth) for bag, truth in judged]
    return NumberFloor(
        names[column],
        sign,
        tile_auc=float(np.mean([tile_auc(score, truth) for score, truth in scores])),
        average_precision=float(np.mean([average_precision_score(truth, score) for score, truth in scores])),
    )
