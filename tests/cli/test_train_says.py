"""Before it trains, `train` says on what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_asmil.runs import open_run


def test_classes_are_told_with_their_counts_in_each_split(
    train: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    rows = {f"s{s}": f"{'tumour' if s % 2 else 'normal'},{'train' if s < 6 else 'test'}" for s in range(8)}
    code, _, told = train(make_cohort(rows, "slide_id,label,split"), tmp_path / "r.asmil")
    assert code == 0, told
    assert "8 bags of 9 tiles x 5 features" in told
    assert "2 classes; train normal (3), tumour (3); val none; test normal (1), tumour (1)" in told


def test_without_a_split_it_is_said_that_nothing_tests_the_result(
    train: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    told = train(make_cohort(), tmp_path / "r.asmil")[2]
    assert "all are trained on and none tests the result: normal (4), tumour (4)" in told


def test_with_folds_all_slides_are_counted(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    told = train(make_cohort(), tmp_path / "cv", "--folds", 2, "--no-floors")[2]
    assert "2 folds of normal (4), tumour (4)" in told and "no split" not in told


def test_bags_without_a_row_are_left_out_when_asked_for(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    cohort = make_cohort({"s0": "a", "s1": "b", "s2": "a", "s3": "b"})
    code, _, told = train(cohort, tmp_path / "r.asmil")
    assert code == 2 and "--subset" in told
    assert train(cohort, tmp_path / "r.asmil", "--subset")[0] == 0
    assert [slide.slide_id for slide in open_run(tmp_path / "r.asmil").slides] == ["s0", "s1", "s2", "s3"]


def test_a_refusal_is_one_sentence_and_nothing_is_started(
    train: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    cohort = make_cohort({f"s{s}": "NA" if s == 3 else str(s % 2) for s in range(8)})
    code, said, told = train(cohort, tmp_path / "r.asmil")
    assert (code, said) == (2, "")
    assert told.startswith(str(cohort[1])) and "s3 (NA)" in told and len(told.splitlines()) == 1
    assert not (tmp_path / "r.asmil").exists()


def test_all_methods_are_checked_before_the_first_is_trained_and_the_classes_told_once(
    command: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    features, table = make_cohort()
    out = tmp_path / "runs"
    given = ("train", features, "--labels", table, "--preset", "demo", "--epochs", 1, "--device", "cpu", "--out", out)
    (out / "mean.asmil").mkdir(parents=True)
    code, _, told = command(*given, "--method", "abmil", "--method", "mean")
    assert code == 2 and "mean.asmil" in told and not (out / "abmil.asmil").exists()
    (out / "mean.asmil").rmdir()
    code, said, told = command(*given, "--method", "abmil", "--method", "mean")
    assert code == 0 and told.count("8 bags") == 1 and said.count("Trained 1 epoch.") == 2
