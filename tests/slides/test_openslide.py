"""What comes through OpenSlide lies where it does in the file, and closing it waits for who reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

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
