from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.mil.base import SOFTMAX
from napari_asmil.mil.fused import folded_attention, folded_scores
from napari_asmil.mil.losses import anchor_kl
from napari_asmil.mil.normalizers import target_of

TILES, D_IN, DIM, HEADS, TOKENS = 4500, 12, 16, 4, 3
DEPTH = DIM // HEADS


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def made(layout: str, dtype: torch.dtype = torch.float64, **settings: Any) -> Any:
    settings = {"dim": DIM, "heads": HEADS, "tokens": TOKENS, "layout": layout, "token_drop": 0.0} | settings
    model = build_model("asmil", D_IN, 2, **settings).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # nothing that could be forgotten is 0 or 1
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def unfolded(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and logits by keys and values of every tile, as the network is defined."""
    s, feat = model.scorer, model.feat
    h = torch.relu(x @ s.reduce.weight.T)
    paper = hasattr(s, "norm")
    if paper:
        h = s.norm(h)
    outputs, scores = [], []
    for n, token in enumerate(s.tokens):
        if paper:
            q, k, v = s.query(s.norm(token)), s.key(h), feat.value(h)
        else:
            q = s.query.weight[n] @ token + s.query.bias[n]
            k, v = (h @ layer.weight[n].T + layer.bias[n] for layer in (s.key, feat.value))
        z = torch.stack([k[:, i : i + DEPTH] @ q[i : i + DEPTH] for i in range(0, DIM, DEPTH)]) / math.sqrt(DEPTH)
        scores.append(z)
        heads = [alpha @ v[:, i * DEPTH : (i + 1) * DEPTH] for i, alpha in enumerate(z.softmax(dim=1))]
        pooled = torch.cat(heads)
        if paper:
            y = token + feat.project(pooled)
            outputs.append(y + feat.mlp(y))
        else:
            y = functional.layer_norm(feat.project.weight[n] @ pooled + feat.project.bias[n], (DIM,), eps=1e-6)
            outputs.append(y * feat.norm_weight[n] + feat.norm_bias[n])
    return torch.cat(scores), model.classify(model.bag(torch.stack(outputs)))


@pytest.mark.parametrize("layout", ["paper", "released"])
def test_folded_it_is_its_unfolded_definition_scores_logits_and_every_gradient(layout: str) -> None:
    model, x = made(layout), torch.randn(TILES, D_IN, dtype=torch.float64)
    weight = torch.randn(HEADS * TOKENS, TILES, dtype=torch.float64)
    target = target_of(weight.clone(), SOFTMAX)

    def gradients(z: Tensor, logits: Tensor, pull: Tensor) -> list[Tensor]:
        loss = functional.cross_entropy(logits[None], torch.tensor([1])) + pull
        return list(torch.autograd.grad(loss, list(model.parameters())))

    z, logits = unfolded(model, x)
    plain_kl = functional.kl_div(z.log_softmax(dim=1), target.p, reduction="none").sum(dim=1).mean()
    plain = gradients(z, logits, plain_kl)
    out = model.attend(x)
    torch.testing.assert_close(out.z, z, rtol=0, atol=1e-12)
    torch.testing.assert_close(out.logits, logits, rtol=0, atol=1e-12)
    for mine, theirs in zip(gradients(out.z, out.logits, anchor_kl(out, target)), plain, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layout", ["paper", "released"])
def test_in_single_precision_it_stays_within_a_millionth_of_the_definition(layout: str) -> None:
    single, x = made(layout, torch.float32), torch.randn(TILES, D_IN)
    out = single.attend(x)
    z, logits = unfolded(single.double(), x.double())
    assert (out.z - z).abs().max() <= 1e-6 * max(1.0, float(z.detach().abs().max()))
    assert (out.logits - logits).abs().max() <= 1e-5


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("tiles", [1, 5])
def test_the_fused_step_passes_gradcheck(normalize: bool, tiles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_asmil.mil.fused.BLOCK", 2)
    shapes = [(tiles, 6), (4, 6), (3, 4), (3, 1)]
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def step(*parts: Tensor) -> tuple[Tensor, Tensor]:
        out = folded_attention(*parts, normalize=normalize)
        return out.z, out.context

    assert torch.autograd.gradcheck(step, given)
    torch.testing.assert_close(folded_scores(*given, normalize=normalize), step(*given)[0])


@pytest.mark.parametrize("layout", ["paper", "released"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_any_other_normaliser_takes_the_plain_way_to_the_same_kind_of_answer(layout: str, temperature: float) -> None:
    model, x = made(layout), torch.randn(50, D_IN, dtype=torch.float64)
    fused, plain = model.attend(x), AttentionMIL.attend(model, x)
    torch.testing.assert_close(plain.logits, fused.logits)
    torch.testing.assert_close(plain.z, fused.z)
    torch.testing.assert_close(plain.alpha, fused.alpha)


def test_the_released_layout_starts_with_nearly_constant_scores_and_the_paper_layout_does_not() -> None:
    x = torch.randn(1000, 384)
    spread = {}
    for layout in ("paper", "released"):
        spread[layout] = build_model("asmil", 384, 2, layout=layout)(x).z.std(dim=1).mean().item()
    assert spread["released"] < 0.05 < 0.5 < spread["paper"]


def test_tokens_are_dropped_by_chance_or_by_count_and_never_all() -> None:
    chance, count = (made("paper", **how).train() for how in ({"token_drop": 0.9}, {"drop_count": 2}))
    outputs = torch.randn(TOKENS, DIM, dtype=torch.float64)
    kept = [len(chance._drop(outputs)) for _ in range(200)]
    assert min(kept) == 1 and max(kept) > 1
    assert {len(count._drop(outputs)) for _ in range(50)} == {1}
    assert len({float(count._drop(outputs).sum()) for _ in range(50)}) == TOKENS
    assert len(chance.eval()._drop(outputs)) == TOKENS
    with pytest.raises(InputError, match=r"drop_count \(3\) must leave at least one of 3"):
        made("paper", drop_count=3)


def test_heads_that_do_not_divide_the_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"dim \(10\) must be a multiple of heads \(4\)"):
        build_model("asmil", 5, 2, dim=10, heads=4)
