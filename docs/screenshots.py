"""Take the pictures of the documentation: `xvfb-run -s "-screen 0 1600x1000x24" python docs/screenshots.py [DEMO]`.

DEMO is a folder that `napari-asmil demo --no-window --out DEMO` has made; without it the demo is made first.
Every station of the window is taken in the dark and the light theme, at 1280 x 800.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_asmil.annotations import read_annotations
from napari_asmil.bags import read_cohort
from napari_asmil.demo.run_demo import demo
from napari_asmil.render import export_overlay
from napari_asmil.runs import MapView, open_run
from napari_asmil.slides import open_slide
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.window import DYNAMICS, EXPLORE, INSPECT, OPEN, PLUGIN, SURVEY, open_docks, open_runs

IMAGES = Path(__file__).resolve().parent / "images"
SIZE = (1280, 800)
PATIENCE_S = 120


def main(made: Path) -> None:
    """Take all pictures."""
    os.chdir(made)
    slide = json.loads((made / "summary.json").read_text())["slide"]
    for theme in ("dark", "light"):
        for station in STATIONS:
            take(station, theme, made, slide)
    overlay(made, slide)
    drawn(made, slide)


def take(station: Callable[..., None], theme: str, made: Path, slide: str) -> None:
    """One picture of a fresh window."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.theme = theme
    viewer.window.resize(*SIZE)
    station(viewer, made, slide)
    settle()
    picture = viewer.window.screenshot(canvas_only=False, flash=False)
    Image.fromarray(picture).convert("RGB").save(IMAGES / f"{station.__name__}-{theme}.png", optimize=True)
    Controller.of(viewer).job.close()
    viewer.close()
    wait(lambda: not Controller.of(viewer).job.active)


def opened(viewer: Any, made: Path, slide: str) -> None:
    """A slide with features and contours, and what was derived."""
    dock = open_dock(viewer, "Open slide and bags")
    dock.slide.set_path(Path("slides", f"{slide}.ome.tif"))
    dock.features.set_path(Path("features", f"{slide}.h5"))
    dock.annotation.set_path(Path("annotations", f"{slide}.geojson"))
    settle()
    dock.open_button.click()


def outlined(viewer: Any, made: Path, slide: str) -> None:
    """The outline of the tissue, and the form that makes features inside it."""
    viewer.open(str(made / "slides" / f"{slide}.ome.tif"), plugin=PLUGIN)
    settle()
    dock = open_dock(viewer, OPEN)
    dock.extract.tissue_button.click()
    wait(lambda: len(viewer.layers) == 2 and not Controller.of(viewer).job.active)
    dock.ensureWidgetVisible(dock.extract.start_button)
    settle()
    viewer.reset_view()


def brought(viewer: Any, made: Path, slide: str) -> None:
    """Attention of someone's own model, kept as percentiles, dropped on the slide."""
    run = open_run(made / "runs" / "abmil.asmil")
    tiles, log_attention = run.slide(slide).tiles, run.attention(run.n_epochs - 1, slide)
    assert tiles is not None
    ranks = log_attention.argsort().argsort()
    rows = [
        f"{x},{y},{tiles.size:g},{100 * (rank + 1) / len(ranks)}"
        for (x, y), rank in zip(tiles.xy.tolist(), ranks.tolist(), strict=True)
    ]
    scores = Path(tempfile.mkdtemp()) / f"{slide}.csv"
    scores.write_text("\n".join(["x,y,tile_size,attention", *rows]))
    for path in (made / "slides" / f"{slide}.ome.tif", made / "annotations" / f"{slide}.geojson", scores):
        viewer.open(str(path), plugin=PLUGIN)
    settle()
    viewer.reset_view()


def training(viewer: Any, made: Path, slide: str) -> None:
    """A training whose attention appears on the slide."""
    dock = open_dock(viewer, "Train")
    controller = Controller.of(viewer)
    controller.set_cohort(read_cohort(made / "features", made / "labels.csv"))
    controller.open_slide(made / "slides" / f"{slide}.ome.tif")
    dock.form.choose("abmil", "nsf")
    dock.form.preset.setCurrentText("demo")
    dock.out.set_path(Path(tempfile.mkdtemp()) / "abmil_nsf.asmil")
    settle()
    dock.start_button.click()
    wait(lambda: controller.epoch >= 4)
    viewer.reset_view()


def explored(viewer: Any, made: Path, slide: str) -> None:
    """One map and its legend."""
    open_docks(viewer, DYNAMICS, EXPLORE)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(made / "runs" / "abmil_nsf.asmil"), slide, transform="log10")
    settle()
    viewer.reset_view()


def compared(viewer: Any, made: Path, slide: str) -> None:
    """Four methods side by side."""
    open_docks(viewer, DYNAMICS, EXPLORE)
    side_by_side(viewer, made)
    dock = open_dock(viewer, EXPLORE)
    settle()
    dock.verticalScrollBar().setValue(dock.verticalScrollBar().maximum())


def dynamics(viewer: Any, made: Path, slide: str) -> None:
    """Curves of four methods beside their maps."""
    open_docks(viewer, EXPLORE, DYNAMICS)
    side_by_side(viewer, made)


def side_by_side(viewer: Any, made: Path) -> None:
    """All runs of the demo, at an epoch in the middle."""
    controller = Controller.of(viewer)
    open_runs(controller, [made / "runs"], side_by_side=True)
    controller.set_epoch(3)
    settle()
    viewer.fit_to_view()


def differing(viewer: Any, made: Path, slide: str) -> None:
    """Two methods, their difference beside them, and the numbers between them."""
    open_docks(viewer, DYNAMICS, EXPLORE)
    controller = Controller.of(viewer)
    open_runs(controller, [made / "runs"])
    controller.comparison.difference = "log2"
    two = [cell_of(MapView(controller.runs[at], slide)) for at in (0, 1)]
    controller.comparison.enter(two, slide, "log10")
    controller.set_epoch(6)
    dock = open_dock(viewer, EXPLORE)
    settle()
    viewer.fit_to_view()
    dock.verticalScrollBar().setValue(dock.verticalScrollBar().maximum())


def swiped(viewer: Any, made: Path, slide: str) -> None:
    """Two methods in one place, divided by a line."""
    open_docks(viewer, DYNAMICS, EXPLORE)
    controller = Controller.of(viewer)
    open_runs(controller, [made / "runs"])
    controller.comparison.swiping = True
    two = [cell_of(MapView(controller.runs[at], slide)) for at in (0, 1)]
    controller.comparison.enter(two, slide, "log10")
    controller.set_epoch(6)
    dock = open_dock(viewer, EXPLORE)
    settle()
    viewer.fit_to_view()
    dock.verticalScrollBar().setValue(dock.verticalScrollBar().maximum())


def uncertain(viewer: Any, made: Path, slide: str) -> None:
    """How far the rows of a model lie apart on each tile."""
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(made / "runs" / "asmil.asmil"), slide, transform="log10")
    controller.instead.show("rows")
    dock = open_dock(viewer, EXPLORE)
    settle()
    viewer.reset_view()
    dock.ensureWidgetVisible(dock.instead)


def inspected(viewer: Any, made: Path, slide: str) -> None:
    """Tiles with most attention, picked in the histogram, one of them pinned."""
    controller = Controller.of(viewer)
    for name in ("abmil", "abmil_nsf"):
        run = controller.add_run(made / "runs" / f"{name}.asmil")
    controller.show_map(run, slide, transform="log10")
    dock = open_dock(viewer, INSPECT)
    settle()
    dock.distribution.maps.set_range(0.3, 3.0)
    dock.distribution.maps.picked.emit(0.3, 3.0)
    settle()
    controller.selection.pin(int(controller.map.probabilities(controller.epoch).argmax()))
    viewer.reset_view()


def surveyed(viewer: Any, made: Path, slide: str) -> None:
    """The slides of a run, those with the least steady maps first."""
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(made / "runs" / "asmil.asmil"), slide, transform="log10")
    dock = open_dock(viewer, SURVEY)
    settle()
    controller.set_epoch(4)
    viewer.reset_view()
    headings = [dock.view.cohort.headerData(at, Qt.Orientation.Horizontal) for at in range(6)]
    dock.view.sortByColumn(
        next(at for at, name in enumerate(headings) if "JSD" in str(name)), Qt.SortOrder.DescendingOrder
    )
    settle(2)


def embedded(viewer: Any, made: Path, slide: str) -> None:
    """Bag vectors of a run in the plane."""
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(made / "runs" / "asmil.asmil"), slide, transform="log10")
    dock = open_dock(viewer, SURVEY)
    dock.tabs.setCurrentIndex(1)
    settle(2)
    wait(lambda: not dock.embedding.computing)
    viewer.reset_view()


STATIONS = (
    opened,
    outlined,
    brought,
    training,
    explored,
    compared,
    differing,
    swiped,
    uncertain,
    dynamics,
    inspected,
    surveyed,
    embedded,
)


def overlay(made: Path, slide: str) -> None:
    """The overlay as it is exported."""
    run = open_run(made / "runs" / "abmil_nsf.asmil")
    contours = read_annotations(made / "annotations" / f"{slide}.geojson")
    with open_slide(made / "slides" / f"{slide}.ome.tif") as picture:
        view = MapView(run, slide, transform="log10")
        export_overlay(IMAGES / "overlay.png", view, run.n_epochs - 1, slide=picture, contours=contours, max_px=800)


def drawn(made: Path, slide: str, edge: int = 640) -> None:
    """The drawn slide as a whole, and the surroundings of its first focus as they are."""
    focus = read_annotations(made / "annotations" / f"{slide}.geojson").polygons[0].exterior
    x, y = (int(v) for v in focus.mean(axis=0) - edge / 2)
    with open_slide(made / "slides" / f"{slide}.ome.tif") as opened:
        near = opened.read(0, y, y + edge, x, x + edge)
        whole = Image.fromarray(opened.read(0, 0, opened.shape[0], 0, opened.shape[1]))
    page = Image.new("RGB", (2 * edge + 20, edge), "white")
    page.paste(whole.resize((edge, edge), Image.Resampling.LANCZOS), (0, 0))
    page.paste(Image.fromarray(near), (edge + 20, 0))
    page.save(IMAGES / "drawn.jpg", quality=85)


def open_dock(viewer: Any, title: str) -> Any:
    """The dock of that title."""
    return viewer.window.add_plugin_dock_widget(PLUGIN, title)[1]


def settle(seconds: float = 1.0) -> None:
    """Let the window draw itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()


def wait(until: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not until():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE_S} s for {until}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            for _ in demo(folder):
                pass
            main(Path(folder))
