"""A real viewer, small pictured runs, and what every test with a window checks behind itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord

TILE, SIDE, TILES_AT = 64, 8, (128, 192)
"""Tiles of 64 px, 8 x 8 of them, the first at x = 128, y = 192."""
SLIDE = 1024
PLANTED = 19
"""The one tile that is bright, in the slide and in the map."""


@pytest.fixture(autouse=True)
def no_worker_outlives_its_test() -> Iterator[None]:
    from qtpy.QtCore import QThreadPool

    yield
    assert QThreadPool.globalInstance().activeThreadCount() == 0, "a worker is still running"


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    """A real viewer as plugins are given it: no private attributes, main thread only."""
    return make_napari_viewer_proxy()


@pytest.fixture
def model(qapp: Any) -> ViewerModel:
    """napari's viewer without its window: layers, dims, grid and camera are the real ones, and quick to make."""
    return ViewerModel()


@dataclass(frozen=True)
class Pictured:
    """A slide with contours, and runs on it."""

    slide: Path
    contours: Path
    runs: tuple[Path, ...]


def tile_corners() -> np.ndarray:
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    return np.stack([columns * TILE + TILES_AT[0], rows * TILE + TILES_AT[1]], axis=1)


def write_slide(path: Path) -> None:
    """A grey slide with one white tile, pyramidal."""
    pixels = np.full((SLIDE, SLIDE, 3), 90, dtype=np.uint8)
    x, y = tile_corners()[PLANTED]
    pixels[y : y + TILE, x : x + TILE] = 250
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels, tile=(128, 128), photometric="rgb", subifds=1, resolution=(20000, 20000), resolutionunit=3)
        tif.write(pixels[::2, ::2], tile=(128, 128), photometric="rgb", subfiletype=1)


def write_contours(path: Path, around: tuple[float, float, float, float] = (128, 192, 400, 500)) -> None:
    x0, y0, x1, y1 = around
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"objectType": "annotation", "classification": {"name": "Tumor"}}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def pictured_record(epoch: int, seed: int) -> EpochRecord:
    tiles = SIDE * SIDE
    z = np.random.default_rng([seed, epoch]).normal(0, 1, (1, tiles)).astype(np.float32)
    z[0, PLANTED] = 9.0
    log_p = z[0] - np.log(np.exp(z[0].astype(np.float64)).sum())
    row = SlideRecord(log_p.astype(np.float32), np.array([0.0, 1.0], np.float32), np.zeros(3, np.float32), None, z)
    return EpochRecord({"slide": row, "other": row}, {"loss_ce": 1 / (epoch + 1)})


def write_pictured_run(path: Path, slide: Path, contours: Path, *, epochs: int, seed: int) -> None:
    common = {"n_tiles": SIDE * SIDE, "xy": tile_corners(), "tile_size": float(TILE), "mpp": 0.5}
    shown = SlideHeader(
        "slide", slide_size=(SLIDE, SLIDE), slide_path=str(slide), contours_path=str(contours), label=1, **common
    )
    header = RunHeader(
        "abmil", "ABMIL", {}, ("normal", "tumour"), ("row",), (shown, SlideHeader("other", **common)), epochs, 3
    )
    with RunWriter.create(path, header) as writer:
        for epoch in range(epochs + 1):
            writer.write(pictured_record(epoch, seed))


@pytest.fixture
def pictured(tmp_path: Path) -> Pictured:
    """A slide with one white tile, its contours, and two runs that see that tile."""
    slide, contours = tmp_path / "slide.tif", tmp_path / "slide.geojson"
    write_slide(slide)
    write_contours(contours)
    runs = tuple(tmp_path / f"{name}.asmil" for name in ("first", "second"))
    for seed, run in enumerate(runs):
        write_pictured_run(run, slide, contours, epochs=5, seed=seed)
    return Pictured(slide, contours, runs)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """A window that never was on a screen is not asked to close: its timers end here, before its sliders do."""
    from napari_asmil.viewer.controller import Controller

    for controller in list(Controller._all.values()):
        controller.follower.stop()
        controller.idle.stop()
