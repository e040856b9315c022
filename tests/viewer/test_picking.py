"""The pointer on the real canvas, the lasso, and the layer that marks what is picked."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_asmil.runs import MapView
from napari_asmil.viewer import layers
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.marks import OUTSET, PINNED, SELECTED
from napari_asmil.viewer.picking import Picker
from tests.viewer.conftest import SIDE, TILE, TILES_AT, Pictured, tile_corners
from tests.viewer.mouse import LEFT, drag, move


@pytest.fixture
def window(make_napari_viewer_proxy: Any, pictured: Pictured, qtbot: Any) -> Any:
    """A viewer on the screen with a map."""
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1100, 800)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    QApplication.processEvents()
    return viewer


@pytest.fixture
def picker(window: Any) -> Picker:
    picker = Picker(window)
    picker.listen()
    return picker


@pytest.fixture
def controller(model: Any, pictured: Pictured) -> Controller:
    """Without a window."""
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in pictured.runs]
    controller.show_map(runs[0], "slide")
    return controller


def canvas() -> QWidget:
    return next(w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible())


def at(viewer: Any, y: float, x: float) -> QPoint:
    """Where on the canvas a place of the slide is."""
    widget, camera = canvas(), viewer.scene.camera
    centre = np.array(camera.center[-2:])
    down, right = (np.array([y, x]) - centre) * camera.zoom + np.array([widget.height(), widget.width()]) / 2
    return QPoint(round(right), round(down))


def drag_along(viewer: Any, *places: tuple[float, float]) -> None:
    """Drag with the left button from the first place along the others."""
    drag(canvas(), [at(viewer, *place) for place in places])


def centre_of(tile: int) -> tuple[float, float]:
    x, y = tile_corners()[tile]
    return y + TILE / 2 - 0.5, x + TILE / 2 - 0.5


def heard(signal: Any) -> list[Any]:
    got: list[Any] = []
    signal.connect(lambda *what: got.append(what))
    return got


# ---- the pointer ----------------------------------------------------------------------------------


def test_a_click_tells_its_place_and_a_drag_moves_the_camera(window: Any, picker: Picker, qtbot: Any) -> None:
    clicks = heard(picker.clicked)
    qtbot.mouseClick(canvas(), LEFT, pos=at(window, *centre_of(19)))
    assert np.abs(np.array(clicks[0]) - centre_of(19)).max() < 2 / window.scene.camera.zoom
    before = window.scene.camera.center
    drag_along(window, centre_of(19), centre_of(40))
    assert len(clicks) == 1
    assert window.scene.camera.center != before


def test_the_pointer_is_told_of_now_and_then_and_where_it_is_last(window: Any, picker: Picker, qtbot: Any) -> None:
    places = heard(picker.hovered)
    tiles = list(range(0, 60, 3))
    for tile in tiles:
        move(canvas(), at(window, *centre_of(tile)))
    qtbot.waitUntil(lambda: not picker._soon.isActive())
    assert 1 <= len(places) < len(tiles) * 2 / 3
    assert np.abs(np.array(places[-1][0]) - centre_of(tiles[-1])).max() < 2 / window.scene.camera.zoom


def test_where_the_slide_is_not_in_plane_nothing_is_picked(window: Any, picker: Picker, qtbot: Any) -> None:
    clicks = heard(picker.clicked)
    window.dims.order = (1, 0, 2)
    qtbot.mouseClick(canvas(), LEFT, pos=canvas().rect().center())
    window.dims.order = (0, 1, 2)
    window.layers.selection.active = Controller.of(window).map_layer
    window.layers.selection.active.mode = "transform"
    qtbot.mouseClick(canvas(), LEFT, pos=canvas().rect().center())
    assert clicks == []


def test_other_buttons_and_keys_are_left_to_the_camera(window: Any, picker: Picker, qtbot: Any) -> None:
    clicks = heard(picker.clicked)
    qtbot.mouseClick(canvas(), Qt.MouseButton.RightButton, pos=canvas().rect().center())
    qtbot.mouseClick(canvas(), LEFT, Qt.KeyboardModifier.ShiftModifier, pos=canvas().rect().center())
    assert clicks == []


def test_one_that_ignores_or_is_gone_hears_nothing(window: Any, picker: Picker, qtbot: Any) -> None:
    clicks = heard(picker.clicked)
    picker.ignore()
    assert not picker.listening
    qtbot.mouseClick(canvas(), LEFT, pos=canvas().rect().center())
    assert clicks == []
    other = Picker(window)
    other.listen()
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    qtbot.mouseClick(canvas(), LEFT, pos=canvas().rect().center())


# ---- the lasso ------------------------------------------------------------------------------------


def test_a_lasso_draws_a_path_while_the_camera_stands_still(window: Any, picker: Picker, qtbot: Any) -> None:
    paths, parts, clicks = heard(picker.closed), heard(picker.drawn), heard(picker.clicked)
    camera, ring = window.scene.camera, [centre_of(tile) for tile in (0, 7, 63, 56)]
    before = camera.center, camera.zoom
    picker.set_lasso(True)
    drag_along(window, *ring)
    assert (camera.center, camera.zoom) == before and clicks == []
    path = np.array(paths[0][0])
    assert len(parts) >= 3 and len(path) >= 4
    slack = 2 / camera.zoom
    assert all(np.abs(path - corner).max(axis=1).min() < slack for corner in ring)
    picker.set_lasso(False)
    drag_along(window, centre_of(0), centre_of(20))
    assert camera.center != before[0] and len(paths) == 1


@pytest.mark.parametrize("pans", [True, False])
def test_panning_is_afterwards_as_it_was(window: Any, picker: Picker, pans: bool) -> None:
    camera = window.scene.camera
    camera.mouse_pan = pans
    picker.set_lasso(True)
    assert camera.mouse_pan is False
    picker.set_lasso(False)
    assert camera.mouse_pan is pans


def test_another_layer_may_be_selected_meanwhile(window: Any, picker: Picker) -> None:
    camera, selection = window.scene.camera, window.layers.selection
    slide, attention = (Controller.of(window).stage.layer(kind) for kind in ("slide", "map"))
    selection.active = attention
    attention.mode = "transform"
    assert camera.mouse_pan is False
    picker.set_lasso(True)
    selection.active = slide
    assert camera.mouse_pan is False
    picker.set_lasso(False)
    assert camera.mouse_pan is True
    picker.set_lasso(True)
    selection.active = attention
    picker.set_lasso(False)
    assert camera.mouse_pan is False


def test_a_click_with_the_lasso_is_a_click(window: Any, picker: Picker, qtbot: Any) -> None:
    paths, clicks = heard(picker.closed), heard(picker.clicked)
    picker.set_lasso(True)
    qtbot.mouseClick(canvas(), LEFT, pos=canvas().rect().center())
    assert paths == [] and len(clicks) == 1


# ---- the marks ------------------------------------------------------------------------------------


def select(controller: Controller, *tiles: int) -> None:
    controller.selection.select(np.isin(np.arange(SIDE * SIDE), tiles))


def borders(layer: Any, colour: str) -> set[tuple[float, ...]]:
    """The ends (y, x, y, x) of the segments that are drawn in a colour."""
    wanted = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] + [1.0]
    mine = np.isclose(layer.edge_color, wanted, atol=1e-3).all(axis=1)
    return {tuple(np.r_[start, start + extent].tolist()) for start, extent in layer.data[mine]}


def box(first: int, across: int, down: int) -> set[tuple[float, ...]]:
    """Sides of so many tiles across and down, from a tile on."""
    x0, y0 = tile_corners()[first] - 0.5
    x1, y1 = x0 + across * TILE, y0 + down * TILE
    return {(y0, x0, y0, x1), (y1, x0, y1, x1), (y0, x0, y1, x0), (y0, x1, y1, x1)}


def test_selected_tiles_are_outlined_together_where_they_lie(controller: Controller) -> None:
    assert controller.marks.layer is None
    select(controller, 9, 10, 17, 18, 63)
    layer = controller.marks.layer
    assert type(layer).__name__ == "Vectors"
    assert borders(layer, SELECTED) == box(9, 2, 2) | box(63, 1, 1)
    assert controller.viewer.layers[-1] is layer
    controller.selection.clear()
    assert controller.marks.layer is None


def test_a_pinned_tile_has_a_box_around_it_in_another_colour(controller: Controller) -> None:
    select(controller, 9)
    controller.selection.pin(20)
    layer = controller.marks.layer
    sides = np.array(sorted(borders(layer, PINNED))).reshape(-1, 2)
    x0, y0 = tile_corners()[20] - 0.5
    out = OUTSET * TILE
    np.testing.assert_allclose(sides.min(axis=0), (y0 - out, x0 - out))
    np.testing.assert_allclose(sides.max(axis=0), (y0 + TILE + out, x0 + TILE + out))
    assert borders(layer, SELECTED) == box(9, 1, 1)
    controller.selection.pin(None)
    assert borders(controller.marks.layer, PINNED) == set()


def test_marks_are_no_contours_and_leave_what_is_selected_alone(controller: Controller) -> None:
    viewer, stage = controller.viewer, controller.stage
    shown = [stage.layer(kind) for kind in layers.KINDS]
    viewer.layers.selection.active = controller.map_layer
    controller.set_epoch(2)
    select(controller, 1, 2)
    assert viewer.layers.selection.active is controller.map_layer
    assert [stage.layer(kind) for kind in layers.KINDS] == shown
    assert layers.entry(controller.marks.layer) == {"kind": layers.MARKS}
    assert controller.epoch == 2


def test_marks_keep_their_width_on_the_screen(controller: Controller, qtbot: Any) -> None:
    camera = controller.viewer.scene.camera
    select(controller, 1)
    for zoom in (0.1, 6.0):
        camera.zoom = zoom
        qtbot.waitUntil(lambda zoom=zoom: 0.7 < controller.marks.layer.edge_width * zoom / layers.CONTOUR_WIDTH < 1.4)


def test_marks_that_are_deleted_come_back_with_the_next_selection(controller: Controller) -> None:
    viewer = controller.viewer
    select(controller, 1)
    viewer.layers.remove(controller.marks.layer)
    controller.set_epoch(1)
    controller.limit()
    assert controller.marks.layer is None
    select(controller, 5)
    assert borders(controller.marks.layer, SELECTED) == box(5, 1, 1)
    viewer.layers.clear()
    assert controller.selection.tiles is None and controller.marks.layer is None
    select(controller, 5)
    assert controller.marks.layer is None


def test_marks_make_room_for_panes_and_come_back(controller: Controller) -> None:
    viewer = controller.viewer
    select(controller, 1, 2)
    controller.selection.pin(3)
    names, drawn = [layer.name for layer in viewer.layers], controller.marks.layer.data.copy()
    cells = [cell_of(MapView(run, "slide")) for run in controller.runs]
    controller.comparison.enter(cells, "slide", "m_alpha")
    assert controller.marks.layer is None
    assert viewer.canvas.grid.stride == 3
    controller.selection.pin(4)
    assert controller.marks.layer is None
    controller.selection.pin(3)
    controller.comparison.leave()
    assert [layer.name for layer in viewer.layers] == names
    np.testing.assert_array_equal(controller.marks.layer.data, drawn)
    assert controller.marks.layer.visible


def test_the_path_of_a_lasso_is_closed_and_goes(controller: Controller) -> None:
    select(controller, 1)
    path = [(200.0, 200.0), (200.0, 300.0), (300.0, 300.0)]
    controller.marks.draw_path(path)
    layer = controller.marks.layer
    np.testing.assert_allclose(layer.data[:, 0], path)
    np.testing.assert_allclose(layer.data.sum(axis=1), np.roll(path, -1, axis=0))
    controller.marks.draw()
    assert borders(controller.marks.layer, SELECTED) == box(1, 1, 1)


def test_tiles_start_where_the_grid_says(controller: Controller) -> None:
    """What the other tests rely on."""
    assert controller.map is not None
    assert tuple(controller.map.slide.tiles.xy[0]) == TILES_AT
