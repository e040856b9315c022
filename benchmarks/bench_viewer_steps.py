"""S1 to S4: what one step of the epoch slider costs in the window, on the real canvas."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

from benchmarks.measure import Result, cpu_ms, median, p95
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.explore import ExploreDock

TILE = 8
DISTINCT = 8
"""Different rows of attention; later epochs repeat them."""


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer()
        viewer.window.resize(1200, 900)
        few = _tiles(viewer, write_run(Path(folder) / "few", 32, 50))
        many = _tiles(viewer, write_run(Path(folder) / "many", 316, 50))
        for name, case in (("1024", few), ("99856", many)):
            yield Result("viewer_steps", f"S4 slide reads in 33 steps at {name} tiles", case["reads"], "reads", 0)
            yield Result(
                "viewer_steps", f"S2 step with redraw over a pan at {name} tiles", case["over pan"], "ratio", 2.5
            )
            yield Result("viewer_steps", f"legend at {name} tiles", case["legend"], "ms CPU")
        yield Result("viewer_steps", "S1 step at 99856 tiles, p95", many["p95"], "ms CPU", 15)
        yield Result(
            "viewer_steps", "S1 step at 99856 over 1024 tiles, medians", many["median"] / few["median"], "ratio", 2
        )
        yield from _epochs(Path(folder))
        viewer.close()


def _tiles(viewer: Any, path: Path) -> dict[str, float]:
    """What a step costs over a slide."""
    controller = _show(viewer, path)
    slide = controller.slide
    scrub = _step(controller)
    moves = cycle([0.99, 1 / 0.99])

    def scrub_and_draw() -> None:
        scrub()
        viewer.screenshot(canvas_only=True, flash=False)

    def pan_and_draw() -> None:
        y, x = viewer.scene.camera.center[-2:]
        viewer.scene.camera.center = (y * next(moves), x)
        viewer.screenshot(canvas_only=True, flash=False)

    before = slide.requests
    steps = cpu_ms(scrub)[0]
    reads = slide.requests - before
    drawn, panned = cpu_ms(scrub_and_draw, pan_and_draw)
    dock = ExploreDock(viewer)
    dock.show()
    legend = median(cpu_ms(dock.write_legend)[0])
    dock.deleteLater()
    return {
        "p95": p95(steps),
        "median": median(steps),
        "reads": reads,
        "over pan": median(drawn) / median(panned),
        "legend": legend,
    }


def _epochs(here: Path) -> Iterator[Result]:
    """50 against 1000 epochs of 10k tiles, and zarr against an array in memory: three windows, in turn."""
    paths = [write_run(here / f"epochs{epochs}", 100, epochs) for epochs in (50, 1000)]
    viewers = [napari.Viewer() for _ in range(3)]
    few, many, memory = (_show(viewer, path) for viewer, path in zip(viewers, (*paths, paths[0]), strict=True))
    memory.map_layer.data = np.random.default_rng(0).random((50, 100, 100), dtype=np.float32)
    times = cpu_ms(*(_step(controller) for controller in (few, many, memory)), repeats=60)
    on_50, on_1000, in_memory = map(median, times)
    yield Result("viewer_steps", "S3 step at 1000 over 50 epochs", on_1000 / on_50, "ratio", 1.3)
    yield Result("viewer_steps", "S3 step from zarr over numpy in memory", on_50 / in_memory, "ratio", 1.6)
    for viewer in viewers:
        viewer.close()


def _step(controller: Controller) -> Callable[[], None]:
    """A step to an epoch that is not in the small cache of the view."""
    places = cycle(np.random.default_rng(0).permutation(controller.viewer.dims.nsteps[0]).tolist())
    return lambda: controller.set_epoch(next(places))


def _show(viewer: Any, path: Path) -> Controller:
    controller = Controller.of(viewer)
    controller.clear()
    controller.show_map(controller.add_run(path), "slide")
    for _ in range(20):
        QApplication.processEvents()
    return controller


def write_run(folder: Path, side: int, epochs: int) -> Path:
    """A run over a slide of side x side tiles."""
    folder.mkdir()
    slide = folder / "slide.tif"
    pixels = np.full((side * TILE, side * TILE, 3), 200, np.uint8)
    tifffile.imwrite(slide, pixels, tile=(256, 256), photometric="rgb", compression="jpeg")
    rows, columns = np.divmod(np.arange(side * side), side)
    xy = np.stack([columns, rows], axis=1) * TILE
    shown = SlideHeader("slide", side * side, xy=xy, tile_size=TILE, slide_path=str(slide), watched=False)
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (shown,), epochs - 1, 3)
    z = np.random.default_rng(0).normal(size=(DISTINCT, side * side))
    log_p = (z - np.log(np.exp(z).sum(axis=1, keepdims=True))).astype(np.float32)
    path = folder / "run.asmil"
    with RunWriter.create(path, header) as writer:
        for epoch in range(epochs):
            row = SlideRecord(log_p[epoch % DISTINCT], np.zeros(2, np.float32), np.zeros(3, np.float32))
            writer.write(EpochRecord({"slide": row}))
    return path
