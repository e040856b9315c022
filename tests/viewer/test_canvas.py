"""What is on the real canvas, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_asmil.viewer.controller import Controller
from tests.viewer.conftest import PLANTED, TILE, Pictured, tile_corners

ZOOM = 4.0
"""Screen px per level-0 px: an edge that is one screen px off is a quarter of a level-0 px off."""


def edges(viewer: Any, kind: str) -> NDArray[np.float64]:
    """Top, bottom, left and right of what is bright when only one of our layers is visible, in level-0 px."""
    controller = Controller.of(viewer)
    for name in ("slide", "map", "contours"):
        controller.stage.layer(name).visible = name == kind
    picture = viewer.screenshot(canvas_only=True, flash=False)
    bright = picture[..., :3].min(axis=2) > 200
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert len(rows) > TILE
    screen = np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], dtype=float)
    height, width = picture.shape[:2]
    centre = viewer.scene.camera.center[-2:]
    middle = np.array([height, height, width, width]) / 2
    return (screen - middle) / viewer.scene.camera.zoom + np.repeat(centre, 2)


@pytest.fixture
def zoomed_in(make_napari_viewer_proxy: Any, pictured: Pictured) -> Any:
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1200, 900)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(pictured.runs[0]), "slide")
    layer = controller.map_layer
    layer.colormap, layer.opacity, layer.colorbar.visible = "gray", 1.0, False
    viewer.canvas.overlays.text.visible = False
    x, y = tile_corners()[PLANTED]
    viewer.scene.camera.center = (y + TILE / 2, x + TILE / 2)
    viewer.scene.camera.zoom = ZOOM
    return viewer


def test_a_bright_tile_of_the_map_lies_where_the_slide_has_that_tile(zoomed_in: Any) -> None:
    x, y = tile_corners()[PLANTED]
    expected = np.array([y, y + TILE, x, x + TILE]) - 0.5
    slide, attention = edges(zoomed_in, "slide"), edges(zoomed_in, "map")
    assert np.abs(attention - slide).max() < 0.5
    assert np.abs(attention - expected).max() < 0.5


def test_the_tile_stays_there_at_another_epoch(zoomed_in: Any) -> None:
    controller = Controller.of(zoomed_in)
    before = edges(zoomed_in, "map")
    controller.set_epoch(0)
    assert np.array_equal(edges(zoomed_in, "map"), before)
