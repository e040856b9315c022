"""A training step does what each field of its recipe says, held against steps written out by hand."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.training import Recipe, preset
from napari_asmil.training.epoch import sizes_of, train_epoch
from napari_asmil.training.recipe import HALF_LIFE
from napari_asmil.training.state import Sizes, State, seeded
from napari_asmil.training.step import CURVES, Lost, train_step
from tests.training.cohorts import small_cohort

CPU = torch.device("cpu")
SIZES = Sizes(6, 2, 10)
X = torch.randn(20, 6, generator=torch.Generator().manual_seed(3))
LABEL = torch.tensor(1)
NSF = {"normalizer": Normalizer("nsf"), "beta": 0.5, "momentum": 0.9}


def recipe_of(**changes: Any) -> Recipe:
    settings = {"dim": 8, "attention_dim": 4}
    return preset("stable", "abmil", settings=settings).changed(**{"lr": 0.01, "clip": None, **changes})


def fresh(recipe: Recipe) -> State:
    return State.fresh(recipe, SIZES, CPU)


def step(state: State, recipe: Recipe, x: Tensor = X, slide: str = "a", progress: float = 0.0) -> Lost:
    with seeded(0):
        return train_step(state, recipe, x, LABEL, slide, progress)


def part(lost: Lost, name: str) -> float:
    return float(lost.parts[CURVES.index(name)])


def log_maps(state: State) -> tuple[Tensor, Tensor]:
    """The model's and the anchor's log map by their definitions, of one row."""
    model = copy.deepcopy(state.model).double().eval()
    z = model.scorer(X.double()).z.detach()
    anchor = copy.deepcopy(state.anchor)
    assert anchor is not None
    weak = anchor.scorer.double()(X.double()).z.sigmoid()
    return z.log_softmax(dim=1), (weak / weak.sum()).log()


def test_the_loss_is_cross_entropy_and_beta_times_the_divergence_of_the_anchor_before_the_step() -> None:
    recipe = recipe_of(anchor=NSF)
    state = fresh(recipe)
    with torch.no_grad():
        for p in state.model.scorer.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    ours, anchors = log_maps(state)
    logits = copy.deepcopy(state.model).eval()(X).logits.detach()
    lost = step(state, recipe)
    kl = float((anchors.exp() * (anchors - ours)).sum())
    ce = float(functional.cross_entropy(logits[None], LABEL[None]))
    assert part(lost, "loss_as") == pytest.approx(kl, rel=1e-3) and kl > 1e-3
    assert part(lost, "loss_ce") == pytest.approx(ce, rel=1e-5)
    assert float(lost.total.detach()) == pytest.approx(ce + 0.5 * kl, rel=1e-5)


@pytest.mark.parametrize(("reduction", "rows"), [("mean", "each"), ("sum", "mean")])
def test_reduction_and_rows_of_the_divergence_are_the_recipe_s(reduction: str, rows: str) -> None:
    base, other = (recipe_of(anchor={**NSF, **how}) for how in ({}, {"kl_reduction": reduction, "kl_rows": rows}))
    states = [fresh(recipe) for recipe in (base, other)]
    for state in states:
        with torch.no_grad():
            state.model.scorer.attention.score.weight.mul_(5)
    whole, changed = (part(step(s, r), "loss_as") for s, r in zip(states, (base, other), strict=True))
    assert changed == pytest.approx(whole / 20 if reduction == "mean" else whole, rel=1e-4)


def test_the_anchor_follows_after_every_step_by_its_momentum() -> None:
    recipe = recipe_of(anchor=NSF)
    state = fresh(recipe)
    assert state.anchor is not None
    before = [p.clone() for p in state.anchor.scorer.parameters()]
    step(state, recipe)
    for mine, old, online in zip(
        state.anchor.scorer.parameters(), before, state.model.scorer.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, 0.9 * old + 0.1 * online.detach())
    assert any((p - q).abs().max() > 1e-4 for p, q in zip(state.anchor.scorer.parameters(), before, strict=True))


@pytest.mark.parametrize("update", ["epoch", "never"])
def test_an_anchor_that_follows_by_epoch_or_never_stays_at_a_step(update: str) -> None:
    recipe = recipe_of(anchor={**NSF, "update": update})
    state = fresh(recipe)
    assert state.anchor is not None
    before = [p.clone() for p in state.anchor.scorer.parameters()]
    step(state, recipe)
    assert all(torch.equal(p, q) for p, q in zip(state.anchor.scorer.parameters(), before, strict=True))


def test_an_anchor_starts_as_a_copy_or_as_a_network_of_its_own() -> None:
    for init, same in (("copy", True), ("random", False)):
        state = fresh(recipe_of(anchor={**NSF, "init": init, "update": "step" if same else "never"}))
        assert state.anchor is not None
        pairs = zip(state.anchor.scorer.parameters(), state.model.scorer.parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs) is same


def test_an_anchor_that_shares_the_embedding_scores_the_online_one() -> None:
    recipe = recipe_of(anchor={**NSF, "shares_embedding": True})
    state = fresh(recipe)
    assert state.anchor is not None
    with torch.no_grad():
        state.model.scorer.reduce.weight.mul_(3)
    online = state.model.scorer(X)
    expected = state.anchor.scorer.score(online.h).z
    torch.testing.assert_close(state.anchor.scores(X, online), expected)
    assert (state.anchor.scorer(X).z - expected).abs().max() > 1e-3


def test_the_factor_without_a_momentum_forgets_half_in_the_paper_s_number_of_epochs() -> None:
    recipe = recipe_of(anchor={**NSF, "momentum": None})
    assert recipe.anchor is not None
    assert recipe.anchor.factor(243) == pytest.approx(0.999, abs=2e-6)
    assert recipe.anchor.factor(50) ** (50 * HALF_LIFE) == pytest.approx(0.5)
    by_epoch = recipe_of(anchor={**NSF, "momentum": None, "update": "epoch"}).anchor
    assert by_epoch is not None and by_epoch.factor(50) ** HALF_LIFE == pytest.approx(0.5)
    state = State.fresh(recipe, Sizes(6, 2, 243), CPU)
    assert state.anchor is not None and state.anchor.momentum == recipe.anchor.factor(243)


@pytest.mark.parametrize(
    ("progress", "anneal", "share"),
    [(0.0, "cosine", 1.0), (0.5, "cosine", 0.5), (1.0, "cosine", 0.0), (1.0, "none", 1.0)],
)
def test_entropy_maximisation_adds_lambda_times_the_negative_entropy_and_falls_along_a_cosine(
    progress: float, anneal: str, share: float
) -> None:
    recipe = recipe_of(entropy={"weight": 0.2, "anneal": anneal})
    state = fresh(recipe)
    log_p = state.model.scorer(X).z.detach().double().log_softmax(dim=1)
    lost = step(state, recipe, progress=progress)
    negative = float((log_p.exp() * log_p).sum())
    assert -math.log(20) <= negative < 0
    assert part(lost, "loss_entropy") == pytest.approx(negative, rel=1e-5)
    assert float(lost.total.detach()) == pytest.approx(part(lost, "loss_ce") + 0.2 * share * negative, rel=1e-5)


def test_steps_on_the_entropy_term_alone_flatten_the_map() -> None:
    recipe = recipe_of(entropy={"weight": 50.0, "anneal": "none"})
    state = fresh(recipe)
    with torch.no_grad():
        state.model.scorer.attention.score.weight.mul_(30)
    first = part(step(state, recipe), "loss_entropy")
    for _ in range(20):
        last = part(step(state, recipe), "loss_entropy")
    assert last < first - 0.1


def test_an_ensemble_draws_a_slide_to_its_own_maps_of_before() -> None:
    recipe = recipe_of(ensemble={"beta": 2.0, "momentum": 0.5})
    state = fresh(recipe)
    first = step(state, recipe)
    assert part(first, "loss_ensemble") == 0 and float(first.total.detach()) == pytest.approx(part(first, "loss_ce"))
    assert state.ensemble is not None
    before = state.ensemble.means["a"].double()
    log_now = state.model.scorer(X).z.detach().double().log_softmax(dim=1)
    second = step(state, recipe)
    kl = float((log_now.exp() * (log_now - before.log())).sum())
    assert part(second, "loss_ensemble") == pytest.approx(kl, rel=1e-3, abs=1e-7) and kl > 0
    assert float(second.total.detach()) == pytest.approx(
        part(second, "loss_ce") + 2.0 * part(second, "loss_ensemble"), rel=1e-5
    )
    assert part(step(state, recipe, slide="b"), "loss_ensemble") == 0


def test_a_subsample_shows_a_step_so_many_tiles_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(subsample=0.25)
    state = fresh(recipe)
    seen: list[Tensor] = []
    attend = type(state.model).attend

    def spy(model: Any, prepared: Tensor, *rest: Any) -> Any:
        seen.append(prepared)
        return attend(model, prepared, *rest)

    monkeypatch.setattr(type(state.model), "attend", spy)
    step(state, recipe)
    rows = [int((row == X).all(dim=1).nonzero()[0, 0]) for row in seen[0]]
    assert len(rows) == 5 and rows == sorted(rows)
    step(state, recipe, x=X[:1])
    assert len(seen[1]) == 1


def test_clipping_bounds_the_gradient_of_the_whole_model() -> None:
    recipe = recipe_of(clip=1e-3)
    state = fresh(recipe)
    step(state, recipe)
    norm = torch.linalg.vector_norm(
        torch.stack([p.grad.norm() for p in state.model.parameters() if p.grad is not None])
    )
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("kind", "of"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimiser_rate_and_decay_are_the_recipe_s(kind: Any, of: type) -> None:
    state = fresh(recipe_of(optimizer=kind, lr=0.02, weight_decay=0.3))
    assert type(state.optimizer) is of
    (group,) = state.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.3)
    assert len(group["params"]) == len(list(state.model.parameters()))


PAPER = {"epochs": 50, "optimizer": "adam", "lr": 1e-4, "weight_decay": 1e-4, "clip": None}
RELEASED = {"epochs": 50, "optimizer": "adamw", "lr": 1e-4, "weight_decay": 1e-5, "clip": 5.0}
PAPER_ANCHOR = {
    "beta": 1.0,
    "momentum": 0.999,
    "kl_reduction": "sum",
    "kl_rows": "each",
    "init": "copy",
    "update": "step",
}
RELEASED_ANCHOR = {**PAPER_ANCHOR, "kl_reduction": "mean", "init": "random", "update": "never"}


@pytest.mark.parametrize(
    ("name", "fields", "anchor", "settings"),
    [
        ("paper", PAPER, PAPER_ANCHOR, {"layout": "paper", "token_drop": 0.5, "heads": 8, "tokens": 8}),
        ("released", RELEASED, RELEASED_ANCHOR, {"layout": "released", "token_drop": 0.0, "drop_count": 0}),
    ],
)
def test_asmil_s_presets_are_what_paper_and_code_say(name: str, fields: Any, anchor: Any, settings: Any) -> None:
    from napari_asmil.mil.registry import settings_of

    recipe = preset(name, "asmil")
    assert {key: getattr(recipe, key) for key in fields} == fields
    assert recipe.anchor is not None and recipe.anchor.normalizer == Normalizer("nsf")
    assert {key: getattr(recipe.anchor, key) for key in anchor} == anchor
    whole = {**settings_of("asmil"), **recipe.settings}
    assert {key: whole[key] for key in settings} == settings
    assert recipe.label == ("ASMIL" if name == "paper" else "ASMIL + anchor never moves")


def test_in_a_comparison_of_normalisers_the_anchors_move_alike() -> None:
    for name in ("stable", "classic", "demo", "paper"):
        nsf, softmax = (preset(name, f"abmil_{ending}").anchor for ending in ("nsf", "softmax"))
        assert nsf is not None and softmax is not None
        assert nsf.model_copy(update={"normalizer": softmax.normalizer}) == softmax


def test_an_anchor_that_follows_by_epoch_moves_once_at_the_end_of_each() -> None:
    cohort = small_cohort()
    recipe = recipe_of(anchor={**NSF, "update": "epoch"}, epochs=2)
    state = State.fresh(recipe, sizes_of(cohort), CPU)
    assert state.anchor is not None
    before = [p.clone() for p in state.anchor.scorer.parameters()]
    for event in train_epoch(state, recipe, cohort, CPU, 1, {}, Path("a.asmil")):
        if event.step < event.steps:
            assert all(torch.equal(p, q) for p, q in zip(state.anchor.scorer.parameters(), before, strict=True))
    for mine, old, online in zip(
        state.anchor.scorer.parameters(), before, state.model.scorer.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, 0.9 * old + 0.1 * online.detach())
