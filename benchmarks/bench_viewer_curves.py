"""C1: curves of long trainings are drawn, and the cursor is moved, within a frame; redraw included."""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
from qtpy.QtWidgets import QApplication

from benchmarks.measure import Result, cpu_ms, p95
from napari_asmil.viewer.plots.curves import CurvePanel, Series

CURVES, WIDTH, HEIGHT = 5, 600, 250


def run() -> Iterator[Result]:
    app = QApplication.instance() or QApplication([])
    for epochs in (60, 1000):
        panel = CurvePanel("JSD to the epoch before", "bits")
        panel.resize(WIDTH, HEIGHT)
        panel.show()
        rng = np.random.default_rng(0)
        draws = cycle(rng.normal(size=(20, CURVES, epochs)).cumsum(axis=2))
        places = cycle(rng.permutation(epochs).tolist())

        def update(panel=panel, draws=draws) -> None:
            panel.set_series([Series(f"run {i}", y, i) for i, y in enumerate(next(draws))])
            app.processEvents()

        def move(panel=panel, places=places) -> None:
            panel.set_epoch(next(places))
            app.processEvents()

        yield Result("viewer_curves", f"update of {CURVES} x {epochs}, p95", p95(cpu_ms(update)[0]), "ms CPU", 10)
        yield Result("viewer_curves", f"cursor over {CURVES} x {epochs}, p95", p95(cpu_ms(move)[0]), "ms CPU", 2)
        panel.close()
