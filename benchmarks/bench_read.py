"""Reading a slide: tiles in the order of an extraction and under a window, against decoding their JPEGs alone."""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.bench_viewer_canvas import resident_mb
from benchmarks.measure import Result, median
from napari_asmil.cache import ArrayCache
from napari_asmil.encoders.reading import tile_batches
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import open_slide

EDGE, ROWS, COLUMNS, REPEATS = 256, 64, 80, 15
CACHE_MB = 128
VIEW = (1024, 1536)


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.tif"
        write_pyramid(path)
        yield Result("read", f"memory over a cache of {CACHE_MB} MB after 100 jumps", jumps(path), "MB", 300)
        raw = jpeg_decoder(path)
        for case, offset, limit in (("aligned", 0, 0.8), ("unaligned", 100, 0.4)):
            share = _share(raw, lambda offset=offset: extraction(path, offset))
            yield Result(
                "read", f"extraction order, {case}: raw JPEG decode over it", share, "ratio", limit, "at least"
            )
        cold, warm = views(path, raw)
        yield Result("read", "visible tiles, cold over raw JPEG decode", cold, "ratio", 2)
        yield Result("read", "visible tiles, warm over raw JPEG decode", warm, "ratio", 0.5)
        yield Result("read", "tiles a second, two threads over one", two_threads(path), "ratio", 1.3, "at least")


def texture(edge: int) -> NDArray[np.uint8]:
    """Pink ground, violet nuclei and grain: a JPEG tile of it takes about 20 kB, as of real tissue."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:edge, :edge].astype(np.float32)
    stroma = (np.sin(y / 37) + np.cos(x / 29) + np.sin((x + y) / 53))[..., None] / 6 + 0.5
    nuclei = np.zeros((edge, edge), np.float32)
    nuclei[rng.integers(0, edge, edge**2 // 900), rng.integers(0, edge, edge**2 // 900)] = 1
    nuclei = gaussian_filter(nuclei, 4)
    inside = np.clip(2.5 * nuclei / nuclei.max(), 0, 1)[..., None]
    grain = gaussian_filter(rng.normal(0, 30, (edge, edge)).astype(np.float32), 0.7)[..., None]
    ground = (1 - stroma) * (235, 200, 225) + stroma * (205, 130, 180)
    return np.clip((1 - inside) * ground + inside * (95, 60, 140) + grain, 0, 255).astype(np.uint8)


def write_pyramid(path: Path) -> None:
    """Levels 1, 4 and 16; JPEG of quality 80, 4:2:0, in tiles of 256 px."""
    full = np.tile(texture(4096), (ROWS * EDGE // 4096, COLUMNS * EDGE // 4096, 1))
    options = {"photometric": "ycbcr", "subsampling": (2, 2), "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 4, 16):
            kind = {"subfiletype": int(step > 1), "tile": (EDGE, EDGE), "compressionargs": {"level": 80}}
            writer.write(full[::step, ::step], **options, **kind)


def jpeg_decoder(path: Path) -> Callable[[], float]:
    """What decodes the upper quarter of level 0 from memory; returns CPU milliseconds a tile."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        tables = page.jpegtables
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))[: ROWS // 4 * COLUMNS]
    content = path.read_bytes()
    tiles = [content[at : at + count] for at, count in places]

    def decode() -> float:
        start = time.process_time()
        for tile in tiles:
            imagecodecs.jpeg_decode(tile, tables=tables, outcolorspace=2, shape=(EDGE, EDGE))
        return (time.process_time() - start) * 1000 / len(tiles)

    return decode


def extraction(path: Path, offset: int) -> float:
    """CPU milliseconds a tile of the whole slide, read in the order of an extraction."""
    y, x = np.mgrid[offset : (ROWS - 1) * EDGE + 1 : EDGE, offset : (COLUMNS - 1) * EDGE + 1 : EDGE]
    grid = TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), EDGE)
    with open_slide(path) as slide:
        start = time.process_time()
        done = sum(len(indices) for indices, _ in tile_batches(slide, grid, EDGE))
        assert done == len(grid)
        return (time.process_time() - start) * 1000 / done


def _share(raw: Callable[[], float], step: Callable[[], float]) -> float:
    """Least cost of decoding over least cost of the step, in turn: whoever else is on the machine slows either."""
    rounds = [(raw(), step()) for _ in range(REPEATS)]
    return min(alone for alone, _ in rounds) / min(taken for _, taken in rounds)


def views(path: Path, raw: Callable[[], float]) -> tuple[float, float]:
    """CPU of the pixels under a window at random places, over that of decoding as many tiles as it touches."""
    rng = np.random.default_rng(1)
    high, wide = VIEW
    cold, warm = [], []
    for _ in range(REPEATS):
        with open_slide(path, cache=ArrayCache(CACHE_MB * 2**20)) as slide:
            alone = raw()
            for y, x in rng.integers(0, (ROWS * EDGE - high, COLUMNS * EDGE - wide), (30, 2)).tolist():
                tiles = ((y + high - 1) // EDGE - y // EDGE + 1) * ((x + wide - 1) // EDGE - x // EDGE + 1)
                before = slide.reads
                for times in (cold, warm):
                    start = time.process_time()
                    slide.levels[0][y : y + high, x : x + wide]
                    if times is warm or slide.reads - before == tiles:
                        times.append((time.process_time() - start) * 1000 / tiles / alone)
    return median(cold), median(warm)


def jumps(path: Path) -> float:
    """MB by which the process grows beyond the cache's limit, looking at 100 random places of level 0."""
    rng = np.random.default_rng(2)
    gc.collect()
    before = resident_mb()
    with open_slide(path, cache=ArrayCache(CACHE_MB * 2**20)) as slide:
        for y, x in rng.integers(0, (ROWS * EDGE - VIEW[0], COLUMNS * EDGE - VIEW[1]), (100, 2)).tolist():
            slide.levels[0][y : y + VIEW[0], x : x + VIEW[1]]
        return resident_mb() - before - CACHE_MB


def two_threads(path: Path) -> float:
    """Wall time of one thread over that of two, all tiles of some rows; the best of several, of a busy machine."""
    if (os.cpu_count() or 1) < 2:
        return float("nan")
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(REPEATS):
        for threads in best:
            with open_slide(path, cache=ArrayCache(2**24)) as slide, ThreadPoolExecutor(threads) as pool:
                level = slide.levels[0]
                start = time.perf_counter()
                list(
                    pool.map(
                        lambda row, level=level: [_tile(level, row, column) for column in range(COLUMNS)], range(8)
                    )
                )
                best[threads] = min(best[threads], time.perf_counter() - start)
    return best[1] / best[2]


def _tile(level: object, row: int, column: int) -> None:
    level[row * EDGE : (row + 1) * EDGE, column * EDGE : (column + 1) * EDGE]  # type: ignore[index]
