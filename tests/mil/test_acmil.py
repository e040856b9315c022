from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil import Anchor, AttentionMIL, Ensemble, build_model
from napari_asmil.mil.losses import anchor_kl, negative_entropy
from napari_asmil.mil.methods.acmil import likeness

TOKENS = 3


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def acmil(**settings: object) -> AttentionMIL:
    sizes = {"dim": 8, "attention_dim": 4, "tokens": TOKENS}
    return build_model("acmil", 6, 2, **(sizes | settings)).double().eval()


def tiles(number: int) -> Tensor:
    return torch.randn(number, 6, dtype=torch.float64)


def test_all_tiles_take_part_outside_training() -> None:
    model = acmil()
    assert model(tiles(30)).scored.valid is None
    assert model.train()(tiles(30)).scored.valid is not None
    assert acmil(top_tiles=0).train()(tiles(30)).scored.valid is None
    assert acmil(mask_share=0.0).train()(tiles(30)).scored.valid is None


def test_six_of_the_ten_highest_tiles_of_a_row_are_masked_in_training() -> None:
    out = acmil().train()(tiles(50))
    for z, valid, alpha in zip(out.z, out.scored.valid, out.alpha, strict=True):
        ranked = sorted(range(50), key=lambda tile, z=z: -z[tile])
        masked = set((~valid).nonzero().flatten().tolist())
        assert len(masked) == 6 and masked <= set(ranked[:10])
        assert not alpha[~valid].any()
        torch.testing.assert_close(alpha[valid], torch.softmax(z[valid], dim=0))


def test_rows_are_masked_each_by_its_own_draw_and_every_step_anew() -> None:
    model, x = acmil().train(), tiles(10)
    first, second = (model(x).scored.valid for _ in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(5)
    third = model(x).scored.valid
    torch.manual_seed(5)
    assert torch.equal(model(x).scored.valid, third)


def test_every_one_of_the_highest_tiles_is_masked_as_often() -> None:
    model, x = acmil(top_tiles=4, mask_share=0.5).train(), tiles(12)
    steps = 600
    taken = sum(model(x).scored.valid[0].double() for _ in range(steps))
    often = (1 - taken / steps)[model(x).z[0].topk(4).indices]
    torch.testing.assert_close(often, torch.full((4,), 0.5).double(), atol=5 * math.sqrt(0.25 / steps), rtol=0)


@pytest.mark.parametrize("number", [1, 2, 3, 10])
def test_a_row_keeps_at_least_one_tile(number: int) -> None:
    for mask_share in (0.6, 1.0):
        out = acmil(mask_share=mask_share).train()(tiles(number))
        kept = out.scored.valid.sum(dim=1) if out.scored.valid is not None else torch.full((TOKENS,), number)
        assert (kept == max(1, number - int(min(10, number) * mask_share))).all()
        torch.testing.assert_close(out.alpha.sum(dim=1), torch.ones(TOKENS).double())


def test_the_bag_is_the_mean_of_what_the_branches_pool() -> None:
    model, x = acmil(), tiles(20)
    out = model(x)
    h = torch.relu(x @ model.scorer.reduce.weight.T)
    branches = [sum(a * tile for a, tile in zip(torch.softmax(z, dim=0), h, strict=True)) for z in out.z]
    torch.testing.assert_close(out.bag, sum(branches) / TOKENS)
    torch.testing.assert_close(out.logits, model.classifier(out.bag))
    assert model.scorer.row_names == ("branch 1", "branch 2", "branch 3")
    torch.testing.assert_close(model.row_weights(out.logits), torch.full((TOKENS,), 1 / TOKENS))


def test_the_loss_is_of_the_bag_the_branches_and_their_likeness() -> None:
    model, label = acmil().train(), torch.tensor(1)
    out = model(tiles(30))
    of_branches, of_pairs = [], []
    for row, classifier in enumerate(model.branch_classifiers):
        of_branches.append(functional.cross_entropy(classifier(out.alpha[row] @ out.scored.h), label))
        of_pairs += [functional.cosine_similarity(out.alpha[row], out.alpha[other], dim=0) for other in range(row)]
    assert len(of_pairs) == 3
    expected = functional.cross_entropy(out.logits, label) + sum(of_branches) / 3 + sum(of_pairs) / 3
    torch.testing.assert_close(model.loss(out, label), expected)


def test_rows_apart_are_unlike_and_equal_rows_are_alike() -> None:
    assert likeness(torch.eye(4)) == 0
    assert likeness(torch.full((5, 100_000), 1e-5)).item() == pytest.approx(1, abs=1e-4)
    assert likeness(torch.full((5, 100), 1e-2)).item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(likeness(torch.tensor([[1.0, 0.0], [0.5, 0.5]])), torch.tensor(math.sqrt(0.5)))
    assert likeness(torch.ones(1, 3)) == 0


def test_an_anchor_is_compared_on_the_tiles_that_take_part() -> None:
    model, x = acmil(), tiles(30)
    anchor = Anchor(model.scorer, Normalizer("nsf"), momentum=0.9)
    out = model.train()(x)
    log_target = anchor.log_alpha(x, out.scored)
    assert torch.isfinite(log_target).all()
    divergences = []
    for z, valid, log_t in zip(out.z, out.scored.valid, log_target, strict=True):
        p = torch.softmax(log_t[valid].double(), dim=0)
        divergences.append((p * (p.log() - torch.log_softmax(z[valid], dim=0))).sum())
    target = anchor.target(x, out.scored)
    torch.testing.assert_close(anchor_kl(out, target), sum(divergences) / TOKENS, rtol=1e-5, atol=1e-7)


def test_temporal_ensembling_keeps_masked_tiles_in_its_means_and_leaves_them_out_of_a_step() -> None:
    model, x, ensemble = acmil().train(), tiles(30), Ensemble(0.9)
    first = model(x)
    assert ensemble.loss(first, "slide") == 0
    torch.testing.assert_close(ensemble.means["slide"], torch.softmax(first.z, dim=1).float())
    out, before = model(x), ensemble.means["slide"].double()
    divergences = []
    for z, valid, mean in zip(out.z, out.scored.valid, before, strict=True):
        log_p, q = torch.log_softmax(z[valid], dim=0), mean[valid] / mean[valid].sum()
        divergences.append((log_p.exp() * (log_p - q.log())).sum())
    torch.testing.assert_close(ensemble.loss(out, "slide"), sum(divergences) / TOKENS, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("normalizer", [Normalizer(), Normalizer("nsf"), Normalizer("entmax")])
def test_masked_tiles_leave_every_gradient_finite(normalizer: Normalizer) -> None:
    model = acmil().train()
    out = model.attend(tiles(30), normalizer)
    (model.loss(out, torch.tensor(0)) + negative_entropy(out)).backward()
    assert torch.isfinite(out.alpha).all() and not out.alpha[~out.scored.valid].any()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
