from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model

DIM, HEADS = 16, 4


@pytest.fixture
def model() -> AttentionMIL:
    """In double precision, with a query as long as a trained one."""
    torch.manual_seed(0)
    model = build_model("mha", 12, 3, dim=DIM, heads=HEADS).double().eval()
    nn.init.normal_(model.scorer.tokens)
    return model


def torch_attention(model: AttentionMIL) -> nn.MultiheadAttention:
    """Torch's own attention with the model's weights."""
    theirs = nn.MultiheadAttention(DIM, HEADS, batch_first=True).double().eval()
    query, key, value, project = model.scorer.query, model.scorer.key, model.block.value, model.block.project
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([query.weight[0], key.weight[0], value.weight[0]]))
        theirs.in_proj_bias.copy_(torch.cat([query.bias[0], key.bias[0], value.bias[0]]))
        theirs.out_proj.weight.copy_(project.weight[0])
        theirs.out_proj.bias.copy_(project.bias[0])
    return theirs


def test_it_is_torchs_multi_head_attention_with_one_query_and_a_layer_norm(model: AttentionMIL) -> None:
    x = torch.randn(30, 12, dtype=torch.float64)
    h = torch.relu(x @ model.scorer.reduce.weight.T)
    pooled, weights = torch_attention(model)(model.scorer.tokens, h, h, average_attn_weights=False)
    out = model(x)
    torch.testing.assert_close(out.alpha, weights[:, 0])
    torch.testing.assert_close(out.bag, functional.layer_norm(pooled[0], (DIM,), eps=1e-6))
    torch.testing.assert_close(out.logits, model.classifier(out.bag))


def test_the_level_of_its_scores_is_that_of_plain_dot_products(model: AttentionMIL) -> None:
    x = torch.randn(9, 12, dtype=torch.float64)
    scorer = model.scorer
    query = scorer.query(scorer.tokens)[0]
    expected = torch.empty(HEADS, 9, dtype=torch.float64)
    for tile, h in enumerate(torch.relu(x @ scorer.reduce.weight.T)):
        key = scorer.key.weight[0] @ h + scorer.key.bias[0]
        for head in range(HEADS):
            part = slice(4 * head, 4 * head + 4)
            expected[head, tile] = (query[part] * key[part]).sum() / 2
    torch.testing.assert_close(model(x).z, expected)


def test_its_gradients_are_those_of_torchs_attention(model: AttentionMIL) -> None:
    x = torch.randn(30, 12, dtype=torch.float64)
    theirs = torch_attention(model)
    h = torch.relu(x @ model.scorer.reduce.weight.T)
    pooled = functional.layer_norm(theirs(model.scorer.tokens, h, h)[0][0], (DIM,), eps=1e-6)
    model.classifier(pooled).square().sum().backward()
    token, reduce = model.scorer.tokens.grad, model.scorer.reduce.weight.grad
    model.zero_grad()
    model(x).logits.square().sum().backward()
    torch.testing.assert_close(model.scorer.tokens.grad, token)
    torch.testing.assert_close(model.scorer.reduce.weight.grad, reduce)
    in_proj = torch.cat([model.scorer.query.weight.grad[0], model.scorer.key.weight.grad[0]])
    torch.testing.assert_close(in_proj, theirs.in_proj_weight.grad[: 2 * DIM])


def test_its_map_is_the_mean_of_its_heads() -> None:
    model = build_model("mha", 12, 2, dim=DIM, heads=HEADS)
    assert model.scorer.row_names == ("head 1", "head 2", "head 3", "head 4")
    torch.testing.assert_close(model.row_weights(torch.zeros(2)), torch.full((HEADS,), 0.25))


def test_a_tile_alone_is_pooled_whatever_its_score(model: AttentionMIL) -> None:
    x = torch.randn(1, 12, dtype=torch.float64)
    for normalizer in (Normalizer(), Normalizer("nsf")):
        torch.testing.assert_close(model(x, normalizer).alpha, torch.ones(HEADS, 1, dtype=torch.float64))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"dim \(16\) must be a multiple of heads \(3\)"):
        build_model("mha", 12, 2, dim=16, heads=3)
