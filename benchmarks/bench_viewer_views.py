"""Derived views of many rows and tiles, the epochs around them fetched ahead, and T3: an epoch that comes in."""

import tempfile
import time
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import numpy as np

from benchmarks.measure import Result, cpu_ms, median, p95
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import (
    EpochRecord,
    MapView,
    Run,
    RunHeader,
    RunWriter,
    SlideHeader,
    SlideRecord,
    Source,
    open_run,
)
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.window import PLUGIN, SURVEY

ROWS, SIDE, EPOCHS = 64, 316, 24
NORMALIZERS = (Normalizer(), Normalizer("nsf", offset=-1.0), Normalizer("entmax"))
STREAMED, SLIDES = 30, 50
TABLED, EPOCHS_TABLED = 2000, 50


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        opened = open_run(_write_rows(Path(folder) / "rows.asmil"))
        for normalizer in NORMALIZERS:
            yield from _derived(opened, normalizer)
        yield from _streamed(Path(folder))
        yield from _tabled(Path(folder))


def _derived(opened: Run, normalizer: Normalizer) -> Iterator[Result]:
    """A view of all rows at an epoch for the first time, and at one that is there."""
    import napari

    viewer = napari.Viewer(show_welcome_screen=False)
    controller = Controller.of(viewer)
    controller.show_map(opened, "slide", Source(normalizer))
    view, unseen = MapView(opened, "slide", Source(normalizer)), count()
    fresh = median(cpu_ms(lambda: view[next(unseen) % EPOCHS], repeats=EPOCHS // 2, warmup=1)[0])
    longest = 0.0
    for epoch in range(2, EPOCHS - 2, 5):
        controller.set_epoch(epoch)
        fetching = controller.map.fetching(epoch + 1)
        while True:
            begun = time.process_time()
            if next(fetching, "done") == "done":
                break
            longest = max(longest, 1000 * (time.process_time() - begun))
    ahead = []
    for epoch in range(3, EPOCHS - 2):
        controller.set_epoch(epoch)
        controller.idle.finish()
        begun = time.process_time()
        controller.set_epoch(epoch + 1)
        ahead.append(1000 * (time.process_time() - begun))
    viewer.close()
    name = f"{ROWS} rows of {SIDE**2} tiles by {normalizer.name}"
    yield Result("viewer_views", f"{name}, an epoch not seen before", fresh, "ms CPU", 150)
    yield Result("viewer_views", f"{name}, the window's step to one fetched ahead, p95", p95(ahead), "ms CPU", 15)
    yield Result("viewer_views", f"{name}, longest piece of fetching ahead", longest, "ms CPU", 50)


def _streamed(folder: Path) -> Iterator[Result]:
    """T3: what the window does, without redraw, when an epoch of a run it follows is committed."""
    import napari

    viewer = napari.Viewer(show_welcome_screen=False)
    controller = Controller.of(viewer)
    tiles = SIDE**2 // SLIDES
    slides = tuple(
        SlideHeader(f"s{i}", tiles, xy=corners(tiles), tile_size=256.0, watched=False) for i in range(SLIDES)
    )
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), slides, STREAMED, 3)
    took = []
    with RunWriter.create(folder / "live.asmil", header) as writer:
        writer.write(epoch_of(slides, 0))
        controller.show_map(controller.add_run(folder / "live.asmil"), "s0")
        opened = controller.runs[0]
        for epoch in range(1, STREAMED + 1):
            writer.write(epoch_of(slides, epoch))
            begun = time.process_time()
            controller.follower.refresh(opened)
            took.append(1000 * (time.process_time() - begun))
    assert controller.epoch == STREAMED
    viewer.close()
    yield Result("viewer_views", f"T3 an epoch of {SLIDES} slides comes in, p95", p95(took), "ms CPU", 40)


def _tabled(folder: Path) -> Iterator[Result]:
    """A table of 2000 slides follows the slider, sorted by a number that changes, its own redraw included."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    slides = tuple(SlideHeader(f"s{i}", 30, label=i % 2, split="test", watched=False) for i in range(TABLED - 1))
    slides = (SlideHeader("shown", 30, xy=corners(30), tile_size=256.0, watched=False), *slides)
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), slides, EPOCHS_TABLED - 1, 3)
    with RunWriter.create(folder / "many.asmil", header) as writer:
        for epoch in range(EPOCHS_TABLED):
            writer.write(epoch_of(slides, epoch))
    viewer = napari.Viewer(show_welcome_screen=False)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(folder / "many.asmil"), "shown")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, SURVEY)
    QApplication.processEvents()
    places = cycle(np.random.default_rng(0).permutation(EPOCHS_TABLED).tolist())

    def step() -> None:
        controller.set_epoch(next(places))
        dock.view.grab()  # the table alone: repainting it on the screen would have the canvas drawn, too

    model = dock.view.cohort
    headings = [model.headerData(i, Qt.Orientation.Horizontal) for i in range(model.columnCount())]
    for how, heading in (("unsorted", None), ("sorted by JSD", next(name for name in headings if "JSD" in str(name)))):
        if heading is not None:
            dock.view.sortByColumn(headings.index(heading), Qt.SortOrder.DescendingOrder)
        took = p95(cpu_ms(step, repeats=EPOCHS_TABLED)[0])
        case = f"a step with a table of {TABLED} slides, {how}, p95"
        yield Result("viewer_views", case, took, "ms CPU", 30)
    viewer.close()


def epoch_of(slides: tuple[SlideHeader, ...], epoch: int) -> EpochRecord:
    rng = np.random.default_rng(epoch)
    found = {}
    for slide in slides:
        z = rng.normal(size=slide.n_tiles)
        row = (z - np.log(np.exp(z).sum())).astype(np.float32)
        z = row[None] if slide.watched else None
        found[slide.slide_id] = SlideRecord(row, np.zeros(2, np.float32), np.zeros(3, np.float32), z=z)
    return EpochRecord(found)


def _write_rows(path: Path) -> Path:
    tiles = SIDE**2
    slide = SlideHeader("slide", tiles, xy=corners(tiles), tile_size=256.0)
    names = tuple(f"head {h} / token {t}" for t in range(1, 9) for h in range(1, 9))
    header = RunHeader("asmil", "ASMIL", {}, ("a", "b"), names, (slide,), EPOCHS - 1, 3)
    with RunWriter.create(path, header) as writer:
        for epoch in range(EPOCHS):
            z = np.random.default_rng(epoch).normal(size=(ROWS, tiles)).astype(np.float32)
            row = (z[0] - np.log(np.exp(z[0].astype(float)).sum())).astype(np.float32)
            record = SlideRecord(row, np.zeros(2, np.float32), np.zeros(3, np.float32), z=z)
            writer.write(EpochRecord({"slide": record}))
    return path


def corners(tiles: int) -> np.ndarray:
    rows, columns = np.divmod(np.arange(tiles), round(np.ceil(np.sqrt(tiles))))
    return np.stack([columns, rows], axis=1) * 256
