"""Small slides with a known picture, and runs with a known map, made through the writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_asmil.annotations import Contour, Contours
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord, open_run
from napari_asmil.runs.view import MapView
from napari_asmil.slides import Slide, open_slide

ViewMaker = Callable[..., MapView]
SlideMaker = Callable[..., Slide]

SLIDE = (740, 1110)
"""Width and height of the test slide."""
LATTICE = np.array([(x, y) for y in range(37, 950, 148) for x in range(74, 600, 148)])
"""Top-left corners of 148 px tiles, edge to edge, off the slide's origin."""
MARKED = 13
"""The tile that stands out on slide and map."""


def collapsed(tile: int, n_tiles: int) -> np.ndarray:
    """A map with everything on one tile, as the run stores it: log p."""
    with np.errstate(divide="ignore"):
        return np.log(np.eye(n_tiles, dtype=np.float32)[tile])


def flat(n_tiles: int) -> np.ndarray:
    """A uniform map, log p."""
    return np.full(n_tiles, -np.log(n_tiles), dtype=np.float32)


def uneven(seed: int, n_tiles: int) -> np.ndarray:
    """A map that is neither flat nor collapsed, log p."""
    z = np.random.default_rng(seed).normal(0, 1.5, n_tiles)
    return (z - np.log(np.exp(z).sum())).astype(np.float32)


@pytest.fixture
def make_view(tmp_path: Path) -> ViewMaker:
    """Factory: a view on a run of these log maps, one an epoch."""

    def make(
        maps: Sequence[np.ndarray],
        *,
        name: str = "run",
        label: str = "ABMIL",
        xy: np.ndarray = LATTICE,
        size: float = 148.0,
        slide_size: tuple[int, int] | None = SLIDE,
        mpp: float | None = 0.5,
        transform: str = "m_alpha",
        truth: np.ndarray | None = None,
        notes: str = "",
    ) -> MapView:
        path = tmp_path / f"{name}.asmil"
        slides = (SlideHeader("s0", len(xy), 1, "test", xy, size, labels=truth, mpp=mpp, slide_size=slide_size),)
        header = RunHeader(
            "abmil", label, {}, ("normal", "tumour"), ("attention",), slides, len(maps) - 1, 3, notes=notes
        )
        with RunWriter.create(path, header) as writer:
            for row in maps:
                one = SlideRecord(row, np.array([-1, 1], np.float32), np.zeros(3, np.float32), z=row[None])
                writer.write(EpochRecord({"s0": one}))
        return MapView(open_run(path), "s0", transform=transform)

    return make


@pytest.fixture
def make_slide(tmp_path: Path) -> Iterator[SlideMaker]:
    """Factory: an open pyramidal TIFF of these pixels, each level the mean of four pixels of the one before."""
    opened = []

    def make(pixels: np.ndarray, levels: int = 1) -> Slide:
        path = tmp_path / "slide.tif"
        with tifffile.TiffWriter(path) as file:
            for level in range(levels):
                file.write(
                    pixels,
                    photometric="rgb",
                    tile=(64, 64),
                    subifds=levels - 1 if level == 0 else None,
                    subfiletype=int(level > 0),
                    metadata=None,
                )
                h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
                pixels = pixels[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
        opened.append(open_slide(path))
        return opened[-1]

    yield make
    for slide in opened:
        slide.close()


@pytest.fixture
def tissue() -> np.ndarray:
    """Light pixels, and tile `MARKED` dark."""
    pixels = np.full((SLIDE[1], SLIDE[0], 3), 230, dtype=np.uint8)
    x, y = LATTICE[MARKED]
    pixels[y : y + 148, x : x + 148] = 30
    return pixels


@pytest.fixture
def contours() -> Contours:
    """A square with a square hole: its left edge at continuous x = 200, the hole's at x = 300."""
    square = np.array([(200.0, 200), (500, 200), (500, 500), (200, 500)])
    hole = np.array([(300.0, 300), (400, 300), (400, 400), (300, 400)])
    return Contours([Contour("focus", "Tumor", square, [hole])], Path("contours.geojson"))
