"""Median and band over slides, rows or seeds, epoch by epoch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_asmil.analysis.spread import band_words, middle_and_band, quantiles


def test_quantiles_are_numpys_and_leave_out_what_is_not_there() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 9))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[:, 0] = 1.0
    np.testing.assert_allclose(quantiles(values, 0.25, 0.5, 0.75), np.nanquantile(values, (0.25, 0.5, 0.75), axis=1))


def test_an_epoch_without_values_has_none_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(quantiles(np.full((2, 3), np.nan), 0.5)).all()
        assert quantiles(np.empty((2, 0)), 0.5, 1.0).shape == (2, 2)


@pytest.mark.parametrize(("count", "band", "words"), [(3, (0, 2), "least to greatest"), (5, (1, 3), "quartiles")])
def test_few_values_have_their_ends_as_band_and_more_their_quartiles(count: int, band: tuple, words: str) -> None:
    values = np.r_[np.arange(count, dtype=float), np.full(7, np.nan)]  # which are none
    middle, low, high = middle_and_band(values[None])
    assert (low[0], high[0]) == band and middle[0] == (count - 1) / 2
    assert band_words(count) == words
