"""Small runs made through the writer, for every room that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer, log_nsf, log_softmax
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord

RunMaker = Callable[..., Path]


def grid_xy(side: int, size: int = 64, origin: tuple[int, int] = (128, 64)) -> np.ndarray:
    """Top-left corners of a full side x side lattice."""
    rows, columns = np.divmod(np.arange(side * side), side)
    return np.stack([columns * size + origin[0], rows * size + origin[1]], axis=1)


def random_z(epoch: int, slide: int, rows: int, tiles: int, spread: float = 1.0) -> np.ndarray:
    """Scores that tests can make again."""
    return np.random.default_rng([epoch, slide]).normal(0, spread, (rows, tiles)).astype(np.float32)


def record(epoch: int, n_slides: int, rows: int, tiles: int, anchor: bool) -> EpochRecord:
    """One epoch of random slides."""
    slides = {}
    for s in range(n_slides):
        z = random_z(epoch, s, rows, tiles)
        online = np.log(np.exp(log_softmax(z)).mean(axis=0)).astype(np.float32)
        mirror = np.log(np.exp(log_nsf(z)).mean(axis=0)).astype(np.float32) if anchor else None
        rng = np.random.default_rng([7, epoch, s])
        slides[f"s{s}"] = SlideRecord(
            online, rng.normal(size=2).astype(np.float32), rng.normal(size=3).astype(np.float32), mirror, z
        )
    return EpochRecord(slides, {"loss_ce": 1.0 / (epoch + 1)}, step=epoch * 10, seconds=0.5)


def header(n_slides: int, rows: int, side: int, epochs: int, anchor: bool, label: str = "ABMIL") -> RunHeader:
    """Header of a run of random slides on a full lattice of 64 px tiles; the first tile is tumour."""
    tiles = side * side
    slides = tuple(
        SlideHeader(
            slide_id=f"s{s}",
            n_tiles=tiles,
            label=s % 2,
            split="test",
            xy=grid_xy(side),
            tile_size=64.0,
            labels=np.eye(1, tiles, dtype=np.float32)[0],
            mpp=0.5,
            slide_size=(side * 64 + 256, side * 64 + 256),
        )
        for s in range(n_slides)
    )
    return RunHeader(
        method="abmil",
        label=label,
        recipe={"method": "abmil"},
        class_names=("normal", "tumour"),
        row_names=tuple(f"head {r + 1}" for r in range(rows)),
        slides=slides,
        planned_epochs=epochs,
        bag_size=3,
        anchor_normalizer=Normalizer("nsf") if anchor else None,
    )


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    """Factory: a committed run of random attention at tmp_path/NAME.asmil."""

    def make(
        name: str = "run",
        *,
        epochs: int = 4,
        slides: int = 2,
        rows: int = 1,
        side: int = 5,
        anchor: bool = False,
        planned: int | None = None,
        label: str = "ABMIL",
    ) -> Path:
        path = tmp_path / f"{name}.asmil"
        planned = epochs if planned is None else planned
        with RunWriter.create(path, header(slides, rows, side, planned, anchor, label)) as writer:
            for epoch in range(epochs + 1):
                writer.write(record(epoch, slides, rows, side * side, anchor))
        return path

    return make
