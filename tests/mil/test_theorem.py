"""Theorem 1 of ASMIL (ICLR 2026): what NSF promises of high and low scores, and what softmax can promise.

High scores lie in [tau, tau + gamma], low ones at or below -tau, others between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil import Anchor, build_model
from napari_asmil.mil.base import SOFTMAX
from napari_asmil.mil.layers import AttentionScores
from napari_asmil.mil.losses import anchor_kl
from napari_asmil.mil.normalizers import nsf, softmax

NSF = Normalizer("nsf")
SETTINGS, ROWS = 250, 48


@dataclass
class Case:
    """Scores (ROWS, M): the first `high` columns are high, the next `low` low, the rest between."""

    z: Tensor
    high: int
    low: int
    tau: float
    gamma: float


def cases() -> list[Case]:
    """12 000 rows of scores in 250 settings; the extremes of each interval are among them."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(SETTINGS):
        high, low, rest = rng.integers(1, 40), rng.integers(1, 40), rng.integers(0, 40)
        tau, gamma = rng.uniform(0.01, 8), rng.uniform(0, 6)
        highs = rng.choice([rng.uniform(tau, tau + gamma, (ROWS, high)), *_ends(tau, tau + gamma, rng, high)])
        lows = -tau - rng.exponential(2, (ROWS, low)) * rng.integers(0, 2, (ROWS, low))
        between = rng.uniform(-tau, tau, (ROWS, rest))
        z = torch.from_numpy(np.concatenate([highs, lows, between], axis=1))
        made.append(Case(z, int(high), int(low), float(tau), float(gamma)))
    return made


def _ends(low: float, high: float, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    return [np.where(rng.integers(0, 2, (ROWS, count)), low, high)]


CASES = cases()


def test_at_least_ten_thousand_different_cases_are_drawn() -> None:
    rows = {row.numpy().tobytes() for case in CASES for row in case.z}
    assert len(rows) >= 10_000
    for case in CASES:
        highs, lows = case.z[:, : case.high], case.z[:, case.high : case.high + case.low]
        assert (highs >= case.tau).all() and (highs <= case.tau + case.gamma).all() and (lows <= -case.tau).all()


def test_part_a_nsf_keeps_high_scores_within_a_factor_of_each_other() -> None:
    for case in CASES:
        p = nsf(case.z)[:, : case.high]
        ratio = p.amax(dim=1) / p.amin(dim=1)
        bound = (1 + math.exp(-case.tau)) / (1 + math.exp(-case.tau - case.gamma))
        assert (ratio <= bound * (1 + 1e-12)).all() and bound <= 1 + math.exp(-case.tau)


def test_part_a_nsf_leaves_a_low_score_no_more_than_its_share() -> None:
    for case in CASES:
        low = nsf(case.z)[:, case.high : case.high + case.low]
        assert (low <= math.exp(-case.tau) / case.high * (1 + 1e-12)).all()


def test_part_b_softmax_evens_out_high_scores_only_above_a_temperature() -> None:
    for case in CASES:
        if case.gamma == 0 or case.high < 2:
            continue
        kappa = 1.5
        edge = case.gamma / math.log(kappa)
        worst = torch.tensor([case.tau, case.tau + case.gamma], dtype=torch.float64)
        for temperature, holds in ((edge * 1.001, True), (edge * 0.999, False)):
            p = softmax(worst, temperature)
            assert bool(p.max() / p.min() <= kappa) is holds


def largest_low_weight(high: int, tau: float, temperature: float) -> float:
    """Softmax weight of one low score where nothing else is there and all high scores are as low as they may be."""
    z = torch.tensor([tau] * high + [-tau], dtype=torch.float64)
    return float(softmax(z, temperature)[-1])


def test_part_b_softmax_suppresses_low_scores_only_below_the_appendix_temperature() -> None:
    for case in CASES:
        for epsilon in (1e-4, 0.01):
            if 1 / epsilon - 1 <= case.high:
                continue
            edge = 2 * case.tau / (math.log(1 / epsilon - 1) - math.log(case.high))
            assert largest_low_weight(case.high, case.tau, edge) == pytest.approx(epsilon, rel=1e-9)
            z = torch.cat([case.z[:, : case.high], case.z[:, case.high : case.high + 1]], dim=1)
            assert (softmax(z, edge)[:, -1] <= epsilon * (1 + 1e-9)).all()


def test_part_b_of_the_main_text_has_another_bound_and_it_is_not_the_edge() -> None:
    high, epsilon, tau = 10, 0.01, 2.0
    appendix = 2 * tau / (math.log(1 / epsilon - 1) - math.log(high))
    main_text = 2 * tau / math.log(high / epsilon)
    assert appendix == pytest.approx(1.745, abs=5e-4) and main_text == pytest.approx(0.579, abs=5e-4)
    assert largest_low_weight(high, tau, appendix) == pytest.approx(epsilon)
    assert largest_low_weight(high, tau, main_text) == pytest.approx(1e-4, rel=0.01)


def test_both_demands_contradict_each_other_for_softmax_once_scores_are_far_apart() -> None:
    high, gamma = 10, 1.0
    for tau in (4.0, 8.0, 16.0):
        epsilon = math.exp(-tau) / high
        kappa = (1 + math.exp(-tau)) / (1 + math.exp(-tau - gamma))
        least, most = gamma / math.log(kappa), 2 * tau / (math.log(1 / epsilon - 1) - math.log(high))
        assert most == pytest.approx(2, rel=0.1) and least > 10 * most


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("offset", [-120.0, -60.0, 0.0, 60.0, 120.0])
@pytest.mark.parametrize("tiles", [1, 2, 3, 200_000])
def test_maps_sum_to_one_and_their_divergence_is_finite_at_any_level_under_autocast(
    dtype: torch.dtype, offset: float, tiles: int
) -> None:
    torch.manual_seed(0)
    model = build_model("abmil", 4, 2, dim=4, attention_dim=4)
    attention = model.scorer.attention
    assert isinstance(attention, AttentionScores)
    with torch.no_grad():
        attention.score.weight.mul_(10)
        attention.score.bias.fill_(offset)
    x = torch.randn(tiles, 4)
    for of_anchor, of_model in product((NSF, Normalizer("nsf", temperature=0.5), SOFTMAX), (SOFTMAX, NSF)):
        anchor = Anchor(model.scorer, of_anchor, 0.9)
        with torch.autocast("cpu", dtype):
            out = model.attend(model.prepare(x), of_model)
            target = anchor.target(x, out.scored)
            loss = anchor_kl(out, target)
        for p in (out.alpha, target.p):
            assert p.dtype == torch.float32
            assert abs(p.detach().double().sum(dim=1) - 1).max() <= 1e-6
        assert torch.isfinite(loss) and loss >= -1e-3  # a difference of sums near 120 in float32
        for gradient in torch.autograd.grad(loss, list(model.scorer.parameters())):
            assert torch.isfinite(gradient).all()
