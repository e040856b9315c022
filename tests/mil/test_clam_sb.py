from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.mil import AttentionMIL, Output, build_model


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def clam(n_classes: int, **settings: object) -> AttentionMIL:
    """In double precision, with biases that are not 0."""
    model = build_model("clam_sb", 6, n_classes, **({"dim": 8, "attention_dim": 4} | settings)).double().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return model


def svm(outputs: list[float], target: int) -> float:
    """Smooth top-1 SVM loss at temperature 1: log sum_j exp(x_j + [j != y] - x_y)."""
    return math.log(sum(math.exp(x + (j != target) - outputs[target]) for j, x in enumerate(outputs)))


def plain_instance_loss(model: AttentionMIL, out: Output, label: int, k: int) -> float:
    """The same, tile by tile."""
    losses = []
    for c, classifier in enumerate(model.instance_classifiers):
        scores = out.z[c % len(out.z)].tolist()
        ranked = sorted(range(len(scores)), key=lambda tile: scores[tile])
        highest, lowest = ranked[-k:], ranked[:k]
        of_tile = [classifier(h).tolist() for h in out.scored.h]
        if c == label:
            terms = [svm(of_tile[tile], 1) for tile in highest] + [svm(of_tile[tile], 0) for tile in lowest]
        elif model.n_classes > 2:
            terms = [svm(of_tile[tile], 0) for tile in highest]
        else:
            continue
        losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize(("tiles", "k"), [(40, 8), (16, 8), (15, 7), (3, 1), (2, 1)])
def test_the_instance_loss_is_a_smooth_svm_on_the_tiles_at_both_ends(classes: int, tiles: int, k: int) -> None:
    model = clam(classes)
    for label in range(classes):
        out = model(torch.randn(tiles, 6))
        loss = model.instance_loss(out, torch.tensor(label))
        assert loss.item() == pytest.approx(plain_instance_loss(model, out, label, k), rel=1e-10)


def test_the_loss_is_seven_parts_of_the_bag_and_three_of_its_instances() -> None:
    model, label = clam(3), torch.tensor(2)
    out = model(torch.randn(30, 6))
    bag, instances = functional.cross_entropy(out.logits, label), plain_instance_loss(model, out, 2, k=8)
    torch.testing.assert_close(model.loss(out, label), 0.7 * bag + 0.3 * instances)


def test_an_instance_says_nothing_alone() -> None:
    model, label = clam(3), torch.tensor(0)
    out = model(torch.randn(1, 6))
    assert model.instance_loss(out, label) == 0
    torch.testing.assert_close(model.loss(out, label), 0.7 * functional.cross_entropy(out.logits, label))


@pytest.mark.parametrize("tiles", [2, 3, 7, 16])
def test_tiles_with_equal_scores_are_not_at_both_ends(tiles: int) -> None:
    model = clam(2)
    x, seen = torch.randn(tiles, 6), []
    out = model(x)._replace(scored=model.scorer(x.double())._replace(z=torch.zeros(1, tiles, dtype=torch.float64)))
    for classifier in model.instance_classifiers:
        classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.instance_loss(out, torch.tensor(1))
    for tiles_at_ends in seen:
        assert len(tiles_at_ends.unique(dim=0)) == 2 * min(8, tiles // 2)


def test_its_scores_are_gated_attention_and_its_bag_is_their_weighted_mean() -> None:
    model, x = clam(3), torch.randn(20, 6, dtype=torch.float64)
    reduce, attention = model.scorer.reduce[0], model.scorer.attention
    scores, embeddings = [], []
    for tile in x:
        h = torch.relu(reduce.weight @ tile + reduce.bias)
        v, u = (attention.gates.weight @ h + attention.gates.bias).split(4)
        scores.append((attention.score.weight[0] @ (v.tanh() * u.sigmoid()) + attention.score.bias[0]).item())
        embeddings.append(h)
    weights = [math.exp(s) / sum(math.exp(s) for s in scores) for s in scores]
    bag: Tensor = sum(w * h for w, h in zip(weights, embeddings, strict=True))
    out = model(x)
    assert out.z[0].tolist() == pytest.approx(scores)
    torch.testing.assert_close(out.bag, bag)
    torch.testing.assert_close(out.logits, model.classifier(bag))


def test_dropout_acts_in_training_alone() -> None:
    model, x = clam(2), torch.randn(20, 6)
    assert torch.equal(model(x).z, model(x).z)
    assert not torch.equal(model.train()(x).z, model(x).z)
    without = clam(2, dropout=0.0).train()
    assert torch.equal(without(x).z, without(x).z)


def test_what_the_instances_teach_reaches_the_embedding_but_not_the_scores() -> None:
    model = clam(3)
    out = model(torch.randn(30, 6))
    model.instance_loss(out, torch.tensor(0)).backward()
    assert model.scorer.reduce[0].weight.grad.any()
    assert all(p.grad is None for p in model.scorer.attention.parameters())
