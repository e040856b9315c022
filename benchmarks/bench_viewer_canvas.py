"""P1, P4, G1 and A1: a large slide appears and is roamed, methods lie side by side, and many contours are drawn."""

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from benchmarks.bench_viewer_steps import write_run
from benchmarks.measure import Result, cpu_ms, median

SIDE, TILE, LEVELS = 40_960, 512, 7
JUMPS, FROM = 100, 1.5
"""Jumps to places of the slide, at zooms of 1 screen px a level-0 px down to a 1.5 ** 8th of it."""
CONTOURS, VERTICES = 500, 100
MB = 2**20


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        slide = write_slide(Path(folder) / "large.tif")
        yield from _first_picture(slide)
        yield _roaming(slide)
        yield from _side_by_side(Path(folder))
        yield from _contours(Path(folder), slide)


def write_slide(path: Path) -> Path:
    """A pyramid of 40 960 px a side from a few JPEG tiles over and over."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(90, 255, (16, TILE // 8, TILE // 8, 3), dtype=np.uint8)
    encoded = [imagecodecs.jpeg8_encode(c.repeat(8, 0).repeat(8, 1), level=80) for c in coarse]
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for level in range(LEVELS):
            side = SIDE >> level
            tiles = [encoded[i] for i in rng.integers(0, len(encoded), (-(-side // TILE)) ** 2)]
            more: dict[str, Any] = {"subifds": LEVELS - 1} if level == 0 else {"subfiletype": 1}
            options = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2), "tile": (TILE, TILE)}
            tif.write(iter(tiles), shape=(side, side, 3), dtype=np.uint8, **options, **more)
    return path


def _first_picture(slide: Path) -> Iterator[Result]:
    """P1: from the path to the picture on the canvas, beside an image of the canvas's size from memory."""
    viewer = _viewer()
    small = np.zeros((*viewer.canvas.size, 3), np.uint8)

    def from_memory() -> None:
        viewer.add_image(small, rgb=True, contrast_limits=(0, 255))
        viewer.screenshot(canvas_only=True, flash=False)
        viewer.layers.clear()

    def from_file() -> None:
        controller = _controller(viewer)
        controller.open_slide(slide)
        viewer.screenshot(canvas_only=True, flash=False)
        controller.clear()

    memory, file = (median([_wall_ms(step) for _ in range(7)]) for step in (from_memory, from_file))
    viewer.close()
    yield Result("viewer_canvas", f"P1 first picture of {SIDE} px", file, "ms", 2000)
    yield Result("viewer_canvas", "P1 the same over an image from memory", file / memory, "ratio", 4)


def _roaming(slide: Path) -> Result:
    """P4: what a process of its own grows by, over an empty window, in jumps over the slide."""
    code = f"from benchmarks.bench_viewer_canvas import roam; roam({str(slide)!r})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    grown, cache = json.loads(told.stdout.splitlines()[-1])
    return Result("viewer_canvas", f"P4 memory after {JUMPS} jumps, beyond the cache's limit", grown - cache, "MB", 300)


def roam(slide: str) -> None:
    """Print by how many MB this process has grown over an empty window after all jumps, and the cache's limit."""
    from napari_asmil.slides.slide import TILE_CACHE

    viewer, rng = _viewer(), np.random.default_rng(0)
    viewer.screenshot(canvas_only=True, flash=False)
    before = resident_mb()
    _controller(viewer).open_slide(slide)
    for _ in range(JUMPS):
        viewer.scene.camera.zoom = FROM ** -rng.integers(0, 9)
        viewer.scene.camera.center = tuple(rng.uniform(0, SIDE, 2))
        viewer.screenshot(canvas_only=True, flash=False)
    gc.collect()
    print(json.dumps([resident_mb() - before, TILE_CACHE.limit / MB]))


def _side_by_side(folder: Path) -> Iterator[Result]:
    """G1: a step of the slider over four panes, and over one map, each with its redraw."""
    from napari_asmil.runs import MapView
    from napari_asmil.viewer.compare import cell_of

    viewer = _viewer()
    controller = _controller(viewer)
    run = controller.add_run(write_run(folder / "compared", 100, 50))
    controller.show_map(run, "slide")
    places = cycle(np.random.default_rng(0).permutation(50).tolist())

    def step() -> None:
        controller.set_epoch(next(places))
        viewer.screenshot(canvas_only=True, flash=False)

    one = median(cpu_ms(step)[0])
    controller.comparison.enter([cell_of(MapView(run, "slide"))] * 4, "slide", "m_alpha")
    four = median(cpu_ms(step)[0])
    viewer.close()
    yield Result("viewer_canvas", "G1 step with redraw, four panes over one", four / one, "ratio", 2.5)


def _contours(folder: Path, slide: Path) -> Iterator[Result]:
    """A1: many contours appear, and the canvas is panned with and without them; then they are hidden and replaced."""
    viewer = _viewer()
    controller, path = _controller(viewer), _write_contours(folder / "many.geojson")
    controller.open_slide(slide)
    viewer.screenshot(canvas_only=True, flash=False)
    moves = cycle([0.99, 1 / 0.99])

    def pan() -> None:
        y, x = viewer.scene.camera.center[-2:]
        viewer.scene.camera.center = (y * next(moves), x)
        viewer.screenshot(canvas_only=True, flash=False)

    bare = median(cpu_ms(pan)[0])
    begun = time.process_time()
    controller.open_contours(path)
    viewer.screenshot(canvas_only=True, flash=False)
    took = 1000 * (time.process_time() - begun)
    drawn = median(cpu_ms(pan)[0])
    layer = controller.stage.layer("contours")
    layer.visible = False
    pan()
    layer.visible = True
    controller.open_contours(path)
    pan()
    viewer.layers.remove(controller.stage.layer("contours"))
    pan()
    viewer.close()
    name = f"{CONTOURS} contours of {VERTICES} vertices"
    yield Result("viewer_canvas", f"A1 {name} appear", took, "ms CPU", 1000)
    yield Result("viewer_canvas", f"A1 pan with {name} over without", drawn / bare, "ratio", 2.5)


def _write_contours(path: Path) -> Path:
    rng, angles = np.random.default_rng(0), np.linspace(0, 2 * np.pi, VERTICES)
    features = []
    for x, y in rng.uniform(2000, SIDE - 2000, (CONTOURS, 2)):
        ring = np.stack([x + 800 * np.cos(angles), y + 800 * np.sin(angles)], axis=1)
        ring[-1] = ring[0]
        geometry = {"type": "Polygon", "coordinates": [ring.tolist()]}
        features.append({"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": "Tumor"}}})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def _viewer() -> Any:
    import napari

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1200, 900)
    return viewer


def _controller(viewer: Any) -> Any:
    from napari_asmil.viewer.controller import Controller

    return Controller.of(viewer)


def _wall_ms(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - begun)


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
