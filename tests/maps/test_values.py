"""What numbers are: told by themselves, or asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike
from scipy.stats import percentileofscore

from napari_asmil.errors import InputError
from napari_asmil.maps.values import Values, settle
from tests.maps.layouts import LOGITS, softmax

HERE = Path("scores.npy")


def kind(scores: ArrayLike, asked: str | None = None, layout: Values | None = None) -> str:
    return settle(np.atleast_2d(np.asarray(scores, dtype=np.float64)), asked, layout, HERE)[0]


def test_raw_scores_are_those_that_a_layout_or_a_name_calls_so() -> None:
    assert kind(LOGITS, layout="logits") == "logits"
    assert kind(np.stack([LOGITS, -LOGITS]), layout="logits") == "logits"


def test_numbers_that_sum_to_one_are_probabilities_also_as_float16() -> None:
    assert kind(softmax(LOGITS)) == "probabilities"
    assert kind(softmax(np.random.default_rng(0).normal(0, 1, 20_000)).astype(np.float32)) == "probabilities"
    assert kind(softmax(LOGITS).astype(np.float16), "probabilities") == "probabilities"


@pytest.mark.parametrize("tiles", [20, 500])
def test_percentiles_as_clam_makes_them_are_told_with_and_without_ties(tiles: int) -> None:
    scores = np.random.default_rng(1).normal(0, 1, tiles)
    assert kind([percentileofscore(scores, s) for s in scores]) == "percentiles"
    scores = np.round(scores, 1)
    assert kind([percentileofscore(scores, s) for s in scores]) == "percentiles"


@pytest.mark.parametrize(
    "scores",
    [
        [percentileofscore(LOGITS, s) for s in LOGITS[:15]],
        np.random.default_rng(2).uniform(0, 100, 400),
        np.random.default_rng(2).uniform(0, 1, 400),
        np.full(50, 50.0),
        np.abs(LOGITS),
        LOGITS,
        np.arange(256.0),
        np.linspace(-1, 1, 400),
        (LOGITS - LOGITS.mean()) / LOGITS.std(),
        np.log10(softmax(LOGITS)),
        np.stack([LOGITS, -LOGITS]),
    ],
    ids=[
        *("few percentiles", "uniform", "scaled", "constant", "positive scores", "raw scores", "grey values"),
        *("min to max", "z-scores", "log10", "rows"),
    ],
)
def test_what_numbers_do_not_tell_is_asked_for_and_every_answer_is_named(scores: np.ndarray) -> None:
    sentence = r"Nothing tells what its values are.*which \(--values\): logits .*probabilities .*percentiles .*scaled"
    with pytest.raises(InputError, match=f"{sentence} .*0 to 255"):
        kind(scores)


def test_what_a_person_says_is_taken_where_it_is_possible() -> None:
    assert kind(np.abs(LOGITS), "logits") == "logits"
    assert kind(softmax(LOGITS), "logits") == "logits"
    assert kind([0.0, 99.0, 12.5], "percentiles") == "percentiles"
    assert kind([0.0, 1.0, 0.5], "scaled") == "scaled"


@pytest.mark.parametrize(
    ("scores", "asked", "why"),
    [
        (LOGITS, "percentiles", "not 0 and 100"),
        (LOGITS, "scaled", "not 0 and 1"),
        (LOGITS, "probabilities", "the least is -"),
        ([0.2, 0.2, 0.2], "probabilities", "they sum to 0.6, not 1"),
        ([0.2, 0.3], "ranks", "Unknown kind of values 'ranks'"),
    ],
)
def test_what_cannot_be_is_refused(scores: np.ndarray, asked: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        kind(scores, asked)


def test_several_rows_are_kept_of_raw_scores_alone() -> None:
    assert kind(np.stack([LOGITS, -LOGITS]), "logits") == "logits"
    with pytest.raises(InputError, match="2 rows of probabilities; several rows can be kept only of raw scores"):
        kind(np.stack([softmax(LOGITS), softmax(-LOGITS)]))


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-50, 50)))
def test_a_softmax_is_never_taken_for_anything_else(z: np.ndarray) -> None:
    assert kind(softmax(z)) == "probabilities"


def test_few_numbers_are_no_percentiles_although_they_are_their_own_ranks() -> None:
    ranks = np.arange(1, 20) / 19 * 100
    with pytest.raises(InputError, match="Nothing tells"):
        kind(ranks)
    assert kind(np.arange(1, 21) / 20 * 100) == "percentiles"


def test_percentiles_are_the_ranks_of_the_tiles_themselves_and_not_of_others() -> None:
    ranks = np.arange(1, 41) / 40 * 100
    assert kind(ranks) == "percentiles"
    with pytest.raises(InputError, match="Nothing tells"):
        kind(ranks - 3)
    with pytest.raises(InputError, match="Nothing tells"):
        kind(ranks * 0.95)


def test_percentiles_may_count_a_tile_itself_or_not() -> None:
    ranks = np.arange(1, 41) / 40 * 100
    assert kind(ranks - 2.5) == "percentiles"
    assert kind(np.minimum(ranks + 2.5, 100)) == "percentiles"
