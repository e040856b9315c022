from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr

from napari_asmil.analysis import dynamics

rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def draw(rng: np.random.Generator, tiles: int, spread: float) -> np.ndarray:
    z = rng.normal(0, spread, tiles)
    p = np.exp(z - z.max())
    return p / p.sum()


@settings(max_examples=100, deadline=None)
@given(rng=rngs, tiles=st.integers(1, 400), spread=st.sampled_from([0.01, 1.0, 20.0]))
def test_jsd_is_that_of_scipy_in_bits_between_zero_and_one(rng: np.random.Generator, tiles: int, spread: float) -> None:
    p, q = draw(rng, tiles, spread), draw(rng, tiles, spread)
    ours = float(dynamics.jsd(p, q))
    assert 0 <= ours <= 1 + 1e-12
    assert ours == pytest.approx(np.nan_to_num(jensenshannon(p, q, base=2)) ** 2, abs=1e-9)
    assert ours == pytest.approx(float(dynamics.jsd(q, p)), abs=1e-15)


@given(rng=rngs, tiles=st.integers(1, 400))
def test_jsd_of_a_map_with_itself_is_exactly_zero(rng: np.random.Generator, tiles: int) -> None:
    p = draw(rng, tiles, 3)
    assert float(dynamics.jsd(p, p)) == 0.0


def test_jsd_of_maps_without_a_common_tile_is_one_bit() -> None:
    assert float(dynamics.jsd([0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75])) == pytest.approx(1.0)


def test_jsd_of_a_hundred_thousand_tiles_is_right_to_a_billionth() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, 100_000)
    for step in (1e-4, 1e-2, 1.0):
        p, q = (np.exp(s - np.logaddexp.reduce(s)) for s in (z, z + step * rng.normal(size=z.size)))
        wide = [x.astype(np.longdouble) for x in (p, q, (p.astype(np.longdouble) + q) / 2)]
        h = [-(x * np.log2(x)).sum() for x in wide]
        assert float(dynamics.jsd(p, q)) == pytest.approx(float(h[2] - (h[0] + h[1]) / 2), abs=1e-9)


def test_jsd_of_a_map_that_is_no_number_is_no_number() -> None:
    even, lost = np.full((2, 4), 0.25), np.array([[0.25] * 4, [np.nan] * 4])
    np.testing.assert_array_equal(dynamics.jsd(even, lost), [0.0, np.nan])
    np.testing.assert_array_equal(dynamics.jsd(lost, lost), [0.0, np.nan])


def test_jsd_of_different_tile_sets_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one tile set.*3 and 2"):
        dynamics.jsd([1, 0, 0], [1, 0])


def test_entropy_is_in_nats_and_ignores_empty_tiles() -> None:
    p = np.array([0.5, 0.25, 0.25, 0])
    assert float(dynamics.entropy(p)) == pytest.approx(scipy_entropy(p))
    assert float(dynamics.effective_tiles(np.full(7, 1 / 7))) == pytest.approx(7)
    assert float(dynamics.normalized_entropy([1.0])) == 1.0
    assert f"{float(dynamics.entropy([1.0, 0.0])):.3f}" == "0.000"  # not -0.000


def test_many_maps_are_measured_at_once() -> None:
    rng = np.random.default_rng(1)
    many = np.stack([draw(rng, 50, 2) for _ in range(6)])
    np.testing.assert_allclose(dynamics.jsd(many[1:], many[:-1])[2], dynamics.jsd(many[3], many[2]))
    assert dynamics.effective_tiles(many).shape == dynamics.top_mass(many).shape == (6,)


def test_a_flat_and_a_collapsed_map_are_told_in_words() -> None:
    flat, sharp = np.full(100, 0.01), np.eye(1, 100)[0]
    healthy = draw(np.random.default_rng(0), 100, 1)
    assert [dynamics.verdict(p) for p in (flat, sharp, healthy)] == ["flat", "collapsed", ""]
    assert dynamics.verdict(np.full(10, 0.1)) == ""
    assert dynamics.verdict([1.0]) == ""


def test_overlap_and_rank_correlation_compare_two_maps() -> None:
    rng = np.random.default_rng(2)
    p, q = draw(rng, 200, 1), draw(rng, 200, 1)
    assert dynamics.top_overlap(p, p) == 1.0
    assert dynamics.top_overlap(p, p[::-1] if p.argmax() != 199 - p.argmax() else q, share=0.005) == 0.0
    assert dynamics.rank_correlation(p, q) == pytest.approx(spearmanr(p, q).statistic)
    assert np.isnan(dynamics.rank_correlation(p, np.full(200, 0.005)))


def test_top_mass_counts_at_least_one_tile() -> None:
    assert float(dynamics.top_mass([0.7, 0.2, 0.1])) == pytest.approx(0.7)
    assert float(dynamics.top_mass(np.full(200, 1 / 200))) == pytest.approx(0.01)


@given(rng=rngs, tiles=st.integers(1, 60))
def test_the_top_tiles_are_those_a_stable_sort_puts_first(rng: np.random.Generator, tiles: int) -> None:
    p, k = rng.integers(0, 5, tiles) / 10, int(rng.integers(1, tiles + 1))
    assert set(np.flatnonzero(dynamics.top_tiles(p, k))) == set(np.argsort(-p, kind="stable")[:k])


def test_jsd_is_finite_down_to_the_least_number_there_is() -> None:
    least = np.nextafter(0, 1)
    assert dynamics.jsd([1.0, least], [1.0, 0.0]) == pytest.approx(0, abs=1e-300)
