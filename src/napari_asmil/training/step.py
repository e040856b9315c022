"""One training step: what is lost by one bag, and how the weights follow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.mil import Output
from napari_asmil.mil.losses import anchor_kl, kl_from_uniform, negative_entropy
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.state import State

SYNC_EVERY = 16
CURVES = ("loss_ce", "loss_own", "loss_as", "loss_entropy", "loss_ensemble")
"""Cross-entropy of the bag; the method's own loss; KL to the anchor, (negative) entropy and KL to the ensemble, before
their weights. In nats."""


class Lost(NamedTuple):
    """The loss that is descended, and its parts in the order of `CURVES`, NaN where there is none; on the device."""

    total: Tensor
    parts: Tensor


class Losses:
    """Means of an epoch's losses, summed on the device: a GPU is waited for once in `SYNC_EVERY` steps."""

    def __init__(self, device: torch.device) -> None:
        self._every = 1 if device.type == "cpu" else SYNC_EVERY
        self._sums = torch.zeros(len(CURVES), dtype=torch.float64 if device.type != "mps" else torch.float32).to(device)
        self._bad = torch.full((), -1, device=device)
        self._rate = 0.0
        self._steps = 0
        self.first_bad: int | None = None
        self.latest = math.nan

    def add(self, lost: Lost, rate: float, *, look: bool) -> bool:
        """Take up a step; says whether it was looked at, which sets `first_bad` and `latest` (cross-entropy).

        `first_bad` is the first step, counted from 0, whose loss was not finite.
        """
        self._sums += lost.parts
        bad = ~lost.total.detach().isfinite() & (self._bad < 0)
        self._bad = torch.where(bad, self._steps, self._bad)
        self._rate += rate
        self._steps += 1
        looked = look or self._steps % self._every == 0
        if looked:
            first, self.latest = torch.stack([self._bad.to(lost.parts.dtype), lost.parts[0]]).tolist()
            self.first_bad = int(first) if first >= 0 else None
        return looked

    def means(self) -> dict[str, float]:
        """Curves of the epoch; what the recipe has not is left out, and a method's own loss that is plain CE."""
        means = dict(zip(CURVES, (self._sums / self._steps).tolist(), strict=True))
        if means["loss_own"] == means["loss_ce"]:
            del means["loss_own"]
        return {name: value for name, value in means.items() if math.isfinite(value)} | {"lr": self._rate / self._steps}


def train_step(state: State, recipe: Recipe, x: Tensor, label: Tensor, slide_id: str, progress: float) -> Lost:
    """One bag: anchor forward, online forward, loss, backward, clip, step, EMA.

    Parameters
    ----------
    x : Tensor (M, D_in)
        Raw features on the device.
    label : Tensor, scalar
    progress : float
        Share of the training that is behind, 0 to 1.
    """
    model = state.model.train()
    prepared = model.prepare(_drawn(x, recipe.subsample))
    out = model.attend(prepared, recipe.normalizer, label)
    lost = _loss(state, recipe, prepared, out, label, slide_id, progress)
    state.optimizer.zero_grad(set_to_none=True)
    lost.total.backward()  # type: ignore[no-untyped-call]
    if recipe.clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    state.optimizer.step()
    state.step += 1
    if state.anchor is not None and recipe.anchor is not None and recipe.anchor.update == "step":
        state.anchor.update(model.scorer)
    return lost


def _loss(
    state: State, recipe: Recipe, prepared: Tensor, out: Output, label: Tensor, slide_id: str, progress: float
) -> Lost:
    own = total = state.model.loss(out, label)
    parts = {"loss_own": own, "loss_ce": functional.cross_entropy(out.logits[None], label[None])}
    if state.anchor is not None and recipe.anchor is not None:
        target = state.anchor.target(prepared, out.scored)
        pull = parts["loss_as"] = anchor_kl(out, target, recipe.anchor.kl_reduction, recipe.anchor.kl_rows)
        if recipe.anchor.beta:
            total = total + recipe.anchor.beta * pull
    if recipe.entropy is not None:
        e = recipe.entropy
        term = kl_from_uniform(out) if e.kind == "uniform" else negative_entropy(out, normalized=e.normalized)
        parts["loss_entropy"] = term
        total = total + e.weight * (0.5 * (1 + math.cos(math.pi * progress)) if e.anneal == "cosine" else 1.0) * term
    if state.ensemble is not None and recipe.ensemble is not None:
        term = parts["loss_ensemble"] = state.ensemble.loss(out, slide_id)
        total = total + recipe.ensemble.beta * term
    missing = total.new_tensor(math.nan)
    return Lost(total, torch.stack([parts.get(name, missing).detach() for name in CURVES]))


def _drawn(x: Tensor, share: float) -> Tensor:
    """A random share of the tiles, at least one, in their order; drawn on the CPU, the same on every device."""
    if share == 1:
        return x
    kept = torch.randperm(len(x))[: max(1, round(share * len(x)))].sort().values
    return x[kept.to(x.device)]
