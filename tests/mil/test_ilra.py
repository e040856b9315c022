from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from tests.mil.tensors import largest_tensor

DIM, HEADS = 16, 4


def model_of(latents: int = 3) -> AttentionMIL:
    """In double precision, with biases other than 0."""
    torch.manual_seed(0)
    model = build_model("ilra", 12, 3, dim=DIM, heads=HEADS, latents=latents).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def attention(layers: tuple[nn.Linear, ...], x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """Torch's own attention with the weights of query, key, value and output layers; its maps (H, n, k) too."""
    query, key, value, project = layers
    in_bias = torch.cat([torch.zeros(DIM).double() if layer.bias is None else layer.bias for layer in layers[:3]])
    out, weights = functional.multi_head_attention_forward(
        *(x[:, None], context[:, None], context[:, None], DIM, HEADS, None, in_bias, None, None, False, 0.0),
        *(project.weight, project.bias),
        use_separate_proj_weight=True,
        q_proj_weight=query.weight,
        k_proj_weight=key.weight,
        v_proj_weight=value.weight,
        average_attn_weights=False,
    )
    return out[:, 0], weights[0]


def after(residual: nn.Module, query: Tensor, pooled: Tensor) -> Tensor:
    """The layers behind an attention."""
    o = functional.layer_norm(query + pooled, (DIM,), residual.first.weight, residual.first.bias)
    o = o + (residual.linear(o)).clamp_min(0)
    return functional.layer_norm(o, (DIM,), residual.last.weight, residual.last.bias)


def plain_cross(part: nn.Module, x: Tensor, context: Tensor) -> Tensor:
    """One direction of a block."""
    q, gate = part.embed(x), part.gate(x)
    pooled, _ = attention((part.query, part.key, part.value, part.project), q, context)
    return after(part.residual, q, pooled) * gate * torch.sigmoid(gate)


def plain_embedding(model: AttentionMIL, x: Tensor) -> Tensor:
    for block in model.scorer.blocks:
        x = plain_cross(block.spread, x, plain_cross(block.gather, block.latents, x))
    return x


def plain(model: AttentionMIL, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the map of each head (H, M)."""
    scorer = model.scorer
    h = plain_embedding(model, x)
    pooled, weights = attention((scorer.query, scorer.key, model.value, model.project), scorer.seed, h)
    return model.classifier(after(model.residual, scorer.seed, pooled))[0], weights[:, 0]


def test_it_is_torchs_multi_head_attention_between_tiles_latents_and_a_seed() -> None:
    model, x = model_of(), torch.randn(30, 12, dtype=torch.float64)
    logits, weights = plain(model, x)
    out = model(x)
    torch.testing.assert_close(out.logits, logits)
    torch.testing.assert_close(out.alpha, weights)


def test_its_gradients_are_those_of_torchs_attention() -> None:
    model, x = model_of(), torch.randn(30, 12, dtype=torch.float64)
    plain(model, x)[0].square().sum().backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    model(x).logits.square().sum().backward()  # type: ignore[no-untyped-call]
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], msg=name)


def test_the_level_of_its_scores_is_that_of_plain_dot_products() -> None:
    model, x = model_of(), torch.randn(9, 12, dtype=torch.float64)
    scorer = model.scorer
    query, keys = scorer.query(scorer.seed)[0], scorer.key(scorer.embed(x))
    expected = torch.empty(HEADS, 9, dtype=torch.float64)
    for head in range(HEADS):
        part = slice(4 * head, 4 * head + 4)
        expected[head] = keys[:, part] @ query[part] / math.sqrt(4)
    torch.testing.assert_close(model(x).z, expected)


def test_what_attends_to_a_single_latent_copies_it() -> None:
    """The same model with two equal latents says the same, though it has queries and keys."""
    one, two = model_of(latents=1), model_of(latents=2)
    assert one.scorer.blocks[0].spread.key is None
    state = one.state_dict()
    for name, weight in two.state_dict().items():
        state[name] = state[name].expand_as(weight) if name in state else weight
    two.load_state_dict(state)
    x = torch.randn(20, 12, dtype=torch.float64)
    torch.testing.assert_close(two(x).logits, one(x).logits)
    torch.testing.assert_close(two(x).z, one(x).z)


def test_a_tiles_embedding_rests_on_the_other_tiles() -> None:
    model, x = model_of(), torch.randn(20, 12, dtype=torch.float64)
    assert not torch.allclose(model.scorer.embed(x[:10]), model.scorer.embed(x)[:10])


def test_evidence_is_what_the_seed_would_say_of_one_tile_of_the_bag() -> None:
    model, x = model_of(), torch.randn(6, 12, dtype=torch.float64)
    scorer, said = model.scorer, []
    for tile in plain_embedding(model, x).split(1):
        pooled, _ = attention((scorer.query, scorer.key, model.value, model.project), scorer.seed, tile)
        said.append(model.classifier(after(model.residual, scorer.seed, pooled)))
    torch.testing.assert_close(model.evidence(x), torch.cat(said))


def test_its_cost_is_linear_in_tiles() -> None:
    model, x, label = build_model("ilra", 12, 2, dim=DIM, heads=HEADS).train(), torch.randn(800, 12), torch.tensor(1)

    def step() -> None:
        model.loss(model.attend(x, label=label), label).backward()  # type: ignore[no-untyped-call]

    assert largest_tensor(step) == 800 * DIM


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"dim \(16\) must be a multiple of heads \(3\)"):
        build_model("ilra", 12, 2, dim=16, heads=3)
