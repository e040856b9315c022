"""The dynamics dock in a real window: scopes, seeds, numbers that are computed, threads that lead to slides, files."""

from __future__ import annotations

import csv
import gc
import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_asmil.errors import InputError
from napari_asmil.runs import EpochRecord, RunWriter, SlideRecord, open_run
from napari_asmil.runs.courses import Courses
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks import dynamics
from napari_asmil.viewer.docks.dynamics import DRAW_MS, DynamicsDock
from napari_asmil.viewer.plots.lines import style_of
from napari_asmil.viewer.scopes import CLASS, EVERY, ROWS, SLIDE
from tests.conftest import header, record

RunMaker = Callable[..., Path]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def opened(viewer: Any, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> Controller:
    """A viewer with one run of six slides and three rows, on slide s0."""
    monkeypatch.setitem(pg.CONFIG_OPTIONS, "mouseRateLimit", 0)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(make_run("first", slides=6, rows=3, anchor=True)), "s0")
    return controller


@pytest.fixture
def dock(opened: Controller, qtbot: Any) -> Any:
    dock = DynamicsDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 720)
    dock.show()
    qtbot.waitExposed(dock)
    return dock


def settled(dock: DynamicsDock) -> DynamicsDock:
    """Everything is computed and drawn."""
    dock.controller.idle.finish()
    dock.draw()
    QApplication.processEvents()
    return dock


def drawn(panel: Any) -> list[np.ndarray]:
    return [curve.y for curve in panel.series]


def spot(panel: Any, epoch: float, value: float) -> QPoint:
    scene = panel.plot.getViewBox().mapViewToScene(QPointF(epoch, value))
    return QPoint(panel.plot.mapFromScene(scene))


def choose(dock: DynamicsDock, box: Any, text: str, qtbot: Any) -> None:
    """Choose an entry of a combo box with the keys, as a person does."""
    box.setFocus()
    for _ in range(box.count()):
        qtbot.keyClick(box, Qt.Key.Key_Up)
    for _ in range(box.findText(text)):
        qtbot.keyClick(box, Qt.Key.Key_Down)
    assert box.currentText() == text


# ---- scopes ---------------------------------------------------------------------------------------


def test_every_slide_is_drawn_thin_behind_median_and_quartiles(dock: DynamicsDock, qtbot: Any) -> None:
    choose(dock, dock.scope, EVERY, qtbot)
    jsd = dock.controller.runs[0].scalars("jsd")
    np.testing.assert_array_equal(dock.jsd.threads[0].y, jsd.T)
    np.testing.assert_allclose(drawn(dock.jsd)[0][1:], np.median(jsd[1:], axis=1))
    for end, share in zip(dock.jsd.series[0].band, (0.25, 0.75), strict=True):
        np.testing.assert_allclose(end[1:], np.quantile(jsd[1:], share, axis=1))
    assert dock.about.text() == "6 recorded slides (6 test)."
    assert dock.jsd.words.text() == (
        "Median over 6 slides of the JSD of the mean map of 3 rows; band over slides: quartiles."
    )
    assert dock.jsd.words.isVisible()


@pytest.mark.parametrize("scope", [EVERY, CLASS, ROWS])
def test_concentration_is_in_sight_under_jsd_in_every_scope(dock: DynamicsDock, scope: str, qtbot: Any) -> None:
    choose(dock, dock.scope, scope, qtbot)
    settled(dock)
    for panel in (dock.jsd, dock.concentration):
        assert panel.isVisible()
        assert panel.mapTo(dock, panel.rect().bottomLeft()).y() < dock.viewport().height()


def test_classes_and_rows_have_their_curves_and_a_run_keeps_its_look(dock: DynamicsDock, qtbot: Any) -> None:
    run = dock.controller.runs[0]
    choose(dock, dock.scope, CLASS, qtbot)
    assert dock.stack.key.names == ["first (ABMIL)", "normal", "tumour"]
    for label, y in enumerate(drawn(dock.jsd)):
        np.testing.assert_allclose(y[1:], np.median(run.scalars("jsd")[1:, label::2], axis=1))
    looks = [style_of(0, 1), style_of(0, 2)]
    assert [curve.style for curve in dock.jsd.series] == looks and dock.loss.series[0].style == 0
    choose(dock, dock.scope, ROWS, qtbot)
    settled(dock)
    rows = Courses.of(run).values("row_jsd", "s0")
    np.testing.assert_array_equal(drawn(dock.jsd)[1:], rows.T)
    np.testing.assert_array_equal(drawn(dock.jsd)[0], rows.mean(axis=1))
    assert dock.stack.key.names == ["first (ABMIL)", "head 1", "head 2", "head 3"]
    assert "Slide s0" in dock.about.text()


def test_each_panel_offers_its_quantities(dock: DynamicsDock, qtbot: Any) -> None:
    run = dock.controller.runs[0]
    offered = {panel.what: [panel.choice.itemText(i) for i in range(panel.choice.count())] for panel in dock.panels}
    assert offered["Divergence"] == ["JSD to the epoch before", "JSD to the last epoch", "JSD of the map to its anchor"]
    assert [words for words in offered["Measure of concentration"] if "top" in words] == [
        f"Attention on the top {share} % of tiles" for share in ("0.1", "1", "10")
    ]
    assert len(offered["Scores"]) == 3 and len(offered["Overlap"]) == 2
    choose(dock, dock.jsd.choice, "JSD of the map to its anchor", qtbot)
    np.testing.assert_array_equal(drawn(dock.jsd)[0], run.scalars("jsd_anchor")[:, 0])
    choose(dock, dock.overlap.choice, "Rank correlation to epoch before", qtbot)
    settled(dock)
    np.testing.assert_array_equal(drawn(dock.overlap)[0], Courses.of(run).values("rank_correlation", "s0"))
    assert "Spearman" in dock.overlap.plot.getAxis("left").labelText


# ---- numbers that are computed --------------------------------------------------------------------


def test_computing_goes_on_while_idle_and_says_how_far_it_is(dock: DynamicsDock, qtbot: Any) -> None:
    run = dock.controller.runs[0]
    dock.controller.idle.stop()
    choose(dock, dock.scope, EVERY, qtbot)
    choose(dock, dock.jsd.choice, "JSD to the last epoch", qtbot)
    assert "Computing… 0 of 30 maps." in dock.jsd.words.text()
    assert np.isnan(drawn(dock.jsd)[0]).all()
    qtbot.waitUntil(lambda: "Computing" not in dock.jsd.words.text())
    expected = np.stack([Courses.of(run).values("jsd_last", f"s{s}") for s in range(6)])
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(dock.jsd.threads[0].y, expected)
    np.testing.assert_allclose(drawn(dock.jsd)[0], np.median(expected, axis=0))


def test_the_jsd_to_the_last_epoch_follows_a_run_that_grows(viewer: Any, make_run: RunMaker, qtbot: Any) -> None:
    controller = Controller.of(viewer)
    path = make_run("growing", epochs=2, planned=4)
    run = controller.add_run(path)
    controller.show_map(run, "s0")
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    choose(dock, dock.jsd.choice, "JSD to the last epoch", qtbot)
    qtbot.waitUntil(lambda: "The last epoch is 2." in dock.jsd.words.text())
    with RunWriter.resume(path) as writer:
        for epoch in (3, 4):
            writer.write(record(epoch, 2, 1, 25, False))
    controller.follower.refresh(run)
    qtbot.waitUntil(lambda: "The last epoch is 4." in dock.jsd.words.text())
    whole = open_run(make_run("whole"))
    list(Courses.of(whole).compute("jsd_last", ["s0"]))
    np.testing.assert_array_equal(drawn(dock.jsd)[0], Courses.of(whole).values("jsd_last", "s0"))


def test_a_hidden_or_closed_dock_has_nothing_computed(opened: Controller, dock: DynamicsDock, qtbot: Any) -> None:
    run = opened.runs[0]
    ids = [slide.slide_id for slide in run.slides]
    settled(dock)
    opened.idle.stop()
    dock.scope.setCurrentText(EVERY)
    dock.jsd.choice.setCurrentIndex(1)
    assert opened.idle.active
    dock.hide()
    qtbot.waitUntil(lambda: not opened.idle.active)
    assert Courses.of(run).missing("jsd_last", ids) > 20
    dock.show()
    qtbot.waitUntil(lambda: np.isfinite(drawn(dock.jsd)[0]).all() and "Computing" not in dock.jsd.words.text())
    assert Courses.of(run).missing("jsd_last", ids) == 0


def test_a_dock_that_is_closed_while_it_computes_is_freed(opened: Controller, qtbot: Any) -> None:
    dock = DynamicsDock(opened.viewer)
    dock.show()
    dock.scope.setCurrentText(EVERY)
    dock.jsd.choice.setCurrentIndex(1)
    assert opened.idle.active
    dock.close()
    dock.deleteLater()
    gone = weakref.ref(dock)
    del dock
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None and not opened.idle.active)


def test_the_latest_wish_is_computed_first(dock: DynamicsDock, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> None:
    run, read = dock.controller.runs[0], []
    settled(dock)
    dock.controller.idle.stop()
    attention = run.attention
    monkeypatch.setattr(run, "attention", lambda epoch, *of: (read.append(epoch), attention(epoch, *of))[1])
    dock.scope.setCurrentText(EVERY)
    dock.jsd.choice.setCurrentIndex(1)
    dock.overlap.choice.setCurrentIndex(1)
    dock.controller.idle.finish()
    ranks, to_last = [0, 1, 2, 3, 4] * 6, [4, 0, 1, 2, 3, 4] * 6  # epochs read of each slide
    assert read == ranks + to_last


def test_a_slide_without_raw_scores_says_why_it_has_no_curve(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    head = header(2, 1, 5, 1, False)
    with RunWriter.create(
        tmp_path / "some.asmil",
        replace(head, slides=tuple(replace(s, watched=s.slide_id == "s1") for s in head.slides)),
    ) as writer:
        for epoch in (0, 1):
            writer.write(record(epoch, 2, 1, 25, False))
    controller = Controller.of(viewer)
    run = controller.add_run(tmp_path / "some.asmil")
    controller.show_map(run, "s0")
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert "raw scores of s0 were not recorded" in dock.scores.words.text() and dock.scores.isVisible()
    controller.show_map(run, "s1")
    qtbot.waitUntil(lambda: np.isfinite(drawn(dock.scores)[0]).all())
    assert dock.scores.words.text() == "Of the one row."


# ---- seeds and logarithms -------------------------------------------------------------------------


def test_seeds_are_grouped_by_a_click_and_come_apart_by_another(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(viewer)
    for seed in range(3):
        path = tmp_path / f"seed{seed}.asmil"
        with RunWriter.create(path, replace(header(2, 1, 5, 2, False), recipe={"seed": seed})) as writer:
            for epoch in range(3):
                writer.write(EpochRecord(record(epoch, 2, 1, 25, False).slides, {"loss_ce": (seed + 1) / (epoch + 1)}))
        controller.add_run(path)
    controller.show_map(controller.runs[0], "s0")
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert dock.seeds.isVisible() and len(drawn(dock.loss)) == 3
    qtbot.mouseClick(dock.seeds, LEFT, pos=QPoint(8, dock.seeds.height() // 2))
    assert dock.stack.key.names == ["ABMIL, 3 seeds (seed0, seed1, seed2)"]
    (curve,) = dock.loss.series
    np.testing.assert_allclose(curve.y, [2, 1, 2 / 3])
    np.testing.assert_allclose(curve.band, [[1, 0.5, 1 / 3], [3, 1.5, 1]])
    assert "of seeds then the median over 3 runs" in dock.loss.words.text()
    qtbot.mouseClick(dock.seeds, LEFT, pos=QPoint(8, dock.seeds.height() // 2))
    assert len(drawn(dock.loss)) == 3


def test_seeds_are_not_offered_where_there_are_none(dock: DynamicsDock, make_run: RunMaker, qtbot: Any) -> None:
    dock.controller.add_run(make_run("second", label="another"))
    qtbot.waitUntil(lambda: len(drawn(dock.jsd)) == 2)
    assert not dock.seeds.isVisible()


def test_divergences_and_losses_may_be_logarithmic_and_zeros_are_told(dock: DynamicsDock, qtbot: Any) -> None:
    assert [panel.what for panel in dock.panels if panel.log.isVisibleTo(dock)] == ["Divergence", "Loss"]
    choose(dock, dock.jsd.choice, "JSD to the last epoch", qtbot)
    settled(dock)
    qtbot.mouseClick(dock.jsd.log, LEFT, pos=QPoint(8, dock.jsd.log.height() // 2))
    assert dock.jsd.is_log and not dock.loss.is_log
    shown = dock.jsd.ink.curves[0].getOriginalDataset()[1]
    known = Courses.of(dock.controller.runs[0]).values("jsd_last", "s0")
    np.testing.assert_allclose(shown[:-1], np.log10(known[:-1]))
    assert np.isnan(shown[-1]) and known[-1] == 0
    assert "1 value of 0 or less cannot be on this axis: gaps." in dock.jsd.words.text()


# ---- the pointer ----------------------------------------------------------------------------------


def test_a_click_on_a_slides_curve_goes_to_that_slide_and_epoch(dock: DynamicsDock, qtbot: Any) -> None:
    choose(dock, dock.scope, EVERY, qtbot)
    controller, share = dock.controller, dock.controller.runs[0].scalars("effective_share")
    settled(dock)
    assert controller.epoch == 4
    alone = int(np.argmax(share[2]))  # the uppermost curve has no other over it
    qtbot.mouseClick(
        dock.concentration.plot.viewport(), LEFT, pos=spot(dock.concentration, 2, share[2, alone]) - QPoint(0, 2)
    )
    assert controller.current == (controller.runs[0], f"s{alone}")
    assert controller.epoch == 2 and controller.viewer.dims.current_step[0] == 2
    assert [panel.cursor.value() for panel in dock.panels] == [2] * 6


def test_a_click_on_a_curve_of_another_run_shows_that_run(dock: DynamicsDock, tmp_path: Path, qtbot: Any) -> None:
    path = tmp_path / "other.asmil"
    with RunWriter.create(path, header(1, 1, 5, 4, False)) as writer:
        for epoch in range(5):
            made = record(epoch, 1, 1, 25, False).slides["s0"]
            sharp = np.full(25, -60.0, np.float32)
            sharp[epoch] = 0
            slide = SlideRecord(sharp, made.logits, made.bag, None, made.z)
            writer.write(EpochRecord({"s0": slide}))
    other = dock.controller.add_run(path)
    dock.scope.setCurrentText(EVERY)
    settled(dock)
    assert other.scalars("effective_share")[1, 0] < 0.05
    place = spot(dock.concentration, 1, float(other.scalars("effective_share")[1, 0]))
    dock.concentration.set_series((), dock.concentration.threads)  # the median of one slide lies on it
    qtbot.mouseClick(dock.concentration.plot.viewport(), LEFT, pos=place)
    assert dock.controller.current == (other, "s0") and dock.controller.epoch == 1


def test_a_slide_without_places_is_refused_in_a_sentence(
    dock: DynamicsDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = header(1, 1, 5, 1, False)
    bare = replace(head, slides=(replace(head.slides[0], xy=None, tile_size=None),))
    with RunWriter.create(tmp_path / "bare.asmil", bare) as writer:
        for epoch in (0, 1):
            writer.write(record(epoch, 1, 1, 25, False))
    said: list[str] = []
    monkeypatch.setattr(dynamics, "show_error", said.append)
    dock.stack.thread_picked.emit((open_run(tmp_path / "bare.asmil"), "s0"), 1)
    assert "were not placed when the run was made" in said[0]
    assert dock.controller.current == (dock.controller.runs[0], "s0") and dock.controller.epoch == 1


# ---- files ----------------------------------------------------------------------------------------


def save_by_menu(
    dock: DynamicsDock, entry: str, path: Path, monkeypatch: pytest.MonkeyPatch, kind: str = "",
    asked: list[str] | None = None,
) -> list[str]:  # fmt: skip
    """Save to a path; the names that are proposed are `asked`; returns what was said."""
    said: list[str] = []

    def ask(parent: Any, title: str, name: str, kinds: str) -> tuple[str, str]:
        if asked is not None:
            asked.append(name)
        return str(path), kind

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    monkeypatch.setattr(dynamics, "show_info", said.append)
    monkeypatch.setattr(dynamics, "show_error", said.append)
    next(action for action in dock.save_button.menu().actions() if action.text() == entry).trigger()
    return said


def test_jsd_is_saved_with_its_concentration(
    dock: DynamicsDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.scope.setCurrentText(EVERY)
    settled(dock)
    said = save_by_menu(dock, "JSD with concentration…", tmp_path / "a.csv", monkeypatch)
    assert said == [f"Saved {tmp_path / 'a.csv'}"]
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    told = "\n".join(line for line in lines if line.startswith("#"))
    for words in ("first.asmil (ABMIL, 5 epochs)", "every slide", "napari-asmil ", "bits", "mean map of 3 rows"):
        assert words in told
    assert str(tmp_path) not in told
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    run = dock.controller.runs[0]
    for name, unit, title in (
        ("jsd", "bits", "JSD to the epoch before"),
        ("effective_share", "share", "Effective tiles / M"),
    ):
        for slide in run.slides:
            label = run.class_names[slide.label or 0]
            column = [row[f"{title} ({unit}): {slide.slide_id} ({label}) · first"] for row in rows]
            saved = [float(cell or "nan") for cell in column]
            np.testing.assert_array_equal(saved, run.scalars(name)[:, slide.index])
        middle = [float(row[f"{title} ({unit}): first"] or "nan") for row in rows]
        np.testing.assert_array_equal(middle, drawn(dock.jsd if name == "jsd" else dock.concentration)[0])


def test_every_entry_of_the_menu_saves(dock: DynamicsDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(dock)
    entries = [action.text() for action in dock.save_button.menu().actions()]
    assert entries == ["JSD with concentration…", "Loss…", "Metric…", "Scores…", "Overlap…", "All of them…"]
    for at, entry in enumerate(entries):
        path = tmp_path / f"{at}.svg"
        assert save_by_menu(dock, entry, path, monkeypatch) == [f"Saved {path}"]
        assert path.read_text(encoding="utf-8").count("<text") > 5


def test_the_kind_chosen_in_the_dialog_is_the_suffix(
    dock: DynamicsDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(dock)
    save_by_menu(dock, "Loss…", tmp_path / "curves", monkeypatch, "Picture (*.png)")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    (said,) = save_by_menu(dock, "Loss…", tmp_path / "curves.doc", monkeypatch)
    assert ".csv, .svg, .png" in said and not (tmp_path / "curves.doc").exists()


def test_curves_that_are_not_whole_are_not_saved(dock: DynamicsDock, tmp_path: Path) -> None:
    settled(dock)
    dock.controller.idle.stop()
    dock.scope.setCurrentText(EVERY)
    dock.jsd.choice.setCurrentIndex(1)
    with pytest.raises(InputError, match=r"not whole yet. Computing… \d of 30 maps"):
        dock.save_to(tmp_path / "a.csv", dock.panels[:2])
    settled(dock).save_to(tmp_path / "a.csv", dock.panels[:2])


def test_curves_that_are_not_whole_are_refused_before_a_name_is_asked_for(
    dock: DynamicsDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(dock)
    dock.controller.idle.stop()
    dock.scope.setCurrentText(EVERY)
    dock.jsd.choice.setCurrentIndex(1)
    asked: list[str] = []
    said = save_by_menu(dock, "JSD with concentration…", tmp_path / "a.csv", monkeypatch, asked=asked)
    assert asked == [] and "not whole yet" in said[0] and not (tmp_path / "a.csv").exists()


def test_the_name_that_is_proposed_tells_runs_and_what(
    dock: DynamicsDock, make_run: RunMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def propose(entry: str) -> str:
        save_by_menu(settled(dock), entry, tmp_path / "a.csv", monkeypatch, asked=asked)
        return asked[-1]

    assert propose("All of them…") == "first_dynamics.csv"
    for name in ("second", "third"):
        dock.controller.add_run(make_run(name))
    assert propose("Loss…") == "first_second_third_loss.csv"
    dock.controller.add_run(make_run("fourth"))
    assert propose("All of them…") == "4-runs_dynamics.csv"


def test_a_damaged_run_is_told_of_and_the_others_are_drawn(
    dock: DynamicsDock, make_run: RunMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run("damaged", slides=6)
    shutil.rmtree(path / "scalars/c/4")
    dock.controller.add_run(path)
    for scope in (EVERY, CLASS, ROWS, SLIDE):
        dock.scope.setCurrentText(scope)
        settled(dock)
        assert "damaged: This run is damaged: Epoch 4 is committed" in dock.jsd.words.text()
        assert np.isfinite(drawn(dock.jsd)[0][1:]).all()
    assert np.isnan(drawn(dock.jsd)[1]).tolist() == [True, False, False, False, True]
    assert save_by_menu(dock, "All of them…", tmp_path / "a.csv", monkeypatch) == [f"Saved {tmp_path / 'a.csv'}"]
    assert "damaged: This run is damaged" in (tmp_path / "a.csv").read_text(encoding="utf-8")


def test_nothing_is_computed_or_saved_without_runs(viewer: Any, qtbot: Any) -> None:
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert not dock.save_button.isEnabled() and not dock.controller.idle.active
    qtbot.wait(2 * DRAW_MS)
