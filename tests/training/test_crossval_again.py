"""A cross-validation can be gone on with: methods are added, in any order, and nothing finished is lost or redone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import Finished, Started
from napari_asmil.training.crossval import PERMUTED, cross_validate, run_path
from napari_asmil.training.recipe import Recipe
from tests.training.cohorts import small_cohort, small_recipe

PLAIN = small_recipe(method="abmil", anchor=None, record_train=0, epochs=1)
ANCHORED = small_recipe(method="abmil", anchor={"beta": 1.0}, record_train=0, epochs=1)


@pytest.fixture
def cohort() -> Cohort:
    return replace(small_cohort(slides=8), splits={})


def run(cohort: Cohort, recipes: Mapping[str, Recipe], out: Path, **options: object) -> tuple[Finished, dict]:
    last = list(cross_validate(cohort, recipes, out, n_folds=2, device="cpu", **options))[-1]  # type: ignore[arg-type]
    assert isinstance(last, Finished)
    return last, json.loads((out / "report.json").read_text())


def written(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("epochs/*.json")}


def test_a_method_added_alone_joins_those_that_are_finished(cohort: Cohort, tmp_path: Path) -> None:
    _, first = run(cohort, {"plain": PLAIN}, tmp_path)
    before = written(tmp_path)
    said, second = run(cohort, {"anchored": ANCHORED}, tmp_path)
    assert set(second["methods"]) == {"plain", "anchored"}
    assert second["methods"]["anchored"]["paired"]["baseline"] == "plain"
    assert second["permuted_labels_bag_auc"] == first["permuted_labels_bag_auc"]
    assert before.items() <= written(tmp_path).items()
    assert said.message.startswith(
        "2 runs of 1 method; from before: plain; 2 of the control (plain on permuted labels)"
    )


def test_the_same_methods_in_another_order_train_nothing(cohort: Cohort, tmp_path: Path) -> None:
    _, first = run(cohort, {"plain": PLAIN, "anchored": ANCHORED}, tmp_path)
    before = written(tmp_path)
    _, second = run(cohort, {"anchored": ANCHORED, "plain": PLAIN}, tmp_path)
    assert written(tmp_path) == before
    assert [folder.name for folder in (tmp_path / PERMUTED).iterdir()] == ["plain"]
    assert second["methods"].keys() == first["methods"].keys()


def test_the_report_names_the_method_of_its_control(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, {"anchored": ANCHORED, "plain": PLAIN}, tmp_path)
    assert "ABMIL + anchor (NSF) on permuted bag labels" in (tmp_path / "report.txt").read_text()


def test_an_unfinished_method_is_not_reported(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, {"plain": PLAIN, "anchored": ANCHORED}, tmp_path)
    (run_path(tmp_path, "anchored", 1) / "epochs" / "000001.json").unlink()
    assert set(run(cohort, {"plain": PLAIN}, tmp_path)[1]["methods"]) == {"plain"}


@pytest.mark.parametrize("changed", [{"seed": 1}, {"recipes": {"plain": PLAIN.changed(epochs=2)}}])
def test_what_does_not_fit_what_is_there_is_refused_before_anything_starts(
    cohort: Cohort, tmp_path: Path, changed: dict
) -> None:
    run(cohort, {"plain": PLAIN}, tmp_path)
    before = written(tmp_path)
    given = {"recipes": {"plain": PLAIN}, **changed}
    with pytest.raises(InputError, match=r"are not those this run was started with|another recipe"):
        cross_validate(cohort, out=tmp_path, n_folds=2, device="cpu", **given)
    assert written(tmp_path) == before


def test_methods_of_other_folds_cannot_stand_in_one_report(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, {"plain": PLAIN}, tmp_path)
    with pytest.raises(InputError, match="other folds or labels"):
        cross_validate(cohort, {"anchored": ANCHORED}, tmp_path, n_folds=2, seed=1, device="cpu")


def test_a_recipe_that_fails_its_check_keeps_the_first_run_from_starting(cohort: Cohort, tmp_path: Path) -> None:
    bad = PLAIN.changed(record=("nobody",))
    with pytest.raises(InputError, match="nobody"):
        cross_validate(cohort, {"plain": PLAIN, "bad": bad}, tmp_path, n_folds=2, device="cpu")
    assert not list(tmp_path.iterdir())


def test_events_count_the_runs_of_the_methods_given(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, {"plain": PLAIN}, tmp_path, floors=False)
    events = list(cross_validate(cohort, {"anchored": ANCHORED}, tmp_path, n_folds=2, floors=False, device="cpu"))
    assert events[0] == Started(tmp_path, 2, unit="runs")
