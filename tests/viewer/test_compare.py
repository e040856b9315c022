"""Panes side by side, and everything as it was afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Source
from napari_asmil.viewer import layers
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from tests.viewer.conftest import Pictured


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

    def state() -> tuple[Any, ...]:
        return (
            [layer.name for layer in model.layers],
            [layer.visible for layer in model.layers],
            {layer.name for layer in model.layers.selection},
            model.canvas.grid.model_dump(),
            model.scene.camera.model_dump(),
        )

    before = state()
    enter(controller)
    assert state() != before
    model.layers.move(0, 5)
    controller.comparison.leave()
    assert state() == before
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
