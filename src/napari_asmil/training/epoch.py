"""From a cohort to a fresh state, through an epoch of steps; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.state import Sizes, State, seeded
from napari_asmil.training.step import Losses, train_step
from napari_asmil.training.survey import Survey


def sizes_of(cohort: Cohort) -> Sizes:
    """What the cohort decides of a model."""
    return Sizes(cohort.bags[0].n_features, len(cohort.class_names), len(cohort.select("train")))


def fresh_state(cohort: Cohort, recipe: Recipe, surveyed: Survey, device: torch.device) -> State:
    """The recipe's state for a cohort; features are standardised by what was surveyed of the training bags."""
    state = State.fresh(recipe, sizes_of(cohort), device)
    if recipe.standardize:
        state.model.standardize_with(torch.from_numpy(surveyed.mean), torch.from_numpy(surveyed.scale))
    return state


def train_epoch(
    state: State, recipe: Recipe, cohort: Cohort, device: torch.device, epoch: int, curves: dict[str, float], path: Path
) -> Iterator[BatchDone]:
    """Train on every training bag once, in an order that only seed and epoch decide; adds the epoch's `curves`.

    Raises
    ------
    InputError
        When the loss is no longer finite; names the slide and `path`.
    """
    bags = cohort.select("train")
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(bags))
    total = recipe.epochs * len(bags)
    losses = Losses(device)
    ordered = [bags[index] for index in order]
    for i, bag in enumerate(ordered):
        rate = state.set_rate(recipe, total)
        x = torch.tensor(bag.features(), device=device)
        label = torch.tensor(cohort.labels[bag.slide_id], device=device)
        with seeded(recipe.seed, epoch, i):
            lost = train_step(state, recipe, x, label, bag.slide_id, state.step / total)
        if losses.add(lost, rate, look=i + 1 == len(bags)) and losses.first_bad is not None:
            at, slide = state.step - i + losses.first_bad, ordered[losses.first_bad].slide_id
            raise InputError(
                f"The loss is no longer finite at step {at} (slide {slide!r}); training stopped.",
                remedy="Lower the learning rate or look at this slide's features. Committed epochs are safe.",
                path=path,
            )
        yield BatchDone(epoch=epoch, step=i + 1, steps=len(bags), phase="train", loss=losses.latest)
    if state.anchor is not None and recipe.anchor is not None and recipe.anchor.update == "epoch":
        state.anchor.update(state.model.scorer)
    curves |= losses.means()
    if state.anchor is not None:
        curves["anchor_drift"] = state.anchor.distance(state.model.scorer)
