"""What two maps have in common, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from napari_asmil.analysis.agreement import agreement, log2_ratio, uniform_difference
from napari_asmil.analysis.dynamics import top_count


def random_map(seed: int, tiles: int = 300) -> np.ndarray:
    p = np.exp(np.random.default_rng(seed).normal(0, 2, tiles))
    return p / p.sum()


def test_each_number_is_that_of_its_formula() -> None:
    p, q = random_map(0), random_map(1)
    found = agreement(p, q)
    assert found.jsd == pytest.approx(jensenshannon(p, q, base=2) ** 2, rel=1e-12)
    assert found.rank == pytest.approx(spearmanr(p, q).statistic, rel=1e-12)
    for share, overlap in ((0.01, found.top1), (0.02, found.top2)):
        k = top_count(300, share)
        a, b = (set(np.argsort(x)[-k:].tolist()) for x in (p, q))
        assert overlap == len(a & b) / len(a | b)
    assert found.effective_a == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert found.effective_b == pytest.approx(np.exp(-(q * np.log(q)).sum()))


def test_a_map_agrees_with_itself() -> None:
    found = agreement(random_map(0), random_map(0))
    assert (found.jsd, found.rank, found.top1, found.top2) == (0, pytest.approx(1), 1, 1)


def test_disjoint_maps_are_one_bit_apart() -> None:
    assert agreement([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]).jsd == 1


def test_a_flat_map_has_no_ranks_and_no_top_tiles() -> None:
    found = agreement(np.full(100, 0.01), random_map(0, 100))
    assert np.isnan([found.rank, found.top1, found.top2]).all()
    assert found.effective_a == pytest.approx(100)


def test_ties_that_leave_open_which_tiles_are_on_top_are_no_overlap() -> None:
    p = np.zeros(100)
    p[:3] = 1 / 3
    found = agreement(p, random_map(0, 100))
    assert np.isnan([found.top1, found.top2]).all()  # one or two of three equal tiles
    p[3], p[:3] = 0.4, 0.2
    found = agreement(p, p)
    assert found.top1 == 1 and np.isnan(found.top2)


def test_bags_of_one_tile_agree() -> None:
    found = agreement([1.0], [1.0])
    assert (found.jsd, found.top1, found.top2, found.effective_a) == (0, 1, 1, 1)
    assert np.isnan(found.rank)


def test_maps_of_other_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="4 and 5 tiles"):
        agreement(np.full(4, 0.25), np.full(5, 0.2))


def test_a_ratio_counts_doublings_and_a_difference_uniform_shares() -> None:
    p, q = np.array([0.5, 0.25, 0.25, 0.0]), np.array([0.25, 0.5, 0.25, 0.0])
    np.testing.assert_allclose(log2_ratio(p, q), [1, -1, 0, 0])
    np.testing.assert_allclose(uniform_difference(p, q), [1, -1, 0, 0])


def test_a_ratio_to_nothing_is_finite() -> None:
    assert log2_ratio([1.0, 0.0], [0.5, 0.5])[1] == pytest.approx(np.log2(1e-6))
