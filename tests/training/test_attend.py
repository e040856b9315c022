"""A trained model is applied only when its checkpoint says what it is, and lies in its run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_asmil.errors import InputError
from napari_asmil.runs import open_run
from napari_asmil.training import attend, fit
from napari_asmil.training.attend import place_notes, scale_notes
from tests.training.cohorts import small_cohort, small_recipe


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "a.asmil"
    for _ in fit(small_cohort(), small_recipe(epochs=0), path, device="cpu"):
        pass
    return path


def change(path: Path, **fields: Any) -> None:
    """Fields of a JSON file; None takes one away."""
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


@pytest.mark.parametrize("lacking", ["recipe", "class_names", "epoch", "expects"])
def test_a_checkpoint_that_does_not_say_what_it_is_is_refused(trained: Path, tmp_path: Path, lacking: str) -> None:
    folder = trained / "checkpoints" / "000000"
    change(folder / "checkpoint.json", **{lacking: None})
    for given in (trained, folder):
        with pytest.raises(InputError, match=rf"000000: This checkpoint does not say its {lacking}"):
            attend(small_cohort().bags, given, tmp_path / "b.asmil")


@pytest.mark.parametrize("text", ["", "[]", "7", '{"recipe": {}, "class_names": 7}'])
def test_a_checkpoint_that_says_something_else_is_refused(trained: Path, tmp_path: Path, text: str) -> None:
    folder = trained / "checkpoints" / "000000"
    (folder / "checkpoint.json").write_text(text)
    with pytest.raises(InputError, match="000000: This checkpoint cannot be read"):
        attend(small_cohort().bags, folder, tmp_path / "b.asmil")


@pytest.mark.parametrize("name", ["../elsewhere", "..", ".", "/elsewhere", "a/b", "a\\b", "C:", "000000/"])
def test_a_checkpoint_out_of_its_run_is_not_followed(trained: Path, tmp_path: Path, name: str) -> None:
    change(trained / "epochs" / "000000.json", checkpoint=name)
    (trained / "checkpoints" / "000000").rename(trained / "elsewhere")
    with pytest.raises(InputError, match=r"a\.asmil: Its checkpoint is named .* which is no folder of this run"):
        attend(small_cohort().bags, trained, tmp_path / "b.asmil")
    with pytest.raises(InputError, match="no folder of this run"):
        list(fit(small_cohort(), small_recipe(epochs=0), trained, device="cpu"))


def test_it_is_said_whose_pixel_size_keeps_scales_from_being_compared() -> None:
    known = small_cohort(slides=3).bags
    blind = tuple(replace(bag, mpp=None) for bag in known)
    assert scale_notes(known, {"tile_um": 16.0}) == ""
    assert scale_notes(known, {"tile_um": None}).endswith("the pixel size of the training is unknown")
    assert scale_notes(blind, {"tile_um": None}).endswith("of the training and of these slides is unknown")
    assert scale_notes(blind[:2], {"tile_um": 16.0}).endswith("the pixel size of s0, s1 is unknown")
    assert scale_notes(known[:1], {"tile_um": 8.0}) == "tiles of another scale: s0 16 µm; trained on 8 µm"


def test_slides_of_which_no_map_can_be_drawn_are_named() -> None:
    bags = small_cohort(slides=3).bags
    assert place_notes(bags) == ""
    unplaced = replace(bags[1], tiles=None)
    assert place_notes((bags[0], unplaced)) == (
        f"no map of slide {unplaced.slide_id}: its tiles are not placed, and info says why"
    )


def test_the_fold_that_was_applied_is_named_with_its_method(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "asmil").mkdir()
    fold = trained.rename(tmp_path / "asmil" / "fold0.asmil")
    list(attend(small_cohort().bags, fold, tmp_path / "b.asmil", device="cpu"))
    assert open_run(tmp_path / "b.asmil").applied == "epoch 0 of asmil-fold0"
