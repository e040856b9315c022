"""Two of the compared maps against each other, driven by hand: numbers, curves, difference, the line between."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QWidget
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from napari_asmil.analysis.agreement import agreement
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.between import told
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.layers import entry
from tests.viewer.conftest import Pictured, tile_corners

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def explore(model: Any, pictured: Pictured, qtbot: Any) -> ExploreDock:
    """The dock in sight, with the first run's map shown and both on the list."""
    dock = ExploreDock(model)
    qtbot.addWidget(dock)
    dock.resize(330, 900)
    dock.show()
    qtbot.waitExposed(dock)
    for path in pictured.runs:
        dock.controller.show_map(dock.controller.add_run(path), "slide")
        qtbot.mouseClick(dock.panes.add, LEFT)
    return dock


def probabilities(explore: ExploreDock, run: int, epoch: int) -> np.ndarray:
    """A map as stored, in float64."""
    p = np.exp(explore.controller.runs[run].attention(epoch, "slide").astype(np.float64))
    return np.asarray(p / p.sum())


def choose(box: QComboBox, index: int) -> None:
    """Choose with the keyboard, as a person does."""
    box.setFocus()
    while box.currentIndex() != index:
        QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < index else Qt.Key.Key_Up)


def settle(explore: ExploreDock) -> None:
    explore.write_legend()
    explore.controller.idle.finish()
    explore.panes.between.draw()


def test_numbers_at_the_slider_are_those_of_both_maps_with_their_concentration(
    explore: ExploreDock, qtbot: Any
) -> None:
    between = explore.panes.between
    assert not between.isVisible()
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    assert between.isVisible()
    for epoch in (5, 2):
        explore.controller.set_epoch(epoch)
        settle(explore)
        p, q = (probabilities(explore, run, epoch) for run in (0, 1))
        said = between.numbers.text()
        assert f"A and B at epoch {epoch}" in said
        assert f"{jensenshannon(p, q, base=2) ** 2:.3g} bits" in said
        assert f"{spearmanr(p, q).statistic:.3f} (Spearman)" in said
        for each in (p, q):
            effective = np.exp(-(each * np.log(each)).sum())
            assert f"{effective:.4g} of 64" in said


def test_curves_run_over_all_epochs_and_a_click_goes_there(explore: ExploreDock, qtbot: Any) -> None:
    between = explore.panes.between
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    settle(explore)
    found = [agreement(probabilities(explore, 0, e), probabilities(explore, 1, e)) for e in range(6)]
    for at, name in enumerate(("jsd", "rank", "top1", "top2")):
        choose(between.measure, at)
        np.testing.assert_allclose(between.curve.series[0].y, [getattr(f, name) for f in found], rtol=1e-6)
    for at, name in enumerate(("effective_a", "effective_b")):
        np.testing.assert_allclose(
            between.concentration.series[at].y, [getattr(f, name) / 64 for f in found], rtol=1e-6
        )
    assert between.concentration.isVisible(), "JSD never without concentration"
    between.curve.picked.emit(3)
    assert explore.controller.epoch == 3
    assert {panel.cursor.value() for panel in (between.curve, between.concentration)} == {3}


def test_an_earlier_epoch_is_put_on_the_list_by_hand_and_its_first_epochs_say_that_they_are_missing(
    explore: ExploreDock, qtbot: Any
) -> None:
    panes = explore.panes
    assert not panes.number.isVisible()
    choose(panes.when, 1)
    panes.number.setValue(2)
    qtbot.mouseClick(panes.add, LEFT)
    choose(panes.when, 2)
    assert panes.number.value() == explore.controller.epoch
    panes.number.setValue(0)
    qtbot.mouseClick(panes.add, LEFT)
    assert [panes.list.item(i).text().rpartition(", ")[2] for i in (2, 3)] == ["2 epochs earlier", "always epoch 0"]
    qtbot.mouseClick(panes.toggle, LEFT)
    choose(panes.between.b, 2)
    choose(panes.between.a, 1)
    explore.controller.set_epoch(1)
    settle(explore)
    assert "There is no map 2 epochs earlier at epoch 1." in panes.list.item(2).text()
    assert "B: There is no map 2 epochs earlier at epoch 1." in panes.between.numbers.text()
    y = panes.between.curve.series[0].y
    assert np.isnan(y[:2]).all()
    p = [probabilities(explore, 1, e) for e in range(6)]
    np.testing.assert_allclose(y[2:], [agreement(p[e], p[e - 2]).jsd for e in range(2, 6)], rtol=1e-6)


def test_the_difference_is_chosen_and_its_colours_are_told(explore: ExploreDock, qtbot: Any) -> None:
    between = explore.panes.between
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    choose(between.difference, 1)
    layer = explore.controller.comparison.difference_layer
    assert layer is not None and between.bar.isVisible()
    assert "α A / α B (log2 ratio: 0 alike" in between.bar_words.text()
    assert "locked over all 6 epochs" in between.bar_words.text()
    choose(between.a, 1)  # where B is: they change places
    assert explore.controller.comparison.pair == (1, 0)
    layer = explore.controller.comparison.difference_layer
    assert layer is not None
    explore.controller.set_epoch(4)
    p, q = (probabilities(explore, run, 4) for run in (1, 0))
    assert layer.get_value((4, *layer.data.raster.origin), world=True) == pytest.approx(np.log2(p[0] / q[0]), rel=1e-5)
    choose(between.difference, 0)
    assert explore.controller.comparison.difference_layer is None and not between.bar.isVisible()


def test_maps_of_other_tiles_have_no_numbers_and_the_reason_is_said(
    explore: ExploreDock, tmp_path: Path, qtbot: Any
) -> None:
    slide = SlideHeader("slide", n_tiles=16, xy=tile_corners()[:16], tile_size=64.0)
    path = tmp_path / "fewer.asmil"
    with RunWriter.create(path, RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (slide,), 0, 3)) as writer:
        row = np.full(16, -np.log(16), np.float32)
        each = SlideRecord(row, np.zeros(2, np.float32), np.zeros(3, np.float32), None, row[None])
        writer.write(EpochRecord({"slide": each}, {}))
    explore.controller.show_map(explore.controller.add_run(path), "slide")
    panes = explore.panes
    qtbot.mouseClick(panes.add, LEFT)
    qtbot.mouseClick(panes.toggle, LEFT)
    choose(panes.between.b, 2)
    assert (
        "No difference and no JSD of A and B: The maps are not of one tile set: 16 tiles, not 64"
        in panes.between.numbers.text()
    )
    assert not panes.between.curve.isVisible() and not panes.between.difference.isEnabled()
    choose(panes.between.b, 1)
    settle(explore)
    assert "bits" in panes.between.numbers.text() and panes.between.curve.isVisible()


def test_a_dock_that_nobody_sees_does_no_work(explore: ExploreDock, qtbot: Any) -> None:
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    explore.hide()
    choose(explore.panes.between.b, 0)  # B and A change places: nothing of that is known yet
    explore.controller.set_epoch(1)
    explore.write_legend()
    explore.controller.idle.finish()
    course = explore.panes.between.course
    assert course is not None and not course.found
    explore.show()
    explore.controller.idle.finish()
    assert len(course.found) == 6


def test_a_run_that_grows_lengthens_the_curves(explore: ExploreDock, pictured: Pictured, qtbot: Any) -> None:
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    settle(explore)
    for path in pictured.runs:
        with RunWriter.resume(path) as writer:
            run = explore.controller.find_run(path)
            assert run is not None
            z = np.random.default_rng(5).normal(size=(1, 64)).astype(np.float32)
            log_p = (z[0] - np.log(np.exp(z[0].astype(np.float64)).sum())).astype(np.float32)
            each = SlideRecord(log_p, np.zeros(2, np.float32), np.zeros(3, np.float32), None, z)
            writer.write(EpochRecord({"slide": each, "other": each}, {}))
        explore.controller.follower.refresh(run)
    settle(explore)
    assert len(explore.panes.between.curve.series[0].y) == 7
    assert explore.panes.between.curve.series[0].y[6] == pytest.approx(0, abs=1e-9)


def test_a_dock_that_is_closed_is_freed_and_a_new_one_shows_what_is_compared(
    model: Any, pictured: Pictured, qtbot: Any
) -> None:
    controller = Controller.of(model)
    for path in pictured.runs:
        controller.show_map(controller.add_run(path), "slide")
        controller.comparison.picked.append(cell_of(controller.map))  # type: ignore[arg-type]
    dock = ExploreDock(model)
    dock.show()
    dock.panes.swipe.click()
    gone = weakref.ref(dock.panes.between)
    dock.close()
    dock.deleteLater()
    del dock
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert gone() is None
    assert controller.comparison.border is not None
    controller.comparison.border.move(300)
    controller.set_epoch(1)
    controller.idle.finish()
    again = ExploreDock(model)
    qtbot.addWidget(again)
    again.show()
    settle(again)
    assert again.panes.between.border.value() == 3
    assert "A and B at epoch 1" in again.panes.between.numbers.text()


def test_both_themes_are_followed(explore: ExploreDock, model: Any, qtbot: Any) -> None:
    qtbot.mouseClick(explore.panes.toggle, LEFT)
    pens = []
    for theme in ("light", "dark"):
        model.theme = theme
        settle(explore)
        pens.append(explore.panes.between.concentration.values.text())
    assert pens[0] != pens[1]


# ---- the line -----------------------------------------------------------------------------------


def test_swiping_and_side_by_side_are_one_click_apart(explore: ExploreDock, model: Any, qtbot: Any) -> None:
    panes = explore.panes
    names = [layer.name for layer in model.layers]
    qtbot.mouseClick(panes.swipe, LEFT)
    assert explore.controller.comparison.border is not None and not model.canvas.grid.enabled
    assert panes.between.border.isVisible() and not panes.between.difference.isVisible()
    panes.between.border.setFocus()
    QTest.keyClick(panes.between.border, Qt.Key.Key_Right)
    a = explore.controller.comparison.maps[0].data[0]
    assert np.isfinite(a).all(axis=0).sum() == 5  # four of eight columns, and one more
    qtbot.mouseClick(panes.swipe, LEFT)
    assert explore.controller.comparison.border is None and model.canvas.grid.enabled
    qtbot.mouseClick(panes.toggle, LEFT)
    assert [layer.name for layer in model.layers] == names


def test_the_legend_tells_of_the_map_that_is_chosen_on_the_list(explore: ExploreDock, qtbot: Any) -> None:
    qtbot.mouseClick(explore.panes.swipe, LEFT)
    explore.panes.list.setCurrentRow(1)
    explore.write_legend()
    assert "second" in explore.legend.facts.text()
    viewer = explore.controller.viewer
    assert entry(viewer.layers.selection.active)["cell"] == 1
    viewer.layers.remove(explore.controller.comparison.maps[1])
    explore.write_legend()
    assert "first" in explore.legend.facts.text()


def test_export_while_swiping_is_of_the_whole_map_that_is_chosen_at_its_own_epoch(
    explore: ExploreDock, tmp_path: Path, qtbot: Any
) -> None:
    choose(explore.panes.when, 1)
    explore.panes.number.setValue(2)
    qtbot.mouseClick(explore.panes.add, LEFT)
    qtbot.mouseClick(explore.panes.swipe, LEFT)
    choose(explore.panes.between.b, 2)
    explore.panes.list.setCurrentRow(2)
    explore.controller.set_epoch(5)
    explore.export_to(tmp_path / "half.png")
    assert explore.export is not None
    with qtbot.waitSignal(explore.export.ended, timeout=20000):
        pass
    with Image.open(tmp_path / "half.png") as picture:
        facts = picture.text  # type: ignore[attr-defined]
    assert (facts["run"], facts["epoch"]) == ("second", "3 of 5")
    assert (facts["slide file"], facts["contours"]) == ("slide.tif", "1 from slide.geojson")


def canvas() -> QWidget:
    return next(w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible())


def at(viewer: Any, x: float) -> QPoint:
    """Where on the canvas, half way down, an x of the slide is."""
    widget, camera = canvas(), viewer.scene.camera
    right = (x - camera.center[-1]) * camera.zoom + widget.width() / 2
    return QPoint(round(right), widget.height() // 2)


def test_the_line_is_dragged_on_the_canvas_and_the_camera_stays(
    make_napari_viewer_proxy: Any, pictured: Pictured, qtbot: Any
) -> None:
    from tests.viewer.mouse import drag

    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1100, 800)
    dock = ExploreDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    qtbot.waitExposed(dock)
    controller = dock.controller
    for path in pictured.runs:
        controller.show_map(controller.add_run(path), "slide")
        dock.panes.add.click()
    dock.panes.swipe.click()
    QApplication.processEvents()
    border, center = controller.comparison.border, viewer.scene.camera.center
    assert border is not None and border.x == 128 + 4 * 64 - 0.5
    drag(canvas(), [at(viewer, border.x), at(viewer, border.x + 2 * 64)])
    assert border.x == 128 + 6 * 64 - 0.5
    assert dock.panes.between.border.value() == 6
    assert viewer.scene.camera.center == center
    drag(canvas(), [at(viewer, border.x - 3 * 64), at(viewer, border.x - 64)])  # beside the line: the camera's
    assert border.x == 128 + 6 * 64 - 0.5
    assert viewer.scene.camera.center != center


# ---- words --------------------------------------------------------------------------------------


def test_words_for_flat_collapsed_and_tied_maps() -> None:
    flat, sharp = np.full(100, 0.01), np.r_[1 - 99e-9, np.full(99, 1e-9)]
    said = told(agreement(flat, sharp), 3, 100, "#ff0000")
    assert "A is flat" in said and "B is collapsed" in said
    assert "none: a map is constant" in said and said.count("none: ties") == 2
    assert "100 of 100 (" in said
    assert "Spearman" not in said and "Jaccard" not in said
    one, other = np.arange(1.0, 101) / 5050, np.roll(np.arange(1.0, 101), 1) / 5050
    said = told(agreement(one, other), 3, 100, "#ff0000")
    assert said.count("0.000 shared (Jaccard)") == 1 and said.count("0.333 shared (Jaccard)") == 1
    assert f"{spearmanr(one, other).statistic:.3f} (Spearman)" in said


def test_words_for_one_tile() -> None:
    said = told(agreement([1.0], [1.0]), 0, 1, "#ff0000")
    assert "0 bits" in said and "1 of 1" in said and "⚠" not in said
