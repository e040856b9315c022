"""What groups of contours count as: shown, changed, drawn in its colour, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.colormaps.standardize_color import transform_color

from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.geometry import TileGrid
from napari_asmil.viewer import layers
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.roles import RolesGroup, recast
from napari_asmil.viewer.opening import FROM_CONTOURS, Request, open_request
from tests.annotations.dialects import DIALECTS, FRAME
from tests.viewer.conftest import Pictured, write_slide

BOXES = {"Tumor": (0, 0, 100, 100), "Exclusion": (0, 0, 50, 100), "Stroma": (100, 0, 200, 100)}


def write(path: Path, boxes: dict[str, tuple[int, int, int, int]]) -> Path:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]},
            "properties": {"classification": {"name": name}},
        }
        for name, (x0, y0, x1, y1) in boxes.items()
    ]
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [300, 300]}, "properties": {}}
    path.write_text(json.dumps([*features, point]))
    return path


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    return write(tmp_path / "slide.geojson", BOXES)


def bag_on(contours: Path) -> Cohort:
    grid = TileGrid([[0, 0], [100, 0]], 100)
    bag = in_memory_bag("slide", np.zeros((2, 3), np.float32), grid, contours_path=contours)
    return Cohort((bag,))


def colours(model: Any) -> list[str]:
    """Roles by the colours of the segments of the one layer of contours, four of every box."""
    (layer,) = [layer for layer in model.layers if layers.entry(layer).get("kind") == "contours"]
    known = {
        tuple(transform_color(colour)[0]): role for role, colour in layers.ROLE_COLORS.items() if role != "undecided"
    }
    return [known[tuple(colour)] for colour in layer.edge_color[::4]]


def test_groups_are_shown_with_their_number_and_role_while_there_are_contours(model: Any, drawn: Path) -> None:
    controller = Controller.of(model)
    group = RolesGroup(controller)
    assert group.isHidden()
    controller.open_contours(drawn)
    assert not group.isHidden()
    said = {group.table.cellWidget(row, 0).text().strip(): group.table.cellWidget(row, 1) for row in range(3)}
    assert {text: combo.currentText() for text, combo in said.items()} == {
        "Tumor (1)": "tumour",
        "Exclusion (1)": "exclude",
        "Stroma (1)": "ignore",
    }
    assert group.marks.text() == "Points (1) and lines (0) have no area and count as nothing."
    assert group.cropped.isHidden()
    controller.clear()
    assert group.isHidden()


def test_every_segment_has_the_colour_of_its_role_and_points_that_of_what_is_ignored(model: Any, drawn: Path) -> None:
    Controller.of(model).open_contours(drawn)
    assert colours(model) == ["tumour", "exclude", "ignore", "ignore"]


def test_one_role_alone_is_drawn_as_ever(model: Any, pictured: Pictured) -> None:
    controller = Controller.of(model)
    controller.open_contours(pictured.contours)
    assert colours(model) == ["tumour"]


def test_another_role_redraws_the_same_layer_and_tile_labels_follow(model: Any, drawn: Path) -> None:
    controller = Controller.of(model)
    group = RolesGroup(controller)
    controller.open_contours(drawn)
    controller.set_cohort(bag_on(drawn))
    layer = controller.stage.layer("contours")
    group.combo("Stroma").setCurrentText("tumour")
    assert controller.stage.layer("contours") is layer
    assert colours(model)[:3] == ["tumour", "exclude", "tumour"]
    assert controller.cohort is not None
    (bag,) = controller.cohort.bags
    np.testing.assert_allclose(bag.tile_labels, [0.5, 1])
    assert FROM_CONTOURS in bag.derivation
    group.combo("Exclusion").setCurrentText("ignore")
    np.testing.assert_allclose(controller.cohort.bags[0].tile_labels, [1, 1])
    assert group.combo("Exclusion").currentText() == "ignore"


def test_labels_that_a_feature_file_holds_stay_and_that_is_said(model: Any, drawn: Path) -> None:
    controller = Controller.of(model)
    group = RolesGroup(controller)
    controller.open_contours(drawn)
    grid = TileGrid([[0, 0], [100, 0]], 100)
    bag = in_memory_bag("slide", np.zeros((2, 3), np.float32), grid, tile_labels=[0, 1], contours_path=drawn)
    controller.set_cohort(Cohort((bag,)))
    group.combo("Stroma").setCurrentText("tumour")
    assert controller.cohort is not None
    assert controller.cohort.bags[0] is bag
    assert "feature files recorded stays" in group.note.text()


def test_groups_that_say_nothing_are_drawn_undecided_until_one_is_chosen(
    model: Any, tmp_path: Path, pictured: Pictured
) -> None:
    controller = Controller.of(model)
    group = RolesGroup(controller)
    path = write(tmp_path / "unknown.geojson", {"A": (0, 0, 100, 100), "B": (200, 0, 300, 100)})
    said = open_request(controller, Request(slide=pictured.slide, annotation=path))
    assert any("--role GROUP=tumour" in line for line in said)
    assert group.combo("A").currentText() == "undecided"
    controller.set_cohort(bag_on(path))
    group.combo("A").setCurrentText("tumour")
    assert controller.contours is not None
    assert controller.contours.roles == {"A": "tumour", "B": "ignore"}
    assert group.combo("A").findText("undecided") == -1
    assert controller.cohort is not None
    np.testing.assert_allclose(controller.cohort.bags[0].tile_labels, [1, 0])


def test_a_group_can_be_undecided_again_and_then_nothing_is_derived(model: Any, drawn: Path) -> None:
    controller = Controller.of(model)
    contours = controller.open_contours(write(drawn, {"A": (0, 0, 100, 100), "B": (200, 0, 300, 100)}))
    controller.set_cohort(bag_on(drawn))
    recast(controller, contours.with_roles({"A": "tumour"}))
    recast(controller, contours)
    assert controller.cohort is not None
    assert controller.cohort.bags[0].tile_labels is None
    assert FROM_CONTOURS not in controller.cohort.bags[0].derivation


def test_panes_of_a_comparison_are_redrawn_too(model: Any, pictured: Pictured) -> None:
    controller = Controller.of(model)
    for run in pictured.runs:
        controller.show_map(controller.add_run(run), "slide")
    contours = controller.contours
    assert contours is not None
    copy = layers.make(layers.contours_data(contours))
    layers.entry(copy)["cell"] = 1
    model.layers.append(copy)
    controller.stage.change_contours(contours.with_roles({"Tumor": "exclude"}))
    amber = transform_color(layers.ROLE_COLORS["exclude"])[0]
    shown = [layer for layer in model.layers if layers.entry(layer).get("kind") == "contours"]
    assert len(shown) == 2
    for layer in shown:
        np.testing.assert_allclose(layer.edge_color[0], amber)
        assert layers.entry(layer)["contours"] is controller.contours


def test_contours_of_a_cropped_slide_can_be_moved_onto_the_tissue(model: Any, pictured: Pictured, drawn: Path) -> None:
    controller = Controller.of(model)
    group = RolesGroup(controller)
    slide = controller.open_slide(pictured.slide)
    slide.bounds = (128, 192)
    controller.open_contours(drawn)
    assert not group.cropped.isHidden()
    assert not group.cropped.isChecked()
    group.cropped.setChecked(True)
    layer = controller.stage.layer("contours")
    assert layer is not None
    np.testing.assert_array_equal(layer.data[0, 0], [191.5, 127.5])
    group.cropped.setChecked(False)
    np.testing.assert_array_equal(layer.data[0, 0], [-0.5, -0.5])


def test_contours_that_lie_beside_the_slide_are_refused(model: Any, tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tif")
    controller = Controller.of(model)
    controller.open_slide(tmp_path / "slide.tif")
    far = tmp_path / "far.geojson"
    far.write_text(json.dumps({"type": "Polygon", "coordinates": [[[9000, 0], [9900, 0], [9900, 900], [9000, 0]]]}))
    with pytest.raises(InputError, match="None of its contours lies on the slide"):
        controller.open_contours(far)
    assert controller.contours is None


def test_the_slides_frame_places_what_counts_in_something_else(model: Any, tmp_path: Path) -> None:
    controller = Controller.of(model)
    path = DIALECTS["NDPA"](tmp_path)
    with pytest.raises(InputError, match="the slide is needed"):
        controller.open_contours(path)
    write_slide(tmp_path / "slide.tif")
    slide = controller.open_slide(tmp_path / "slide.tif")
    assert slide.frame == Frame((1024, 1024), 0.5)
    with pytest.raises(InputError, match="does not say where the middle of the glass is"):
        controller.open_contours(path)
    assert FRAME.centre_nm is not None
    nearer = tuple(nm - 500 * (of - 1024) / 2 for nm, of in zip(FRAME.centre_nm, FRAME.size, strict=True))
    slide._opened = replace(slide._opened, centre_nm=nearer)
    np.testing.assert_allclose(controller.open_contours(path).tumour().bounds, (400, 600, 1400, 1800))
