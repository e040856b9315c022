"""From scores to probabilities in numpy: the short way equals the one over logs, and the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_asmil.analysis.normalizers import Normalizer, entmax

NORMALIZERS = [
    Normalizer(),
    Normalizer("softmax", temperature=0.1),
    *(Normalizer("nsf", offset=offset) for offset in (-120.0, -50.0, -40.0, -3.0, 0.0, 20.0, 120.0)),
    Normalizer("nsf", temperature=0.01),
    Normalizer("entmax"),
]


@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=lambda n: n.label)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(1e-3, 100), tiles=st.integers(1, 40))
def test_probabilities_are_those_of_the_log_form(normalizer: Normalizer, seed: int, spread: float, tiles: int) -> None:
    z = np.random.default_rng(seed).normal(0, spread, (3, tiles)).astype(np.float32)
    p = normalizer.probabilities(z)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(p, np.exp(normalizer.log(z)), rtol=1e-9, atol=1e-290)
    np.testing.assert_allclose(normalizer.probabilities(z[0]), p[0], rtol=1e-12)


def test_rows_of_which_one_alone_is_far_below_zero_keep_their_own_form() -> None:
    z = np.array([[0.0, 1.0, 2.0], [-800.0, -801.0, -802.0]])
    p = Normalizer("nsf").probabilities(z)
    sigmoid = 1 / (1 + np.exp(-z[0]))
    np.testing.assert_allclose(p[0], sigmoid / sigmoid.sum(), rtol=1e-14)
    exponential = np.exp(z[1] + 800)
    np.testing.assert_allclose(p[1], exponential / exponential.sum(), rtol=1e-14)


@pytest.mark.parametrize("normalizer", [Normalizer(), Normalizer("nsf"), Normalizer("entmax")], ids=lambda n: n.name)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_no_number_is_none_throughout_and_warns_of_nothing(normalizer: Normalizer, bad: float) -> None:
    z = np.zeros((3, 4))
    z[1, 2], z[2, 0] = bad, -np.inf
    p = normalizer.probabilities(z)
    np.testing.assert_array_equal(p[0], 0.25)
    assert np.isnan(p[1]).all()
    np.testing.assert_allclose(p[2], [0, 1 / 3, 1 / 3, 1 / 3])  # a score of -inf leaves its tile out


@given(seed=st.integers(0, 2**32 - 1), tiles=st.integers(1, 60))
def test_entmax_of_order_2_is_the_projection_onto_the_simplex(seed: int, tiles: int) -> None:
    z = np.random.default_rng(seed).normal(0, 1, tiles)
    ordered = np.sort(z)[::-1]
    above = ordered + (1 - np.cumsum(ordered)) / np.arange(1, tiles + 1) > 0
    tau = (ordered[above].sum() - 1) / above.sum()
    np.testing.assert_allclose(entmax(z, 2.0), np.maximum(z - tau, 0), atol=1e-12)


def test_entmax_works_row_by_row() -> None:
    z = np.random.default_rng(0).normal(size=(2, 3, 7))
    np.testing.assert_array_equal(entmax(z)[1, 2], entmax(z[1, 2]))
