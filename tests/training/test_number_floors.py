from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.encoders.colour import FEATURES
from napari_asmil.training.floors import floors_of, number_floors, with_truth
from napari_asmil.training.folds import make_folds


def cohort_with_truth(features: int = 4, encoder: str = "test") -> Cohort:
    """Positive slides hold tumour tiles in which feature 1 is high and feature 2 is very low."""
    rng = np.random.default_rng(0)
    bags, labels = [], {}
    for number in range(20):
        x = rng.normal(size=(30, features))
        truth = (np.arange(30) < 10) * float(number % 2)
        x[:, 1] += truth
        x[:, 2] -= 3 * truth
        bags.append(in_memory_bag(f"s{number}", x, tile_labels=truth, encoder=encoder))
        labels[f"s{number}"] = number % 2
    return Cohort(tuple(bags), labels, ("normal", "tumour"))


def test_only_bags_with_both_kinds_of_tiles_are_judged() -> None:
    assert [bag.slide_id for bag, _ in with_truth(cohort_with_truth().bags)] == [f"s{n}" for n in range(1, 20, 2)]


def test_the_best_single_number_is_found_with_its_direction() -> None:
    judged = with_truth(cohort_with_truth().bags)
    _, best = number_floors(judged)
    assert best is not None
    assert best.label == "low feature 2"
    scores = [(truth, -bag.features()[:, 2]) for bag, truth in judged]
    assert best.tile_auc == pytest.approx(np.mean([roc_auc_score(*one) for one in scores]))
    assert best.average_precision == pytest.approx(np.mean([average_precision_score(*one) for one in scores]))


def test_mean_haematoxylin_is_named_when_the_encoder_has_it() -> None:
    judged = with_truth(cohort_with_truth(len(FEATURES), "colour").bags)
    named, best = number_floors(judged)
    assert named is not None and best is not None
    assert named.label == "haematoxylin mean"
    column = FEATURES.index("haematoxylin mean")
    assert named.tile_auc == pytest.approx(np.mean([roc_auc_score(t, b.features()[:, column]) for b, t in judged]))
    assert best.label == f"low {FEATURES[2]}"


def test_features_without_names_have_no_named_number() -> None:
    assert number_floors(with_truth(cohort_with_truth().bags))[0] is None


def test_pooled_regression_is_scored_on_each_folds_test_bags_only() -> None:
    cohort = cohort_with_truth()
    folds = make_folds(cohort, 4)
    found = floors_of(folds).pooled["mean, sd"]
    expected = []
    for fold in folds:
        pooled = [
            np.array([np.r_[b.features().mean(axis=0), b.features().std(axis=0)] for b in fold.select(split)])
            for split in ("train", "test")
        ]
        labels = [[cohort.labels[b.slide_id] for b in fold.select(split)] for split in ("train", "test")]
        centre, spread = pooled[0].mean(axis=0), pooled[0].std(axis=0)
        model = LogisticRegression(max_iter=5000).fit((pooled[0] - centre) / spread, labels[0])
        expected.append(roc_auc_score(labels[1], model.decision_function((pooled[1] - centre) / spread)))
    assert found == pytest.approx(expected, abs=1e-6)


def test_prevalence_is_the_mean_share_of_tumour_tiles_in_the_bags_judged() -> None:
    assert floors_of(make_folds(cohort_with_truth(), 4)).prevalence == pytest.approx(1 / 3)


def test_without_tile_truth_only_the_bag_floors_are_there() -> None:
    cohort = cohort_with_truth()
    blind = Cohort(
        tuple(in_memory_bag(b.slide_id, b.features()) for b in cohort.bags), cohort.labels, cohort.class_names
    )
    floors = floors_of(make_folds(blind, 4))
    assert (floors.named, floors.best, floors.prevalence) == (None, None, None)
    assert set(floors.pooled) == {"mean", "mean, sd", "min, max"}
