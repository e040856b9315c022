"""A long training followed in a window with every dock open: what the process grows by."""

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qtpy.QtWidgets import QApplication

from benchmarks.bench_viewer_canvas import resident_mb
from benchmarks.bench_viewer_views import corners, epoch_of
from benchmarks.measure import Result
from napari_asmil.runs import RunHeader, RunWriter, SlideHeader
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.window import DYNAMICS, EXPLORE, INSPECT, SURVEY, open_docks

EPOCHS, SLIDES, TILES, WARM = 1000, 50, 400, 100


def run() -> Iterator[Result]:
    import napari

    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show_welcome_screen=False)
        open_docks(viewer, SURVEY, INSPECT, DYNAMICS, EXPLORE)
        controller = Controller.of(viewer)
        slides = tuple(SlideHeader(f"s{i}", TILES, xy=corners(TILES), tile_size=256.0) for i in range(SLIDES))
        header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), slides, EPOCHS, 3)
        with RunWriter.create(Path(folder) / "live.asmil", header) as writer:
            writer.write(epoch_of(slides, 0))
            controller.show_map(controller.add_run(Path(folder) / "live.asmil"), "s0")
            warm = 0.0
            for epoch in range(1, EPOCHS + 1):
                writer.write(epoch_of(slides, epoch))
                controller.follower.refresh(controller.runs[0])
                for _ in range(5):
                    QApplication.processEvents()
                if epoch == WARM:
                    gc.collect()
                    warm = resident_mb()
        controller.idle.finish()
        gc.collect()
        assert controller.epoch == EPOCHS
        grown = resident_mb() - warm
        viewer.close()
        yield Result("viewer_soak", f"memory from epoch {WARM} to {EPOCHS} of {SLIDES} slides", grown, "MB", 50)
