"""Every method with everything that steadies it: trains, records its map, and resumes bit for bit."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone
from napari_asmil.mil.names import method_names
from napari_asmil.mil.registry import model_class, settings_of
from napari_asmil.runs import open_run
from napari_asmil.training import STABILIZERS, Recipe, fit, preset, variant_of
from tests.training.cohorts import assert_same_run, small_cohort

TRAIN_BAGS, EPOCHS = 10, 2
SMALL = {"dim": 16, "attention_dim": 8, "heads": 2, "tokens": 2, "landmarks": 4}
LEARNING = [name for name in method_names() if model_class(name).learns_scores]
PAIRS = [(name, ending) for name in LEARNING for ending in STABILIZERS]
PAIRS += [(name, "") for name in method_names() if name not in LEARNING]


def recipe_of(method: str, ending: str) -> Recipe:
    small = {name: value for name, value in SMALL.items() if name in settings_of(method)}
    return preset("stable", variant_of(method, ending), epochs=EPOCHS, settings=small, record="all")


@pytest.mark.parametrize(("method", "ending"), PAIRS)
def test_it_trains_records_its_map_and_resumes_bit_for_bit(tmp_path: Path, method: str, ending: str) -> None:
    cohort, recipe = small_cohort(slides=2 * TRAIN_BAGS, tiles=12), recipe_of(method, ending)
    assert len(cohort.select("train")) == TRAIN_BAGS
    for _ in fit(cohort, recipe, tmp_path / "whole.asmil"):
        pass
    run = open_run(tmp_path / "whole.asmil")
    assert run.n_epochs == EPOCHS + 1
    for name, curve in run.curves().items():
        assert np.isfinite(curve[1:]).all(), name
    for slide in run.slides:
        p = np.exp(run.attention(EPOCHS, slide.slide_id).astype(np.float64))
        assert p.sum() == pytest.approx(1, abs=1e-5) and (p >= 0).all()
    stop = threading.Event()
    for event in fit(cohort, recipe, tmp_path / "broken.asmil", stop=stop):
        if isinstance(event, EpochDone) and event.epoch == 1:
            stop.set()
    assert open_run(tmp_path / "broken.asmil").n_epochs == EPOCHS
    for _ in fit(cohort, recipe, tmp_path / "broken.asmil"):
        pass
    assert_same_run(tmp_path / "whole.asmil", tmp_path / "broken.asmil")


@pytest.mark.parametrize("method", [name for name in method_names() if name not in LEARNING])
@pytest.mark.parametrize("ending", [ending for ending in STABILIZERS if ending])
def test_a_method_without_scores_has_nothing_to_steady(tmp_path: Path, method: str, ending: str) -> None:
    with pytest.raises(InputError, match="learns no attention scores"):
        fit(small_cohort(), recipe_of(method, ending), tmp_path / "a.asmil")
    assert not (tmp_path / "a.asmil").exists()


@pytest.mark.parametrize("method", method_names())
def test_the_paper_preset_of_every_method_is_a_recipe_and_its_model_can_be_built(method: str) -> None:
    from napari_asmil.mil import build_model

    recipe = preset("paper", variant_of(method))
    assert model_class(method).source and recipe.epochs > 0
    assert build_model(method, 384, 3, **recipe.settings).n_classes == 3
