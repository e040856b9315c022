"""Making features in the window: encoder, tissue, areas, and what is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event as Flag
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QFormLayout

from napari_asmil.annotations import read_annotations
from napari_asmil.bags import read_bag
from napari_asmil.encoders.resnet import NETWORKS, ResNet
from napari_asmil.events import Finished
from napari_asmil.viewer import layers, tissue
from napari_asmil.viewer.docks.base import PathField
from napari_asmil.viewer.docks.extract import AS_ENCODER, AT_MPP
from napari_asmil.viewer.docks.open import OpenDock
from napari_asmil.viewer.docks.roles import recast

PATIENCE = 60_000
"""Milliseconds, for a machine that has much else to do."""


@pytest.fixture
def opener(model: Any, qtbot: Any) -> OpenDock:
    dock = OpenDock(model)
    qtbot.addWidget(dock)
    dock.resize(300, 900)
    dock.show()
    return dock


@pytest.fixture
def stained(tmp_path: Path) -> Path:
    """Glass of 800 x 600 px at 1 µm with one pink rectangle, x 200 to 600 and y 100 to 400."""
    pixels = np.full((600, 800, 3), 245, np.uint8)
    pixels[100:400, 200:600] = (220, 120, 170)
    path = tmp_path / "stained.tif"
    options = {"photometric": "rgb", "resolution": (10000, 10000), "resolutionunit": 3, "metadata": None}
    tifffile.imwrite(path, pixels, tile=(128, 128), **options)
    return path


def click(button: QAbstractButton) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def click_and_wait(button: QAbstractButton, dock: OpenDock, qtbot: Any) -> None:
    click(button)
    qtbot.waitUntil(lambda: not dock.controller.job.active, timeout=PATIENCE)


def outlines(dock: OpenDock) -> Any:
    return tissue.layer_of(dock.controller.viewer)


def complaint(since: int) -> str:
    return " ".join(record.message for record in notification_manager.records[since:])


def test_tissue_is_drawn_on_the_slide_where_it_is(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    drawn = outlines(opener)
    assert [layers.entry(la)["kind"] for la in opener.controller.viewer.layers] == ["slide", layers.TISSUE]
    ends = np.concatenate([drawn.data[:, 0], drawn.data.sum(axis=1)])
    np.testing.assert_allclose(ends.min(axis=0), (99.5, 199.5), atol=8)  # world: a px has its centre on a whole number
    np.testing.assert_allclose(ends.max(axis=0), (399.5, 599.5), atol=8)
    assert "above Otsu's threshold" in opener.report.toPlainText()
    assert drawn.edge_width == pytest.approx(layers.CONTOUR_WIDTH / opener.controller.viewer.scene.camera.zoom)


def test_what_tiles_are_laid_in_is_drawn_instead_of_tissue(
    opener: OpenDock, stained: Path, tmp_path: Path, qtbot: Any
) -> None:
    ring = [[0, 0], [300, 0], [300, 200], [0, 200], [0, 0]]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    opener.slide.set_path(stained)
    opener.extract.within.set_path(tmp_path / "area.geojson")
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    assert len(outlines(opener).data) == 4
    opener.extract.tile.setValue(100)
    click_and_wait(opener.extract.start_button, opener, qtbot)
    tiles = read_bag(stained.with_suffix(".h5")).tiles
    assert tiles is not None
    assert tiles.xy.tolist() == [[0, 0], [100, 0], [200, 0], [0, 100], [100, 100], [200, 100]]


def test_outlines_are_saved_beside_the_slide_and_taken_as_the_area(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    assert not opener.extract.save_button.isEnabled()
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    click(opener.extract.save_button)
    path = stained.with_name("stained_tissue.geojson")
    assert opener.extract.within.path == path
    assert read_annotations(path).groups == {"tissue": 1}
    since = len(notification_manager.records)
    click(opener.extract.save_button)
    assert "not overwritten" in complaint(since)


def test_outlines_of_another_slide_are_taken_away(opener: OpenDock, stained: Path, pictured: Any, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    opener.slide.set_path(pictured.slide)
    click(opener.open_button)
    assert outlines(opener) is None
    assert not opener.extract.save_button.isEnabled()


def test_tissue_is_looked_for_on_the_slide_that_is_chosen_which_stays_chosen(
    opener: OpenDock, stained: Path, pictured: Any, qtbot: Any
) -> None:
    opener.slide.set_path(pictured.slide)
    click(opener.open_button)
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    assert opener.slide.path == opener.controller.opened.slide == stained
    assert opener.extract.out.path == stained.with_suffix(".h5")
    click_and_wait(opener.extract.start_button, opener, qtbot)
    assert read_bag(stained.with_suffix(".h5")).slide_id == "stained"


def test_outlines_outlive_the_dock_and_go_with_their_slide(
    opener: OpenDock, model: Any, stained: Path, pictured: Any, qtbot: Any
) -> None:
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    opener.close()
    again = OpenDock(model)
    qtbot.addWidget(again)
    assert again.extract.save_button.isEnabled()
    again.slide.set_path(pictured.slide)
    click(again.open_button)
    assert outlines(again) is None and not again.extract.save_button.isEnabled()


def test_areas_stay_where_they_are_when_the_annotation_is_said_to_count_from_the_scanned_area(
    opener: OpenDock, stained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = [[0, 0], [300, 0], [300, 200], [0, 200], [0, 0]]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    opener.slide.set_path(stained)
    click(opener.open_button)
    assert opener.controller.slide is not None
    opener.controller.slide.bounds = (100, 50)
    contours = opener.controller.open_contours(tmp_path / "area.geojson")
    opener.annotation.set_path(tmp_path / "area.geojson")
    recast(opener.controller, contours.counted_from((100, 50)))
    opener.extract.within.set_path(tmp_path / "area.geojson")
    asked: list[Any] = []
    monkeypatch.setattr(opener.controller.job, "start", lambda events, *_: asked.append(events.__self__))
    click(opener.extract.start_button)
    opener.extract.within_cropped.setChecked(True)
    click(opener.extract.start_button)
    assert [(job.cropped, job.within_cropped) for job in asked] == [(True, False), (True, True)]


def test_a_search_that_is_stopped_finds_nothing(stained: Path) -> None:
    stop, search = Flag(), tissue.Search(stained)
    events = search.events(stop)
    next(events)
    stop.set()
    (last,) = events
    assert isinstance(last, Finished) and (last.why, search.found) == ("stopped", None)


def test_saved_outlines_say_what_they_count_from(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    assert opener.controller.slide is not None
    opener.controller.slide.bounds = (100, 50)
    click(opener.extract.save_button)
    assert "open the slide in QuPath with --no-crop" in opener.report.toPlainText()


@pytest.mark.parametrize(("field", "says"), [("slide", "No slide is chosen"), ("out", "where the features go")])
def test_what_is_missing_is_named(opener: OpenDock, stained: Path, field: str, says: str) -> None:
    opener.slide.set_path(stained)
    (opener.slide if field == "slide" else opener.extract.out).set_path(None)
    since = len(notification_manager.records)
    click(opener.extract.start_button)
    assert says in complaint(since)


def test_features_may_end_in_hdf5(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    opener.extract.out.set_path(stained.with_suffix(".hdf5"))
    click_and_wait(opener.extract.start_button, opener, qtbot)
    assert opener.features.path == stained.with_suffix(".hdf5")


def test_a_person_may_delete_the_outlines_and_ask_for_them_again(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    opener.controller.viewer.layers.remove(outlines(opener))
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    assert [layers.entry(la)["kind"] for la in opener.controller.viewer.layers] == ["slide", layers.TISSUE]


def test_a_slide_without_tissue_is_a_sentence(opener: OpenDock, tmp_path: Path, qtbot: Any) -> None:
    tifffile.imwrite(tmp_path / "glass.tif", np.full((300, 300, 3), 245, np.uint8), photometric="rgb", metadata=None)
    opener.slide.set_path(tmp_path / "glass.tif")
    since = len(notification_manager.records)
    click_and_wait(opener.extract.tissue_button, opener, qtbot)
    assert "No tissue was found" in complaint(since) and outlines(opener) is None


def test_nothing_is_looked_for_without_a_slide(opener: OpenDock) -> None:
    since = len(notification_manager.records)
    click(opener.extract.tissue_button)
    assert "No slide is chosen" in complaint(since) and not opener.controller.job.active


def test_the_least_share_of_tissue_decides_on_the_tiles(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    numbers = []
    for least in (0, 50, 95):
        out = stained.with_name(f"{least}.h5")
        opener.slide.set_path(stained)
        opener.extract.out.set_path(out)
        opener.extract.tile.setValue(150)
        opener.extract.least.setValue(least)
        click_and_wait(opener.extract.start_button, opener, qtbot)
        numbers.append(read_bag(out).n_tiles)
    assert numbers[0] > numbers[1] > numbers[2]


def test_an_encoder_with_weights_gives_its_own_features(
    opener: OpenDock, stained: Path, tmp_path: Path, qtbot: Any
) -> None:
    torch.manual_seed(0)
    torch.save(ResNet(*NETWORKS["resnet18"]).state_dict(), tmp_path / "weights.pth")
    form = opener.extract
    form.encoder.name.setCurrentText("resnet18")
    form.encoder.takes.set_path(tmp_path / "weights.pth")
    form.encoder.device_box.setCurrentText("CPU")
    form.unit.setCurrentText(AT_MPP)
    form.tile.setValue(128)
    form.mpp.setValue(1.0)
    opener.slide.set_path(stained)
    click_and_wait(form.start_button, opener, qtbot)
    bag = read_bag(stained.with_suffix(".h5"))
    assert bag.encoder.startswith("resnet18-") and bag.n_features == 512
    assert bag.tiles is not None and (bag.tiles.size, bag.tile_px) == (128, 224)


def test_an_encoder_without_its_weights_is_a_sentence(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    opener.extract.encoder.name.setCurrentText("resnet50")
    since = len(notification_manager.records)
    click_and_wait(opener.extract.start_button, opener, qtbot)
    assert "It is written resnet50:WEIGHTS" in complaint(since)
    assert not stained.with_suffix(".h5").exists()


def test_the_licence_is_shown_as_a_model_is_named(opener: OpenDock) -> None:
    choice = opener.extract.encoder
    choice.name.setCurrentText("timm")
    choice.takes.line.setText("hf-hub:MahmoodLab/UNI")
    assert choice.spec == "timm:hf-hub:MahmoodLab/UNI"
    assert choice.licence.text().startswith("CC-BY-NC-ND-4.0; not for commercial use; gated")
    choice.takes.line.setText("hf-hub:me/mine")
    assert choice.licence.text() == "licence unknown: see https://huggingface.co/me/mine"


def test_only_fields_that_count_can_be_filled(opener: OpenDock) -> None:
    form = opener.extract
    assert (form.encoder.takes.isEnabled(), form.encoder.device_box.isEnabled()) == (False, False)
    form.encoder.name.setCurrentText("pt2")
    assert (form.encoder.takes.isEnabled(), form.encoder.device_box.isEnabled()) == (True, True)
    assert form.encoder.takes.line.placeholderText() == "FILE.pt2"
    form.unit.setCurrentText(AS_ENCODER)
    assert (form.tile.isEnabled(), form.mpp.isEnabled()) == (False, False)
    click(form.cover)
    form.cover.setChecked(True)
    assert not (form.within.isEnabled() or form.least.isEnabled() or form.tissue_button.isEnabled())


def test_the_colour_encoder_wants_no_size_of_its_own(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    opener.extract.unit.setCurrentText(AS_ENCODER)
    since = len(notification_manager.records)
    click_and_wait(opener.extract.start_button, opener, qtbot)
    assert "The tile size must be either" in complaint(since)


def test_what_a_person_says_of_the_pixel_size_counts(opener: OpenDock, stained: Path, qtbot: Any) -> None:
    opener.slide.set_path(stained)
    opener.mpp.setValue(0.5)
    click(opener.open_button)
    opener.extract.unit.setCurrentText(AT_MPP)
    opener.extract.tile.setValue(50)
    opener.extract.mpp.setValue(1.0)
    click_and_wait(opener.extract.start_button, opener, qtbot)
    bag = read_bag(stained.with_suffix(".h5"))
    assert bag.tiles is not None and (bag.tiles.size, bag.mpp) == (100, 0.5)


def test_every_row_has_a_tip_and_is_readable_in_a_dock_of_300_px(opener: OpenDock) -> None:
    form = opener.extract
    rows = form.layout()
    assert isinstance(rows, QFormLayout)
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox, PathField):
        for control in form.findChildren(kind):
            assert control.toolTip() or control.parent().toolTip(), control
    assert opener.minimumSizeHint().width() <= 340
    for row in range(rows.rowCount()):
        item = rows.itemAt(row, QFormLayout.ItemRole.LabelRole)
        if item is not None:
            label = item.widget()
            assert label.width() >= label.sizeHint().width(), label.text()
