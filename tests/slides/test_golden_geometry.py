"""Tiles painted into a slide are found, on every level of every pyramid, where the file of tiles says they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from numpy.typing import NDArray

from napari_asmil import open_slide
from napari_asmil.encoders.reading import tile_batches
from napari_asmil.geometry import TileGrid
from napari_asmil.viewer.layers import slide_data

SHAPE = (1201, 1603)
SIZE = 224
PYRAMIDS = {
    "factor 2": [(2.0, 2.0), (4.0, 4.0), (8.0, 8.0)],
    "factor 4": [(4.0, 4.0), (16.0, 16.0)],
    "factor 2.7": [(2.7, 2.7), (7.29, 7.29)],
    "anisotropic": [(2.0, 3.0), (4.0, 6.0)],
}


def box_filter(length: int, shorter: int) -> NDArray[np.float64]:
    """(shorter, length): each new pixel is the mean of the stretch of old ones that it covers."""
    edges = np.linspace(0, length, shorter + 1)
    low, high = np.maximum(edges[:-1, None], np.arange(length)), np.minimum(edges[1:, None], np.arange(1, length + 1))
    return np.clip(high - low, 0, None) / (length / shorter)


def extent(dark: NDArray[np.float64]) -> tuple[float, float]:
    """Where a box begins and ends along an axis, in level px counted from the level's edge, of its darkness there."""
    mass = dark / dark.max()
    middle = (mass * (np.arange(len(mass)) + 0.5)).sum() / mass.sum()
    return middle - mass.sum() / 2, middle + mass.sum() / 2


@pytest.fixture
def tiles() -> TileGrid:
    """A grid that no tile of the file fits, of which the first and the last lie in the corners."""
    x, y = np.meshgrid(np.arange(11, SHAPE[1] - SIZE, SIZE), np.arange(7, SHAPE[0] - SIZE, SIZE))
    return TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), SIZE)


def painted(path: Path, factors: list[tuple[float, float]], tiles: TileGrid, index: int) -> Path:
    """A white slide on which one tile is black, whose levels are means of areas."""
    full = np.full(SHAPE, 255.0)
    x, y = tiles.xy[index]
    full[y : y + SIZE, x : x + SIZE] = 0
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        for down_y, down_x in [(1.0, 1.0), *factors]:
            down, across = box_filter(SHAPE[0], int(SHAPE[0] / down_y)), box_filter(SHAPE[1], int(SHAPE[1] / down_x))
            level = np.rint(down @ full @ across.T).astype(np.uint8)
            writer.write(np.repeat(level[..., None], 3, axis=2), subfiletype=int(down_y > 1), **options)
    return path


@pytest.mark.parametrize("factors", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("which", ["first", "last"])
def test_corners_of_a_tile_in_world_coordinates_equal_the_files_on_every_level_as_drawn(
    tmp_path, tiles, factors, which
):
    index = 0 if which == "first" else len(tiles) - 1
    x, y = tiles.xy[index]
    corners = np.array([y, x, y + SIZE, x + SIZE]) - 0.5
    np.testing.assert_array_equal(tiles.centres[index], [(corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2])
    with open_slide(painted(tmp_path / "slide.tif", factors, tiles, index)) as slide:
        data, options, _ = slide_data(slide)
        layer = Image(data, **options)
        assert len(data) == len(factors) + 1
        for level, scale in enumerate(layer.downsample_factors[:, :2]):
            np.testing.assert_allclose(scale, slide.downsamples[level])
            dark = 255.0 - np.asarray(data[level])[..., 0]
            (top, bottom), (left, right) = extent(dark.sum(axis=1)), extent(dark.sum(axis=0))
            found = np.array([top, left, bottom, right]) * np.tile(scale, 2) - 0.5
            np.testing.assert_allclose(found, corners, atol=0.5)


@pytest.mark.parametrize("which", ["first", "last"])
def test_the_map_draws_the_tile_at_the_same_corners(tiles, which):
    index = 0 if which == "first" else len(tiles) - 1
    raster = tiles.raster
    values = np.zeros(len(tiles))
    values[index] = 1
    rows, columns = np.nonzero(raster.to_image(values) == 1)
    top, left = (
        raster.origin[0] + (rows.min() - 0.5) * raster.pixel,
        raster.origin[1] + (columns.min() - 0.5) * raster.pixel,
    )
    assert (left, top) == tuple(tiles.xy[index] - 0.5)
    assert (np.ptp(rows) + 1) * raster.pixel == (np.ptp(columns) + 1) * raster.pixel == SIZE


@pytest.mark.parametrize("factors", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("tile_px", [SIZE, SIZE // 2, 80, 13])
def test_a_tile_that_is_encoded_holds_its_own_pixels_alone_from_whatever_level(tmp_path, tiles, factors, tile_px):
    """All of the black tile and nothing of it in its neighbours, but for pixels that lie across its edge."""
    index = len(tiles) - 1
    with open_slide(painted(tmp_path / "slide.tif", factors, tiles, index)) as slide:
        for indices, pictures in tile_batches(slide, tiles, tile_px):
            for one, picture in zip(indices, pictures, strict=True):
                dark = (255.0 - picture[..., 0]) / 255
                if one == index:
                    assert dark.mean() > 1 - 4 / tile_px
                    assert (dark[1:-1, 1:-1] > 0.99).all()
                else:
                    assert dark.mean() < 2 / tile_px


def test_pixels_under_a_tile_have_the_same_mean_place_on_every_level(tmp_path):
    """A soft spot away from every edge, seen through levels of each pyramid."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    full = 255 * (1 - np.exp(-((y - 611) ** 2 + (x - 925) ** 2) / (2 * 40**2)))
    for name, factors in PYRAMIDS.items():
        path = tmp_path / f"{name}.tif"
        with tifffile.TiffWriter(path) as writer:
            for down_y, down_x in [(1.0, 1.0), *factors]:
                down, across = (
                    box_filter(SHAPE[0], int(SHAPE[0] / down_y)),
                    box_filter(SHAPE[1], int(SHAPE[1] / down_x)),
                )
                level = np.rint(down @ full @ across.T).astype(np.uint8)
                writer.write(level, photometric="minisblack", tile=(64, 64), subfiletype=int(down_y > 1), metadata=None)
        with open_slide(path) as slide:
            for level, (dy, dx) in zip(slide.levels, slide.downsamples, strict=True):
                dark = 255.0 - np.asarray(level)[..., 0]
                rows, columns = (np.arange(length) for length in dark.shape)
                place = (dark.sum(axis=1) @ rows / dark.sum(), dark.sum(axis=0) @ columns / dark.sum())
                world = (place[0] * dy + (dy - 1) / 2, place[1] * dx + (dx - 1) / 2)
                np.testing.assert_allclose(world, (611, 925), atol=0.5)
