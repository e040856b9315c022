"""A map on a real slide, on the real canvas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord
from napari_asmil.slides import open_slide
from napari_asmil.slides.tissue import tile_grid
from napari_asmil.viewer.controller import Controller

TILE, ZOOM = 240, 3


def screen(viewer: Any, kind: str) -> NDArray[np.int64]:
    """The canvas with only one of our layers visible."""
    stage = Controller.of(viewer).stage
    for name in ("slide", "map"):
        stage.layer(name).visible = name == kind
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3].astype(int)


@pytest.fixture
def planted(real_data: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A run on the slide in which one tile in the middle of the tissue has nearly all attention."""
    path = real_data / "wsi" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        grid, size = tile_grid(slide, TILE), (slide.shape[1], slide.shape[0])
    middle = int(np.abs(grid.centres - np.array(size[::-1]) / 2).sum(axis=1).argmin())
    z = np.zeros((1, len(grid)), np.float32)
    z[0, middle] = 20
    log_p = (z[0] - np.log(np.exp(z[0].astype(float)).sum())).astype(np.float32)
    shown = SlideHeader(path.stem, len(grid), xy=grid.xy, tile_size=TILE, slide_size=size, slide_path=str(path))
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (shown,), 0, 3)
    with RunWriter.create(tmp_path / "planted.asmil", header) as writer:
        row = SlideRecord(log_p, np.zeros(2, np.float32), np.zeros(3, np.float32), None, z)
        writer.write(EpochRecord({path.stem: row}))
    return tmp_path / "planted.asmil", grid.xy[middle]


def test_a_tile_planted_in_the_map_lies_on_the_slides_own_pixels_of_that_tile(
    make_napari_viewer_proxy: Any, planted: tuple[Path, np.ndarray]
) -> None:
    path, (x, y) = planted
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1590, 990)
    controller = Controller.of(viewer)
    run = controller.add_run(path)
    controller.show_map(run, run.slides[0].slide_id)
    layer = controller.map_layer
    layer.colormap, layer.opacity, layer.colorbar.visible = "gray", 1.0, False
    viewer.canvas.overlays.text.visible = False
    viewer.scene.camera.center = (y + TILE / 2 - 0.5, x + TILE / 2 - 0.5)
    viewer.scene.camera.zoom = ZOOM

    bright = screen(viewer, "map").min(axis=2) > 200
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert abs(len(rows) - ZOOM * TILE) <= 1
    assert abs(len(columns) - ZOOM * TILE) <= 1

    tissue = screen(viewer, "slide")
    assert controller.slide is not None
    pixels = controller.slide.read(0, y, y + TILE, x, x + TILE).astype(int)
    expected = pixels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)[8:-8, 8:-8]
    differences = {}
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            top, left = rows[0] + 8 + dy, columns[0] + 8 + dx
            crop = tissue[top : top + expected.shape[0], left : left + expected.shape[1]]
            differences[dy, dx] = np.abs(crop - expected).mean()
    best = min(differences, key=differences.__getitem__)
    assert np.abs(best).max() / ZOOM < 0.5
    assert differences[best] < 0.5 * sorted(differences.values())[9], "the place is not sharp"
