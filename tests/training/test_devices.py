"""A GPU gives what the CPU gives; skipped where there is none."""

from __future__ import annotations

import copy

import pytest
import torch

from napari_asmil.mil.names import method_names
from napari_asmil.mil.registry import model_class, settings_of
from napari_asmil.training import Recipe, preset, variant_of
from napari_asmil.training.state import Sizes, State, seeded
from napari_asmil.training.step import train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SMALL = {"dim": 16, "attention_dim": 8, "heads": 2, "tokens": 2, "landmarks": 4, "dropout": 0.0}
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def recipe_of(method: str) -> Recipe:
    small = {name: value for name, value in SMALL.items() if name in settings_of(method)}
    return preset("stable", variant_of(method, "nsf" if model_class(method).learns_scores else ""), settings=small)


@pytest.mark.parametrize("method", method_names())
def test_scores_maps_and_logits_are_the_same(method: str) -> None:
    recipe = recipe_of(method)
    state = State.fresh(recipe, Sizes(12, 3, 10), CPU)
    model, x = state.model.eval(), torch.randn(300, 12)
    here = model.attend(model.prepare(x))
    there_model = copy.deepcopy(model).to(GPU)
    there = there_model.attend(there_model.prepare(x.to(GPU)))
    for ours, theirs in ((here.z, there.z), (here.alpha, there.alpha), (here.logits, there.logits)):
        torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [name for name in method_names() if name not in ("transmil", "ilra")])
def test_a_few_steps_lead_to_the_same_weights(method: str) -> None:
    recipe = recipe_of(method)
    x, label = torch.randn(60, 12), torch.tensor(1)
    weights = []
    for device in (CPU, GPU):
        state = State.fresh(recipe, Sizes(12, 3, 10), CPU)
        state.model.to(device)
        if state.anchor is not None:
            state.anchor.to(device)
        for step in range(3):
            with seeded(0, step):
                train_step(state, recipe, x.to(device), label.to(device), "a", step / 3)
        weights.append({name: value.cpu() for name, value in state.model.state_dict().items()})
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)
