from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.mil.methods.dtfd import class_rank

DIM, INNER = 16, 8


def model_of(distill: str = "AFS", pseudo_bags: int = 4, n_classes: int = 3) -> AttentionMIL:
    """In double precision, with weights large enough that tiles differ."""
    torch.manual_seed(0)
    sizes = {"dim": DIM, "attention_dim": INNER, "pseudo_bags": pseudo_bags}
    model = build_model("dtfd", 12, n_classes, distill=distill, **sizes).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    return model


def gated(attention: nn.Module, h: Tensor) -> Tensor:
    """Scores of gated attention (M,), eq. 9 of ABMIL, from a layer that holds V and U."""
    inner = h @ attention.gates.weight.T + attention.gates.bias
    gate = torch.tanh(inner[:, :INNER]) / (1 + torch.exp(-inner[:, INNER:]))
    return gate @ attention.score.weight[0] + attention.score.bias[0]


def plain(model: AttentionMIL, x: Tensor, distill: str, parts: list[Tensor], label: int) -> tuple[Tensor, Tensor]:
    """Logits of tier 2 and of the pseudo-bags, tile after tile."""
    h = torch.relu(x @ model.scorer.reduce.weight.T)
    z = gated(model.scorer.attention, h)
    distilled, of_parts = [], []
    for part in parts:
        a = torch.softmax(z[part], dim=0)
        mean = a @ h[part]
        of_parts.append(model.tier1.weight @ mean + model.tier1.bias)
        p = torch.stack([torch.softmax(model.tier1.weight @ (a[k] * h[i]), dim=0)[label] for k, i in enumerate(part)])
        best, worst = h[part][p.argmax()], h[part][p.argmin()]
        chosen = {"MaxS": [best], "MaxMinS": [best, worst], "MAS": [h[part][a.argmax()]], "AFS": [mean]}
        distilled += chosen[distill]
    vectors = torch.stack(distilled)
    bag = torch.softmax(gated(model.attention, vectors), dim=0) @ vectors
    return model.classifier.weight @ bag + model.classifier.bias, torch.stack(of_parts)


def parts_of(tiles: int, groups: int) -> list[Tensor]:
    """The partition of an evaluation."""
    return list(torch.randperm(tiles, generator=torch.Generator().manual_seed(0)).tensor_split(groups))


@pytest.mark.parametrize("distill", ["MaxS", "MaxMinS", "MAS", "AFS"])
@torch.no_grad()
def test_it_is_two_tiers_of_gated_attention_with_tiles_ranked_by_the_predicted_class(distill: str) -> None:
    model = model_of(distill)
    for _ in range(5):
        x = torch.randn(22, 12, dtype=torch.float64)
        predicted = int(plain(model, x, "AFS", parts_of(22, 4), 0)[1].mean(dim=0).argmax())
        logits, of_parts = plain(model, x, distill, parts_of(22, 4), predicted)
        out = model(x)
        torch.testing.assert_close(out.logits, logits)
        torch.testing.assert_close(out.own, of_parts)


@pytest.mark.parametrize("distill", ["MaxS", "MaxMinS"])
@torch.no_grad()
def test_where_the_label_is_known_tiles_are_ranked_by_its_class(distill: str) -> None:
    model, x = model_of(distill), torch.randn(22, 12, dtype=torch.float64)
    said = [model.attend(x, label=torch.tensor(label)).logits for label in range(3)]
    for label in range(3):
        torch.testing.assert_close(said[label], plain(model, x, distill, parts_of(22, 4), label)[0])
    assert not torch.allclose(said[0], said[1])


@torch.no_grad()
def test_with_one_pseudo_bag_tier_2_classifies_the_vector_of_abmil() -> None:
    model, x = model_of(pseudo_bags=1), torch.randn(22, 12, dtype=torch.float64)
    out = model(x)
    torch.testing.assert_close(out.bag, (out.alpha @ out.scored.h)[0])


def test_its_loss_is_that_of_both_tiers() -> None:
    model, label = model_of(), torch.tensor(2)
    out = model(torch.randn(22, 12, dtype=torch.float64))
    tier1 = torch.stack([functional.cross_entropy(row, label) for row in out.own]).mean()
    torch.testing.assert_close(model.loss(out, label), functional.cross_entropy(out.logits, label) + tier1)


@pytest.mark.parametrize("distill", ["MaxS", "MaxMinS", "MAS", "AFS"])
def test_each_tier_learns_from_its_own_loss_alone(distill: str) -> None:
    model, label = model_of(distill), torch.tensor(1)
    out = model.attend(torch.randn(22, 12, dtype=torch.float64), label=label)
    second = {name for name, _ in model.named_parameters() if name.startswith(("attention.", "classifier."))}
    functional.cross_entropy(out.logits, label).backward()  # type: ignore[no-untyped-call]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == second
    model.zero_grad()
    functional.cross_entropy(out.own, label.expand(4)).backward()  # type: ignore[no-untyped-call]
    assert {name for name, p in model.named_parameters() if p.grad is not None}.isdisjoint(second)


@torch.no_grad()
def test_its_map_is_of_the_whole_bag_whatever_the_partition() -> None:
    model, x = model_of(), torch.randn(22, 12, dtype=torch.float64)
    h = torch.relu(x @ model.scorer.reduce.weight.T)
    one, other = model.train().attend(x), model.attend(x)
    assert not torch.allclose(one.logits, other.logits)
    torch.testing.assert_close(one.log_rows, other.log_rows)
    torch.testing.assert_close(one.alpha[0], torch.softmax(gated(model.scorer.attention, h), dim=0))


@torch.no_grad()
def test_tier_1_pools_by_the_normaliser_within_each_pseudo_bag() -> None:
    model, x = model_of(), torch.randn(22, 12, dtype=torch.float64)
    nsf = model(x, Normalizer("nsf"))
    expected = []
    for part in parts_of(22, 4):
        weights = torch.sigmoid(nsf.z[0, part])
        expected.append(model.tier1(weights / weights.sum() @ nsf.scored.h[part]))
    torch.testing.assert_close(nsf.own, torch.stack(expected))


@torch.no_grad()
def test_the_partition_is_drawn_anew_in_training_by_the_seed_and_fixed_in_evaluation() -> None:
    model, x = model_of().train(), torch.randn(22, 12, dtype=torch.float64)
    torch.manual_seed(5)
    first, second = model.attend(x).logits, model.attend(x).logits
    torch.manual_seed(5)
    again = model.attend(x).logits
    assert not torch.allclose(first, second)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    model.eval()
    torch.testing.assert_close(model(x).logits, model(x).logits, rtol=0, atol=0)


def test_looking_at_a_slide_draws_no_random_number() -> None:
    model, x = model_of(), torch.randn(22, 12, dtype=torch.float64)
    before = torch.get_rng_state()
    model(x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("tiles", "sizes"), [(1, [1]), (3, [1, 1, 1]), (10, [3, 3, 2, 2])])
def test_parts_are_as_equal_as_can_be_and_hold_every_tile_once(tiles: int, sizes: list[int]) -> None:
    parts = model_of().train()._partition(tiles)
    assert [len(part) for part in parts] == sizes
    assert torch.cat(parts).sort().values.tolist() == list(range(tiles))


def test_tiles_rank_as_by_probability_also_where_probabilities_round_to_one_number() -> None:
    torch.manual_seed(0)
    activation, label = torch.randn(50, 4), torch.tensor(2)
    by_probability = activation.softmax(dim=1)[:, 2].argsort()
    assert torch.equal(class_rank(activation, label).argsort(), by_probability)
    small = activation * 1e-9
    assert small.softmax(dim=1).unique().tolist() == [0.25]
    exact = small.double().softmax(dim=1)[:, 2].argsort()
    assert torch.equal(class_rank(small, label).argsort(), exact)


def test_an_unknown_way_to_distil_is_refused() -> None:
    with pytest.raises(InputError, match="distill = 'best' of dtfd"):
        build_model("dtfd", 12, 2, distill="best")
