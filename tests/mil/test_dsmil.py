from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil import Anchor, AttentionMIL, build_model

CLASSES, FEATURES, DIM = 3, 6, 5


@pytest.fixture
def model() -> AttentionMIL:
    torch.manual_seed(0)
    return build_model("dsmil", FEATURES, CLASSES, dim=DIM).double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(20, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def instance_logits(model: AttentionMIL, x: Tensor) -> list[list[float]]:
    layer = model.scorer.instance
    return [[(layer.weight[c] @ tile + layer.bias[c]).item() for c in range(CLASSES)] for tile in x]


def critical_tiles(model: AttentionMIL, x: Tensor) -> list[int]:
    of_tile = instance_logits(model, x)
    return [max(range(len(x)), key=lambda tile, c=c: of_tile[tile][c]) for c in range(CLASSES)]


def test_a_tile_scores_by_its_likeness_to_the_critical_tile_of_the_class(model: AttentionMIL, x: Tensor) -> None:
    query, z = model.scorer.query, model(x).z
    for c, m in enumerate(critical_tiles(model, x)):
        for i in range(len(x)):
            q, critical = (query.weight @ x[tile] + query.bias for tile in (i, m))
            assert z[c, i].item() == pytest.approx(sum((q * critical).tolist()) / math.sqrt(DIM))


def test_it_says_the_mean_of_what_its_two_streams_say(model: AttentionMIL, x: Tensor) -> None:
    out = model(x)
    highest = torch.tensor([max(of_class) for of_class in zip(*instance_logits(model, x), strict=True)]).double()
    bags = torch.stack([(torch.softmax(row, dim=0)[:, None] * x).sum(dim=0) for row in out.z])
    torch.testing.assert_close(out.bag, bags.flatten())
    # the original classifies with a convolution over D whose channels are the classes
    convolution = nn.Conv1d(CLASSES, CLASSES, FEATURES).double()
    with torch.no_grad():
        convolution.weight.copy_(model.classifier.weight.view(CLASSES, CLASSES, FEATURES))
        convolution.bias.copy_(model.classifier.bias)
    bag = convolution(bags[None]).flatten()
    mean = (torch.softmax(highest, dim=0) + torch.softmax(bag, dim=0)) / 2
    torch.testing.assert_close(out.logits, mean.log())
    torch.testing.assert_close(torch.softmax(out.logits, dim=0), mean)
    for label in range(CLASSES):
        y = torch.tensor(label)
        halves = (functional.cross_entropy(highest, y) + functional.cross_entropy(bag, y)) / 2
        torch.testing.assert_close(model.loss(out, y), halves)


def test_its_prediction_is_the_same_in_training(model: AttentionMIL, x: Tensor) -> None:
    torch.testing.assert_close(model.train()(x).logits, model.eval()(x).logits, rtol=0, atol=0)


def test_the_gradient_of_the_highest_logits_is_that_of_their_maximum(model: AttentionMIL, x: Tensor) -> None:
    weight = model.scorer.instance.weight
    (expected,) = torch.autograd.grad(functional.linear(x, weight).amax(dim=0).square().sum(), weight)
    highest = model(x).own.highest - model.scorer.instance.bias
    torch.testing.assert_close(torch.autograd.grad(highest.square().sum(), weight)[0], expected)


def test_an_anchor_scores_the_likeness_to_the_online_critical_tiles(model: AttentionMIL, x: Tensor) -> None:
    anchor = Anchor(model.scorer, Normalizer(), momentum=0.5)
    with torch.no_grad():
        model.scorer.instance.weight.neg_()
    online = model(x).scored
    assert online.context.tolist() == critical_tiles(model, x)
    assert online.context.tolist() != anchor.scorer(x.float()).context.tolist()
    q = model.scorer.query(x).float()
    rows = torch.stack([q @ q[m] for m in online.context]) / math.sqrt(DIM)
    torch.testing.assert_close(anchor.log_alpha(x, online), rows.log_softmax(dim=1), rtol=1e-4, atol=1e-5)


def test_a_tile_alone_is_critical_and_all_of_the_bag(model: AttentionMIL, x: Tensor) -> None:
    out = model(x[:1])
    torch.testing.assert_close(out.bag, x[0].repeat(CLASSES))
    torch.testing.assert_close(out.alpha, torch.ones(CLASSES, 1, dtype=torch.float64))
    torch.testing.assert_close(model.evidence(x[:1])[0], out.logits)


def test_its_map_is_the_row_of_the_class_it_predicts(model: AttentionMIL, x: Tensor) -> None:
    out = model(x)
    assert model.row_weights(out.logits).argmax() == torch.softmax(out.logits, dim=0).argmax()
    assert model.row_weights(out.logits).sum() == 1
    assert model.scorer.row_names == ("class 0", "class 1", "class 2")


def test_logits_far_apart_stay_finite(model: AttentionMIL, x: Tensor) -> None:
    out = model.float()(x.float() * 1e4)
    assert torch.isfinite(out.logits).all()
    assert torch.isfinite(model.loss(out, torch.tensor(0)))
