"""Panes side by side, and everything as it was afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import EpochRecord, MapView, RunHeader, RunWriter, SlideHeader, SlideRecord, Source, When
from napari_asmil.viewer import layers, limits
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.legend import map_facts
from napari_asmil.viewer.steps import step_slide
from tests.viewer.conftest import SIDE, Pictured


@pytest.fixture
def controller(model: Any, pictured: Pictured) -> Controller:
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in pictured.runs]
    controller.show_map(runs[0], "slide")
    controller.comparison.picked = [
        cell_of(MapView(runs[0], "slide")),
        cell_of(MapView(runs[1], "slide")),
        cell_of(MapView(runs[1], "slide", Source(Normalizer("nsf")))),
    ]
    return controller


def enter(controller: Controller) -> None:
    controller.comparison.enter(controller.comparison.picked, "slide", "m_alpha")


def cell_layers(model: Any) -> list[tuple[int, str]]:
    found = [layers.entry(layer) for layer in model.layers]
    return [(about["cell"], about["kind"]) for about in found if "cell" in about]


def test_each_pane_has_slide_map_and_contours(model: Any, controller: Controller) -> None:
    enter(controller)
    kinds = ("slide", "map", "contours")
    assert cell_layers(model) == [(cell, kind) for cell in range(3) for kind in kinds]
    grid = model.canvas.grid
    assert grid.enabled
    boxes = [inside for _, inside in grid.iter_viewboxes(model.layers) if inside]
    visible = [tuple(i for i in box if model.layers[i].visible) for box in boxes]
    assert [box for box in visible if box] == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]


def test_all_panes_follow_one_slider(model: Any, controller: Controller) -> None:
    enter(controller)
    controller.set_epoch(2)
    corner = controller.comparison.maps[0].data.raster.origin
    for layer in controller.comparison.maps:
        assert layer.get_value((2, *corner), world=True) == pytest.approx(layer.data.values(2)[0])


def test_shared_limits_make_one_colour_one_number(controller: Controller) -> None:
    enter(controller)
    panes = controller.comparison.maps
    ranges = [layer.data.limits() for layer in panes]
    assert {tuple(layer.contrast_limits) for layer in panes} == {(0.0, max(high for _, high in ranges))}
    controller.comparison.share(False)
    assert [tuple(layer.contrast_limits) for layer in panes] == [pytest.approx(own) for own in ranges]


def test_another_transform_is_shown_in_all_panes(controller: Controller) -> None:
    enter(controller)
    controller.comparison.show("percentile")
    assert {tuple(layer.contrast_limits) for layer in controller.comparison.maps} == {(0, 100)}
    assert [layer.name[0] for layer in controller.comparison.maps] == ["1", "2", "3"]


def test_colours_changed_in_one_pane_change_in_all(controller: Controller) -> None:
    enter(controller)
    controller.comparison.maps[1].opacity = 0.25
    controller.comparison.maps[1].colormap = "magma"
    assert {(layer.opacity, layer.colormap.name) for layer in controller.comparison.maps} == {(0.25, "magma")}


def test_one_pane_is_selected_and_the_words_on_the_canvas_say_what_colours_count(
    model: Any, controller: Controller
) -> None:
    enter(controller)
    assert set(model.layers.selection) == {controller.comparison.maps[0]}
    words = model.canvas.overlays.text
    assert words.visible and words.text == "colours: M·α (× uniform)"
    controller.comparison.show("log10")
    assert words.text == "colours: log10 M·α (decades over uniform)"
    controller.clear()
    assert not words.visible


def test_words_that_a_person_put_on_the_canvas_stay(model: Any, controller: Controller) -> None:
    model.canvas.overlays.text.text = "mine"
    enter(controller)
    controller.clear()
    assert model.canvas.overlays.text.text == "mine"


def test_leaving_restores_layers_order_visibility_selection_grid_and_camera(model: Any, controller: Controller) -> None:
    points = model.add_points([[5.0, 5.0]], name="mine")
    points.visible = False
    model.layers.move(3, 1)
    model.canvas.grid.shape = (3, 2)
    model.layers.selection = {model.layers["mine"]}
    model.scene.camera.zoom = 0.77

    before = state(model)
    enter(controller)
    assert state(model) != before
    model.layers.move(0, 5)
    controller.comparison.leave()
    assert state(model) == before
    assert controller.comparison.maps == []
    assert controller.slide is not None
    controller.slide.read(0, 0, 4, 0, 4)


def test_a_layer_deleted_meanwhile_does_not_come_back(model: Any, controller: Controller) -> None:
    enter(controller)
    model.layers.remove(model.layers[1])
    model.layers.remove(controller.stage.layer("contours"))
    controller.comparison.leave()
    assert [layers.entry(layer)["kind"] for layer in model.layers] == ["slide", "map"]


def test_a_comparison_of_one_map_is_refused_and_changes_nothing(model: Any, controller: Controller) -> None:
    names = [layer.name for layer in model.layers]
    with pytest.raises(InputError, match="2 to 6 panes"):
        controller.comparison.enter(controller.comparison.picked[:1], "slide", "m_alpha")
    assert [layer.name for layer in model.layers] == names
    assert not model.canvas.grid.enabled


# ---- epochs, difference, pair -------------------------------------------------------------------


def state(model: Any) -> tuple[Any, ...]:
    """All that leaving must put back."""
    return (
        [layer.name for layer in model.layers],
        [layer.visible for layer in model.layers],
        {layer.name for layer in model.layers.selection},
        model.canvas.grid.model_dump(),
        model.scene.camera.model_dump(),
        list(model.mouse_drag_callbacks),
    )


def corner_value(layer: Any, step: int) -> float:
    """What a map layer shows on tile 0 at the step of the slider."""
    return float(layer.get_value((step, *layer.data.raster.origin), world=True))


def other_tiles(path: Path, side: int = SIDE, shift: int = 0) -> Path:
    """A run of the same slide on other tiles."""
    corners = np.stack([np.tile(np.arange(side), side), np.repeat(np.arange(side), side)], axis=1) * 64 + shift
    slide = SlideHeader("slide", n_tiles=side * side, xy=corners, tile_size=64.0)
    with RunWriter.create(path, RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (slide,), 5, 3)) as writer:
        for epoch in range(6):
            z = np.random.default_rng([9, epoch]).normal(size=(1, side * side)).astype(np.float32)
            flat = np.full(side * side, -2 * np.log(side), np.float32)
            record = SlideRecord(flat, np.zeros(2, np.float32), np.zeros(3, np.float32), None, z)
            writer.write(EpochRecord({"slide": record}, {}))
    return path


def test_six_maps_are_compared_and_seven_are_not(controller: Controller) -> None:
    cells = [cell_of(MapView(controller.runs[0], "slide"), When(earlier)) for earlier in range(7)]
    controller.comparison.enter(cells[:6], "slide", "m_alpha")
    assert len(controller.comparison.maps) == 6
    with pytest.raises(InputError, match="2 to 6 panes, not 7"):
        controller.comparison.enter(cells, "slide", "m_alpha")


def test_a_pane_shows_an_earlier_epoch_and_says_so(controller: Controller) -> None:
    view = MapView(controller.runs[0], "slide")
    cells = [cell_of(view), cell_of(view, When(2)), cell_of(view, When(fixed=1))]
    assert cells[1].label.endswith(", 2 epochs earlier") and cells[2].label.endswith(", always epoch 1")
    controller.comparison.enter(cells, "slide", "m_alpha")
    now, earlier, fixed = controller.comparison.maps
    controller.set_epoch(4)
    assert [corner_value(layer, 4) for layer in (now, earlier, fixed)] == [view.values(e)[0] for e in (4, 2, 1)]
    assert [layer.name for layer in (earlier, fixed)] == [
        "2 first · t−2 · softmax T=1",
        "3 first · t=1 · softmax T=1",
    ]
    controller.set_epoch(1)
    assert np.isnan(corner_value(earlier, 1))
    assert map_facts(earlier, 1)["verdict"] == "There is no map 2 epochs earlier at epoch 1."
    assert map_facts(earlier, 4)["epoch"] == "2 of 5, 2 epochs earlier"


def test_a_pane_more_shows_the_difference_with_limits_that_hold_for_all_epochs(
    model: Any, controller: Controller
) -> None:
    enter(controller)
    controller.comparison.choose((0, 1), "log2")
    layer = controller.comparison.difference_layer
    assert cell_layers(model)[-3:] == [(3, "slide"), (3, "difference"), (3, "contours")]
    reach = 0.0
    for epoch in range(6):
        controller.set_epoch(epoch)
        p, q = (np.exp(run.attention(epoch, "slide").astype(np.float64)) for run in controller.runs)
        p, q = p / p.sum(), q / q.sum()
        assert corner_value(layer, epoch) == pytest.approx(np.log2(p[0] / q[0]), rel=1e-5)
        used = np.maximum(64 * p, 1e-3) / np.maximum(64 * q, 1e-3)
        reach = max(reach, np.abs(np.log2(used)).max())
    assert layer.contrast_limits == pytest.approx([-reach, reach])
    assert limits.words(layer) == "locked over all 6 epochs"
    assert layer.colorbar.visible and layer.name == "α A / α B, A = 1, B = 2"
    assert "α A / α B (log2 ratio)" in model.canvas.overlays.text.text
    controller.set_locked(False)
    controller.set_epoch(2)
    assert layer.contrast_limits == pytest.approx(layer.data.limits(2))
    controller.comparison.choose((2, 0), "plain")
    layer = controller.comparison.difference_layer
    controller.set_epoch(3)
    a, b = controller.comparison.maps[2].data, controller.comparison.maps[0].data
    assert corner_value(layer, 3) == pytest.approx(64 * (a.probabilities(3)[0] - b.probabilities(3)[0]), rel=1e-4)
    controller.comparison.choose((2, 0), None)
    assert controller.comparison.difference_layer is None
    assert len(cell_layers(model)) == 9


def test_a_camera_that_was_moved_stays_when_the_difference_comes(model: Any, controller: Controller) -> None:
    enter(controller)
    model.scene.camera.zoom = 3.21
    controller.comparison.choose((0, 1), "log2")
    assert model.scene.camera.zoom == 3.21


def test_a_map_is_not_set_off_against_itself(controller: Controller) -> None:
    enter(controller)
    with pytest.raises(InputError, match="same map"):
        controller.comparison.choose((1, 1), "log2")


@pytest.mark.parametrize(("side", "shift", "why"), [(4, 0, "16 tiles, not 64"), (8, 0, "64 of 64 lie elsewhere")])
def test_maps_of_other_tiles_are_shown_but_not_set_off_against_each_other(
    controller: Controller, tmp_path: Path, side: int, shift: int, why: str
) -> None:
    run = controller.add_run(other_tiles(tmp_path / "other.asmil", side, shift))
    controller.comparison.difference = "log2"
    controller.comparison.enter(
        [cell_of(MapView(controller.runs[0], "slide")), cell_of(MapView(run, "slide"))], "slide", "m_alpha"
    )
    assert len(controller.comparison.maps) == 2
    assert why in controller.comparison.refusal
    assert controller.comparison.views is None and controller.comparison.difference_layer is None


def test_leaving_restores_all_of_it_with_a_difference_too(model: Any, controller: Controller) -> None:
    model.scene.camera.zoom = 0.77
    before = state(model)
    enter(controller)
    controller.comparison.choose((1, 2), "plain")
    controller.comparison.choose((1, 2), "plain", swiping=True)
    controller.comparison.choose((2, 0), "plain")
    controller.comparison.choose((2, 0), "log2", swiping=False)
    assert len(controller.comparison.maps) == 3 and controller.comparison.difference_layer is not None
    controller.comparison.leave()
    assert state(model) == before


def test_runs_that_are_closed_are_compared_no_more(controller: Controller) -> None:
    enter(controller)
    controller.remove_run(controller.runs[1])
    assert not controller.comparison.active
    assert len(controller.comparison.picked) == 1


# ---- deleting meanwhile -------------------------------------------------------------------------


def panes_of(model: Any) -> list[list[str]]:
    """What napari draws in each box of the grid."""
    boxes = [inside for _, inside in model.canvas.grid.iter_viewboxes(model.layers) if inside]
    drawn = [[layers.entry(model.layers[i])["kind"] for i in sorted(box) if model.layers[i].visible] for box in boxes]
    return [kinds for kinds in drawn if kinds]


def test_a_pane_whose_map_is_deleted_goes_and_the_others_stay_in_step(model: Any, controller: Controller) -> None:
    enter(controller)
    controller.comparison.choose((0, 1), "log2")
    model.layers.remove(controller.comparison.maps[1])
    controller.comparison.mend()
    assert panes_of(model) == [["slide", "map", "contours"]] * 2 + [["slide", "difference", "contours"]]
    assert [layers.entry(layer)["cell"] for layer in controller.comparison.maps] == [0, 2]


def test_contours_deleted_in_one_pane_go_in_all(model: Any, controller: Controller) -> None:
    enter(controller)
    model.layers.remove(model.layers[5])
    controller.comparison.mend()
    assert panes_of(model) == [["slide", "map"]] * 3


def test_a_difference_that_is_deleted_stays_away(model: Any, controller: Controller) -> None:
    enter(controller)
    controller.comparison.choose((0, 1), "log2")
    model.layers.remove(controller.comparison.difference_layer)
    controller.comparison.mend()
    assert controller.comparison.difference is None and len(panes_of(model)) == 3


def test_one_map_alone_is_no_comparison(model: Any, controller: Controller) -> None:
    before = state(model)
    enter(controller)
    for layer in controller.comparison.maps[1:]:
        model.layers.remove(layer)
    controller.comparison.mend()
    assert not controller.comparison.active and state(model) == before


def test_deleting_all_that_is_selected_in_panes_ends_without_an_error(
    model: Any, controller: Controller, qtbot: Any
) -> None:
    enter(controller)
    model.layers.select_all()
    model.layers.remove_selected()
    qtbot.waitUntil(lambda: not controller.comparison.active)
    assert len(model.layers) == 0


# ---- swiping ------------------------------------------------------------------------------------


@pytest.fixture
def swiped(controller: Controller) -> Controller:
    controller.comparison.swiping = True
    enter(controller)
    return controller


def test_left_of_the_line_is_a_and_right_of_it_b(model: Any, swiped: Controller) -> None:
    a, b = swiped.comparison.maps
    border = swiped.comparison.border
    assert border is not None and not model.canvas.grid.enabled
    border.move(border.low + 3 * 64)
    whole = [MapView(run, "slide")[2] for run in swiped.runs]
    np.testing.assert_array_equal(a.data[2][:, :3], whole[0][:, :3])
    np.testing.assert_array_equal(b.data[2][:, 3:], whole[1][:, 3:])
    assert np.isnan(a.data[2][:, 3:]).all() and np.isnan(b.data[2][:, :3]).all()
    assert border.layer.translate[-1] == border.x == 128 - 0.5 + 3 * 64


def test_the_line_stays_on_tile_edges_and_on_the_map(swiped: Controller) -> None:
    border = swiped.comparison.border
    assert border is not None and border.steps == SIDE
    border.move(border.low + 100.0)
    assert border.x == border.low + 128
    border.move(-1e6)
    assert border.x == border.low
    assert np.isnan(swiped.comparison.maps[0].data[0]).all()


def test_the_slide_and_its_contours_stay_and_the_map_is_hidden(model: Any, swiped: Controller) -> None:
    kinds = [(layers.entry(layer)["kind"], layer.visible) for layer in model.layers]
    assert kinds == [
        ("slide", True),
        ("map", False),
        ("map", True),
        ("map", True),
        ("contours", True),
        ("border", True),
    ]
    assert model.layers.selection == {swiped.comparison.maps[0]}


def test_swiping_keeps_the_place_and_leaving_restores_all(model: Any, controller: Controller) -> None:
    model.scene.camera.center, model.scene.camera.zoom = (0, 321, 456), 2.5
    before = state(model)
    controller.comparison.swiping = True
    enter(controller)
    assert (model.scene.camera.center[1:], model.scene.camera.zoom) == ((321, 456), 2.5)
    assert state(model) != before
    controller.comparison.leave()
    assert state(model) == before and controller.comparison.border is None


def test_both_halves_have_the_same_limits_or_each_its_own_bar(swiped: Controller) -> None:
    a, b = swiped.comparison.maps
    assert a.contrast_limits == b.contrast_limits
    assert (a.colorbar.visible, b.colorbar.visible) == (True, False)
    swiped.comparison.share(False)
    assert (a.colorbar.visible, b.colorbar.visible) == (True, True)
    assert a.contrast_limits == pytest.approx(a.data.limits()) and b.contrast_limits == pytest.approx(b.data.limits())


def test_a_half_or_the_line_can_be_deleted(model: Any, swiped: Controller) -> None:
    border = swiped.comparison.border
    assert border is not None
    model.layers.remove(border.layer)
    swiped.comparison.mend()
    border.move(border.low + 64)
    assert swiped.comparison.active
    model.layers.remove(swiped.comparison.maps[0])
    swiped.comparison.mend()
    assert not swiped.comparison.active
    assert [layers.entry(layer)["kind"] for layer in model.layers] == ["slide", "map", "contours"]


def test_maps_of_other_tiles_are_swiped_along_one_line(controller: Controller, tmp_path: Path) -> None:
    run = controller.add_run(other_tiles(tmp_path / "other.asmil", 4))
    controller.comparison.swiping = True
    cells = [cell_of(MapView(controller.runs[0], "slide")), cell_of(MapView(run, "slide"))]
    controller.comparison.enter(cells, "slide", "m_alpha")
    border = controller.comparison.border
    assert border is not None
    assert (border.low, border.high) == (-0.5, 128 + SIDE * 64 - 0.5)
    border.move(128 + 64 - 0.5)
    a, b = (layer.data[0] for layer in controller.comparison.maps)
    assert np.isfinite(a).all(axis=0).tolist() == [True] + [False] * 7
    assert np.isfinite(b).all(axis=0).tolist() == [False, False, False, True]


def test_the_next_slide_is_swiped_too(swiped: Controller) -> None:
    step_slide(swiped, 1)
    assert swiped.comparison.border is not None
    assert [layer.data.slide.slide_id for layer in swiped.comparison.maps] == ["other", "other"]
