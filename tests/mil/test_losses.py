from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import SOFTMAX, Output, Scored, masked
from napari_asmil.mil.ensemble import Ensemble
from napari_asmil.mil.losses import anchor_kl, kl_from_uniform, negative_entropy
from napari_asmil.mil.normalizers import Target, normalize, target_of

NSF = Normalizer("nsf")
TARGET = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).log_softmax(dim=1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def output_of(z: Tensor, normalizer: Normalizer = SOFTMAX, valid: Tensor | None = None) -> Output:
    scored = Scored(z, z, valid)
    nothing = torch.zeros(2)
    return Output(nothing, normalize(masked(scored), normalizer), scored, nothing, normalizer)


def to(log_p: Tensor) -> Target:
    """A target from its log-probabilities."""
    return target_of(log_p.clone(), SOFTMAX)


def drawn(rows: int = 3, tiles: int = 50, **how: Any) -> Tensor:
    return torch.randn(rows, tiles, dtype=torch.float64, **how)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_gradient_of_the_anchor_loss_is_the_difference_of_the_maps(temperature: float) -> None:
    z, target = drawn(requires_grad=True), drawn().log_softmax(dim=1)
    anchor_kl(output_of(z, Normalizer(temperature=temperature)), to(target)).backward()
    alpha = (z / temperature).softmax(dim=1)
    torch.testing.assert_close(z.grad, (alpha - target.exp()).detach() / (3 * temperature))


@pytest.mark.parametrize("normalizer", [SOFTMAX, Normalizer(temperature=2.0), NSF])
@pytest.mark.parametrize("rows", ["each", "mean"])
def test_the_anchor_loss_and_its_gradient_are_those_of_torchs_own_divergence(normalizer: Normalizer, rows: Any) -> None:
    z, target = drawn(requires_grad=True), drawn().log_softmax(dim=1)
    q, p = normalize(z, normalizer), target.exp()
    if rows == "mean":
        q, p = q.mean(dim=0, keepdim=True), p.mean(dim=0, keepdim=True)
    plain = torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(dim=1).mean()
    (expected,) = torch.autograd.grad(plain, z)
    loss = anchor_kl(output_of(z, normalizer), to(target), rows=rows)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss, z)[0], expected)


def test_the_fused_anchor_loss_passes_gradcheck() -> None:
    target = drawn(2, 9).log_softmax(dim=1)
    assert torch.autograd.gradcheck(lambda z: anchor_kl(output_of(z), to(target)), drawn(2, 9, requires_grad=True))


def test_the_anchor_loss_is_zero_between_equals_and_copes_with_empty_tiles() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0]])
    out = output_of(torch.randn(1, 3))
    expected = torch.nn.functional.kl_div(out.log_alpha, p, reduction="sum")
    torch.testing.assert_close(anchor_kl(out, Target(p, torch.special.xlogy(p, p).sum(dim=1))), expected)
    out = output_of(torch.randn(2, 9))
    assert anchor_kl(out, to(out.log_alpha)).item() == pytest.approx(0, abs=1e-6)
    whole, divided = (anchor_kl(out, to(out.log_alpha.flip(1)), r) for r in ("sum", "mean"))  # type: ignore[arg-type]
    assert whole.item() == pytest.approx(9 * divided.item())


@pytest.mark.parametrize("loss", [negative_entropy, kl_from_uniform, lambda out: anchor_kl(out, to(TARGET))])
def test_tiles_that_take_no_part_change_nothing(loss: Any) -> None:
    z, valid = drawn(3, 8), torch.ones(3, 8, dtype=torch.bool)
    valid[:, [1, 6]] = False
    wild = torch.where(valid, z, 1e9).requires_grad_()
    value = loss(output_of(z.requires_grad_(), valid=valid))
    other = loss(output_of(wild, valid=valid))
    torch.testing.assert_close(value, other)
    (gradient,) = torch.autograd.grad(other, wild)
    assert gradient.isfinite().all() and (gradient[:, [1, 6]] == 0).all()


def test_the_negative_entropy_has_its_closed_gradient_and_a_bag_of_one_tile_has_none() -> None:
    z = drawn(1, 20, requires_grad=True)
    out = output_of(z)
    entropy = -(out.alpha * out.log_alpha).sum()
    torch.testing.assert_close(negative_entropy(out), -entropy)
    torch.testing.assert_close(negative_entropy(out, normalized=True), -entropy / math.log(20))
    (gradient,) = torch.autograd.grad(negative_entropy(out), z)
    torch.testing.assert_close(gradient, out.alpha * (out.log_alpha + entropy))
    assert negative_entropy(output_of(drawn(2, 1)), normalized=True) == 0


def test_the_divergence_from_uniform_is_not_the_entropy_in_disguise() -> None:
    z = drawn(1, 20, requires_grad=True)
    out = output_of(z)
    uniform = torch.full_like(out.alpha, 1 / 20)
    plain = torch.nn.functional.kl_div(out.log_alpha, uniform, reduction="sum")
    torch.testing.assert_close(kl_from_uniform(out), plain)
    of_entropy, of_uniform = (torch.autograd.grad(f(out), z)[0] for f in (negative_entropy, kl_from_uniform))
    assert (of_entropy - of_uniform).abs().max() > 1e-3


def test_an_ensemble_is_silent_at_the_first_visit_and_then_the_running_mean_before() -> None:
    ensemble, maps = Ensemble(0.75), [output_of(drawn(2, 6).float()) for _ in range(3)]
    assert ensemble.loss(maps[0], "a") == 0
    first = torch.nn.functional.kl_div(maps[0].log_alpha, maps[1].alpha, reduction="none").sum(dim=1).mean()
    torch.testing.assert_close(ensemble.loss(maps[1], "a"), first)
    mean = 0.75 * maps[0].alpha + 0.25 * maps[1].alpha
    second = torch.nn.functional.kl_div(mean.log(), maps[2].alpha, reduction="none").sum(dim=1).mean()
    torch.testing.assert_close(ensemble.loss(maps[2], "a"), second)
    assert ensemble.loss(maps[2], "b") == 0


def test_a_row_whose_target_lies_on_tiles_that_take_no_part_is_drawn_to_nothing() -> None:
    z, valid = drawn(2, 6, requires_grad=True), torch.ones(2, 6, dtype=torch.bool)
    valid[0, :2] = False
    p = torch.zeros(2, 6, dtype=torch.float64)
    p[0, :2], p[1] = 0.5, 1 / 6
    alone = anchor_kl(output_of(z, valid=valid), Target(p, torch.special.xlogy(p, p).sum(dim=1)))
    (gradient,) = torch.autograd.grad(alone, z)
    assert alone.isfinite() and gradient.isfinite().all() and (gradient[0] == 0).all()


def test_a_tile_that_takes_part_in_no_row_has_no_gradient_where_rows_are_joined_first() -> None:
    z, valid = drawn(3, 8, requires_grad=True), torch.ones(3, 8, dtype=torch.bool)
    valid[:, 5] = False
    loss = anchor_kl(output_of(z, valid=valid), to(TARGET), rows="mean")
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite() and gradient.isfinite().all() and (gradient[:, 5] == 0).all()
