"""What is dropped on the window is told by content and opened with what is open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from PIL import Image

from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.events import Finished
from napari_asmil.geometry import TileGrid
from napari_asmil.viewer import footprint, layers
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.open import OpenDock
from tests.viewer.conftest import SIDE, SLIDE, TILE, TILES_AT, Pictured, tile_corners


@pytest.fixture
def window(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


@pytest.fixture
def features(pictured: Pictured, tmp_path: Path) -> Path:
    """Features of the pictured slide."""
    path = tmp_path / "features" / f"{pictured.slide.stem}.h5"
    path.parent.mkdir()
    grid = TileGrid(tile_corners(), TILE)
    write_bag(path, in_memory_bag(path.stem, np.ones((len(grid), 3)), grid, slide_size=(SLIDE, SLIDE)))
    return path


def drop(viewer: Any, path: Path) -> Controller:
    viewer.open(str(path), plugin="napari-asmil")
    return Controller.of(viewer)


def kinds(viewer: Any) -> list[str]:
    return [layers.entry(layer)["kind"] for layer in viewer.layers]


def test_a_slide_then_its_features_then_its_annotation_come_to_lie_on_each_other(
    window: Any, pictured: Pictured, features: Path
) -> None:
    controller = drop(window, pictured.slide)
    assert kinds(window) == ["slide"]
    drop(window, features)
    assert kinds(window) == ["slide", layers.FOOTPRINT]
    drop(window, pictured.contours)
    assert controller.cohort is not None
    (bag,) = controller.cohort.bags
    assert bag.slide_path == pictured.slide
    assert bag.tile_labels is not None
    assert bag.tile_labels.sum() * TILE**2 == pytest.approx((400 - 128) * (500 - 192))
    assert any("tile labels: " in line for line in controller.report)


def test_the_edges_drawn_are_those_of_the_tiles(window: Any, pictured: Pictured, features: Path) -> None:
    drop(window, pictured.slide)
    drop(window, features)
    drawn = footprint.layer_of(window).data
    assert len(drawn) == 2 * (SIDE + 1)
    ends = np.concatenate([drawn[:, 0], drawn.sum(axis=1)])
    x0, y0 = TILES_AT
    np.testing.assert_array_equal(ends.min(axis=0), [y0 - 0.5, x0 - 0.5])
    np.testing.assert_array_equal(ends.max(axis=0), [y0 + SIDE * TILE - 0.5, x0 + SIDE * TILE - 0.5])


def test_the_edges_go_when_a_map_comes_and_when_another_slide_does(
    window: Any, pictured: Pictured, features: Path
) -> None:
    drop(window, features)
    assert layers.FOOTPRINT in kinds(window)
    drop(window, pictured.slide)
    assert layers.FOOTPRINT in kinds(window), "features that came first lie on the slide that came after"
    controller = Controller.of(window)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    assert layers.FOOTPRINT not in kinds(window)


def test_features_of_another_slide_are_not_laid_on_the_one_that_is_shown(
    window: Any, pictured: Pictured, features: Path
) -> None:
    drop(window, pictured.slide)
    other = features.rename(features.with_name("another.h5"))
    controller = drop(window, other)
    assert kinds(window) == ["slide"]
    assert f"not laid on {pictured.slide.name}" in controller.report[-1]


def test_an_annotation_of_another_slide_is_refused_in_the_window_and_nothing_is_drawn(
    window: Any, pictured: Pictured, tmp_path: Path
) -> None:
    drop(window, pictured.slide)
    far = tmp_path / "far.geojson"
    ring = [[90_000, 90_000], [90_100, 90_000], [90_100, 90_100], [90_000, 90_000]]
    far.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    controller = drop(window, far)
    assert kinds(window) == ["slide"]
    assert controller.report[0] == "REFUSED"
    assert "None of its contours lies on the slide" in controller.report[1]
    assert "None of its contours lies on the slide" in notification_manager.records[-1].message


def test_a_label_table_joins_the_folder_of_features_that_is_open(window: Any, features: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"slide_id,label\n{features.stem},tumour\n")
    assert "no folder of features is open" in drop(window, table).report[1]
    drop(window, features.parent)
    controller = drop(window, table)
    assert controller.cohort is not None
    assert controller.cohort.class_names == ("tumour",)


def test_a_file_that_is_nothing_of_ours_is_refused_with_a_sentence(window: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(60))
    report = drop(window, broken).report
    assert report[0] == "REFUSED"
    assert str(broken) in report[1]


def test_the_dock_names_what_was_dropped_and_says_what_was_derived(
    window: Any, pictured: Pictured, features: Path, qtbot: Any
) -> None:
    drop(window, pictured.slide)
    drop(window, features)
    dock = OpenDock(window)
    qtbot.addWidget(dock)
    dock.show()
    assert (dock.slide.path, dock.features.path) == (pictured.slide, features)
    assert "patch_size_level0" in dock.report.toPlainText()
    assert dock.tiles.isChecked()
    dock.tiles.click()
    assert kinds(window) == ["slide"]
    dock.tiles.click()
    assert kinds(window) == ["slide", layers.FOOTPRINT]


def test_a_layer_that_another_plugin_opened_is_taken_as_the_slide(window: Any, pictured: Pictured, qtbot: Any) -> None:
    (strange,) = window.open(str(pictured.slide), plugin="napari")
    dock = OpenDock(window)
    qtbot.addWidget(dock)
    dock.show()
    window.layers.selection = {strange}
    dock.layer_button.click()
    controller = Controller.of(window)
    assert controller.slide is not None
    assert controller.slide.path == pictured.slide
    assert not strange.visible
    window.layers.selection = {window.add_image(np.zeros((8, 8)), name="made here")}
    dock.layer_button.click()
    assert "'made here' does not say which file it is of" in dock.report.toPlainText()


def test_what_a_person_knows_of_the_slide_reaches_it(window: Any, pictured: Pictured, qtbot: Any) -> None:
    dock = OpenDock(window)
    qtbot.addWidget(dock)
    dock.show()
    dock.slide.set_path(pictured.slide)
    assert dock.mpp.text() == "as the files say"
    dock.mpp.setValue(0.25)
    dock.open_button.click()
    controller = Controller.of(window)
    assert controller.slide is not None
    assert (controller.slide.mpp, controller.slide.mpp_source) == (0.25, "the user")


def test_a_file_of_many_bags_is_a_cohort_with_the_labels_it_brings(window: Any, tmp_path: Path) -> None:
    arrays = {"features": np.ones((6, 3)), "bag_id": np.arange(6) // 2, "bag_label": np.array([0, 1, 1])}
    np.savez(tmp_path / "fox.npz", **arrays)
    controller = drop(window, tmp_path / "fox.npz")
    assert controller.cohort is not None
    assert controller.cohort.labels == {"fox-0": 0, "fox-1": 1, "fox-2": 1}
    table = tmp_path / "labels.csv"
    table.write_text("slide_id,label\nfox-0,b\nfox-1,b\nfox-2,a\n")
    drop(window, table)
    assert controller.cohort.class_names == ("a", "b")


def test_what_is_refused_stays_in_the_fields_and_names_them(
    window: Any, pictured: Pictured, features: Path, tmp_path: Path, qtbot: Any
) -> None:
    drop(window, pictured.slide)
    dock = OpenDock(window)
    qtbot.addWidget(dock)
    dock.show()
    with h5py.File(features) as file:
        xy = file["coords"][()]
    scores = tmp_path / f"{pictured.slide.stem}.csv"
    scores.write_text("x,y,attention\n" + "".join(f"{x},{y},{x - y}\n" for x, y in xy))
    controller = drop(window, scores)
    assert dock.scores.path == scores
    assert "(Tile edge)" in dock.report.toPlainText()
    dock.tile_size.setValue(TILE)
    dock.values.setCurrentText("logits")
    dock.open_button.click()
    assert controller.map is not None
    assert controller.map.slide.slide_id == pictured.slide.stem
    assert dock.scores.path is None


def test_contours_and_pixel_size_of_one_slide_end_with_it(
    window: Any, pictured: Pictured, tmp_path: Path, qtbot: Any
) -> None:
    dock = OpenDock(window)
    qtbot.addWidget(dock)
    dock.show()
    dock.slide.set_path(pictured.slide)
    dock.annotation.set_path(pictured.contours)
    dock.mpp.setValue(0.25)
    dock.open_button.click()
    assert kinds(window) == ["slide", "contours"]
    other = tmp_path / "another.tif"
    noise = np.random.default_rng(0).integers(0, 256, (SLIDE, SLIDE, 3), np.uint8)
    tifffile.imwrite(other, noise, photometric="rgb", tile=(128, 128))
    controller = drop(window, other)
    assert kinds(window) == ["slide"]
    assert "taken away" in controller.report[-1]
    assert (dock.slide.path, dock.annotation.path, dock.mpp.value()) == (other, None, 0)
    assert controller.slide is not None and controller.slide.mpp_source != "the user"


def test_a_mask_that_is_dropped_on_its_slide_is_its_annotation_and_a_picture_is_a_slide(
    window: Any, pictured: Pictured, tmp_path: Path
) -> None:
    drop(window, pictured.slide)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    controller = drop(window, tmp_path / "mask.png")
    assert kinds(window) == ["slide", "contours"]
    assert controller.contours is not None
    assert controller.contours.tumour().bounds == (128, 256, 384, 512)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "picture.png")
    drop(window, tmp_path / "picture.png")
    assert controller.slide is not None and controller.slide.path.name == "picture.png"


def test_tiles_that_may_be_wrong_are_asked_about_over_the_canvas(
    window: Any, pictured: Pictured, features: Path
) -> None:
    with h5py.File(features, "a") as file:
        file["coords"].attrs["patch_size_level0"] = TILE // 2
        file["coords"].attrs["patch_size"] = TILE // 2
    drop(window, pictured.slide)
    drop(window, features)
    assert "gaps of 32 px lie between tiles" in notification_manager.records[-1].message


def test_features_that_a_job_wrote_and_that_do_not_fit_are_refused_in_words(
    window: Any, pictured: Pictured, features: Path
) -> None:
    drop(window, pictured.slide)
    with h5py.File(features, "a") as file:
        file["coords"].attrs["level0_width"] = SLIDE + 1
    controller = Controller.of(window)
    controller.on_event(Finished(features, "done", "made"))
    assert controller.report[0] == "REFUSED"
    assert f"{SLIDE + 1} x {SLIDE}" in controller.report[1]
