"""The dock that reads dynamics: JSD never without concentration, one cursor, words for maps that flatter."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QApplication

from napari_asmil.runs import EpochRecord, RunWriter, SlideRecord, open_run
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.dynamics import DRAW_MS, DynamicsDock
from napari_asmil.viewer.quantities import JSD, divergences, losses, metrics, of_run, of_slides, warning
from tests.conftest import header, record

RunMaker = Callable[..., Path]


@pytest.fixture
def opened(viewer: Any, make_run: RunMaker) -> Controller:
    """A viewer with one run on slide s0."""
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(make_run("first", anchor=True)), "s0")
    return controller


@pytest.fixture
def dock(opened: Controller, qtbot: Any) -> Any:
    dock = DynamicsDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 720)
    dock.show()
    qtbot.waitExposed(dock)
    return dock


def write_shaped(path: Path, *maps: np.ndarray) -> Path:
    """A run of one slide whose map at each epoch is given."""
    side = round(np.sqrt(len(maps[0])))
    with RunWriter.create(path, header(1, 1, side, len(maps) - 1, False)) as writer:
        for p in maps:
            with np.errstate(divide="ignore"):
                row = np.log(p / p.sum()).astype(np.float32)
            slide = SlideRecord(row, np.zeros(2, np.float32), np.zeros(3, np.float32), z=row[None])
            writer.write(EpochRecord({"s0": slide}))
    return path


def shaped(kind: str, tiles: int = 25) -> np.ndarray:
    if kind == "flat":
        return np.ones(tiles)
    if kind == "collapsed":
        return np.r_[1.0, np.full(tiles - 1, 1e-9)]
    return np.arange(1.0, tiles + 1) ** 2


def drawn(panel: Any) -> list[np.ndarray]:
    return [curve.y for curve in panel.series]


# ---- the numbers ----------------------------------------------------------------------------------


def test_numbers_of_slides_are_those_the_run_stored(make_run: RunMaker) -> None:
    run = open_run(make_run())
    np.testing.assert_array_equal(of_slides(run, JSD, run.slides[1:]), run.scalars("jsd")[:, 1:])
    np.testing.assert_array_equal(of_run(run, losses([run])[0]), [1 / (e + 1) for e in range(5)])


def test_a_slide_a_run_has_not_recorded_has_no_warning(make_run: RunMaker) -> None:
    run = open_run(make_run())
    assert warning(run, 1, "elsewhere") == ""
    assert warning(run, 99, "s0") == ""


def test_what_no_run_has_is_not_offered(make_run: RunMaker) -> None:
    with_truth, anchored = open_run(make_run()), open_run(make_run("b", anchor=True))
    assert [q.name for q in divergences([with_truth])] == ["jsd", "jsd_last"]
    assert [q.name for q in divergences([with_truth, anchored])] == ["jsd", "jsd_last", "jsd_anchor"]
    assert [q.name for q in losses([with_truth])] == ["loss_ce"]
    assert {q.name for q in metrics([with_truth])} == {"tile_auc", "topk_recall", "tumour_mass", "dice"}


def test_each_loss_stands_among_the_losses_with_its_unit(tmp_path: Path) -> None:
    given = ("loss_ce", "loss_own", "loss_as", "loss_entropy", "loss_ensemble", "test_loss", "lr", "test_auc")
    with RunWriter.create(tmp_path / "a.asmil", header(1, 1, 5, 0, False)) as writer:
        writer.write(EpochRecord(record(0, 1, 1, 25, False).slides, dict.fromkeys(given, 0.5)))
    run = open_run(tmp_path / "a.asmil")
    assert {q.name for q in losses([run])} == set(given) - {"test_auc"}
    assert {q.unit for q in losses([run]) if q.name != "lr"} == {"nats"}
    assert "test_auc" in {q.name for q in metrics([run])}


@pytest.mark.parametrize(("kind", "word"), [("flat", "FLAT"), ("collapsed", "COLLAPSED"), ("honest", "")])
def test_a_map_that_flatters_is_named(tmp_path: Path, kind: str, word: str) -> None:
    run = open_run(write_shaped(tmp_path / "a.asmil", shaped("honest"), shaped(kind)))
    assert warning(run, 1, "s0").startswith(word)
    assert bool(warning(run, 1, "s0")) is bool(word)
    of_cohort = warning(run, 1, None)
    assert (f"{word} MAPS on 1 of 1" in of_cohort) if word else of_cohort == ""


def test_no_map_is_read_to_find_that_it_is_honest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(write_shaped(tmp_path / "a.asmil", shaped("honest"), shaped("honest")))
    monkeypatch.setattr(run, "attention", None)
    assert warning(run, 1, "s0") == ""


# ---- the dock -------------------------------------------------------------------------------------


def test_concentration_is_in_sight_under_jsd(dock: DynamicsDock) -> None:
    assert dock.jsd.isVisible() and dock.concentration.isVisible()
    below = dock.concentration.mapTo(dock, dock.concentration.rect().topLeft()).y()
    assert below > dock.jsd.mapTo(dock, dock.jsd.rect().topLeft()).y()
    assert dock.concentration.mapTo(dock, dock.concentration.rect().bottomLeft()).y() < dock.viewport().height()
    np.testing.assert_array_equal(drawn(dock.jsd)[0], dock.controller.runs[0].scalars("jsd")[:, 0])
    np.testing.assert_array_equal(
        drawn(dock.concentration)[0], dock.controller.runs[0].scalars("effective_share")[:, 0]
    )


def test_several_runs_lie_over_each_other_with_one_key(dock: DynamicsDock, make_run: RunMaker, qtbot: Any) -> None:
    dock.controller.add_run(make_run("second", label="ASMIL"))
    qtbot.waitUntil(lambda: len(drawn(dock.jsd)) == 2)
    assert dock.stack.key.names == ["first (ABMIL)", "second (ASMIL)"]
    styles = [[(c.name, c.style) for c in panel.series] for panel in dock.stack.panels if panel.series]
    assert all(style == [("first", 0), ("second", 1)] for style in styles)


def test_the_slider_moves_the_cursor_and_the_cursor_moves_the_slider(dock: DynamicsDock, qtbot: Any) -> None:
    viewer = dock.controller.viewer
    viewer.dims.set_current_step(0, 2)
    assert [panel.cursor.value() for panel in dock.stack.panels] == [2] * 6
    box = dock.jsd.plot.getViewBox()
    QApplication.processEvents()
    place = dock.jsd.plot.mapFromScene(box.mapViewToScene(QPointF(1, np.mean(box.viewRange()[1]))))
    qtbot.mouseClick(dock.jsd.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert viewer.dims.current_step[0] == 1
    assert dock.controller.epoch == 1


def test_the_cursor_starts_where_the_slider_is(dock: DynamicsDock) -> None:
    assert dock.controller.epoch == 4
    assert dock.jsd.cursor.value() == 4


def test_scrubbing_draws_no_curve(dock: DynamicsDock, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> None:
    calls: list[int] = []
    dock.controller.idle.finish()
    dock.draw()
    for panel in dock.stack.panels:
        monkeypatch.setattr(panel, "set_series", lambda *_: calls.append(1))
    for epoch in (0, 3, 1, 2):
        dock.controller.set_epoch(epoch)
    qtbot.wait(2 * DRAW_MS)
    assert calls == []


def test_another_slide_under_the_map_is_another_curve(dock: DynamicsDock, qtbot: Any) -> None:
    run = dock.controller.runs[0]
    dock.controller.show_map(run, "s1")
    qtbot.waitUntil(lambda: np.array_equal(drawn(dock.jsd)[0], run.scalars("jsd")[:, 1], equal_nan=True))
    assert "Slide s1" in dock.about.text()


def test_a_flat_map_says_so_at_the_epoch_it_is_flat(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(viewer)
    path = write_shaped(tmp_path / "flat.asmil", shaped("honest"), shaped("flat"), shaped("honest"))
    controller.show_map(controller.add_run(path), "s0")
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert not dock.warning.isVisible()
    controller.set_epoch(1)
    qtbot.waitUntil(lambda: dock.warning.isVisible())
    assert "flat</b>, epoch 1: FLAT MAP" in dock.warning.text()
    controller.set_epoch(2)
    qtbot.waitUntil(lambda: not dock.warning.isVisible())


def test_other_measures_and_metrics_can_be_chosen(dock: DynamicsDock) -> None:
    dock.concentration.choice.setCurrentText("Normalised entropy")
    run = dock.controller.runs[0]
    np.testing.assert_array_equal(drawn(dock.concentration)[0], run.scalars("normalized_entropy")[:, 0])
    dock.metric.choice.setCurrentText("Tile AUC in the tumour")
    np.testing.assert_array_equal(drawn(dock.metric)[0], run.scalars("tile_auc")[:, 0])
    assert dock.metric.plot.getAxis("left").labelText == "0 to 1"


def test_epochs_that_arrive_are_drawn_together_at_most_ten_times_a_second(
    viewer: Any, make_run: RunMaker, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run("growing", epochs=0, planned=60)
    controller = Controller.of(viewer)
    run = controller.add_run(path)
    controller.show_map(run, "s0")
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    QApplication.processEvents()
    draws: list[int] = []
    draw = dock.jsd.set_series
    monkeypatch.setattr(dock.jsd, "set_series", lambda series, *_: (draws.append(len(series[0].y)), draw(series)))
    with RunWriter.resume(path) as writer:
        for epoch in range(1, 41):
            writer.write(record(epoch, 2, 1, 25, False))
            run.refresh()
            controller.run_grew.emit(run)
    qtbot.waitUntil(lambda: bool(draws) and draws[-1] == 41)
    assert len(draws) == 1


def test_a_hidden_dock_draws_when_it_is_shown(opened: Controller, make_run: RunMaker, qtbot: Any) -> None:
    dock = DynamicsDock(opened.viewer)
    qtbot.addWidget(dock)
    opened.add_run(make_run("second"))
    qtbot.wait(2 * DRAW_MS)
    assert drawn(dock.jsd) == []
    dock.show()
    assert len(drawn(dock.jsd)) == 2


def test_a_theme_reaches_the_plots(dock: DynamicsDock, qtbot: Any) -> None:
    for theme in ("light", "dark"):
        dock.controller.viewer.theme = theme
        QApplication.processEvents()
        image = dock.jsd.plot.grab().toImage()
        ground = get_theme(theme).background.as_hex("long")
        assert image.pixelColor(image.width() - 2, 2).name() == ground


def test_without_runs_the_dock_says_so(viewer: Any, qtbot: Any) -> None:
    dock = DynamicsDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert "No run is open" in dock.about.text()
    assert not dock.stack.isVisible()


def test_a_run_that_is_closed_takes_its_curves_away(dock: DynamicsDock, qtbot: Any) -> None:
    dock.controller.remove_run(dock.controller.runs[0])
    qtbot.waitUntil(lambda: "No run is open" in dock.about.text())
    dock.controller.set_epoch(0)


def test_every_control_says_what_it_is_for(dock: DynamicsDock) -> None:
    controls = [dock.scope, dock.seeds, dock.save_button, dock.jsd.log, dock.loss.log, *[p.choice for p in dock.panels]]
    assert all(control.toolTip() for control in controls)
    assert all("go to an epoch" in panel.toolTip() for panel in dock.stack.panels)


def test_a_closed_dock_is_freed(opened: Controller, qtbot: Any) -> None:
    dock = DynamicsDock(opened.viewer)
    wrapped = opened.viewer.window.add_dock_widget(dock, name="Read dynamics")
    opened.viewer.window.remove_dock_widget(wrapped)
    gone = weakref.ref(dock)
    del dock, wrapped
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    opened.set_epoch(1)
