"""Numbers of the slides of a run at one epoch, held to what the run stores."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.metrics import bag_metrics
from napari_asmil.errors import InputError
from napari_asmil.runs import EpochRecord, Run, RunWriter, SlideHeader, SlideRecord, open_run
from napari_asmil.runs.table import COLUMNS, UNKNOWN, SlideTable, csv_text, verdict
from tests.conftest import header, record

RunMaker = Callable[..., Path]
SLIDES, TILES = 8, 25


def written(
    path: Path,
    change: Callable[[int, SlideHeader], SlideHeader] = lambda at, slide: slide,
    *,
    epochs: int = 1,
    given: dict[str, SlideRecord] | None = None,
) -> Run:
    """A run of random slides, with some headers changed and some records given."""
    usual = header(SLIDES, 1, 5, epochs, False)
    slides = tuple(change(at, slide) for at, slide in enumerate(usual.slides))
    with RunWriter.create(path, replace(usual, slides=slides)) as writer:
        for epoch in range(epochs + 1):
            random = record(epoch, SLIDES, 1, TILES, False)
            writer.write(EpochRecord({**random.slides, **(given or {})}))
    return open_run(path)


def probabilities(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64))
    return e / e.sum(axis=1, keepdims=True)


def test_prediction_and_error_are_those_of_the_stored_logits(make_run: RunMaker) -> None:
    run = open_run(make_run(slides=SLIDES))
    table, labels = SlideTable(run), np.array([s.label for s in run.slides])
    for epoch in range(run.n_epochs):
        numbers, p = table.at(epoch), probabilities(run.logits(epoch))
        np.testing.assert_array_equal(numbers.predicted, p.argmax(axis=1))
        np.testing.assert_allclose(numbers.probability, p.max(axis=1), rtol=1e-12)
        np.testing.assert_allclose(numbers.cross_entropy, -np.log(p[np.arange(SLIDES), labels]), rtol=1e-12)
        np.testing.assert_array_equal(numbers.wrong, p.argmax(axis=1) != labels)
        for name in run.scalar_names:
            np.testing.assert_array_equal(numbers.scalars[name], run.scalars(name)[epoch])


def test_a_slide_without_label_or_with_logits_that_are_no_numbers_is_not_judged(tmp_path: Path) -> None:
    labels = {0: None, 1: 7}
    lost = replace(record(0, SLIDES, 1, TILES, False).slides["s2"], logits=np.full(2, np.nan, np.float32))
    run = written(
        tmp_path / "gaps.asmil",
        lambda at, slide: replace(slide, label=labels.get(at, slide.label)),
        given={"s2": lost},
    )
    table = SlideTable(run)
    numbers = table.at(0)
    np.testing.assert_array_equal(table.labels[:3], [UNKNOWN, UNKNOWN, 0])
    np.testing.assert_array_equal(numbers.judged, [False] * 3 + [True] * 5)
    assert numbers.predicted[2] == UNKNOWN and np.isnan(numbers.probability[2])
    assert np.isnan(numbers.cross_entropy[:3]).all() and not numbers.wrong[:3].any()
    assert table.summary(numbers, np.arange(SLIDES)).tested == 5


def test_a_summary_is_of_the_test_slides_among_those_shown(tmp_path: Path) -> None:
    run = written(tmp_path / "a.asmil", lambda at, slide: replace(slide, split="test" if at < 6 else "train"))
    table, labels = SlideTable(run), [s.label for s in run.slides]
    for rows, tested in ((np.arange(SLIDES), slice(0, 6)), (np.array([7, 3, 2, 1]), [3, 2, 1])):
        summary = table.summary(table.at(1), rows)
        expected = bag_metrics(run.logits(1)[tested], np.array(labels)[tested])
        assert (summary.shown, summary.tested) == (len(rows), len(np.arange(SLIDES)[tested]))
        assert summary.accuracy == expected["accuracy"]
        assert (summary.macro_f1, summary.auc) == (expected["macro_f1"], expected["auc"])
        assert summary.jsd == np.median(run.scalars("jsd")[1, rows])
        assert summary.effective_share == np.median(run.scalars("effective_share")[1, rows])


def test_slides_of_one_class_tell_no_auc_and_no_slides_tell_nothing(make_run: RunMaker) -> None:
    table = SlideTable(open_run(make_run(slides=SLIDES)))
    tumour = np.flatnonzero(table.labels == 1)
    one = table.summary(table.at(1), tumour)
    assert np.isfinite(one.accuracy) and np.isnan([one.macro_f1, one.auc]).all()
    none = table.summary(table.at(1), tumour[:0])
    assert (none.shown, none.tested) == (0, 0)
    assert np.isnan([none.accuracy, none.macro_f1, none.auc, none.jsd, none.effective_share]).all()


def test_the_first_epoch_has_no_jsd(make_run: RunMaker) -> None:
    table = SlideTable(open_run(make_run()))
    summary = table.summary(table.at(0), np.arange(2))
    assert np.isnan(summary.jsd) and np.isfinite(summary.effective_share)


def test_a_scalar_is_there_once_any_epoch_has_a_value(make_run: RunMaker) -> None:
    path = make_run(epochs=0, planned=2)
    run = open_run(path)
    table = SlideTable(run)
    assert "jsd" not in table.valued() and "jsd_anchor" not in table.valued()
    assert {"effective_share", "tile_auc"} <= table.valued()
    with RunWriter.resume(path) as writer:
        writer.write(record(1, 2, 1, TILES, False))
    run.refresh()
    assert "jsd" in table.valued()


def test_flat_and_collapsed_maps_are_named(tmp_path: Path) -> None:
    log_p = {"s0": np.full(TILES, -np.log(TILES)), "s1": np.r_[0.0, np.full(TILES - 1, -30.0)]}
    given = {
        name: SlideRecord(row.astype(np.float32), np.zeros(2, np.float32), np.zeros(3, np.float32), z=row[None])
        for name, row in log_p.items()
    }
    numbers = SlideTable(written(tmp_path / "a.asmil", given=given)).at(1)
    assert [verdict(numbers, row) for row in range(3)] == ["flat", "collapsed", ""]


def test_csv_holds_every_number_in_full_under_where_it_is_from(make_run: RunMaker) -> None:
    run = open_run(make_run(slides=4))
    table = SlideTable(run)
    numbers = table.at(2)
    lines = csv_text(table, numbers, np.array([2, 0]), {"run": "a\nrun", "epoch": "2"}).splitlines()
    assert lines[:2] == ["# run: a run", "# epoch: 2"]
    rows = list(csv.DictReader(lines[2:]))
    assert [row["slide"] for row in rows] == ["s2", "s0"]
    for row, at in zip(rows, (2, 0), strict=True):
        for name in COLUMNS:
            if name in table.valued():
                assert float(row[name]) == run.scalars(name)[2, at]
        assert float(row["cross_entropy"]) == numbers.cross_entropy[at]
        assert row["correct"] == ("false" if numbers.wrong[at] else "true")
        assert row["label"] == run.class_names[run.slides[at].label or 0]
        assert int(row["tiles"]) == TILES
    assert "jsd_anchor" not in rows[0]


def test_a_damaged_epoch_is_refused_by_name(make_run: RunMaker) -> None:
    path = make_run()
    table = SlideTable(open_run(path))
    (path / "logits" / "c" / "2" / "0" / "0").unlink()
    with pytest.raises(InputError, match="Epoch 2 is committed, but logits"):
        table.at(2)
    assert table.at(1).epoch == 1
