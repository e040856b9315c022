"""A refusal names what is wrong as a person would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "#b060a0").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_file_in_the_place_of_a_folder_is_named(
    command: Callable, train: Callable, make_cohort: Callable, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    said = f"{tmp_path / 'file'} is a file, not a folder"
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        code, _, told = command("extract", image, "--size", 32, "--cover", "--out", out)
        assert code == 2 and said in told, told
    code, _, told = train(make_cohort(), tmp_path / "file" / "r.asmil")
    assert code == 2 and said in told, told


def test_a_folder_that_is_no_run_needs_another_name(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "thesis.txt").write_text("")
    code, _, told = train(make_cohort(), tmp_path / "plain")
    assert code == 2 and "exists already and is no run. Choose a new name" in told
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["thesis.txt"]


def test_a_method_that_is_not_known_is_called_a_method(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    code, _, told = train(make_cohort(), tmp_path / "r.asmil", "--method", "foo")
    assert code == 2 and "Unknown method 'foo'" in told


def test_a_resumed_training_says_how_many_epochs_it_added(
    train: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    cohort, out = make_cohort(), tmp_path / "r.asmil"
    assert "Trained 4 epochs." in train(cohort, out, "--epochs", 4)[1]
    assert "Nothing to train: the run is finished (4 epochs)." in train(cohort, out, "--epochs", 4)[1]
    for epoch in (3, 4):
        (out / "epochs" / f"{epoch:06d}.json").unlink()
    (out / "checkpoints" / "000004").rename(out / "checkpoints" / "000002")
    assert "Trained 2 epochs more, 4 in all." in train(cohort, out, "--epochs", 4)[1]


def test_a_folder_without_features_is_named_by_attend(command: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, told = command("attend", tmp_path / "empty", "--checkpoint", tmp_path / "r", "--out", tmp_path / "a.asmil")
    assert code == 2 and told.startswith(f"{tmp_path / 'empty'}: There is no feature file")
