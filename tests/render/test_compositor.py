"""Every pixel of a picture has a stated place on the slide; here that place is computed a second way."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_asmil.geometry import TileGrid
from napari_asmil.render import compositor
from napari_asmil.render.compositor import Outlines, Placement, TilePainter, blend, slide_picture

from .conftest import LATTICE, MARKED, SLIDE

STEPS = [1.0, 2.0, 3.7, 0.5]
WHOLE = (0, 0, *SLIDE)
SCATTERED = np.random.default_rng(5).integers(0, (560, 900), (40, 2))


def value_at(tiles: TileGrid, values: np.ndarray, x: float, y: float) -> float:
    """Mean of the tiles that cover a point of the world, by asking every tile; NaN where none does."""
    low = tiles.xy - 0.5
    inside = (low[:, 0] <= x) & (x < low[:, 0] + tiles.size) & (low[:, 1] <= y) & (y < low[:, 1] + tiles.size)
    return float(values[inside].mean()) if inside.any() else float("nan")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("xy", "size"), [(LATTICE, 148.0), (LATTICE, 200.0), (SCATTERED, 133.4)], ids=["edge to edge", "overlap", "loose"]
)
def test_each_pixel_takes_the_mean_of_the_tiles_its_centre_lies_in(step: float, xy: np.ndarray, size: float) -> None:
    tiles, values = TileGrid(xy, size), np.random.default_rng(1).normal(size=len(xy))
    placement = Placement.at(WHOLE, step)
    image = TilePainter(tiles, placement).paint(values)
    rng = np.random.default_rng(2)
    for row, column in zip(*(rng.integers(0, n, 400) for n in image.shape), strict=True):
        # the centre of the pixel's square, in world coordinates: half a level-0 px less than from the slide's corner
        x, y = (column + 0.5) * step - 0.5, (row + 0.5) * step - 0.5
        assert image[row, column] == pytest.approx(value_at(tiles, values, x, y), nan_ok=True, abs=1e-6)


def test_at_scale_1_the_picture_is_the_raster_that_the_window_shows() -> None:
    tiles, values = TileGrid(LATTICE, 222.0), np.random.default_rng(1).normal(size=len(LATTICE))
    x0, y0, x1, y1 = tiles.bounds
    shown = tiles.raster.to_image(values)
    image = TilePainter(tiles, Placement.at((x0, y0, x1, y1), 1.0)).paint(values)
    pixel = tiles.raster.pixel
    np.testing.assert_allclose(image, np.kron(shown, np.ones((pixel, pixel))), atol=1e-6)


def test_painted_in_bands_the_picture_is_the_same() -> None:
    painter = TilePainter(TileGrid(LATTICE, 200.0), Placement.at(WHOLE, 2.0))
    values = np.random.default_rng(1).normal(size=len(LATTICE))
    bands = [painter.paint(values, first, min(first + 50, 555)) for first in range(0, 555, 50)]
    np.testing.assert_allclose(np.concatenate(bands), painter.paint(values), atol=1e-6)


@pytest.mark.parametrize("step", [7.0, 30.0, 61.3])
def test_a_tile_smaller_than_a_pixel_is_drawn_where_its_centre_is(step: float) -> None:
    tiles = TileGrid(np.array([(401, 703)]), 5.0)
    image = TilePainter(tiles, Placement.at(WHOLE, step)).paint([3.0])
    (row,), (column,) = np.nonzero(image == 3)
    centre_y, centre_x = tiles.centres[0]
    assert abs((row + 0.5) * step - 0.5 - centre_y) <= step / 2
    assert abs((column + 0.5) * step - 0.5 - centre_x) <= step / 2


def test_tiles_past_the_edge_are_cut_there_and_values_that_are_not_finite_are_not_drawn() -> None:
    tiles = TileGrid(np.array([(-10, -10), (700, 1100), (300, 300)]), 50.0)
    image = TilePainter(tiles, Placement.at(WHOLE, 1.0)).paint([1.0, 2.0, np.nan])
    assert image[39, 39] == 1
    assert np.isnan(image[40, 40])
    assert image[-1, -1] == 2
    assert np.isnan(image[320, 320])


@pytest.mark.parametrize("step", [1.0, 2.0, 3.7, 9.3])
@pytest.mark.parametrize("levels", [1, 4])
def test_the_slide_lies_where_the_placement_says(make_slide, tissue: np.ndarray, step: float, levels: int) -> None:
    placement = Placement.at(WHOLE, step)
    picture = slide_picture(make_slide(tissue, levels), placement).astype(float).mean(axis=2)
    assert picture.shape == (int(np.ceil(SLIDE[1] / step)), int(np.ceil(SLIDE[0] / step)))
    # the last pixels may reach past the slide, into white
    dark = (230 - picture[: int(SLIDE[1] // step), : int(SLIDE[0] // step)]).clip(0)
    rows, columns = np.indices(dark.shape)
    y, x = (((i + 0.5) * step - 0.5).ravel() @ dark.ravel() / dark.sum() for i in (rows, columns))
    expected = LATTICE[MARKED] + 148 / 2 - 0.5
    assert np.abs((x, y) - expected).max() <= (1e-9 if step == 1 else 0.5 * step if levels > 1 else 0.1 * step)


def test_at_scale_1_slide_pixels_are_untouched_and_a_tiny_slide_is_magnified_whole(make_slide) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    slide = make_slide(pixels)
    np.testing.assert_array_equal(slide_picture(slide, Placement.at((0, 0, 120, 80), 1.0)), pixels)
    placement = Placement.fit((0, 0, 120, 80), 2000)
    assert placement.step == 1 / 5
    np.testing.assert_array_equal(slide_picture(slide, placement), np.kron(pixels, np.ones((5, 5, 1))))


def test_pixels_come_from_the_coarsest_level_at_least_twice_as_fine(make_slide, tissue: np.ndarray) -> None:
    slide = make_slide(tissue, 4)
    asked = []
    read = slide.read
    slide.read = lambda level, *box: asked.append(level) or read(level, *box)
    for step in (1.0, 3.9, 4.0, 7.9, 8.1, 50.0):
        slide_picture(slide, Placement.at(WHOLE, step))
    assert asked == [0, 0, 1, 1, 2, 3]


def test_reading_in_bands_leaves_no_seam(make_slide, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = make_slide(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    placement = Placement.at((0, 0, 400, 300), 3.7)
    whole = slide_picture(slide, placement)
    monkeypatch.setattr(compositor, "BAND_PIXELS", 1250)
    heights = []
    read = slide.read
    slide.read = lambda level, y0, y1, x0, x1: heights.append(y1 - y0) or read(level, y0, y1, x0, x1)
    banded = slide_picture(slide, placement)
    assert len(heights) > 10
    assert max(heights) < 60
    assert np.abs(whole.astype(int) - banded).max() <= 1


def test_without_a_value_the_tissue_is_bare_and_with_one_it_is_blended_at_the_opacity_asked_for() -> None:
    tissue = np.full((2, 2, 3), 200, dtype=np.uint8)
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    image = np.array([[np.nan, 0.0], [0.5, 9.0]], dtype=np.float32)
    picture = blend(tissue, image, (0.0, 1.0), table, 0.25)
    np.testing.assert_allclose(picture[..., 0], [[200, 150], [182, 214]], atol=1)


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("step", [1.0, 2.0, 3.7])
def test_contours_lie_on_their_coordinates_and_show_on_any_ground(ground: int, step: float) -> None:
    placement = Placement.at(WHOLE, step)
    height, width = placement.shape
    ring = np.array([(200.0, 200), (500, 200), (500, 500), (200, 500)])
    picture = Image.new("RGB", (width, height), (ground,) * 3)
    Outlines([ring], placement, 2.0).draw(picture)
    drawn = np.asarray(picture)[..., 0].astype(int)
    middle = drawn[round(350 / step)]
    assert middle.max() > 240
    assert middle.min() < 30
    touched = np.nonzero(middle != ground)[0]
    left = touched[touched < width / 2]
    assert abs(left.mean() * step + (step - 1) / 2 - 200) <= 0.5 * step
    assert drawn[round(350 / step), round(350 / step)] == ground
