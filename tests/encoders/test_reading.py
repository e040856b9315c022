"""Tiles of a whole slide: the right pixels in a fixed order, read ahead, decoded once, within a bound."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_asmil.cache import ArrayCache
from napari_asmil.encoders import reading
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import open_slide

SHAPE = (1300, 1700)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def written(path: Path, pixels: NDArray[np.uint8], **options: object) -> Path:
    tifffile.imwrite(path, pixels, photometric="rgb", compression="deflate", metadata=None, **options)
    return path


def grid_at(offset: int, size: int = 96) -> TileGrid:
    x, y = np.meshgrid(np.arange(offset, SHAPE[1], size), np.arange(offset, SHAPE[0], size))
    return TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), size)


@pytest.mark.parametrize("layout", [{"tile": (96, 96)}, {"tile": (256, 256)}, {"rowsperstrip": 16}])
@pytest.mark.parametrize("offset", [0, 37])
def test_tiles_are_the_slides_own_pixels_and_white_beyond_it(tmp_path, pixels, layout, offset):
    padded = np.full((SHAPE[0] + 96, SHAPE[1] + 96, 3), 255, np.uint8)
    padded[: SHAPE[0], : SHAPE[1]] = pixels
    grid = grid_at(offset)
    seen = np.zeros(len(grid), int)
    with open_slide(written(tmp_path / "s.tif", pixels, **layout), cache=ArrayCache(2**24)) as slide:
        for indices, tiles in reading.tile_batches(slide, grid, 96):
            seen[indices] += 1
            for index, tile in zip(indices, tiles, strict=True):
                x, y = grid.xy[index]
                np.testing.assert_array_equal(tile, padded[y : y + 96, x : x + 96])
    assert (seen == 1).all()


def test_batches_come_in_the_same_order_every_time(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", (300, 500))
    monkeypatch.setattr(reading, "READ_PIXELS", 7 * 96**2)
    monkeypatch.setattr(reading, "BATCH_PIXELS", 3 * 96**2)
    grid = grid_at(5)
    with open_slide(written(tmp_path / "s.tif", pixels, tile=(128, 128))) as slide:
        first, again = ([indices.tolist() for indices, _ in reading.tile_batches(slide, grid, 96)] for _ in range(2))
    assert first == again
    assert max(map(len, first)) == 3


@pytest.mark.parametrize(
    ("downsamples", "reduction", "level"),
    [
        ([(1, 1), (2, 2), (4, 4)], 2.0, 1),
        ([(1, 1), (2, 2), (4, 4)], 3.9, 1),
        ([(1, 1), (2, 2), (4, 4)], 0.5, 0),
        ([(1, 1), (2, 4), (4, 8)], 3.0, 0),
        ([(1, 1), (4, 2), (8, 4)], 4.0, 1),
    ],
)
def test_no_axis_of_the_level_that_is_read_is_coarser_than_what_is_wanted(downsamples, reduction, level):
    assert reading.read_level(downsamples, reduction) == level


def test_pixels_come_with_the_tiles_that_they_are_of(tmp_path, monkeypatch):
    """In many batches: of each tile the one value that all its pixels have."""
    monkeypatch.setattr(reading, "READ_PIXELS", 4 * 96**2)
    monkeypatch.setattr(reading, "BATCH_PIXELS", 2 * 96**2)
    monkeypatch.setattr(reading, "BLOCK", (96, 480))
    grid = grid_at(0)
    values = np.random.default_rng(1).integers(0, 255, (SHAPE[0] // 96 + 1, SHAPE[1] // 96 + 1, 3), dtype=np.uint8)
    pixels = np.repeat(np.repeat(values, 96, axis=0), 96, axis=1)[: SHAPE[0], : SHAPE[1]]
    order = []
    with open_slide(written(tmp_path / "s.tif", pixels, tile=(96, 96))) as slide:
        for indices, tiles in reading.tile_batches(slide, grid, 96):
            order += indices.tolist()
            for (x, y), tile in zip(grid.xy[indices], tiles, strict=True):
                np.testing.assert_array_equal(tile[0, 0], values[y // 96, x // 96])
    assert order == np.concatenate(reading.blocks(grid)).tolist()


def test_a_tile_between_pixels_of_its_level_is_resampled_from_where_it_lies_and_not_from_whole_pixels(tmp_path):
    """A ramp of one grey per level px: the mean of a tile is the ramp's value in the middle of the tile."""
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None], 200, axis=0)
    level = np.stack([ramp, ramp.T, ramp], axis=2)
    path = tmp_path / "s.tif"
    options = {"photometric": "rgb", "tile": (64, 64), "metadata": None, "compression": "deflate"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((800, 800, 3), np.uint8), **options)
        writer.write(level, subfiletype=1, **options)
    grid = TileGrid(np.array([[101, 203], [303, 103], [402, 401]]), 90)
    with open_slide(path) as slide:
        for indices, tiles in reading.tile_batches(slide, grid, 10):
            middle = (grid.xy[indices] + 45) / 4 - 0.5
            np.testing.assert_allclose(tiles[..., 0].mean(axis=(1, 2)), middle[:, 0], atol=0.1)
            np.testing.assert_allclose(tiles[..., 1].mean(axis=(1, 2)), middle[:, 1], atol=0.1)


@pytest.mark.parametrize("layout", [{"tile": (128, 128)}, {"rowsperstrip": 16}])
def test_each_part_of_the_file_is_decoded_once_though_tiles_lie_across_its_own(tmp_path, pixels, layout):
    window = ArrayCache(2**24)
    with open_slide(written(tmp_path / "s.tif", pixels, **layout), cache=window) as slide:
        for _ in reading.tile_batches(slide, grid_at(37), 96):
            pass
        rows, columns = (-(-edge // chunk) for edge, chunk in zip(SHAPE, slide.levels[0].chunks[:2], strict=True))
        assert slide.reads == rows * columns
    assert len(window) == 0  # what a window keeps is not pushed out


def test_reading_runs_a_bounded_way_ahead_of_who_asks(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr(reading, "READ_PIXELS", 4 * 96**2)
    monkeypatch.setattr(reading, "BATCH_PIXELS", 4 * 96**2)
    monkeypatch.setattr(reading, "CACHE", 2**20)
    read: list[int] = []
    original = reading._read

    def noted(*arguments: object) -> NDArray[np.uint8]:
        read.append(len(arguments[3]))
        return original(*arguments)

    monkeypatch.setattr(reading, "_read", noted)
    with open_slide(written(tmp_path / "s.tif", pixels, tile=(96, 96))) as slide:
        given = 0
        for indices, _ in reading.tile_batches(slide, grid_at(0), 96):
            given += len(indices)
            assert sum(read) <= given + reading.AHEAD * 4


def test_leaving_off_in_the_middle_ends_the_thread(tmp_path, pixels):
    with open_slide(written(tmp_path / "s.tif", pixels, tile=(96, 96))) as slide:
        batches = reading.tile_batches(slide, grid_at(0), 96)
        next(batches)
        readers = [thread for thread in threading.enumerate() if thread.name.startswith("tiles")]
        batches.close()
        assert readers
        assert not any(thread.is_alive() for thread in readers)  # nothing reads the slide that may now be closed


def test_what_cannot_be_decoded_is_told_where_it_lies(tmp_path, pixels):
    path = written(tmp_path / "s.tif", pixels, tile=(96, 96))
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].dataoffsets[20]
    content = bytearray(path.read_bytes())
    content[at : at + 500] = b"\xff" * 500
    path.write_bytes(content)
    with (
        open_slide(path) as slide,
        pytest.raises(InputError, match=r"s\.tif.*x 192 to 384, y 0 to 192.*cannot be decoded"),
    ):
        for _ in reading.tile_batches(slide, grid_at(0), 96):
            pass
