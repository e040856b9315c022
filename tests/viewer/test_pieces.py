"""A slide whose tiles lie in pieces that share no raster: each tile is drawn exactly where it lies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Surface
from qtpy.QtCore import Qt
from shapely.geometry import box

from napari_asmil.analysis.normalizers import Normalizer, softmax
from napari_asmil.errors import InputError
from napari_asmil.render import export_overlay
from napari_asmil.render.geojson import export_tiles
from napari_asmil.runs import EpochRecord, MapView, RunHeader, RunWriter, SlideHeader, SlideRecord, Source, When
from napari_asmil.viewer import layers
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.docks.inspect import InspectDock
from napari_asmil.viewer.marks import around_tiles
from tests.viewer.conftest import SLIDE, tile_corners, write_contours, write_slide
from tests.viewer.test_canvas import ZOOM, edges

EDGE, SIDE_PX, TILES = 64, 4096, 2000
OFFSETS = ((5, 3), (2102, 18), (34, 2113))
"""Of the pieces; no two differ by a multiple of anything."""
BRIGHT = (0, TILES - 1)
EPOCHS = 4


def piece_corners() -> np.ndarray:
    rows, columns = np.divmod(np.arange(26 * 26), 26)
    whole = np.stack([columns, rows], axis=1) * EDGE
    return np.concatenate([whole + offset for offset in OFFSETS])[:TILES]


def write_pieces_slide(path: Path) -> None:
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 90, dtype=np.uint8)
    for x, y in piece_corners()[list(BRIGHT)]:
        pixels[y : y + EDGE, x : x + EDGE] = 250
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels, tile=(256, 256), photometric="rgb", subifds=1, resolution=(20000, 20000), resolutionunit=3)
        tif.write(pixels[::4, ::4], tile=(256, 256), photometric="rgb", subfiletype=1)


def scores(epoch: int, seed: int, tiles: int) -> np.ndarray:
    z = np.random.default_rng([seed, epoch]).normal(0, 1, (2, tiles)).astype(np.float32)
    z[:, [0, -1]] = 9.0
    return z


def pieces_record(epoch: int, seed: int) -> EpochRecord:
    rows = {}
    for name, tiles in (("pieces", TILES), ("lattice", 64)):
        z = scores(epoch, seed, tiles)
        log_p = np.log(softmax(z).mean(axis=0)).astype(np.float32)
        rows[name] = SlideRecord(log_p, np.array([0.0, 1.0], np.float32), np.zeros(3, np.float32), None, z)
    return EpochRecord(rows, {"loss_ce": 1 / (epoch + 1)})


def pieces_header(slide: Path | None, edge: float, planned: int, lattice: Path | None = None) -> RunHeader:
    contours = None if slide is None else str(slide.with_suffix(".geojson"))
    pieces = SlideHeader(
        "pieces",
        n_tiles=TILES,
        xy=piece_corners(),
        tile_size=edge,
        mpp=0.5,
        slide_size=(SIDE_PX, SIDE_PX),
        slide_path=None if slide is None else str(slide),
        contours_path=contours,
        label=1,
    )
    other = SlideHeader(
        "lattice",
        n_tiles=64,
        xy=tile_corners(),
        tile_size=64.0,
        mpp=0.5,
        slide_size=(SLIDE, SLIDE),
        slide_path=None if lattice is None else str(lattice),
    )
    return RunHeader("abmil", "ABMIL", {}, ("normal", "tumour"), ("head 1", "head 2"), (pieces, other), planned, 3)


def write_pieces_run(path: Path, slide: Path | None, *, edge: float = EDGE, seed: int = 0, **header: Any) -> Path:
    with RunWriter.create(path, pieces_header(slide, edge, EPOCHS, **header)) as writer:
        for epoch in range(EPOCHS + 1):
            writer.write(pieces_record(epoch, seed))
    return path


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pieces") / "pieces.tif"
    write_pieces_slide(path)
    write_contours(path.with_suffix(".geojson"), (5, 3, 800, 900))
    return path


@pytest.fixture
def run_path(tmp_path: Path, slide: Path) -> Path:
    write_slide(tmp_path / "lattice.tif")
    return write_pieces_run(tmp_path / "run.asmil", slide, lattice=tmp_path / "lattice.tif")


@pytest.fixture
def controller(model: Any, run_path: Path) -> Controller:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(run_path), "pieces")
    return controller


def shown(layer: Any, step: int) -> np.ndarray:
    """What the layer draws of each tile, (M,): all four corners of a tile have one value."""
    values = layer.data[2][step].reshape(-1, 4)
    assert all(np.array_equal(values[:, 0], values[:, at], equal_nan=True) for at in (1, 2, 3))
    return values[:, 0]


def m_alpha(epoch: int, seed: int = 0) -> np.ndarray:
    return TILES * softmax(scores(epoch, seed, TILES).astype(np.float64)).mean(axis=0)


# ---- where tiles are ------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [EDGE, 63.5])
def test_first_and_last_tile_lie_where_they_were_cut(model: Any, tmp_path: Path, slide: Path, edge: float) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(write_pieces_run(tmp_path / "run.asmil", slide, edge=edge)), "pieces")
    layer = controller.map_layer
    assert isinstance(layer, Surface)
    assert tuple(layer.axis_labels) == ("epoch", "y", "x")
    for tile in (0, -1):
        corners = [layer.data_to_world((0, *corner))[1:] for corner in layer.vertices.reshape(-1, 4, 2)[tile]]
        x, y = piece_corners()[tile] - 0.5
        np.testing.assert_array_equal(corners, [(y, x), (y, x + edge), (y + edge, x + edge), (y + edge, x)])
    x0, y0 = piece_corners().min(axis=0)
    np.testing.assert_array_equal(layer.extent.world[0], [0, y0 - 0.5, x0 - 0.5])


@pytest.fixture
def window(make_napari_viewer_proxy: Callable[..., Any], run_path: Path) -> Any:
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1200, 900)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(run_path), "pieces")
    controller.map_layer.colormap, controller.map_layer.opacity = "gray", 1.0
    controller.map_layer.colorbar.visible = viewer.canvas.overlays.text.visible = False
    return viewer


@pytest.mark.parametrize("tile", BRIGHT)
def test_a_bright_tile_of_the_map_lies_where_the_slide_has_that_tile(window: Any, tile: int) -> None:
    x, y = piece_corners()[tile]
    window.scene.camera.center, window.scene.camera.zoom = (y + EDGE / 2, x + EDGE / 2), ZOOM
    expected = np.array([y, y + EDGE, x, x + EDGE]) - 0.5
    attention = edges(window, "map")
    assert np.abs(attention - edges(window, "slide")).max() < 0.5
    assert np.abs(attention - expected).max() < 0.5
    Controller.of(window).set_epoch(0)
    assert np.array_equal(edges(window, "map"), attention)


def test_an_epoch_that_is_not_there_is_transparent(window: Any) -> None:
    controller = Controller.of(window)
    x, y = piece_corners()[0]
    window.scene.camera.center, window.scene.camera.zoom = (y + EDGE / 2, x + EDGE / 2), ZOOM
    controller.stage.show(MapView(controller.map.run, "pieces", when=When(earlier=3)))
    controller.map_layer.colormap = "gray"
    controller.set_epoch(2)
    for name in ("slide", "contours"):
        controller.stage.layer(name).visible = False
    blank = window.screenshot(canvas_only=True, flash=False)
    controller.set_epoch(3)
    assert window.screenshot(canvas_only=True, flash=False)[..., :3].max() > 200
    assert len(np.unique(blank[..., :3])) <= 3


# ---- epochs ---------------------------------------------------------------------------------------


def test_the_slider_goes_through_all_epochs_and_each_is_drawn_from_the_scores(controller: Controller) -> None:
    assert controller.viewer.dims.range[0] == (0, EPOCHS, 1)
    assert controller.epoch == EPOCHS
    for epoch in (2, 0, EPOCHS):
        controller.set_epoch(epoch)
        np.testing.assert_allclose(shown(controller.map_layer, epoch), m_alpha(epoch), rtol=1e-4)
    controller.show_map(controller.map.run, "pieces", Source(Normalizer("softmax"), "head 2"))
    expected = TILES * softmax(scores(1, 0, TILES).astype(np.float64))[1]
    np.testing.assert_allclose(shown(controller.map_layer, 1), expected, rtol=1e-4)


def test_colours_have_the_limits_of_all_epochs(controller: Controller) -> None:
    high = max(m_alpha(epoch).max() for epoch in range(EPOCHS + 1))
    assert controller.map_layer.contrast_limits == pytest.approx([0, high], rel=1e-4)
    controller.set_locked(False)
    controller.set_epoch(1)
    assert controller.map_layer.contrast_limits == pytest.approx([0, m_alpha(1).max()], rel=1e-4)


def test_a_run_that_is_written_grows_on_the_slider(model: Any, tmp_path: Path, slide: Path) -> None:
    controller = Controller.of(model)
    path = tmp_path / "live.asmil"
    with RunWriter.create(path, pieces_header(slide, EDGE, 9)) as writer:
        for epoch in range(2):
            writer.write(pieces_record(epoch, 0))
        run = controller.add_run(path)
        controller.show_map(run, "pieces")
        layer = controller.map_layer
        for epoch in range(2, 5):
            writer.write(pieces_record(epoch, 0))
        controller.follower.refresh(run)
    assert controller.map_layer is layer
    assert model.dims.range[0] == (0, 4, 1)
    assert controller.epoch == 4
    np.testing.assert_allclose(shown(layer, 4), m_alpha(4), rtol=1e-4)


def test_beyond_its_own_epochs_a_layer_is_empty_and_the_window_goes_on(controller: Controller) -> None:
    controller.viewer.add_image(np.zeros((9, 4, 4), np.uint8), contrast_limits=(0, 1))
    controller.set_epoch(8)
    assert np.isnan(shown(controller.map_layer, 8)).all()


# ---- from slide to slide --------------------------------------------------------------------------


def test_from_pieces_to_a_lattice_and_back_looks_and_epoch_stay(controller: Controller) -> None:
    viewer, run = controller.viewer, controller.map.run
    controller.set_epoch(1)
    controller.map_layer.opacity, controller.map_layer.colormap = 0.3, "magma"
    for name, kind in (("lattice", Image), ("pieces", Surface)):
        controller.show_map(run, name)
        layer = controller.map_layer
        assert isinstance(layer, kind) and controller.map.slide.slide_id == name
        assert (layer.opacity, layer.colormap.name, controller.epoch) == (0.3, "magma", 1)
        assert layer.colorbar.visible
        assert len(layers.maps_of(viewer)) == 1
    assert [layers.entry(la).get("kind") for la in viewer.layers] == ["slide", "map", "contours"]
    viewer.layers.selection = {controller.map_layer}
    controller.stage.show(MapView(run, "lattice"))
    assert isinstance(controller.map_layer, Image) and set(viewer.layers.selection) == {controller.map_layer}


def test_a_map_a_person_deletes_is_gone_and_comes_back(controller: Controller) -> None:
    run = controller.map.run
    controller.viewer.layers.remove(controller.map_layer)
    assert controller.map is None
    controller.show_map(run, "pieces")
    assert isinstance(controller.map_layer, Surface)


# ---- several maps ---------------------------------------------------------------------------------


@pytest.fixture
def two(controller: Controller, tmp_path: Path) -> Controller:
    other = controller.add_run(write_pieces_run(tmp_path / "second.asmil", None, seed=1))
    controller.comparison.picked = [cell_of(controller.map), cell_of(MapView(other, "pieces"))]
    return controller


def test_panes_and_their_difference_are_surfaces_under_one_slider(two: Controller) -> None:
    comparison, before = two.comparison, list(two.viewer.layers)
    comparison.enter(comparison.picked, "pieces", "m_alpha")
    comparison.choose((0, 1), "log2")
    two.set_epoch(2)
    for seed, layer in enumerate(comparison.maps):
        assert isinstance(layer, Surface)
        np.testing.assert_allclose(shown(layer, 2), m_alpha(2, seed), rtol=1e-4)
    assert len({tuple(layer.contrast_limits) for layer in comparison.maps}) == 1
    apart = shown(comparison.difference_layer, 2)
    np.testing.assert_allclose(apart, np.log2(m_alpha(2) / m_alpha(2, 1)), rtol=1e-3, atol=1e-4)
    comparison.maps[0].opacity = 0.2
    assert comparison.maps[1].opacity == 0.2
    comparison.leave()
    assert list(two.viewer.layers) == before


def test_runs_of_other_tiles_lie_beside_each_other_as_surface_and_image(two: Controller, tmp_path: Path) -> None:
    comparison = two.comparison
    lattice = two.add_run(write_uniform_run(tmp_path / "lattice.asmil", tile_corners(), 64.0))
    comparison.picked[1] = cell_of(MapView(lattice, "pieces"))
    comparison.enter(comparison.picked, "pieces", "m_alpha")
    assert [type(layer) for layer in comparison.maps] == [Surface, Image]
    assert "64 tiles, not 2000" in comparison.refusal
    comparison.maps[1].colormap = "magma"
    assert comparison.maps[0].colormap.name == "magma"
    two.set_epoch(1)
    assert np.isfinite(shown(comparison.maps[0], 1)).all()


def test_a_swipe_is_refused_with_the_reason_and_panes_stay(two: Controller) -> None:
    comparison = two.comparison
    comparison.swiping = True
    with pytest.raises(InputError, match=r"share none.*side by side"):
        comparison.enter(comparison.picked, "pieces", "m_alpha")
    comparison.swiping = False
    comparison.enter(comparison.picked, "pieces", "m_alpha")
    with pytest.raises(InputError, match="share none"):
        comparison.choose((0, 1), None, swiping=True)
    assert comparison.active and not comparison.swiping and len(comparison.maps) == 2


def test_a_spread_is_shown_in_place_and_goes_with_the_slide(controller: Controller) -> None:
    controller.instead.show("rows")
    z = scores(3, 0, TILES).astype(np.float64)
    expected = TILES * softmax(z).std(axis=0)
    np.testing.assert_allclose(shown(controller.instead.layer, 3), expected, rtol=1e-3, atol=1e-4)
    controller.show_map(controller.map.run, "lattice")
    assert isinstance(controller.instead.layer, Image) and not controller.map_layer.visible
    controller.show_map(controller.map.run, "pieces")
    assert isinstance(controller.instead.layer, Surface) and not controller.map_layer.visible
    controller.instead.hide()
    assert controller.map_layer.visible and len(layers.maps_of(controller.viewer)) == 1


# ---- tiles ----------------------------------------------------------------------------------------


def test_marks_go_round_each_piece_of_what_is_selected(controller: Controller) -> None:
    tiles = np.zeros(TILES, dtype=bool)
    tiles[[0, 1, TILES - 1]] = True  # two neighbours and one far away
    segments = around_tiles(controller.map.slide, tiles)
    ends = {tuple(np.r_[start, start + extent].tolist()) for start, extent in segments}
    x, y = piece_corners()[0] - 0.5
    inner = (y, x + EDGE, y + EDGE, x + EDGE)
    assert len(segments) == 6 + 4 and inner not in ends
    for tile in (0, TILES - 1):
        x, y = piece_corners()[tile] - 0.5
        assert (y, x, y, x + EDGE) in ends
    controller.selection.select(tiles, "three")
    assert len(controller.marks.layer.data) == 10


def test_pointer_click_and_lasso_find_the_tile(window: Any, qtbot: Any) -> None:
    dock = InspectDock(window)
    window.window.add_dock_widget(dock)
    qtbot.waitUntil(dock.isVisible)
    controller = Controller.of(window)
    for tile in (0, 700, TILES - 1):
        y, x = (piece_corners()[tile] + (1.4, 2.6))[::-1] - 0.5
        dock.picker.hovered.emit((y, x))
        assert f"{piece_corners()[tile][0]}" in dock.pointer.text() and "rank" in dock.pointer.text().lower()
        dock.picker.clicked.emit(y, x)
        assert controller.selection.pinned == tile
    (x0, y0), (x1, y1) = piece_corners()[700] - 1, piece_corners()[701] + EDGE
    dock.picker.closed.emit([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])
    assert np.flatnonzero(controller.selection.tiles).tolist() == [700, 701]


# ---- words ----------------------------------------------------------------------------------------


def test_the_dock_shows_the_map_and_says_why_there_is_no_swipe(window: Any, two_in: Any, qtbot: Any) -> None:
    dock = ExploreDock(window)
    window.window.add_dock_widget(dock)
    qtbot.waitUntil(dock.isVisible)
    panes = dock.panes
    assert not panes.swipe.isEnabled() and "share none" in panes.swipe.toolTip()
    dock.write_legend()
    assert "effective tiles" in dock.legend.facts.text() and "SMOOTHED" not in dock.legend.warnings.text()
    qtbot.mouseClick(panes.toggle, Qt.MouseButton.LeftButton)
    comparison = Controller.of(window).comparison
    assert comparison.active and all(isinstance(layer, Surface) for layer in comparison.maps)
    qtbot.mouseClick(panes.toggle, Qt.MouseButton.LeftButton)
    Controller.of(window).show_map(Controller.of(window).map.run, "lattice")
    assert panes.swipe.isEnabled() and "share none" not in panes.swipe.toolTip()


@pytest.fixture
def two_in(window: Any, tmp_path: Path) -> None:
    controller = Controller.of(window)
    other = controller.add_run(write_pieces_run(tmp_path / "second.asmil", None, seed=1))
    controller.comparison.picked = [cell_of(controller.map), cell_of(MapView(other, "pieces"))]


def write_uniform_run(path: Path, xy: np.ndarray, edge: float) -> Path:
    """One epoch of a uniform map of a slide "pieces" with these tiles."""
    header = SlideHeader("pieces", n_tiles=len(xy), xy=xy, tile_size=edge, mpp=0.5)
    log_p = np.full(len(xy), -np.log(len(xy)), np.float32)
    record = SlideRecord(log_p, np.zeros(2, np.float32), np.zeros(3, np.float32), None, log_p[None])
    run = RunHeader("abmil", "ABMIL", {}, ("normal", "tumour"), ("row",), (header,), 0, 3)
    with RunWriter.create(path, run) as writer:
        writer.write(EpochRecord({"pieces": record}, {}))
    return path


def test_more_tiles_than_can_be_drawn_one_by_one_are_refused_with_the_reason(model: Any, tmp_path: Path) -> None:
    xy = np.stack([np.arange(100_001) * 7, np.arange(100_001) * 11], axis=1)
    controller = Controller.of(model)
    run = controller.add_run(write_uniform_run(tmp_path / "many.asmil", xy, 64.0))
    with pytest.raises(InputError, match=r"share no lattice.*100,001 tiles are more than the 100,000"):
        controller.show_map(run, "pieces")
    assert not list(model.layers)


def test_the_legend_warns_where_tiles_overlap_too_densely_to_be_cut(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller, dock = Controller.of(model), ExploreDock(model)
    qtbot.addWidget(dock)
    dock.show()
    qtbot.waitExposed(dock)
    xy = np.random.default_rng(0).integers(0, 200, (500, 2))
    controller.show_map(controller.add_run(write_uniform_run(tmp_path / "dense.asmil", xy, 100.5)), "pieces")
    dock.write_legend()
    assert "colours mix and are no number" in dock.legend.warnings.text()
    controller.show_map(controller.add_run(write_uniform_run(tmp_path / "apart.asmil", xy[:1], 100.5)), "pieces")
    dock.write_legend()
    assert "colours mix" not in dock.legend.warnings.text()


# ---- files ----------------------------------------------------------------------------------------


def test_pictures_and_tiles_are_exported_where_they_lie(run_path: Path, controller: Controller, tmp_path: Path) -> None:
    view = MapView(controller.map.run, "pieces")
    picture = export_overlay(tmp_path / "map.png", view, 2)
    assert picture.stat().st_size > 0
    found = json.loads(export_tiles(tmp_path / "map.geojson", view, 2).read_text())["features"]
    x, y = piece_corners()[-1]
    ring = np.array(found[-1]["geometry"]["coordinates"][0])
    assert box(*ring.min(axis=0), *ring.max(axis=0)).equals(box(x, y, x + EDGE, y + EDGE))


# ---- no crash -------------------------------------------------------------------------------------

COMING_AND_GOING = """
import sys
import napari
from qtpy.QtWidgets import QApplication
from napari_asmil.runs import MapView
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller

viewer = napari.Viewer(show=True)
controller = Controller.of(viewer)
run = controller.add_run(sys.argv[1])

def draw():
    viewer.screenshot(canvas_only=True, flash=False)
    QApplication.processEvents()

for name in ("pieces", "lattice", "pieces"):
    controller.show_map(run, name); draw()
for visible in (False, True):
    controller.map_layer.visible = visible; draw()
controller.set_epoch(1); draw()
cells = [cell_of(MapView(run, "pieces")), cell_of(MapView(run, "pieces"))]
controller.comparison.enter(cells, "pieces", "m_alpha"); draw()
viewer.layers.remove(controller.comparison.maps[0]); draw()
controller.idle.finish(); draw()
assert not controller.comparison.active
viewer.layers.remove(controller.map_layer); draw()
controller.show_map(run, "pieces"); draw()
viewer.layers.clear(); draw()
viewer.close()
print("alive")
"""


def test_maps_of_pieces_come_hide_go_and_are_deleted_without_a_crash(run_path: Path) -> None:
    command = [sys.executable, "-W", "error::DeprecationWarning:napari_asmil", "-c", COMING_AND_GOING, str(run_path)]
    ended = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip().endswith("alive")
