"""What comes through OpenSlide lies where it does in the file, and closing it waits for who reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.cache import ArrayCache
from napari_asmil.slides import openslide
from napari_asmil.slides.slide import Slide

TILED = {"photometric": "rgb", "tile": (128, 128), "metadata": None}
CLOSED_WHILE_READ = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from napari_asmil.cache import ArrayCache
from napari_asmil.encoders.reading import tile_batches
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import openslide
from napari_asmil.slides.slide import Slide

path = Path(sys.argv[1])

def opened():
    return Slide(path, openslide.open(path), cache=ArrayCache(2**20))

x, y = np.meshgrid(np.arange(0, 2000, 100), np.arange(0, 2000, 100))
grid = TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), 100)

def stopped(slide):
    batches = tile_batches(slide, grid, 64)
    next(batches)
    batches.close()

def read(slide):
    try:
        while True:
            slide.read(0, 0, 2000, 0, 2000)
    except InputError as error:
        assert "closed" in str(error), error

for _ in range(5):
    with opened() as slide:
        stopped(slide)
    with ThreadPoolExecutor(4) as pool:
        slide = opened()
        readers = [pool.submit(read, slide) for _ in range(4)]
        while not slide.reads:
            pass
        slide.close()
        for reader in readers:
            reader.result()
"""


@pytest.fixture
def area() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), dtype=np.uint8)


def test_a_slide_that_is_closed_while_threads_read_it_does_not_end_the_process(tmp_path: Path, area):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, area, compression="jpeg", **TILED)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", CLOSED_WHILE_READ, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def through(path: Path) -> Slide:
    return Slide(path, openslide.open(path), cache=ArrayCache(2**24))


def test_each_level_of_a_pyramid_is_read_where_it_lies(tmp_path: Path, area):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 8):
            writer.write(area[::step, ::step], subfiletype=int(step > 1), compression="deflate", **TILED)
    with through(path) as slide:
        assert slide.stored == 3
        for level, step in enumerate((1, 2, 8)):
            stored = area[::step, ::step]
            np.testing.assert_array_equal(slide.levels[level], stored)
            y, x = len(stored) // 3, len(stored) // 2
            np.testing.assert_array_equal(slide.read(level, y, y + 50, x, x + 70), stored[y : y + 50, x : x + 70])


class Scan:
    """What OpenSlide offers of a slide of one level, of which a part was scanned: half of that is transparent."""

    level_dimensions = ((90, 60),)
    level_downsamples = (1.0,)
    associated_images = MappingProxyType({})
    properties = MappingProxyType(
        {
            "openslide.vendor": "mirax",
            "openslide.bounds-x": "30",
            "openslide.bounds-y": "7",
            "hamamatsu.XOffsetFromSlideCentre": "-1500",
            "hamamatsu.YOffsetFromSlideCentre": "2500",
        }
    )

    def __init__(self, path: str) -> None:
        self.closed = 0

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        pixels = np.zeros((60, 90, 4), np.uint8)
        pixels[7:, 30:] = 200, 100, 50, 255
        pixels[40:, 30:, 3] = 128
        x, y = location
        return Image.fromarray(pixels[y : y + size[1], x : x + size[0]])

    def close(self) -> None:
        self.closed += 1


def test_what_was_not_scanned_is_white_and_where_the_scan_begins_is_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("openslide.OpenSlide", Scan)
    with through(tmp_path / "slide.mrxs") as slide:
        assert (slide.bounds, slide.frame.bounds) == ((30, 7), (30, 7))
        assert slide.frame.centre_nm == (-1500, 2500)
        assert "the scanned area begins at x = 30, y = 7 (level-0 px)" in slide.describe()
        expected = np.full((60, 90, 3), 255.0)
        expected[7:40, 30:] = 200, 100, 50
        expected[40:, 30:] = np.array((200, 100, 50)) * 128 / 255 + 255 * 127 / 255
        np.testing.assert_allclose(slide.levels[0], expected, atol=1)
