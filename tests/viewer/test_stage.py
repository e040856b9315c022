"""Slide, map and contours: what comes and goes together, and what is never read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_asmil.viewer import layers
from napari_asmil.viewer.controller import Controller
from tests.viewer.conftest import TILE, Pictured, tile_corners, write_contours, write_slide


def kinds(model: Any) -> list[str]:
    return [layers.entry(layer).get("kind", "stranger") for layer in model.layers]


def test_a_map_brings_the_slide_under_it_and_the_contours_over_it(model: Any, pictured: Pictured) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    assert kinds(model) == ["slide", "map", "contours"]
    slide, _, contours = model.layers
    assert slide.multiscale
    assert slide.rgb
    for layer in (slide, contours):
        assert tuple(layer.axis_labels) == ("y", "x")
        assert tuple(map(str, layer.units)) == ("pixel", "pixel")
        assert layer.scale.tolist() == [1, 1]
    assert contours.data.shape == (4, 2, 2)
    assert controller.slide is not None
    assert controller.slide.path == pictured.slide


def test_scrubbing_epochs_reads_no_pixel_of_the_slide(viewer: Any, pictured: Pictured) -> None:
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    slide = controller.slide
    assert slide is not None
    before = slide.requests
    assert before > 0
    for epoch in (*range(6), *range(5, -1, -1)):
        controller.set_epoch(epoch)
    assert slide.requests == before


def test_a_slide_without_a_known_picture_is_shown_without_that_of_another(model: Any, pictured: Pictured) -> None:
    controller = Controller.of(model)
    run = controller.add_run(pictured.runs[0])
    controller.show_map(run, "slide")
    controller.show_map(run, "other")
    assert kinds(model) == ["map"]
    assert controller.slide is None
    assert controller.contours is None


def test_a_picture_that_is_not_where_the_run_says_is_told_of(
    model: Any, pictured: Pictured, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_asmil.viewer.stage.show_info", told.append)
    pictured.slide.rename(pictured.slide.with_name("elsewhere.tif"))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    assert kinds(model) == ["map", "contours"]
    assert told == ["The slide of slide (slide.tif) is not where the run says."]


def test_a_picture_of_another_size_is_not_put_under_a_map(model: Any, pictured: Pictured) -> None:
    import tifffile

    tifffile.imwrite(pictured.slide, np.zeros((600, 600, 3), np.uint8), photometric="rgb", tile=(128, 128))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    assert kinds(model) == ["map", "contours"]


def test_opening_a_slide_that_the_map_does_not_fit_takes_the_map_away(
    model: Any, pictured: Pictured, tmp_path: Path
) -> None:
    import tifffile

    small = tmp_path / "small.tif"
    tifffile.imwrite(small, np.zeros((600, 600, 3), np.uint8), photometric="rgb", tile=(128, 128))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    controller.open_slide(small)
    assert controller.map is None
    assert "map" not in kinds(model)


@pytest.mark.parametrize(("missing", "kept"), [(TILE // 2 - 1, True), (TILE // 2, False)])
def test_a_map_stays_over_a_slide_on_which_the_centre_of_every_tile_lies(
    model: Any, pictured: Pictured, tmp_path: Path, missing: int, kept: bool
) -> None:
    import tifffile

    cut, edge = tmp_path / "cut.tif", tile_corners().max() + TILE - missing
    tifffile.imwrite(cut, np.zeros((edge, edge, 3), np.uint8), photometric="rgb", tile=(128, 128))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(pictured.runs[0]), "other")
    controller.open_slide(cut)
    assert ("map" in kinds(model)) is kept


def test_a_slide_can_be_shown_through_dask(model: Any, pictured: Pictured) -> None:
    import dask.array

    controller = Controller.of(model)
    controller.open_slide(pictured.slide, dask=True)
    level = model.layers[0].data[0]
    assert isinstance(level, dask.array.Array)
    assert level[200:300, 200:300].compute().shape == (100, 100, 3)


def test_a_slide_is_closed_when_its_last_layer_goes(model: Any, pictured: Pictured, tmp_path: Path) -> None:
    controller = Controller.of(model)
    slide = controller.open_slide(pictured.slide)
    other = tmp_path / "other.tif"
    write_slide(other)
    controller.open_slide(other)
    from napari_asmil.errors import InputError

    with pytest.raises(InputError, match="closed"):
        slide.read(0, 0, 8, 0, 8)
    assert kinds(model) == ["slide"]


def test_layers_of_the_person_are_left_where_they_are(model: Any, pictured: Pictured) -> None:
    points = model.add_points([[1.0, 1.0]], name="mine")
    controller = Controller.of(model)
    run = controller.add_run(pictured.runs[0])
    controller.show_map(run, "slide")
    controller.show_map(run, "other")
    controller.clear()
    assert [layer.name for layer in model.layers] == [points.name]


def test_contours_keep_their_width_on_the_screen(model: Any, pictured: Pictured, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.open_contours(pictured.contours)
    (layer,) = model.layers
    for zoom in (0.05, 8.0):
        model.scene.camera.zoom = zoom
        qtbot.waitUntil(lambda zoom=zoom: 0.7 < layer.edge_width * zoom / layers.CONTOUR_WIDTH < 1.4, timeout=3000)


CRASH = """
import sys
sys.path.insert(0, {root!r})
import napari
from qtpy.QtWidgets import QApplication
from napari_asmil.viewer.controller import Controller

viewer = napari.Viewer()
controller = Controller.of(viewer)

def draw():
    for _ in range(5):
        QApplication.processEvents()
    viewer.screenshot(flash=False)

controller.open_slide({slide!r}); draw()
controller.open_contours({contours!r}); draw()
layer = viewer.layers[-1]
layer.visible = False; draw()
layer.visible = True; draw()
controller.open_contours({other!r}); draw()
assert len(viewer.layers) == 2
del viewer.layers[-1]; draw()
assert controller.contours is None
controller.open_contours({contours!r}); draw()
controller.clear(); draw()
viewer.close()
print("alive")
"""


def test_contours_are_added_hidden_replaced_and_deleted_without_a_crash(pictured: Pictured, tmp_path: Path) -> None:
    other = tmp_path / "more.geojson"
    write_contours(other, (300, 300, 900, 700))
    root = str(Path(__file__).parents[2])
    script = CRASH.format(root=root, slide=str(pictured.slide), contours=str(pictured.contours), other=str(other))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "alive" in done.stdout


def test_layers_that_a_person_duplicates_are_left_alone_and_go_on_working(viewer: Any, pictured: Pictured) -> None:
    from napari._app_model import get_app_model

    controller = Controller.of(viewer)
    run = controller.add_run(pictured.runs[0])
    controller.show_map(run, "slide")
    for layer in list(viewer.layers)[:2]:
        viewer.layers.selection = {layer}
        get_app_model().commands.execute_command("napari.layer.duplicate").result()
    assert kinds(viewer) == ["slide", "slide", "map", "map", "contours"]
    controller.set_epoch(1)
    controller.show_map(run, "other")
    assert sorted(kinds(viewer)) == ["map", "map", "slide"]
    copy = next(layer for layer in viewer.layers if layers.entry(layer)["kind"] == "slide")
    assert np.asarray(copy.data[0][0:4, 0:4]).shape == (4, 4, 3)
