"""The pinned tile with its picture and its course, and the galleries: against the slide and the run."""

from __future__ import annotations

import csv
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QApplication
from scipy.special import logsumexp
from scipy.stats import rankdata

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.geometry import TileGrid
from napari_asmil.runs import MapView, RunWriter, Source
from napari_asmil.slides import open_slide
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.gallery import BOTTOM, CHANGED, TOP, K
from napari_asmil.viewer.docks.inspect import InspectDock
from napari_asmil.viewer.docks.pinned import NONE
from napari_asmil.viewer.tile_pictures import level_for, read_tile
from tests.conftest import record
from tests.viewer.conftest import PLANTED, SIDE, SLIDE, TILE, Pictured, pictured_record, tile_corners
from tests.viewer.test_dynamics_dock import shaped, write_shaped

RunMaker = Callable[..., Path]
TILES = SIDE * SIDE


@pytest.fixture
def controller(model: Any, pictured: Pictured) -> Controller:
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in pictured.runs]
    controller.show_map(runs[0], "slide")
    return controller


@pytest.fixture
def dock(controller: Controller, qtbot: Any) -> InspectDock:
    return shown(controller, qtbot)


def shown(controller: Controller, qtbot: Any) -> InspectDock:
    """The dock with tile and galleries in front."""
    dock = InspectDock(controller.viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 1000)
    dock.show()
    qtbot.waitExposed(dock)
    dock.tabs.setCurrentIndex(1)
    controller.idle.finish()
    return dock


def m_alpha(run: Any, epoch: int, slide: str = "slide") -> np.ndarray:
    row = run.attention(epoch, slide).astype(np.float64)
    return np.exp(row - logsumexp(row)) * len(row)


def colours(pixmap: Any) -> np.ndarray:
    """Grey values of a picture of equal channels."""
    image = pixmap.toImage()
    return np.array([[image.pixelColor(x, y).red() for x in range(image.width())] for y in range(image.height())])


def click_gallery(dock: InspectDock, qtbot: Any, at: int) -> None:
    qtbot.mouseClick(dock.gallery.buttons[at], Qt.MouseButton.LeftButton)


def drawn(dock: InspectDock) -> list[np.ndarray]:
    return [curve.y for curve in dock.pinned.panel._series]


# ---- pictures of tiles ----------------------------------------------------------------------------


def test_a_tile_is_read_from_the_level_that_fits_it(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (SLIDE, SLIDE, 3), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(pixels, tile=(128, 128), photometric="rgb", subifds=2)
        for step in (2, 4):
            tif.write(pixels[::step, ::step], tile=(128, 128), photometric="rgb", subfiletype=1)
    with open_slide(tmp_path / "a.tif") as slide:
        assert [level_for(slide, 256, side) for side in (300, 256, 200, 128, 64, 10)] == [0, 0, 0, 1, 2, 2]
        tiles = TileGrid(np.array([[512, 256], [900, 1000]]), 256)
        for side, step in ((256, 1), (128, 2), (60, 4)):
            got, level = read_tile(slide, tiles, 0, side)
            assert level == step // 2
            np.testing.assert_array_equal(got, pixels[256:512:step, 512:768:step])
        over, _ = read_tile(slide, tiles, 1, 256)
        np.testing.assert_array_equal(over[:24, :124], pixels[1000:, 900:])
        assert (over[24:] == 255).all() and (over[:, 124:] == 255).all()


# ---- the pinned tile ------------------------------------------------------------------------------


def test_a_click_pins_the_tile_and_shows_its_picture(dock: InspectDock) -> None:
    assert dock.pinned.facts.text() == NONE
    dock.tabs.setCurrentIndex(0)
    dock.picker.clicked.emit(*dock.inspected.view.slide.tiles.centres[PLANTED])
    assert dock.controller.selection.pinned == PLANTED and dock.tabs.currentIndex() == 1
    dock.controller.idle.finish()
    assert (colours(dock.pinned.picture.pixmap()) > 245).all()
    assert dock.pinned.about.text() == "64 level-0 px (32 µm) a side; picture from level 0, 64 x 64 px (downsample 1)."
    dock.picker.clicked.emit(*dock.inspected.view.slide.tiles.centres[PLANTED + 1])
    dock.controller.idle.finish()
    assert (np.abs(colours(dock.pinned.picture.pixmap()) - 90) < 6).all()
    dock.picker.clicked.emit(0.0, 0.0)
    assert dock.controller.selection.pinned == PLANTED + 1


def test_what_is_said_of_the_tile_follows_the_slider_and_reads_no_pixels(dock: InspectDock) -> None:
    controller = dock.controller
    controller.selection.pin(7)
    controller.idle.finish()
    requests = controller.slide.requests
    for epoch in (0, 3):
        controller.set_epoch(epoch)
        controller.idle.finish()
        expected = m_alpha(controller.runs[0], epoch)
        assert f"M·α {expected[7]:.4g} × uniform" in dock.pinned.facts.text()
        assert f"rank {int(rankdata(-expected, method='min')[7])} of {TILES}" in dock.pinned.facts.text()
    assert controller.slide.requests == requests


def test_its_course_is_drawn_for_every_run_with_the_same_tiles(dock: InspectDock) -> None:
    dock.controller.selection.pin(7)
    dock.controller.idle.finish()
    runs = dock.controller.runs
    for run, y in zip(runs, drawn(dock), strict=True):
        np.testing.assert_allclose(y, [m_alpha(run, epoch)[7] for epoch in range(6)], rtol=1e-12)
    assert dock.pinned.stack.key.names == ["first (ABMIL)", "second (ABMIL)"]
    assert not dock.pinned.others.isVisible()
    dock.controller.show_map(runs[0], "slide", Source(Normalizer("nsf")))
    np.testing.assert_allclose(drawn(dock)[0][5], m_alpha(runs[0], 5)[7])  # as each run stored it, as is said


def test_scrubbing_draws_no_course(dock: InspectDock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.controller.selection.pin(7)
    dock.controller.idle.finish()
    calls: list[int] = []
    monkeypatch.setattr(dock.pinned.panel, "set_series", lambda *_: calls.append(1))
    for epoch in (0, 3, 1):
        dock.controller.set_epoch(epoch)
        dock.controller.idle.finish()
    assert calls == [] and dock.pinned.panel.cursor.value() == 1


def test_a_run_that_is_opened_later_is_followed_too(model: Any, pictured: Pictured, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    dock = shown(controller, qtbot)
    controller.selection.pin(7)
    controller.idle.finish()
    dock.tabs.setCurrentIndex(0)
    second = controller.add_run(pictured.runs[1])
    dock.tabs.setCurrentIndex(1)
    controller.idle.finish()
    np.testing.assert_allclose(drawn(dock)[1], [m_alpha(second, epoch)[7] for epoch in range(6)])
    controller.remove_run(second)
    assert len(drawn(dock)) == 1


def test_a_click_on_its_course_goes_to_that_epoch(dock: InspectDock, qtbot: Any) -> None:
    dock.controller.selection.pin(7)
    dock.controller.idle.finish()
    panel = dock.pinned.panel
    assert panel.cursor.value() == 5
    QApplication.processEvents()
    box = panel.plot.getViewBox()
    place = panel.plot.mapFromScene(box.mapViewToScene(QPointF(2, float(np.mean(box.viewRange()[1])))))
    qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert dock.controller.epoch == 2
    dock.controller.set_epoch(4)
    assert panel.cursor.value() == 4


def test_a_run_of_other_tiles_has_no_curve_and_words_say_so(model: Any, make_run: RunMaker, qtbot: Any) -> None:
    controller = Controller.of(model)
    for name, side in (("large", 5), ("small", 4)):
        controller.add_run(make_run(name, side=side))
    controller.show_map(controller.runs[0], "s0")
    dock = shown(controller, qtbot)
    controller.selection.pin(3)
    controller.idle.finish()
    assert [len(y) for y in drawn(dock)] == [5, 0]
    assert dock.pinned.others.text() == "small: no curve, it has other tiles: 16 tiles, not 25."


def test_a_course_grows_with_its_run_without_being_read_again(
    model: Any, make_run: RunMaker, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, controller = make_run("growing", epochs=2, planned=9), Controller.of(model)
    run = controller.add_run(path)
    controller.show_map(run, "s0")
    dock = shown(controller, qtbot)
    controller.selection.pin(3)
    controller.idle.finish()
    asked: list[int] = []
    monkeypatch.setattr(
        "napari_asmil.viewer.docks.pinned.trajectory",
        lambda run, slide, tile, begin: (asked.append(begin), iter([m_alpha(run, 3, "s0")[3]]))[1],
    )
    with RunWriter.resume(path) as writer:
        writer.write(record(3, 2, 1, 25, False))
    controller.follower.look()
    controller.idle.finish()
    np.testing.assert_allclose(drawn(dock)[0], [m_alpha(run, epoch, "s0")[3] for epoch in range(4)])
    assert set(asked) == {3}


def test_without_a_slide_file_words_stand_in_for_the_picture(model: Any, pictured: Pictured, qtbot: Any) -> None:
    pictured.slide.unlink()
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    dock = shown(controller, qtbot)
    controller.selection.pin(PLANTED)
    controller.idle.finish()
    assert not dock.pinned.picture.isVisible()
    assert "No picture: the slide file is not open. slide.tif is not where the run says" in dock.pinned.about.text()
    assert dock.gallery.about.text().startswith("No pictures: the slide file is not open.")
    assert dock.gallery.buttons[0].text().endswith("#1")


def test_a_slide_that_cannot_be_read_says_so(dock: InspectDock) -> None:
    dock.controller.slide.close()
    dock.controller.selection.pin(2)
    dock.controller.idle.finish()
    assert dock.pinned.about.text().startswith("No picture: ")


def test_unpinning_and_another_slide_clear_the_place(dock: InspectDock, qtbot: Any) -> None:
    controller = dock.controller
    controller.selection.pin(7)
    qtbot.mouseClick(dock.pinned.unpin, Qt.MouseButton.LeftButton)
    assert controller.selection.pinned is None and controller.marks.layer is None
    assert dock.pinned.facts.text() == NONE and not dock.pinned.stack.isVisible()
    controller.selection.pin(7)
    controller.show_map(controller.runs[0], "other")
    assert dock.pinned.facts.text() == NONE


def test_behind_another_tab_nothing_is_read_and_it_goes_on_when_it_is_seen(dock: InspectDock) -> None:
    controller = dock.controller
    dock.gallery.order.setCurrentText(BOTTOM)
    controller.selection.pin(PLANTED)
    requests = controller.slide.requests
    dock.tabs.setCurrentIndex(0)
    controller.idle.finish()
    assert controller.slide.requests == requests and all(len(y) == 0 for y in dock.pinned._known.values())
    dock.tabs.setCurrentIndex(1)
    controller.idle.finish()
    assert (colours(dock.pinned.picture.pixmap()) > 245).all()
    assert [len(y) for y in drawn(dock)] == [6, 6]
    assert (np.abs(colours(dock.gallery.buttons[0].icon().pixmap(dock.gallery.buttons[0].iconSize())) - 90) < 6).all()


def test_another_slide_in_the_place_of_a_closed_one_has_pictures_of_its_own(dock: InspectDock, tmp_path: Path) -> None:
    """A slide may be made where a closed one lay in memory."""
    controller, path = dock.controller, tmp_path / "dark.tif"
    tifffile.imwrite(path, np.full((SLIDE, SLIDE, 3), 30, np.uint8), tile=(128, 128), photometric="rgb")
    controller.selection.pin(PLANTED)
    controller.idle.finish()
    names = set(dock.gallery._pictures)
    closed = id(controller.slide)
    controller.open_slide(path)
    gc.collect()
    dock.gallery.refresh()
    dock.pinned.refresh()
    controller.idle.finish()
    assert (np.abs(colours(dock.pinned.picture.pixmap()) - 30) < 6).all()
    assert not any(closed in name for name in names) and names.isdisjoint(list(dock.gallery._pictures)[-K:])


# ---- galleries ------------------------------------------------------------------------------------


def test_the_highest_and_the_lowest_stand_in_order_with_value_and_rank(dock: InspectDock, qtbot: Any) -> None:
    gallery, run = dock.gallery, dock.controller.runs[0]
    for epoch in (5, 1):
        dock.controller.set_epoch(epoch)
        for order, sign in ((TOP, -1), (BOTTOM, 1)):
            gallery.order.setCurrentText(order)
            gallery.refresh()
            values = m_alpha(run, epoch)
            expected = np.argsort(sign * values, kind="stable")[:K]
            np.testing.assert_array_equal(gallery.tiles, expected)
            ranks = rankdata(-values, method="min").astype(int)
            captions = [f"{values[t]:.3g}\n#{ranks[t]}" for t in expected]
            assert [button.text() for button in gallery.buttons] == captions
    assert f"rank among {TILES} tiles, epoch 1" in gallery.about.text()


def test_pictures_are_loaded_in_idle_moments_once(dock: InspectDock) -> None:
    gallery, controller = dock.gallery, dock.controller
    assert gallery.tiles[0] == PLANTED
    side = gallery.buttons[0].iconSize()
    assert (colours(gallery.buttons[0].icon().pixmap(side)) > 245).all()
    assert (np.abs(colours(gallery.buttons[5].icon().pixmap(side)) - 90) < 6).all()
    requests = controller.slide.requests
    gallery.refresh()
    controller.idle.finish()
    assert controller.slide.requests == requests


def test_while_the_slider_moves_no_picture_is_read(dock: InspectDock, qtbot: Any) -> None:
    gallery, controller = dock.gallery, dock.controller
    gallery.order.setCurrentText(BOTTOM)
    controller.idle.finish()
    requests, before = controller.slide.requests, gallery.tiles
    for epoch in (4, 3, 2):
        controller.set_epoch(epoch)
        controller.idle.finish()
        assert gallery.tiles is before and controller.slide.requests == requests
    expected = np.argsort(m_alpha(controller.runs[0], 2), kind="stable")[:K]
    qtbot.waitUntil(lambda: np.array_equal(gallery.tiles, expected))
    controller.idle.finish()
    assert controller.slide.requests > requests


def test_another_map_ends_the_reading_of_pictures(dock: InspectDock) -> None:
    gallery, controller = dock.gallery, dock.controller
    gallery.order.setCurrentText(BOTTOM)
    assert controller.idle.active
    requests = controller.slide.requests
    controller.show_map(controller.runs[1], "slide")
    controller.idle.finish()
    assert controller.slide.requests == requests


def test_what_changed_most_since_the_epoch_before_or_another(dock: InspectDock) -> None:
    gallery, controller = dock.gallery, dock.controller
    assert not gallery.since.isVisible()
    gallery.order.setCurrentText(CHANGED)
    assert gallery.since.isVisible() and gallery.since.text() == "the epoch before"
    for chosen, since in ((-1, 4), (1, 1)):
        gallery.since.setValue(chosen)
        now, then = m_alpha(controller.runs[0], 5), m_alpha(controller.runs[0], since)
        expected = np.argsort(-np.abs(now - then), kind="stable")[:K]
        np.testing.assert_array_equal(gallery.tiles, expected)
        rank = int(rankdata(-now, method="min")[expected[0]])
        first = f"{now[expected[0]]:.3g}\n({now[expected[0]] - then[expected[0]]:+.3g})\n#{rank}"
        assert gallery.buttons[0].text() == first
        assert f"its change since epoch {since}" in gallery.about.text()
    gallery.since.setValue(5)
    assert gallery.about.text() == "Epoch 5 is the one that is shown: nothing has changed since."
    assert not gallery.buttons[0].isVisible()
    gallery.since.setValue(-1)
    controller.set_epoch(0)
    gallery.refresh()
    assert gallery.about.text() == "There is no epoch before the first to have changed since."


def test_a_click_goes_to_the_tile_and_pins_it(dock: InspectDock, qtbot: Any) -> None:
    viewer = dock.controller.viewer
    click_gallery(dock, qtbot, 3)
    tile = int(dock.gallery.tiles[3])
    assert dock.controller.selection.pinned == tile
    x, y = tile_corners()[tile]
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (y + TILE / 2 - 0.5, x + TILE / 2 - 0.5))
    assert viewer.scene.camera.zoom * TILE == pytest.approx(min(viewer.canvas.size) / 8)


def test_tiles_of_another_run_are_no_choice_until_their_own_are_there(
    model: Any, make_run: RunMaker, qtbot: Any
) -> None:
    controller = Controller.of(model)
    for name, side in (("large", 8), ("small", 3)):
        controller.add_run(make_run(name, side=side))
    controller.show_map(controller.runs[0], "s0")
    dock = shown(controller, qtbot)
    before = dock.gallery.tiles
    assert before.max() >= 9
    controller.show_map(controller.runs[1], "s0")
    for at in range(K):
        click_gallery(dock, qtbot, at)
    assert controller.selection.pinned is None
    qtbot.waitUntil(lambda: dock.gallery.tiles is not before)
    click_gallery(dock, qtbot, 2)
    assert controller.selection.pinned == dock.gallery.tiles[2]


def test_in_panes_a_tile_is_an_eighth_of_its_pane(dock: InspectDock, qtbot: Any) -> None:
    controller = dock.controller
    controller.comparison.enter([cell_of(MapView(run, "slide")) for run in controller.runs], "slide", "m_alpha")
    dock.gallery.refresh()
    click_gallery(dock, qtbot, 0)
    viewer = controller.viewer
    pane = np.array(viewer.canvas.size) / viewer.canvas.grid.actual_shape(viewer.layers)
    assert viewer.scene.camera.zoom * TILE == pytest.approx(pane.min() / 8)


def test_in_a_flat_map_the_choice_is_called_chance(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(write_shaped(tmp_path / "a.asmil", shaped("flat"))), "s0")
    dock = shown(controller, qtbot)
    gallery = dock.gallery
    assert gallery.tiles.tolist() == list(range(K))
    assert "13 more tie with the last one; which are shown is their order in the bag alone." in gallery.about.text()
    assert "FLAT MAP" in gallery.about.text()


def test_a_bag_of_one_tile_has_a_gallery_of_one(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(write_shaped(tmp_path / "a.asmil", np.ones(1))), "s0")
    dock = shown(controller, qtbot)
    assert [button.isVisible() for button in dock.gallery.buttons] == [True] + [False] * (K - 1)
    click_gallery(dock, qtbot, 0)
    assert dock.controller.selection.pinned == 0


def test_all_tiles_are_exported_in_the_order_of_the_gallery(dock: InspectDock, tmp_path: Path, qtbot: Any) -> None:
    gallery, run = dock.gallery, dock.controller.runs[0]
    gallery.order.setCurrentText(CHANGED)
    gallery.export_to(tmp_path / "tiles.csv")
    qtbot.waitUntil(lambda: (tmp_path / "tiles.csv").is_file())
    lines = (tmp_path / "tiles.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader([line for line in lines if not line.startswith("# ")]))
    assert [int(row["tile"]) for row in rows[:K]] == gallery.tiles.tolist()
    expected = m_alpha(run, 5)
    np.testing.assert_allclose([float(r["M·α (× uniform)"]) for r in rows], expected[[int(r["tile"]) for r in rows]])
    assert any("run: first" in line for line in lines)


def test_a_growing_run_is_followed_by_galleries(model: Any, pictured: Pictured, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    dock = shown(controller, qtbot)
    with RunWriter.resume(pictured.runs[0]) as writer:
        writer.write(pictured_record(6, 0))
    controller.follower.refresh(controller.runs[0])
    assert controller.epoch == 6
    expected = np.argsort(-m_alpha(controller.runs[0], 6), kind="stable")[:K]
    qtbot.waitUntil(lambda: np.array_equal(dock.gallery.tiles, expected))
