from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from napari_asmil.analysis import localisation, metrics
from napari_asmil.analysis.display import TRANSFORMS

rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(deadline=None)
@given(rng=rngs, tiles=st.integers(2, 100))
def test_tile_auc_is_that_of_scikit_learn_ties_included(rng: np.random.Generator, tiles: int) -> None:
    truth = rng.random(tiles) < 0.3
    truth[:2] = True, False
    scores = rng.integers(0, 5, tiles) / 5
    assert localisation.tile_auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_ranking_measures_of_one_class_are_not_numbers() -> None:
    p = np.full(4, 0.25)
    assert np.isnan(localisation.tile_auc(p, np.zeros(4)))
    assert np.isnan(localisation.topk_recall(p, np.zeros(4)))


def test_localisation_on_a_worked_example() -> None:
    p = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    labels = np.array([0.9, 0.2, 0.5, 0.0, 0.49])
    assert localisation.tumour_mass(p, labels) == pytest.approx(0.5)
    assert localisation.topk_recall(p, labels) == pytest.approx(0.5)
    assert localisation.dice(p, labels) == pytest.approx(2 * 1 / (2 + 2))


def test_dice_of_a_constant_map_marks_nothing() -> None:
    assert localisation.dice(np.full(4, 0.25), [1, 0, 0, 0]) == 0.0


@settings(deadline=None)
@given(rng=rngs, classes=st.sampled_from([2, 3, 5]))
def test_bag_metrics_are_those_of_scikit_learn(rng: np.random.Generator, classes: int) -> None:
    logits = rng.normal(size=(40, classes))
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 40 - classes)])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert metrics.auc(logits, labels) == pytest.approx(
        np.mean([roc_auc_score(labels == c, p[:, c]) for c in range(classes)])
    )
    assert metrics.macro_f1(logits, labels) == pytest.approx(
        f1_score(labels, logits.argmax(axis=1), average="macro", labels=range(classes), zero_division=0)
    )
    assert metrics.cross_entropy(logits, labels) == pytest.approx(log_loss(labels, p, labels=range(classes)))


def test_every_transform_shows_a_constant_map_without_nan() -> None:
    for transform in TRANSFORMS.values():
        assert np.isfinite(transform.values(np.full(5, 0.2))).all()
    assert TRANSFORMS["m_alpha"].values(np.full(5, 0.2)) == pytest.approx(np.ones(5))
    assert TRANSFORMS["percentile"].values([0.1, 0.2, 0.7]) == pytest.approx([100 / 6, 50, 500 / 6])


def test_percentile_and_min_max_say_that_they_hide_concentration() -> None:
    hiding = {name for name, t in TRANSFORMS.items() if t.hides_concentration}
    assert hiding == {"percentile", "minmax"}
    ranks = np.arange(1, 101)
    flat, collapsed = 1 + 1e-6 * ranks, np.exp(ranks * 1.0)
    same = [TRANSFORMS["percentile"].values(p / p.sum()) for p in (flat, collapsed)]
    np.testing.assert_array_equal(*same)
