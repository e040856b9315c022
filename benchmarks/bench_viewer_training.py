"""T1 and T2: the window stays alive while it trains, stops within a batch, and leaves at once.

A gap is the time between two ticks of a 10 ms timer in the window's thread. Training runs with the docks Train and
Read dynamics open and its map on the canvas, so that epochs are drawn as they come. Beside each gap stands the CPU time
that the window's own thread spent in it: a gap that is much longer than that is another process's doing.

Drawing an epoch takes longer than a tick, so a window that draws is held against one that draws as often without
training: the same window when it has stopped, stepped through its epochs. Against one that draws nothing, the ratio is
that of a drawing to a tick.
"""

import gc
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import Result, median

TICK_MS, SECONDS, LEFT = 10, 8, 120
STEP_MS = 500
"""Of the order of what the window shows in training: at most five times a second, less where drawing is slow."""
BAGS = {"500 tiles": 500, "10k tiles": 10_000}


def run() -> Iterator[Result]:
    for case, tiles in BAGS.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from _in_this_window(case, tiles, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _leaving(Path(folder))


def _in_this_window(case: str, tiles: int, folder: Path) -> Iterator[Result]:
    window = Window(tiles, folder)
    idle = window.gaps(SECONDS)
    window.train()
    busy = window.gaps(SECONDS)
    batch = window.batch_ms()
    begun = time.perf_counter()
    window.job.stop()
    window.wait(lambda: not window.job.active)
    stopped = (time.perf_counter() - begun) * 1000
    with window.stepping():
        stepped = window.gaps(SECONDS)
    window.close()
    before, drawing = float(np.percentile(idle[:, 0], 99)), float(np.percentile(stepped[:, 0], 99))
    p99, p99_cpu = np.percentile(busy, 99, axis=0).tolist()
    longest, longest_cpu = busy.max(axis=0).tolist()
    yield Result("viewer_training", f"gap idle, {case}, p99", before, "ms")
    yield Result("viewer_training", f"gap in training, {case}, p99", p99, "ms", 50)
    yield Result("viewer_training", f"gap in training, {case}, longest", longest, "ms", 100)
    yield Result("viewer_training", f"gap in training / stepping without, {case}, p99", p99 / drawing, "ratio", 2.5)
    yield Result("viewer_training", f"gap in training / idle, {case}, p99", p99 / before, "ratio")
    yield Result("viewer_training", f"own CPU in a gap, {case}, p99", p99_cpu, "ms CPU", 50)
    yield Result("viewer_training", f"own CPU in a gap, {case}, longest", longest_cpu, "ms CPU", 100)
    yield Result("viewer_training", f"batch, {case}, median", batch, "ms")
    yield Result("viewer_training", f"stop, {case}", stopped, "ms", max(300, batch))


def _leaving(folder: Path) -> Iterator[Result]:
    code = f"from benchmarks.bench_viewer_training import leave; leave({str(folder)!r})"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LEFT)
    gone = time.time() - float((folder / "closed").read_text())
    yield Result("viewer_training", "closing mid-training, status", process.returncode, "exit status", 0)
    yield Result("viewer_training", "closing mid-training, to the end of the process", gone, "s", 2)


def leave(folder: str) -> None:
    """Close a window in the middle of a training, and let the process end."""
    import napari
    from qtpy.QtCore import QTimer

    window = Window(500, Path(folder))
    window.train()
    QTimer.singleShot(500, window.close)
    (Path(folder) / "closed").write_text(str(time.time() + 0.5))
    napari.run()


class Window:
    """A viewer with both docks and bags of so many tiles to train on."""

    def __init__(self, tiles: int, folder: Path) -> None:
        import napari

        from napari_asmil.viewer.controller import Controller
        from napari_asmil.viewer.docks.dynamics import DynamicsDock
        from napari_asmil.viewer.docks.train import TrainDock

        self.viewer = napari.Viewer(show=True)
        self.dock = TrainDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Train")
        self.viewer.window.add_dock_widget(DynamicsDock(self.viewer), name="Read dynamics")
        self.job = Controller.of(self.viewer).job
        Controller.of(self.viewer).set_cohort(_cohort(tiles))
        self.dock.form.epochs.setValue(1000)
        self.dock.out.set_path(folder / "run.asmil")
        self._batches: list[float] = []
        self.job.event.connect(self._on_event)
        self.wait_seconds(2)
        gc.collect()

    def _on_event(self, event: object) -> None:
        from napari_asmil.events import BatchDone

        if isinstance(event, BatchDone) and event.phase == "train":
            self._batches.append(time.perf_counter())

    def train(self) -> None:
        """Start, and wait until the first epochs are on the canvas and their slider has found its place."""
        self.dock.start()
        self.wait(lambda: len(self.viewer.layers) > 0 and self.viewer.layers[0].data.shape[0] > 2)
        self.wait_seconds(1)

    def batch_ms(self) -> float:
        """Return the usual time from batch to batch."""
        return median(np.diff(self._batches) * 1000)

    def gaps(self, seconds: float) -> np.ndarray:
        """Return the milliseconds between ticks of a timer, float (N, 2): wall time, and CPU time of this thread."""
        from qtpy.QtCore import Qt, QTimer

        ticks: list[tuple[float, float]] = []
        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(lambda: ticks.append((time.perf_counter(), time.thread_time())))
        timer.start(TICK_MS)
        self.wait_seconds(seconds)
        timer.stop()
        return np.diff(np.array(ticks), axis=0) * 1000

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Step through the epochs on the canvas, round and round."""
        from qtpy.QtCore import QTimer

        timer, steps = QTimer(), itertools.count()
        n_epochs = self.viewer.layers[0].data.shape[0]
        timer.timeout.connect(lambda: self.viewer.dims.set_current_step(0, next(steps) % n_epochs))
        timer.start(STEP_MS)
        yield
        timer.stop()

    def wait_seconds(self, seconds: float) -> None:
        """Let the window live."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(int(seconds * 1000), loop.quit)
        loop.exec()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        end = time.perf_counter() + LEFT
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError("the window waited in vain")
            self.wait_seconds(0.005)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()


def _cohort(tiles: int) -> object:
    from napari_asmil.bags import Cohort, in_memory_bag
    from napari_asmil.geometry import TileGrid

    side = int(np.ceil(np.sqrt(tiles)))
    rows, columns = np.divmod(np.arange(tiles), side)
    grid = TileGrid(np.stack([columns, rows], axis=1) * 256, 256.0)
    bags = []
    for i in range(16):
        features = np.random.default_rng(i).normal(size=(tiles, 64)).astype(np.float32) + i % 2
        bags.append(in_memory_bag(f"s{i}", features, grid, encoder="none"))
    ids = [bag.slide_id for bag in bags]
    splits = {name: "train" if i < 12 else "test" for i, name in enumerate(ids)}
    return Cohort(tuple(bags), {name: i % 2 for i, name in enumerate(ids)}, ("normal", "tumour"), splits)
