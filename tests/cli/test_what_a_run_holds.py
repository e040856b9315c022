"""What a run holds can be found out from the command line, and chosen when it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_asmil.runs import open_run
from tests.conftest import RunMaker

MANY_ROWS = ("--method", "asmil", "--preset", "demo", "--epochs", 0, "--device", "cpu")


@pytest.fixture
def watched(command: Callable, make_cohort: Callable, tmp_path: Path) -> Callable[..., Path]:
    """Train a model of many rows with the given options."""

    def train(*options: object) -> Path:
        features, table = make_cohort()
        out = tmp_path / "r.asmil"
        code, _, told = command("train", features, "--labels", table, "--out", out, *MANY_ROWS, *options)
        assert code == 0, told
        return out

    return train


def scored(run: Path) -> list[str]:
    return [slide.slide_id for slide in open_run(run).slides if slide.has_scores]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("all", [f"s{s}" for s in range(8)]),
        ("2", ["s0", "s1"]),
        ("s5, s2", ["s2", "s5"]),
        (None, ["s0", "s1", "s2", "s3"]),
    ],
)
def test_which_slides_keep_raw_scores_is_chosen_by_number_all_or_ids(
    watched: Callable, given: str | None, kept: list[str]
) -> None:
    assert scored(watched(*(() if given is None else ("--watch", given)))) == kept


def test_a_slide_that_is_not_recorded_cannot_be_watched(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    code, _, told = train(make_cohort(), tmp_path / "r.asmil", "--watch", "s2,nope")
    assert code == 2 and "nope" in told and "Recorded: s0, s1, s2, s3, s4 and 3 more" in told
    assert not (tmp_path / "r.asmil").exists()


def test_what_cannot_be_derived_is_refused_with_the_slides_that_have_scores(
    watched: Callable, command: Callable, tmp_path: Path
) -> None:
    run = watched("--watch", "s5")
    code, _, told = command("export", run, "--slide", "s0", "--normalizer", "softmax", "--out", tmp_path / "x.png")
    assert code == 2 and "Raw scores of 's0' were not recorded" in told and "there for s5" in told


def test_by_default_a_slide_with_scores_is_exported(watched: Callable, command: Callable, tmp_path: Path) -> None:
    run = watched("--watch", "s5")
    code, said, told = command("export", run, "--normalizer", "softmax", "--out", tmp_path / "x.png")
    assert code == 0 and "s5" in said, told


def test_a_row_that_is_not_there_is_refused_with_those_that_are(command: Callable, make_run: RunMaker) -> None:
    run = make_run(rows=8)
    code, _, told = command("export", run, "--normalizer", "nsf", "--row", "nope", "--out", run.parent / "x.png")
    assert code == 2 and "Rows: head 1, head 2, head 3, head 4, head 5 and 3 more, or mean" in told


def test_a_slide_that_is_not_there_is_refused_with_how_many_are(command: Callable, make_run: RunMaker) -> None:
    run = make_run(slides=7)
    code, _, told = command("export", run, "--slide", "nope", "--out", run.parent / "x.png")
    assert code == 2 and "Recorded: s0, s1, s2, s3, s4 and 2 more" in told


def test_info_lists_rows_slides_and_whose_scores_are_kept(watched: Callable, command: Callable) -> None:
    run = watched("--watch", "s5")
    said = command("info", run)[1]
    assert "8 slides recorded: s0, s1, s2, s3, s4 and 3 more" in said
    assert f"{len(open_run(run).row_names)} rows of scores: {open_run(run).row_names[0]}, " in said
    assert "raw scores kept of s5" in said


def test_a_run_shows_itself_as_a_line(make_run: RunMaker) -> None:
    run = open_run(make_run(epochs=4))
    assert repr(run) == "Run(run, ABMIL, 5 epochs, 2 slides)"
    assert repr(run.slides[0]) == "RunSlide(s0, test, 25 tiles)"


def test_folds_of_different_methods_have_different_names(make_run: RunMaker) -> None:
    run = make_run()
    (run.parent / "abmil_nsf").mkdir()
    assert open_run(run.rename(run.parent / "abmil_nsf" / "fold0.asmil")).name == "abmil_nsf-fold0"


def test_a_run_whose_description_is_damaged_is_called_so(command: Callable, make_run: RunMaker) -> None:
    run = make_run()
    (run / "zarr.json").write_text("{")
    code, _, told = command("info", run)
    assert code == 2 and "This run is damaged: its zarr.json cannot be read" in told
