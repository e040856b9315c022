from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import Anchor, AttentionMIL, build_model
from napari_asmil.mil.names import method_names
from napari_asmil.mil.registry import settings_of

SMALL = {"dim": 16, "attention_dim": 8, "heads": 4, "tokens": 3}
KEEP_ALL = {"asmil": {"token_drop": 0.0}}
"""Settings with which nothing is left out of a training step."""
LAID_OUT = {"transmil"}
"""Tiles form a square in their order (PPEG), so that identical tiles differ by where they lie."""
ORDERED = {*LAID_OUT, "dtfd"}
"""The order of tiles matters: for the square, and for which tiles share a pseudo-bag."""
CONTEXTUAL = {"transmil", "ilra"}
"""A tile's embedding rests on the other tiles, so that evidence is not what is said of a bag of one."""


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def model_of(method: str, n_features: int = 12, n_classes: int = 2, **settings: object) -> AttentionMIL:
    known = settings_of(method)
    small = {name: value for name, value in SMALL.items() if name in known}
    return build_model(method, n_features, n_classes, **(small | settings)).eval()


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("tiles", [1, 2, 3, 50])
@pytest.mark.parametrize("classes", [2, 5])
def test_every_method_scores_every_tile_once_a_row(method: str, tiles: int, classes: int) -> None:
    model = model_of(method, n_classes=classes)
    out = model(torch.randn(tiles, 12))
    rows = len(model.scorer.row_names)
    assert out.z.shape == out.log_alpha.shape == (rows, tiles)
    assert out.z.dtype == torch.float32
    assert out.logits.shape == (classes,) and out.bag.shape == (model.bag_size,)
    torch.testing.assert_close(out.log_alpha.exp().sum(dim=1), torch.ones(rows))


@pytest.mark.parametrize("method", sorted({*method_names()} - ORDERED))
def test_the_order_of_tiles_does_not_matter(method: str) -> None:
    model, x = model_of(method).double(), torch.randn(40, 12)
    order = torch.randperm(40)
    straight, shuffled = model(x), model(x[order])
    torch.testing.assert_close(shuffled.logits, straight.logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(shuffled.z, straight.z[:, order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", sorted({*method_names()} - LAID_OUT))
def test_identical_tiles_get_identical_attention(method: str) -> None:
    out = model_of(method)(torch.ones(7, 12))
    torch.testing.assert_close(out.log_alpha.exp(), torch.full_like(out.z, 1 / 7))


@pytest.mark.parametrize("method", method_names())
def test_a_double_model_reckons_in_double(method: str) -> None:
    single = model_of(method, n_classes=5)
    x = torch.randn(20, 12)
    rough = single(x)
    out = single.double()(x)
    assert {out.logits.dtype, out.z.dtype, out.alpha.dtype, out.bag.dtype} == {torch.float64}
    torch.testing.assert_close(out.logits.float(), rough.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("tiles", [1, 3, 40])
def test_scores_stay_single_precision_under_autocast(method: str, tiles: int) -> None:
    model, x, label = model_of(method, n_classes=3).train(), torch.randn(tiles, 12), torch.tensor(1)
    with torch.autocast("cpu", torch.bfloat16):
        out = model.attend(model.prepare(x), label=label)
        loss = model.loss(out, label)
    assert out.z.dtype == out.alpha.dtype == torch.float32
    assert torch.isfinite(out.z).all() and torch.isfinite(loss)


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("classes", [2, 5])
def test_every_parameter_learns_from_bags_of_every_class(method: str, classes: int) -> None:
    model = model_of(method, n_classes=classes, **KEEP_ALL.get(method, {})).train()
    for label in torch.arange(classes):
        # normalised sigmoids, because no softmax moves a bias that all scores have in common
        out = model.attend(torch.randn(40, 12), Normalizer("nsf"), label)
        model.loss(out, label).backward()  # type: ignore[no-untyped-call]
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("tiles", [1, 2, 3])
def test_small_bags_can_be_learned_from(method: str, tiles: int) -> None:
    model = model_of(method, n_classes=5).train()
    for x in (torch.randn(tiles, 12), torch.ones(tiles, 12)):
        loss = model.loss(model.attend(x, label=torch.tensor(4)), torch.tensor(4))
        loss.backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", sorted({*method_names()} - CONTEXTUAL))
@pytest.mark.parametrize("classes", [2, 5])
def test_the_evidence_of_a_tile_is_what_is_said_of_it_alone(method: str, classes: int) -> None:
    model, x = model_of(method, n_classes=classes), torch.randn(6, 12)
    alone = torch.stack([model(tile[None]).logits for tile in x])
    torch.testing.assert_close(model.evidence(model.prepare(x)), alone, rtol=1e-4, atol=1e-5)


def test_an_unknown_method_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"'nomil'.*abmil.*asmil"):
        build_model("nomil", 4, 2)


@pytest.mark.parametrize("method", method_names())
def test_an_anchor_starts_as_a_copy_moves_by_its_momentum_and_takes_no_gradient(method: str) -> None:
    model = model_of(method)
    start = [p.detach().clone() for p in model.scorer.parameters()]
    anchor = Anchor(model.scorer, Normalizer("nsf"), momentum=0.9)
    for mine, online in zip(anchor.scorer.parameters(), model.scorer.parameters(), strict=True):
        assert mine is not online and not mine.requires_grad
        torch.testing.assert_close(mine, online, rtol=0, atol=0)
    with torch.no_grad():
        for p in model.scorer.parameters():
            p.add_(1.0)
    for _ in range(5):
        anchor.update(model.scorer)
    for mine, before in zip(anchor.scorer.parameters(), start, strict=True):
        torch.testing.assert_close(mine, before + (1 - 0.9**5))
    assert not anchor.train().scorer.training
    x = torch.randn(5, 12)
    assert not anchor.log_alpha(x, model(x).scored).requires_grad


@pytest.mark.parametrize("method", ["abmil", "asmil"])
def test_the_distance_to_the_anchor_is_a_share_of_the_model_s_own_length(method: str) -> None:
    model = model_of(method)
    anchor = Anchor(model.scorer, Normalizer("nsf"), momentum=0.9)
    assert anchor.distance(model.scorer) == 0
    with torch.no_grad():
        for p in model.scorer.parameters():
            p.mul_(1.5)
    assert anchor.distance(model.scorer) == pytest.approx(0.5 / 1.5, rel=1e-6)
    anchor.update(model.scorer)
    assert anchor.distance(model.scorer) == pytest.approx(0.9 * 0.5 / 1.5, rel=1e-6)


def test_standardising_is_part_of_the_weights() -> None:
    model = model_of("abmil")
    model.standardize_with(torch.full((12,), 3.0), torch.full((12,), 0.5))
    x = torch.randn(6, 12)
    copy = model_of("abmil")
    copy.load_state_dict(model.state_dict())
    torch.testing.assert_close(copy(x).logits, model(x).logits)
    torch.testing.assert_close(model.prepare(x), (x - 3) * 0.5)


def test_at_least_one_token_is_kept_whatever_the_drop() -> None:
    model = build_model("asmil", 12, 2, dim=16, heads=4, tokens=3, token_drop=1.0).train()
    assert isinstance(model, nn.Module)
    assert torch.isfinite(model(torch.randn(5, 12)).logits).all()
