"""The docks: what they offer, what they say, and that closing them harms nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QListWidget, QSpinBox

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import MapView, RunHeader, RunWriter, SlideHeader, Source, open_run, sources
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import PathField
from napari_asmil.viewer.docks.choose import ANCHOR, STORED
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.docks.open import OpenDock
from napari_asmil.viewer.follow import first_slide
from napari_asmil.viewer.legend import map_facts
from tests.conftest import grid_xy, record
from tests.viewer.conftest import Pictured

RunMaker = Callable[..., Path]


@pytest.fixture
def explore(model: Any, qtbot: Any) -> ExploreDock:
    dock = ExploreDock(model)
    qtbot.addWidget(dock)
    dock.show()
    qtbot.waitExposed(dock)
    return dock


def choices(box: QComboBox) -> list[Any]:
    return [box.itemData(i) for i in range(box.count())]


def choose(box: QComboBox, data: Any) -> None:
    box.setCurrentIndex(choices(box).index(data))


# ---- Explore attention --------------------------------------------------------------------------


def test_without_a_run_nothing_can_be_chosen_and_the_dock_says_what_to_do(explore: ExploreDock) -> None:
    assert not explore.chooser.normalizer.isEnabled()
    assert not explore.export_button.isEnabled()
    assert "Open a run" in explore.chooser.reasons.text()


def test_the_fields_name_what_is_shown_and_choosing_shows_it(explore: ExploreDock, make_run: RunMaker) -> None:
    controller = explore.controller
    first, second = controller.add_run(make_run("one")), controller.add_run(make_run("two", anchor=True, rows=2))
    choose(explore.chooser.run, first)
    assert controller.current == (first, "s0")
    assert choices(explore.chooser.slide) == ["s0", "s1"]
    choose(explore.chooser.run, second)
    choose(explore.chooser.slide, "s1")
    assert controller.current == (second, "s1")
    choose(explore.chooser.normalizer, "nsf")
    explore.chooser.numbers["temperature"].setValue(0.5)
    explore.chooser.numbers["offset"].setValue(-1.0)
    choose(explore.chooser.row, "head 2")
    choose(explore.chooser.transform, "log10")
    assert controller.map is not None
    assert controller.map.source == Source(Normalizer("nsf", 0.5, -1.0), "head 2")
    assert controller.map.transform_name == "log10"
    controller.show_map(first, "s0", transform="percentile")
    assert explore.chooser.run.currentData() is first
    assert explore.chooser.normalizer.currentData() == STORED
    assert explore.chooser.transform.currentData() == "percentile"
    assert not explore.chooser.row.isEnabled()


def test_what_a_run_cannot_derive_is_not_offered_and_the_reason_is_shown(explore: ExploreDock, tmp_path: Path) -> None:
    slides = (SlideHeader("s0", 25, xy=grid_xy(5), tile_size=64.0, watched=False), SlideHeader("s1", 25, watched=False))
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), slides, 1, 3)
    with RunWriter.create(tmp_path / "run.asmil", header) as writer:
        writer.write(record(0, 2, 1, 25, False))
    run = explore.controller.add_run(tmp_path / "run.asmil")
    choose(explore.chooser.run, run)
    assert choices(explore.chooser.normalizer) == [STORED]
    assert choices(explore.chooser.slide) == ["s0"]
    reasons = explore.chooser.reasons.text()
    assert "without an anchor" in reasons
    assert "raw scores of this slide were not recorded" in reasons
    assert "1 slides have no tile coordinates" in reasons


def test_a_run_with_an_anchor_offers_the_anchors_map(explore: ExploreDock, make_run: RunMaker) -> None:
    run = explore.controller.add_run(make_run(anchor=True))
    choose(explore.chooser.run, run)
    choose(explore.chooser.normalizer, ANCHOR)
    assert explore.controller.map is not None
    assert explore.controller.map.source == Source(branch="anchor")


def test_what_is_changed_in_the_layer_controls_is_told(explore: ExploreDock, make_run: RunMaker, qtbot: Any) -> None:
    controller = explore.controller
    controller.show_map(controller.add_run(make_run()), "s0")
    layer = controller.map_layer
    assert layer is not None and "SMOOTHED" not in explore.legend.warnings.text()
    layer.interpolation2d = "linear"
    qtbot.waitUntil(lambda: "SMOOTHED for display (linear)" in explore.legend.warnings.text())
    layer.interpolation2d = "nearest"
    qtbot.waitUntil(lambda: "SMOOTHED" not in explore.legend.warnings.text())
    layer.contrast_limits = (0.25, 1.75)
    qtbot.waitUntil(lambda: "0.25 to 1.75" in explore.legend.facts.text())
    assert "set by hand" in explore.legend.facts.text()


def test_the_legend_names_run_normaliser_transform_limits_and_concentration(
    explore: ExploreDock, make_run: RunMaker
) -> None:
    controller = explore.controller
    run = controller.add_run(make_run("trial"))
    controller.show_map(run, "s0", Source(Normalizer("softmax", 2.0)))
    text = explore.legend.facts.text()
    p = controller.map.probabilities(4) if controller.map else np.ones(1)
    effective = np.exp(-(p * np.log(p)).sum())
    assert explore.chooser.slide.toolTip().endswith("s0 (normal, test)")
    for words in ("trial · ABMIL", "s0", "4 of 4", "softmax T=2", "× uniform", "locked over all 5 epochs"):
        assert words in text, words
    assert f"{effective:.4g} of 25" in text
    assert f"{100 * np.sort(p)[-1]:.3g} % of the attention" in text
    controller.set_locked(False)
    assert "of this epoch alone" in explore.legend.facts.text()
    assert controller.map_layer is not None
    controller.map_layer.contrast_limits = (0, 3)
    assert map_facts(controller.map_layer, 4)["limits"] == "0 to 3 × uniform, set by hand"


def spread_run(path: Path, spread: float, tiles: int = 25) -> Path:
    z = np.zeros((1, tiles), np.float32)
    z[0, 0] = spread
    log_p = (z[0] - np.log(np.exp(z[0].astype(np.float64)).sum())).astype(np.float32)
    one = record(0, 1, 1, tiles, False)
    row = type(one.slides["s0"])(log_p, np.zeros(2, np.float32), np.zeros(3, np.float32), None, z)
    slide = SlideHeader("s0", tiles, xy=grid_xy(5), tile_size=64.0)
    with RunWriter.create(path, RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (slide,), 0, 3)) as writer:
        writer.write(type(one)({"s0": row}))
    return path


@pytest.mark.parametrize(("spread", "word"), [(0.0, "FLAT"), (30.0, "COLLAPSED")])
def test_a_flat_or_collapsed_map_says_so_and_a_transform_that_hides_it_too(
    explore: ExploreDock, tmp_path: Path, spread: float, word: str
) -> None:
    run = explore.controller.add_run(spread_run(tmp_path / "run.asmil", spread))
    explore.controller.show_map(run, "s0")
    assert word in explore.legend.warnings.text()
    assert "percentile" not in explore.legend.warnings.text()
    explore.controller.show_map(run, "s0", transform="percentile")
    assert "percentile shows a flat and a collapsed map alike" in explore.legend.warnings.text()


@pytest.mark.parametrize("source", [Source(), Source(Normalizer("softmax"))])
def test_an_epoch_that_a_run_has_lost_is_empty_and_the_legend_says_why(
    model: Any, explore: ExploreDock, make_run: RunMaker, source: Source
) -> None:
    path = make_run()
    lost = path / ("attention/online/c/3/0" if source == Source() else "scores/c/3/0/0")
    lost.unlink()
    controller = explore.controller
    controller.show_map(controller.add_run(path), "s0", source)
    controller.set_epoch(3)
    explore.write_legend()
    said = explore.legend.warnings.text()
    assert "NO MAP: This run is damaged: Epoch 3" in said and "missing" in said
    assert "nan" not in explore.legend.facts.text()
    assert np.isnan(controller.map_layer.data[3]).all()
    controller.set_epoch(4)
    explore.write_legend()
    assert "unknown: the map of epoch 3 is not there" in explore.legend.facts.text()
    assert "NO MAP" not in explore.legend.warnings.text()


def test_the_slide_shown_first_has_raw_scores_and_others_say_which_have(tmp_path: Path) -> None:
    slides = tuple(
        SlideHeader(f"s{s}", 25, xy=grid_xy(5), tile_size=64.0, watched=s in (2, 3), split="test") for s in range(4)
    )
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), slides, 1, 3)
    with RunWriter.create(tmp_path / "run.asmil", header) as writer:
        writer.write(record(0, 4, 1, 25, False))
    run = open_run(tmp_path / "run.asmil")
    assert first_slide(run).slide_id == "s2"
    assert first_slide(run, ["s1"]).slide_id == "s1"
    _, reasons = sources(run, "s0")
    assert reasons[-1].endswith("They are there for s2, s3.")


def test_maps_are_collected_compared_and_left_with_the_buttons(
    model: Any, explore: ExploreDock, pictured: Pictured
) -> None:
    controller = explore.controller
    runs = [controller.add_run(path) for path in pictured.runs]
    for run in runs:
        controller.show_map(run, "slide")
        explore.panes.add.click()
    assert explore.panes.list.count() == 2
    explore.panes.toggle.click()
    assert model.canvas.grid.enabled
    assert not explore.chooser.run.isEnabled()
    assert "Each pane has its own run, attention and row" in explore.chooser.reasons.text()
    assert "effective tiles" in explore.panes.list.item(1).text()
    assert explore.panes.list.currentRow() == 0
    explore.panes.list.setCurrentRow(1)
    assert model.layers.selection.active is controller.comparison.maps[1]
    explore.write_legend()
    assert explore.legend.title.text().startswith("Pane 2: ") and "second" in explore.legend.facts.text()
    model.layers.selection.active = controller.comparison.maps[0]
    assert explore.panes.list.currentRow() == 0
    choose(explore.chooser.transform, "percentile")
    assert {layer.data.transform_name for layer in controller.comparison.maps} == {"percentile"}
    explore.panes.toggle.click()
    assert not model.canvas.grid.enabled
    assert explore.chooser.run.isEnabled()


def test_export_writes_the_overlay_with_its_facts(
    explore: ExploreDock, pictured: Pictured, tmp_path: Path, qtbot: Any
) -> None:
    controller = explore.controller
    controller.show_map(controller.add_run(pictured.runs[0]), "slide", Source(Normalizer("nsf")))
    controller.set_epoch(3)
    explore.export_to(tmp_path / "overlay.png")
    assert explore.export is not None
    with qtbot.waitSignal(explore.export.ended, timeout=20000):
        pass
    with Image.open(tmp_path / "overlay.png") as picture:
        picture.load()
        facts = picture.text  # type: ignore[attr-defined]
    assert facts["run"] == "first"
    assert facts["epoch"] == "3 of 5"
    assert "NSF T=1" in facts["normaliser"]
    assert "locked" in facts["limits"]


def test_export_of_a_pane_draws_the_slide_and_contours_of_that_pane(
    explore: ExploreDock, pictured: Pictured, tmp_path: Path, qtbot: Any
) -> None:
    controller = explore.controller
    first, second = (controller.add_run(path) for path in pictured.runs)
    controller.show_map(first, "slide")
    controller.comparison.enter([cell_of(MapView(run, "slide")) for run in (first, second)], "slide", "m_alpha")
    explore.panes.list.setCurrentRow(1)
    explore.export_to(tmp_path / "pane.png")
    assert explore.export is not None
    with qtbot.waitSignal(explore.export.ended, timeout=20000):
        pass
    with Image.open(tmp_path / "pane.png") as picture:
        facts = picture.text  # type: ignore[attr-defined]
    assert facts["run"] == "second"
    assert facts["slide file"] == "slide.tif"
    assert facts["contours"] == "1 from slide.geojson"


# ---- Open slide and bags ------------------------------------------------------------------------


@pytest.fixture
def opener(model: Any, qtbot: Any) -> OpenDock:
    dock = OpenDock(model)
    qtbot.addWidget(dock)
    return dock


def test_a_slide_with_contours_is_shown_with_what_was_derived(model: Any, opener: OpenDock, pictured: Pictured) -> None:
    opener.slide.set_path(pictured.slide)
    opener.annotation.set_path(pictured.contours)
    opener.open_button.click()
    assert len(model.layers) == 2
    report = opener.report.toPlainText()
    assert "level 0: 1024 x 1024 px" in report
    assert "0.5 µm per level-0 px" in report
    assert "Tumor" in report


def test_a_refused_file_is_named_and_nothing_is_shown(
    model: Any, opener: OpenDock, pictured: Pictured, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.geojson"
    broken.write_text("{")
    opener.slide.set_path(pictured.slide)
    opener.annotation.set_path(broken)
    notified = len(notification_manager.records)
    opener.open_button.click()
    assert "broken.geojson" in opener.report.toPlainText()
    assert [record.message for record in notification_manager.records[notified:]] == [
        opener.report.toPlainText().removeprefix("REFUSED\n")
    ]
    assert len(model.layers) == 0


def test_features_are_made_from_a_slide_alone_and_taken_up(
    opener: OpenDock, pictured: Pictured, tmp_path: Path, qtbot: Any
) -> None:
    opener.slide.set_path(pictured.slide)
    opener.annotation.set_path(pictured.contours)
    opener.open_button.click()
    opener.extract.tile.setValue(128)
    opener.extract.cover.setChecked(True)
    opener.extract.out.set_path(tmp_path / "slide.h5")
    opener.extract.start_button.click()
    qtbot.waitUntil(lambda: not opener.controller.job.active, timeout=60000)
    assert opener.features.path == tmp_path / "slide.h5"
    cohort = opener.controller.cohort
    assert cohort is not None
    (bag,) = cohort.bags
    assert bag.n_tiles == 64
    assert bag.slide_path == pictured.slide
    assert bag.tile_labels is not None


def test_a_run_is_opened_shown_and_closed(model: Any, opener: OpenDock, pictured: Pictured) -> None:
    opener.run.set_path(pictured.runs[0])
    opener.run_button.click()
    assert opener.controller.current is not None
    assert opener.controller.current[1] == "slide"
    opener.runs.setCurrentRow(0)
    opener.close_button.click()
    assert len(opener.controller.runs) == 0


# ---- all docks ----------------------------------------------------------------------------------


def test_docks_are_closed_and_reopened_and_the_controller_stays(
    make_napari_viewer: Callable[..., Any], make_run: RunMaker
) -> None:
    viewer = make_napari_viewer()
    controller = Controller.of(viewer)
    run = controller.add_run(make_run())
    controller.show_map(run, "s0")
    for dock_type in (ExploreDock, OpenDock):
        dock = dock_type(viewer)
        gone = weakref.ref(dock)
        viewer.window.add_dock_widget(dock, name="dock")
        viewer.window.remove_dock_widget(dock)
        dock.deleteLater()
        del dock
        QApplication.processEvents()
        gc.collect()
        assert gone() is None
        controller.set_epoch(1)
        controller.show_map(run, "s1")
        controller.show_map(run, "s0")
    again = ExploreDock(viewer)
    assert again.chooser.slide.currentData() == "s0"
    again.deleteLater()


@pytest.mark.parametrize("dock_type", [ExploreDock, OpenDock])
def test_every_control_has_a_tooltip_and_no_row_is_cut_off(model: Any, qtbot: Any, dock_type: type) -> None:
    dock = dock_type(model)
    qtbot.addWidget(dock)
    for field in dock.widget().findChildren(PathField):
        assert len(field.line.toolTip()) > 20
    for kind in (QAbstractButton, QComboBox, QLineEdit, QListWidget, QSpinBox):
        for control in dock.widget().findChildren(kind):
            own = control.parent().metaObject().className()
            if control.objectName().startswith("qt_"):
                continue
            assert control.toolTip() or control.parent().toolTip(), (kind.__name__, own)
    assert dock.minimumSizeHint().width() >= 280
    assert dock.minimumSizeHint().width() <= 340
