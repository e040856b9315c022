"""What it costs to record attention at every epoch, as a share of the training it records."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import Result
from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.events import BatchDone
from napari_asmil.geometry import TileGrid
from napari_asmil.training import fit, preset

SLIDES, TILES, FEATURES = 48, 2000, 384


def run() -> Iterator[Result]:
    cohort = _cohort()
    few = tuple(b.slide_id for b in cohort.bags[::16])
    for case, variant, record, limit in (
        ("3 of 48 slides with anchor maps", "asmil", few, 0.07),
        ("every slide without anchor", "asmil_no_anchor", "all", 0.50),
        ("every slide with anchor maps", "asmil", "all", 0.60),
    ):
        recipe = preset("stable", variant, epochs=3, record=record, watch=2)
        with tempfile.TemporaryDirectory() as folder:
            yield Result("recording", f"{case}, share of training", _share(cohort, recipe, folder), "ratio", limit)


def _cohort() -> Cohort:
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(TILES), 50)
    grid = TileGrid(np.stack([columns, rows], axis=1) * 256, 256)
    bags = [in_memory_bag(f"s{i}", rng.normal(size=(TILES, FEATURES)), grid) for i in range(SLIDES)]
    return Cohort(tuple(bags), {b.slide_id: i % 2 for i, b in enumerate(bags)}, ("a", "b"))


def _share(cohort: Cohort, recipe: object, folder: str) -> float:
    """CPU of recording and committing over CPU of training, epochs 1 to 3."""
    spent: dict[str, float] = defaultdict(float)
    before = time.process_time()
    for event in fit(cohort, recipe, Path(folder) / "run.asmil", device="cpu"):  # type: ignore[arg-type]
        now = time.process_time()
        phase = event.phase if isinstance(event, BatchDone) else "record"
        if getattr(event, "epoch", 0) > 0:
            spent[phase] += now - before
        before = now
    return spent["record"] / spent["train"]
