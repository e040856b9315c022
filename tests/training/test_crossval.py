from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_asmil.analysis.dynamics import jsd, normalized_entropy
from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Finished, Started
from napari_asmil.runs import open_run
from napari_asmil.runs.schema import probabilities
from napari_asmil.training.crossval import PERMUTED, cross_validate, run_path, write_report
from napari_asmil.training.floors import Floors, NumberFloor
from napari_asmil.training.folds import make_folds
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.report import Report, summarise
from napari_asmil.training.tables import as_text
from tests.training.cohorts import small_cohort, small_recipe

RECIPES = {
    "plain": small_recipe(method="abmil", anchor=None, record_train=0),
    "anchored": small_recipe(method="abmil", anchor={"beta": 1.0}, record_train=0),
}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return replace(small_cohort(slides=12), splits={})


@pytest.fixture(scope="module")
def trained(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crossval")
    list(cross_validate(cohort, RECIPES, out, n_folds=3, device="cpu"))
    return out


@pytest.fixture(scope="module")
def report(trained: Path) -> Report:
    return summarise({name: [run_path(trained, name, fold) for fold in range(3)] for name in RECIPES})


def test_there_is_a_finished_run_for_every_method_and_fold(trained: Path) -> None:
    for name in (*RECIPES, f"{PERMUTED}/plain"):
        runs = [open_run(run_path(trained, name, fold)) for fold in range(3)]
        assert [run.n_epochs for run in runs] == [run.planned_epochs + 1 for run in runs]


def test_methods_share_folds_and_seeds_and_nothing_else_is_recorded_than_test_bags(
    trained: Path, cohort: Cohort
) -> None:
    for number, fold in enumerate(make_folds(cohort, 3)):
        test = {bag.slide_id for bag in fold.select("test")}
        runs = [open_run(run_path(trained, name, number)) for name in RECIPES]
        assert all({slide.slide_id for slide in run.slides} == test for run in runs)
        assert {run.recipe["seed"] for run in runs} == {number}


def test_the_control_is_trained_on_other_labels(trained: Path, cohort: Cohort) -> None:
    seen = [slide for fold in range(3) for slide in open_run(run_path(trained / PERMUTED, "plain", fold)).slides]
    assert any(slide.label != cohort.labels[slide.slide_id] for slide in seen)


def test_events_count_runs_and_name_them(cohort: Cohort, tmp_path: Path) -> None:
    events = list(cross_validate(cohort, RECIPES, tmp_path, n_folds=2, floors=False, device="cpu"))
    assert events[0] == Started(tmp_path, 4, unit="runs")
    done = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in done] == [1, 2, 3, 4]
    assert done[1].path == run_path(tmp_path, "anchored", 0)
    assert "anchored fold 1 epoch 3" in {event.phase for event in events if isinstance(event, BatchDone)}
    assert isinstance(events[-1], Finished) and events[-1].why == "done"


def test_a_stopped_cross_validation_goes_on_where_it_was(cohort: Cohort, tmp_path: Path) -> None:
    stop = Flag()

    def until(events: Iterator[object], runs: int) -> list[object]:
        seen = []
        for event in events:
            seen.append(event)
            if isinstance(event, EpochDone) and event.epoch == runs:
                stop.set()
        return seen

    first = until(cross_validate(cohort, RECIPES, tmp_path, n_folds=2, floors=False, device="cpu", stop=stop), 2)
    assert isinstance(first[-1], Finished) and first[-1].why == "stopped"
    assert not (tmp_path / "report.json").exists()
    kept = (run_path(tmp_path, "plain", 0) / "epochs" / "000003.json").read_text()
    list(cross_validate(cohort, RECIPES, tmp_path, n_folds=2, floors=False, device="cpu"))
    assert (run_path(tmp_path, "plain", 0) / "epochs" / "000003.json").read_text() == kept
    assert (tmp_path / "report.json").is_file()


def test_no_method_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one method"):
        cross_validate(cohort, {}, tmp_path)


def maps(run_folder: Path) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Label, truth and every epoch's map of each test bag."""
    run = open_run(run_folder)
    for slide in run.slides:
        rows = [probabilities(run.attention(epoch, slide.slide_id)) for epoch in range(run.n_epochs)]
        yield slide.label, slide.tile_labels, np.stack(rows)


def test_bag_measures_are_those_of_the_last_epoch_on_each_fold(trained: Path, report: Report) -> None:
    for method in report.methods:
        for fold in range(3):
            run = open_run(run_path(trained, method.name, fold))
            labels = [slide.label for slide in run.slides]
            logits = run.logits(run.n_epochs - 1)
            assert method.bag_auc[fold] == pytest.approx(roc_auc_score(labels, logits[:, 1] - logits[:, 0]))
            assert method.accuracy[fold] == pytest.approx(np.mean(logits.argmax(axis=1) == labels))


def test_tile_measures_are_means_over_the_test_bags_that_hold_both_kinds_of_tiles(
    trained: Path, report: Report
) -> None:
    for method in report.methods:
        everything = [one for fold in range(3) for one in maps(run_path(trained, method.name, fold))]
        judged = [(truth >= 0.5, rows[-1]) for _, truth, rows in everything if truth.any()]
        aucs, precisions = ([measure(*one) for one in judged] for measure in (roc_auc_score, average_precision_score))
        assert len(method.tile_auc) == len(judged) == 6
        assert method.means["tile_auc"] == pytest.approx(np.mean(aucs))
        assert method.means["average_precision"] == pytest.approx(np.mean(precisions), abs=1e-5)


def test_jsd_and_entropy_are_those_of_all_test_bags(trained: Path, report: Report) -> None:
    for method in report.methods:
        everything = [one for fold in range(3) for one in maps(run_path(trained, method.name, fold))]
        moved = [jsd(rows[1:], rows[:-1]).mean() for _, _, rows in everything]
        assert method.jsd_bits == pytest.approx(np.mean(moved))
        positive = [normalized_entropy(rows[-1]) for label, _, rows in everything if label]
        assert method.entropy_positive == pytest.approx(np.mean(positive))


def test_an_anchored_method_is_paired_with_the_same_model_without_anchor(report: Report) -> None:
    plain, anchored = report.methods
    assert plain.paired is None
    assert anchored.paired is not None and anchored.paired.baseline == "plain"
    gains = [anchored.tile_auc[slide] - plain.tile_auc[slide] for slide in plain.tile_auc]
    assert anchored.paired.tile_auc_gain == pytest.approx(np.mean(gains))
    assert anchored.paired.bags_won == pytest.approx(np.mean(np.array(gains) > 0))
    assert anchored.paired.jsd_ratio == pytest.approx(anchored.jsd_bits / plain.jsd_bits)


def test_the_report_on_disk_has_numbers_and_words(trained: Path) -> None:
    numbers = json.loads((trained / "report.json").read_text())
    assert set(numbers["methods"]) == set(RECIPES)
    assert len(numbers["permuted_labels_bag_auc"]) == 3
    assert set(numbers["floors"]["pooled"]) == {"mean", "mean, sd", "min, max"}
    assert "Floors" in (trained / "report.txt").read_text()


def test_a_number_that_is_not_known_is_null_in_the_report_on_disk(report: Report, tmp_path: Path) -> None:
    write_report(replace(report, permuted=[0.5, float("nan")]), tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["permuted_labels_bag_auc"] == [0.5, None]


def test_an_unfinished_run_is_not_summarised(cohort: Cohort, tmp_path: Path) -> None:
    fold = make_folds(cohort, 3)[0]
    from napari_asmil.training import fit

    stop = Flag()
    for event in fit(fold, RECIPES["plain"], tmp_path / "half.asmil", device="cpu", stop=stop):
        if isinstance(event, EpochDone):
            stop.set()
    with pytest.raises(InputError, match="of 4 epochs"):
        summarise({"plain": [tmp_path / "half.asmil"]})


def with_floor(report: Report, tile_auc: float, permuted: float = 0.5) -> str:
    number = NumberFloor("stain", 1, tile_auc, 0.4)
    floors = Floors({"mean": [0.9, 0.9, 0.9]}, number, number, 0.1)
    return as_text(replace(report, floors=floors, permuted=[permuted] * 3))


def test_words_say_when_a_single_number_beats_the_attention(report: Report) -> None:
    text = with_floor(report, 1.1)
    assert "beats every attention map" in text
    assert "no evidence that the model found the tumour" in text


def test_words_say_so_too_when_none_is_beaten(report: Report) -> None:
    assert "every attention map is above it" in with_floor(report, 0.01)


@pytest.mark.parametrize(
    ("auc", "words"), [(0.58, "would mean a leak"), (0.9, "something leaks"), (float("nan"), "says nothing")]
)
def test_words_say_what_permuted_labels_mean(report: Report, auc: float, words: str) -> None:
    assert words in with_floor(report, 0.5, permuted=auc)


def test_flat_maps_and_unknown_patients_are_named(report: Report) -> None:
    flat = replace(report.methods[1], effective_share=0.995)
    text = as_text(replace(report, methods=(report.methods[0], flat)))
    assert f"maps of {flat.label} are flat" in text
    assert "not known to be patient-disjoint" in text


def test_every_number_of_the_table_is_in_the_row_of_its_method(report: Report) -> None:
    method = report.methods[1]
    row = next(line for line in as_text(report).splitlines() if line.startswith(method.label))
    assert method.paired is not None
    for value in (f"{method.means['tile_auc']:.3f}", f"{method.jsd_bits:.5f}", f"{method.paired.tile_auc_gain:+.3f}"):
        assert value in row


def test_a_recipe_of_another_model_has_nothing_to_be_paired_with(cohort: Cohort, tmp_path: Path) -> None:
    recipes: dict[str, Recipe] = {"plain": RECIPES["plain"], "other": small_recipe(record_train=0)}
    list(cross_validate(cohort, recipes, tmp_path, n_folds=2, floors=False, device="cpu"))
    found = summarise({name: [run_path(tmp_path, name, fold) for fold in range(2)] for name in recipes})
    assert [method.paired for method in found.methods] == [None, None]
