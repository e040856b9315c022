from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.mil.methods.abmilx import START, attended_scores
from tests.mil.tensors import largest_tensor

DIM, HEADS, DEPTH = 16, 4, 4


def model_of(**settings: object) -> AttentionMIL:
    torch.manual_seed(0)
    return build_model("abmilx", 12, 3, dim=DIM, heads=HEADS, **settings).double().eval()


def plain_scores(model: AttentionMIL, x: Tensor) -> Tensor:
    """z (H, M) head by head with the whole similarity matrix, as eq. 4 has it."""
    scorer = model.scorer
    h = functional.gelu(functional.layer_norm(x, (12,), scorer.norm.weight) @ scorer.reduce.weight.T)
    rows = []
    for head in range(HEADS):
        part = h[:, DEPTH * head : DEPTH * (head + 1)]
        local = functional.gelu(part @ scorer.local[0].weight.T) @ scorer.local[2].weight[0]
        if scorer.plus is not None:
            normed = functional.layer_norm(part, (DEPTH,), scorer.plus.norm.weight)
            q, k = normed @ scorer.plus.query.weight.T, normed @ scorer.plus.key.weight.T
            similar = torch.softmax(q @ k.T / math.sqrt(DEPTH), dim=1)
            local = local + scorer.plus.alpha * (similar @ local)
        rows.append(local)
    return torch.stack(rows)


def plain_logits(model: AttentionMIL, x: Tensor) -> Tensor:
    """What the heads pool (eq. 3), and the head on it."""
    h = functional.gelu(model.scorer.norm(x) @ model.scorer.reduce.weight.T)
    z = plain_scores(model, x)
    pooled = [torch.softmax(z[i], dim=0) @ h[:, DEPTH * i : DEPTH * (i + 1)] for i in range(HEADS)]
    bag = model.project.weight @ torch.cat(pooled)
    if model.ffn is not None:
        inner = functional.gelu(model.ffn[1].weight @ functional.layer_norm(bag, (DIM,), model.ffn[0].weight))
        bag = bag + model.ffn[3].weight @ inner
    return model.classifier.weight @ functional.layer_norm(bag, (DIM,), model.norm.weight)


@pytest.mark.parametrize("settings", [{}, {"plus": False}, {"ffn": True}])
def test_its_scores_and_logits_are_those_of_the_papers_equations(settings: dict[str, bool]) -> None:
    model, x = model_of(**settings), torch.randn(30, 12, dtype=torch.float64)
    out = model(x)
    torch.testing.assert_close(out.z, plain_scores(model, x))
    torch.testing.assert_close(out.logits, plain_logits(model, x))


def test_its_gradients_are_those_of_the_whole_similarity_matrix() -> None:
    model, x = model_of(), torch.randn(30, 12, dtype=torch.float64)
    plain_logits(model, x).square().sum().backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model(x).logits.square().sum().backward()  # type: ignore[no-untyped-call]
    assert expected.keys() == {name for name, _ in model.named_parameters()}
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], msg=name)


def test_an_alpha_of_nought_is_local_attention_alone() -> None:
    model, x = model_of(), torch.randn(9, 12, dtype=torch.float64)
    torch.nn.init.zeros_(model.scorer.plus.alpha)
    local = model_of(plus=False)
    local.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(model(x).z, local(x).z)
    torch.testing.assert_close(model(x).logits, local(x).logits)


@pytest.mark.parametrize("depth", [1, 4, 8, 12])
def test_attended_scores_are_means_by_similarity_whatever_the_heads_size(depth: int) -> None:
    torch.manual_seed(0)
    q, k = (torch.randn(2, 7, depth, dtype=torch.float64) for _ in range(2))
    scores = torch.randn(2, 7, dtype=torch.float64)
    expected = torch.softmax(q @ k.mT / math.sqrt(depth), dim=-1) @ scores[..., None]
    torch.testing.assert_close(attended_scores(q, k, scores), expected[..., 0])
    torch.testing.assert_close(attended_scores(q, k, torch.ones_like(scores)), torch.ones_like(scores))


def test_no_matrix_of_tiles_and_tiles_is_made_forward_or_backward() -> None:
    model, x, label = build_model("abmilx", 12, 2, dim=DIM, heads=HEADS).train(), torch.randn(800, 12), torch.tensor(1)

    def step() -> None:
        model.loss(model.attend(x, Normalizer("nsf"), label), label).backward()  # type: ignore[no-untyped-call]

    assert largest_tensor(step) <= 800 * HEADS * 8 * 2  # keys and values, filled up to 8


def test_it_starts_near_local_attention_with_xavier_weights_and_no_bias() -> None:
    torch.manual_seed(0)
    model = build_model("abmilx", 400, 2, dim=400, heads=2, ffn=True)
    assert model.scorer.plus.alpha.item() == pytest.approx(START)
    for layer in (model.scorer.reduce, model.scorer.plus.key, model.project, model.ffn[1]):
        fan = sum(layer.weight.shape)
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.05)
    assert not [name for name, _ in model.named_parameters() if "bias" in name]


def test_its_dropout_is_on_the_embedding_in_training_alone() -> None:
    model, x = build_model("abmilx", 12, 2, dim=400, heads=4), torch.randn(50, 12)
    kept = model.train().scorer.embed(x) != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert (model.eval().scorer.embed(x) != 0).all()


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"dim \(16\) must be a multiple of heads \(3\)"):
        build_model("abmilx", 12, 2, dim=16, heads=3)
