from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_asmil.mil import AttentionMIL, build_model


@pytest.fixture
def model() -> AttentionMIL:
    torch.manual_seed(0)
    model = build_model("clam_mb", 6, 3, dim=8, attention_dim=4).double().eval()
    nn.init.normal_(model.classifier.bias)
    return model


def test_every_class_has_its_row_its_bag_vector_and_its_head(model: AttentionMIL) -> None:
    x = torch.randn(20, 6, dtype=torch.float64)
    out = model(x)
    h = torch.relu(model.scorer.reduce[0](x))
    bags = []
    for c in range(3):
        weights = torch.softmax(out.z[c], dim=0)
        bags.append(sum(w * tile for w, tile in zip(weights, h, strict=True)))
        logit = (model.classifier.weight[c] * bags[c]).sum() + model.classifier.bias[c]
        torch.testing.assert_close(out.logits[c], logit)
    torch.testing.assert_close(out.bag, torch.cat(bags))
    assert model.bag_size == 24
    assert model.scorer.row_names == ("class 0", "class 1", "class 2")


def test_its_map_is_the_row_of_the_class_it_predicts(model: AttentionMIL) -> None:
    weights = model.row_weights(torch.tensor([0.1, -2.0, 0.3]))
    torch.testing.assert_close(weights, torch.tensor([0.0, 0.0, 1.0]))
    assert model.row_join == "row of the predicted class"


def test_every_class_picks_its_instances_by_its_own_row(model: AttentionMIL) -> None:
    out = model(torch.randn(30, 6))
    of_class = []
    for c, classifier in enumerate(model.instance_classifiers):
        order = out.z[c].argsort()
        high, low = classifier(out.scored.h[order[-8:]]), classifier(out.scored.h[order[:8]])
        x = torch.cat([high, low]) if c == 1 else high
        y = torch.cat([torch.ones(8), torch.zeros(8)]).long() if c == 1 else torch.zeros(8).long()
        margin = 1 - functional.one_hot(y, 2)
        of_class.append(functional.cross_entropy(x + margin, y))  # of scores with a margin: the smooth SVM
    torch.testing.assert_close(model.instance_loss(out, torch.tensor(1)), torch.stack(of_class).mean())


def test_a_class_alone_moves_its_own_row(model: AttentionMIL) -> None:
    model(torch.randn(20, 6)).logits[1].backward()
    moved = model.scorer.attention.score.weight.grad.any(dim=1)
    assert moved.tolist() == [False, True, False]
