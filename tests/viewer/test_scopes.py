"""Which curves are drawn of a quantity in each scope, against oracles from the run, and what is said of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import rel_entr, softmax
from scipy.stats import entropy

from napari_asmil.runs import EpochRecord, Run, RunWriter, open_run
from napari_asmil.runs.courses import Courses
from napari_asmil.viewer import scopes
from napari_asmil.viewer.plots.lines import style_of
from napari_asmil.viewer.plots.style import PAPER, Palette, line_pen
from napari_asmil.viewer.quantities import CONCENTRATION, JSD, JSD_ANCHOR, JSD_LAST, OVERLAP, SCORES, losses, metrics
from napari_asmil.viewer.scope_words import maps_words, slides_words, unfinished, words
from napari_asmil.viewer.scopes import CLASS, EVERY, ROWS, SLIDE, Drawn, Group, draw, group_runs, key_rows
from tests.conftest import RunMaker, header, random_z, record

SHARE, ENTROPY, TILES = CONCENTRATION[:3]
Z_MEAN, Z_SD, SATURATION = SCORES
RANKS = OVERLAP[1]


def apart(*runs: Run) -> list[Group]:
    return group_runs(runs, seeds=False)


def whole(quantity: Any, scope: str, slide_id: str | None, groups: list[Group]) -> Drawn:
    """What is drawn when everything is computed."""
    for want in draw(quantity, scope, slide_id, groups).wants:
        list(Courses.of(want.run).compute(want.course, want.slide_ids))
    drawn = draw(quantity, scope, slide_id, groups)
    assert unfinished(drawn.wants) == ""
    return drawn


def said(quantity: Any, scope: str, slide_id: str | None, groups: list[Group]) -> str:
    return words(quantity, scope, slide_id, groups, whole(quantity, scope, slide_id, groups))


def write(path: Path, epochs: int = 3, slides: int = 2, shift: float = 0, rows: int = 1, **given: Any) -> Run:
    """A run whose header says what is given; its losses are shifted, so that seeds differ."""
    watched = given.pop("watched", None)
    head = replace(header(slides, rows, 5, epochs, False), **given)
    if watched is not None:
        head = replace(head, slides=tuple(replace(s, watched=s.slide_id in watched) for s in head.slides))
    with RunWriter.create(path, head) as writer:
        for epoch in range(epochs + 1):
            made = record(epoch, slides, rows, 25, False)
            writer.write(EpochRecord(made.slides, {"loss_ce": shift + 1 / (epoch + 1)}))
    return open_run(path)


def seeds_of(folder: Path, count: int, **given: Any) -> list[Run]:
    return [
        write(folder / f"seed{k}.asmil", shift=k**2, recipe={"method": "abmil", "seed": k}, seed=k, **given)
        for k in range(count)
    ]


def bits(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    m = (p + q) / 2
    return (rel_entr(p, m).sum(-1) + rel_entr(q, m).sum(-1)) / 2 / np.log(2)


# ---- one slide ------------------------------------------------------------------------------------


def test_a_slide_has_a_curve_of_each_run_that_recorded_it(make_run: RunMaker) -> None:
    both, one = open_run(make_run("both")), open_run(make_run("one", slides=1))
    drawn = draw(JSD, SLIDE, "s1", apart(both, one))
    np.testing.assert_array_equal(drawn.series[0].y, both.scalars("jsd")[:, 1])
    assert np.isnan(drawn.series[1].y).all() and drawn.threads == ()
    assert [(curve.name, curve.style) for curve in drawn.series] == [("both", 0), ("one", 1)]
    assert said(JSD, SLIDE, "s1", apart(both, one)) == "Of the map as stored. one: s1 is not recorded."


def test_of_several_rows_it_is_said_that_the_map_is_their_mean(make_run: RunMaker, tmp_path: Path) -> None:
    single, several = open_run(make_run("single")), open_run(make_run("several", rows=8))
    assert said(JSD, SLIDE, "s0", apart(several)).startswith("Of the mean map of 8 rows.")
    assert maps_words([several]) == ""
    assert maps_words([single, several]) == "Maps as stored: the one row (single); the mean map of 8 rows (several)."
    of_class = write(tmp_path / "c.asmil", rows=2, row_join="row of the predicted class")
    assert said(JSD, SLIDE, "s0", apart(of_class)) == "Of the map of the row of the predicted class."


def test_numbers_that_are_computed_come_epoch_by_epoch_and_it_is_said_how_far(make_run: RunMaker) -> None:
    run = open_run(make_run())
    groups = apart(run)
    steps = Courses.of(run).compute("rank_correlation", ["s0"])
    for _ in range(3):
        next(steps)
    drawn = draw(RANKS, SLIDE, "s0", groups)
    assert np.isfinite(drawn.series[0].y).tolist() == [False, True, True, False, False]
    assert words(RANKS, SLIDE, "s0", groups, drawn).endswith("Computing… 3 of 5 epochs.")
    assert "Computing… 3 of 10 maps." in words(RANKS, EVERY, "s0", groups, draw(RANKS, EVERY, "s0", groups))


def test_the_last_epoch_is_named(make_run: RunMaker) -> None:
    short, long = open_run(make_run("short", epochs=2)), open_run(make_run("long", epochs=4))
    assert said(JSD_LAST, SLIDE, "s0", apart(long)).endswith("The last epoch is 4.")
    assert said(JSD_LAST, SLIDE, "s0", apart(short, long)).endswith("The last epochs are 2 to 4.")


def test_why_there_is_no_curve_is_said(make_run: RunMaker, tmp_path: Path) -> None:
    run = write(tmp_path / "some.asmil", watched=("s1",))
    assert np.isnan(whole(Z_MEAN, SLIDE, "s0", apart(run)).series[0].y).all()
    reason = "some: raw scores of s0 were not recorded (recipe `watch`); they are there for s1."
    assert reason in said(Z_MEAN, SLIDE, "s0", apart(run))
    assert reason not in said(Z_MEAN, SLIDE, "s1", apart(run)) + said(JSD, SLIDE, "s0", apart(run))
    assert "some: trained without an anchor." in said(JSD_ANCHOR, SLIDE, "s0", apart(run))
    damaged = make_run("damaged")
    shutil.rmtree(damaged / "attention/online/c/2")
    assert "damaged: 1 map cannot be read" in said(JSD_LAST, SLIDE, "s0", apart(open_run(damaged)))


# ---- every slide ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("slides", "band", "ends"), [(8, "quartiles", (0.25, 0.75)), (3, "least to greatest", (0, 1))])
def test_every_slide_is_a_thread_behind_median_and_band(
    make_run: RunMaker, slides: int, band: str, ends: tuple[float, float]
) -> None:
    run = open_run(make_run(slides=slides))
    drawn = draw(JSD, EVERY, "s0", apart(run))
    stored = run.scalars("jsd")
    (threads,) = drawn.threads
    np.testing.assert_array_equal(threads.y, stored.T)
    assert threads.names[1] == "s1 (tumour) · run" and threads.key(1) == (run, "s1")
    np.testing.assert_allclose(drawn.series[0].y[1:], np.median(stored[1:], axis=1))
    assert drawn.series[0].band is not None
    for end, share in zip(drawn.series[0].band, ends, strict=True):
        np.testing.assert_allclose(end[1:], np.quantile(stored[1:], share, axis=1))
    assert (
        said(JSD, EVERY, "s0", apart(run))
        == f"Median over {slides} slides of the JSD of the map as stored; band over slides: {band}."
    )


def test_averaging_is_named_in_its_order(make_run: RunMaker) -> None:
    run = open_run(make_run(slides=6, rows=8))
    assert said(JSD, EVERY, "s0", apart(run)).startswith("Median over 6 slides of the JSD of the mean map of 8 rows;")
    assert said(JSD, ROWS, "s0", apart(run)).startswith(
        "Thin: each of 8 rows by the model's normaliser; thick: mean of the rows' JSD, which is not the JSD of the mean"
    )
    assert "of each row, averaged over the rows first" in said(Z_MEAN, EVERY, "s0", apart(run))


def test_scores_are_the_mean_over_rows_of_the_slides_that_have_them(tmp_path: Path) -> None:
    run = write(tmp_path / "some.asmil", slides=4, rows=3, watched=("s1", "s2", "s3"))
    drawn = whole(Z_SD, EVERY, "s0", apart(run))
    expected = [[random_z(e, s, 3, 25).astype(float).std(axis=1).mean() for e in range(4)] for s in (1, 2, 3)]
    np.testing.assert_allclose(drawn.threads[0].y, expected, atol=1e-12)
    np.testing.assert_allclose(drawn.series[0].y, np.median(expected, axis=0), atol=1e-12)
    assert "some: 3 of 4 slides, those whose raw scores were recorded" in said(Z_SD, EVERY, "s0", apart(run))


def test_a_median_counts_the_slides_that_have_a_value(tmp_path: Path) -> None:
    head = header(6, 1, 5, 2, False)
    labelled = tuple(replace(s, labels=s.labels if i < 2 else None) for i, s in enumerate(head.slides))
    with RunWriter.create(tmp_path / "a.asmil", replace(head, slides=labelled)) as writer:
        for epoch in range(3):
            writer.write(record(epoch, 6, 1, 25, False))
    run = open_run(tmp_path / "a.asmil")
    mass = next(quantity for quantity in metrics([run]) if quantity.name == "tumour_mass")
    assert "Median over 6 slides" in said(JSD, EVERY, "s0", apart(run))
    assert said(mass, EVERY, "s0", apart(run)) == (
        "Median over 2 slides of the attention inside the tumour of the map as stored; band over slides: least to"
        " greatest."
    )


def test_more_threads_than_can_be_drawn_are_left_out_and_it_is_said(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(make_run(slides=3))
    monkeypatch.setattr(scopes, "MOST_POINTS", 14)
    drawn = draw(JSD, EVERY, "s0", apart(run))
    assert drawn.threads == () and len(drawn.series) == 1
    assert "3 thin curves are too many to draw: the median and the band alone." in said(JSD, EVERY, "s0", apart(run))


def test_too_many_rows_leave_their_mean(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(make_run(rows=8))
    monkeypatch.setattr(scopes, "MOST_POINTS", 14)
    drawn = whole(JSD, ROWS, "s0", apart(run))
    assert drawn.threads == () and drawn.series[0].band is None
    assert "8 thin curves are too many to draw: the mean alone." in said(JSD, ROWS, "s0", apart(run))


# ---- classes and rows -----------------------------------------------------------------------------


def test_each_class_has_the_median_of_its_slides_and_a_look_of_its_own(make_run: RunMaker) -> None:
    runs = [open_run(make_run(name, slides=5)) for name in ("a", "b")]
    drawn = draw(JSD, CLASS, "s0", apart(*runs))
    assert [curve.name for curve in drawn.series] == ["a, normal", "a, tumour", "b, normal", "b, tumour"]
    for run, first in zip(runs, (0, 2), strict=True):
        for label in (0, 1):
            expected = np.median(run.scalars("jsd")[1:, label::2], axis=1)
            np.testing.assert_allclose(drawn.series[first + label].y[1:], expected)
    key = key_rows(apart(*runs), CLASS)
    assert [[name for _, name in row] for row in key] == [
        ["a (ABMIL)", "normal", "tumour"],
        ["b (ABMIL)", "normal", "tumour"],
    ]
    styles = [style for row in key for style, _ in row]
    assert len(set(styles)) == 6
    assert [curve.style for curve in drawn.series] == [style for row in key for style, _ in row[1:]]
    assert "each class (normal 3, tumour 2) of the JSD of the map as stored" in said(JSD, CLASS, "s0", apart(*runs))


def test_a_class_that_no_slide_has_is_not_drawn(make_run: RunMaker) -> None:
    run = open_run(make_run(slides=1))
    assert run.class_names == ("normal", "tumour")
    assert [curve.name for curve in draw(JSD, CLASS, "s0", apart(run)).series] == ["run, normal"]
    assert key_rows(apart(run), CLASS) == [[(0, "run (ABMIL)"), (style_of(0, 1), "normal")]]


@pytest.mark.parametrize("scope", [CLASS, ROWS])
def test_colour_tells_the_run_and_dash_the_class_or_row(make_run: RunMaker, scope: str) -> None:
    runs = [open_run(make_run(f"r{k}", rows=2)) for k in range(4)]
    key = key_rows(apart(*runs), scope)
    assert [len(row) for row in key] == [3] * 4
    drawn = whole(JSD, scope, "s0", apart(*runs))
    (loss,) = losses(runs)
    of_runs = draw(loss, scope, "s0", apart(*runs)).series
    for palette in (Palette(), PAPER):
        looks = [
            [(line_pen(at, palette).color().name(), line_pen(at, palette).dashPattern()) for at, _ in row]
            for row in key
        ]
        colours = [{colour for colour, _ in row} for row in looks]
        assert [len(of_run) for of_run in colours] == [1] * 4 and len(set.union(*colours)) == 4
        dashes = [[tuple(dash) for _, dash in row] for row in looks]
        assert all(row == dashes[0] for row in dashes) and len(set(dashes[0])) == 3 and dashes[0][0] == ()
    known = {style for row in key for style, _ in row}
    assert {curve.style for curve in drawn.series} <= known
    assert [curve.style for curve in of_runs] == [row[0][0] for row in key]


def test_more_runs_than_colours_have_other_dashes(make_run: RunMaker) -> None:
    runs = [open_run(make_run(f"r{k}")) for k in range(8)]
    styles = [style for row in key_rows(apart(*runs), CLASS) for style, _ in row]
    assert len(set(styles)) == 24 and max(styles) < 36


def test_a_dash_for_each_row_while_there_are_dashes(make_run: RunMaker) -> None:
    few, many = open_run(make_run("few", rows=3)), open_run(make_run("many", rows=8))
    drawn = whole(JSD, ROWS, "s0", apart(few, many))
    assert [curve.name for curve in drawn.series] == ["few", "few, head 1", "few, head 2", "few, head 3", "many"]
    assert [len(threads.y) for threads in drawn.threads] == [8]
    np.testing.assert_array_equal([c.y for c in drawn.series[1:4]], Courses.of(few).values("row_jsd", "s0").T)
    assert [[name for _, name in row] for row in key_rows(apart(few, many), ROWS)] == [
        ["few (ABMIL)", "head 1", "head 2", "head 3"],
        ["many (ABMIL)"],
    ]
    assert said(JSD, ROWS, "s0", apart(few)).startswith("Dashed: each of 3 rows by the model's normaliser; solid: mean")
    assert said(JSD, ROWS, "s0", apart(few, many)).startswith("Dashed or thin: each of 3 to 8 rows")


def test_slides_are_counted_by_split(tmp_path: Path) -> None:
    run = write(tmp_path / "a.asmil", slides=6)
    assert slides_words([run]) == "6 recorded slides (6 test)."
    some = replace(header(6, 1, 5, 0, False))
    some = replace(
        some, slides=tuple(replace(s, split="train" if i > 3 else "test") for i, s in enumerate(some.slides))
    )
    with RunWriter.create(tmp_path / "b.asmil", some) as writer:
        writer.write(record(0, 6, 1, 25, False))
    both = open_run(tmp_path / "b.asmil")
    assert slides_words([both, both]) == "6 recorded slides (4 test, 2 train)."
    assert slides_words([run, both]) == "a: 6 recorded slides (6 test); b: 6 recorded slides (4 test, 2 train)."


def test_stored_numbers_that_are_lost_leave_a_gap_and_it_is_said(make_run: RunMaker) -> None:
    run, other = open_run(make_run("damaged")), open_run(make_run("other"))
    shutil.rmtree(run.path / "scalars/c/2")
    for scope, expected in ((SLIDE, other.scalars("jsd")[:, 0]), (EVERY, np.median(other.scalars("jsd"), axis=1))):
        drawn = draw(JSD, scope, "s0", apart(run, other))
        np.testing.assert_allclose(drawn.series[0].y, np.where(np.arange(5) == 2, np.nan, expected))
        np.testing.assert_allclose(drawn.series[1].y, expected)
        text = words(JSD, scope, "s0", apart(run, other), drawn)
        assert "damaged: This run is damaged: Epoch 2 is committed" in text and str(run.path) not in text
    assert "is damaged" not in said(SHARE, SLIDE, "s0", apart(other))
    assert "tile_auc" in {quantity.name for quantity in metrics([run])}


def test_each_row_is_a_thread_behind_their_mean(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=8))
    maps = [softmax(random_z(e, 1, 8, 25).astype(float), axis=1) for e in range(5)]
    moved = np.array([bits(p, q) for p, q in pairwise(maps)])
    drawn = whole(JSD, ROWS, "s1", apart(run))
    np.testing.assert_allclose(drawn.threads[0].y[:, 1:], moved.T, atol=1e-12)
    np.testing.assert_allclose(drawn.series[0].y[1:], moved.mean(axis=1), atol=1e-12)
    assert drawn.threads[0].names[2] == "head 3 · run" and drawn.threads[0].key(2) is None
    h = np.array([entropy(p, axis=1) for p in maps])
    for quantity, expected in ((ENTROPY, h / np.log(25)), (TILES, np.exp(h)), (SHARE, np.exp(h) / 25)):
        drawn = whole(quantity, ROWS, "s1", apart(run))
        np.testing.assert_allclose(drawn.threads[0].y, expected.T, atol=1e-12)
        np.testing.assert_allclose(drawn.series[0].y, expected.mean(axis=1), atol=1e-12)


def test_what_rows_have_not_is_drawn_of_the_map_and_it_is_said(make_run: RunMaker, tmp_path: Path) -> None:
    several, single = open_run(make_run(rows=3)), open_run(make_run("single"))
    drawn = draw(CONCENTRATION[4], ROWS, "s0", apart(several))
    np.testing.assert_array_equal(drawn.series[0].y, several.scalars("top1_mass")[:, 0])
    assert "rows have no such number here" in said(CONCENTRATION[4], ROWS, "s0", apart(several))
    np.testing.assert_array_equal(draw(JSD, ROWS, "s0", apart(single)).series[0].y, single.scalars("jsd")[:, 0])
    assert "there is but one row" in said(JSD, ROWS, "s0", apart(single))
    unwatched = write(tmp_path / "u.asmil", rows=3, watched=())
    assert np.isnan(draw(JSD, ROWS, "s0", apart(unwatched)).series[0].y).all()
    assert "raw scores of s0 were not recorded (recipe `watch`); of no slide" in said(JSD, ROWS, "s0", apart(unwatched))


# ---- seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "ends", "band"), [(3, (0, 1), "least to greatest"), (5, (0.25, 0.75), "quartiles")])
def test_seeds_are_one_curve_with_a_band(tmp_path: Path, count: int, ends: tuple[float, float], band: str) -> None:
    runs = seeds_of(tmp_path, count)
    groups = group_runs(runs, seeds=True)
    assert [group.name for group in groups] == [
        f"ABMIL, {count} seeds (seed0, seed1, seed2" + (f" and {count - 3} more)" if count > 3 else ")")
    ]
    (loss,) = losses(runs)
    (curve,) = draw(loss, SLIDE, "s0", groups).series
    each = np.array([run.curves()["loss_ce"] for run in runs])
    np.testing.assert_allclose(curve.y, np.median(each, axis=0))
    assert curve.band is not None
    for end, share in zip(curve.band, ends, strict=True):
        np.testing.assert_allclose(end, np.quantile(each, share, axis=0))
    assert f"of seeds then the median over {count} runs that came so far; band over runs: {band}." in said(
        loss, SLIDE, "s0", groups
    )
    assert len(draw(loss, SLIDE, "s0", group_runs(runs, seeds=False)).series) == count


def test_of_every_slide_the_median_over_slides_comes_before_that_over_seeds(tmp_path: Path) -> None:
    runs = seeds_of(tmp_path, 3, slides=4)
    drawn = draw(JSD, EVERY, "s0", group_runs(runs, seeds=True))
    assert drawn.threads == ()
    over_slides = [np.median(run.scalars("jsd")[1:], axis=1) for run in runs]
    np.testing.assert_allclose(drawn.series[0].y[1:], np.median(over_slides, axis=0))
    text = said(JSD, EVERY, "s0", group_runs(runs, seeds=True))
    assert text.index("over 4 slides") < text.index("over 3 runs")


def test_of_every_slide_seeds_have_one_band_and_a_run_alone_another(tmp_path: Path) -> None:
    runs = seeds_of(tmp_path, 3, slides=6)
    together = group_runs(runs, seeds=True)
    assert said(JSD, EVERY, "s0", together) == (
        "Median over 6 slides of the JSD of the map as stored; of seeds then the median over 3 runs that came so far;"
        " band over runs: least to greatest."
    )
    other = write(tmp_path / "other.asmil", slides=6, label="another")
    mixed = group_runs([*runs, other], seeds=True)
    drawn = draw(JSD, EVERY, "s0", mixed)
    jsd = other.scalars("jsd")[1:]
    assert drawn.series[1].band is not None
    np.testing.assert_allclose(drawn.series[1].band[0][1:], np.quantile(jsd, 0.25, axis=1))
    assert said(JSD, EVERY, "s0", mixed) == (
        "Median over 6 slides of the JSD of the map as stored; band over slides: quartiles; of seeds then the median"
        " over 3 runs that came so far; band over runs: least to greatest."
    )


def test_seeds_without_a_value_are_not_counted(tmp_path: Path) -> None:
    runs = [write(tmp_path / f"{k}.asmil", shift=k, recipe={"seed": k}) for k in range(4)]
    head = replace(header(2, 1, 5, 1, False), recipe={"seed": 4})
    with RunWriter.create(tmp_path / "4.asmil", head) as writer:
        writer.write(EpochRecord(record(0, 2, 1, 25, False).slides, {}))
    groups = group_runs([*runs, open_run(tmp_path / "4.asmil")], seeds=True)
    (loss,) = losses(runs)
    assert len(groups) == 1 and len(groups[0].runs) == 5
    (curve,) = draw(loss, SLIDE, "s0", groups).series
    assert curve.band is not None
    np.testing.assert_allclose((curve.band[0][0], curve.band[1][0]), (1.0, 4.0))
    assert said(loss, SLIDE, "s0", groups).endswith(
        "of seeds then the median over 4 runs that came so far; band over runs: least to greatest."
    )


def test_a_seed_that_is_still_training_counts_as_far_as_it_came(tmp_path: Path) -> None:
    long = [write(tmp_path / f"{k}.asmil", 4, shift=k, recipe={"seed": k}) for k in (0, 1)]
    short = write(tmp_path / "2.asmil", 1, shift=5, recipe={"seed": 2})
    (curve,) = draw(losses(long)[0], SLIDE, "s0", group_runs([*long, short], seeds=True)).series
    np.testing.assert_allclose(curve.y, [2.0, 1.5, 1 / 3 + 0.5, 0.25 + 0.5, 0.2 + 0.5])


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": {"method": "abmil", "seed": 1, "lr": 0.1}},
        {"label": "another"},
        {"splits": {"s0": "train"}},
        {"bag_hashes": {"s0": "another"}},
        {"slides": 3},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_stay_apart(tmp_path: Path, other: dict[str, Any]) -> None:
    given = {"recipe": {"method": "abmil", "seed": 0, "lr": 0.2}}
    first = write(tmp_path / "a.asmil", **given)
    kin = write(tmp_path / "b.asmil", recipe={"method": "abmil", "seed": 1, "lr": 0.2})
    apart_ = write(tmp_path / "c.asmil", **({"recipe": {"method": "abmil", "seed": 1, "lr": 0.2}} | other))
    assert [len(group.runs) for group in group_runs([first, kin, apart_], seeds=True)] == [2, 1]


def test_one_seed_trained_twice_is_not_two_seeds(tmp_path: Path) -> None:
    runs = [write(tmp_path / f"{name}.asmil", recipe={"seed": 7}) for name in "ab"]
    assert group_runs(runs, seeds=True)[0].name == "ABMIL, 2 runs of 1 seed (a, b)"
