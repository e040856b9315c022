"""Where tiles lie: the pixel-centre rule and the raster that draws them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_asmil.errors import InputError
from napari_asmil.geometry import MAX_QUADS, MAX_RASTER_PIXELS, TileGrid, TileQuads


def lattice(xs, ys):
    return np.array([(x, y) for y in ys for x in xs])


def test_the_centre_of_a_tile_is_half_an_edge_less_half_a_pixel_from_its_first_pixel():
    grid = TileGrid([[100, 40]], 256)
    np.testing.assert_array_equal(grid.centres, [[40 + 127.5, 100 + 127.5]])
    pixels = np.arange(40, 40 + 256)
    assert grid.centres[0, 0] == pixels.mean()


@pytest.mark.parametrize(
    ("corner", "outside"),
    [((99, 0), False), ((100, 0), True), ((0, 49), False), ((0, 50), True), ((-20, -20), False), ((-21, 0), True)],
)
def test_a_tile_belongs_to_a_slide_when_its_centre_is_on_it(corner, outside):
    grid = TileGrid([[0, 0], corner], 40)
    np.testing.assert_array_equal(grid.outside((120, 70)), [False, outside])


def test_tiles_edge_to_edge_become_one_raster_pixel_each():
    raster = TileGrid(lattice([64, 128, 192], [0, 64]), 64).raster
    assert (raster.shape, raster.pixel) == ((2, 3), 64)
    assert raster.origin == (31.5, 95.5)
    np.testing.assert_array_equal(raster.to_image(np.arange(6.0)), [[0, 1, 2], [3, 4, 5]])


def test_a_single_tile_is_one_pixel_at_its_centre():
    grid = TileGrid([[10, 20]], 7)
    assert (grid.raster.shape, grid.raster.pixel) == ((1, 1), 7)
    assert grid.raster.origin == tuple(grid.centres[0])
    assert grid.bounds == (10, 20, 17, 27)


def test_gaps_are_nan_and_have_no_tile():
    raster = TileGrid([[0, 0], [200, 100]], 100).raster
    np.testing.assert_array_equal(raster.to_image([1, 2]), [[1, np.nan, np.nan], [np.nan, np.nan, 2]])
    np.testing.assert_array_equal(raster.tile_image(), [[0, -1, -1], [-1, -1, 1]])


def test_overlapping_tiles_are_averaged_where_they_overlap():
    raster = TileGrid([[0, 0], [50, 0]], 100).raster
    assert (raster.shape, raster.pixel) == ((2, 3), 50)
    np.testing.assert_array_equal(raster.to_image([1, 3]), [[1, 2, 3], [1, 2, 3]])


def test_a_last_row_shifted_inside_keeps_its_place():
    starts = [*range(0, 449, 32), 468]
    grid = TileGrid(lattice(starts, starts), 32)
    raster = grid.raster
    assert (raster.shape, raster.pixel) == ((125, 125), 4)
    image = raster.to_image(np.arange(256.0))
    assert image[-1, -1] == 255
    assert image[112, 0] == image[116, 0] == 224
    assert image[117, 0] == (224 + 240) / 2


def test_values_of_tiles_may_be_nan_or_any_number():
    image = TileGrid([[0, 0], [8, 0]], 8).raster.to_image([np.nan, -np.inf])
    assert np.isnan(image[0, 0])
    assert image[0, 1] == -np.inf


def test_tile_order_is_kept_and_cannot_be_changed():
    grid = TileGrid([[128, 0], [0, 0]], 64)
    np.testing.assert_array_equal(grid.raster.to_image([5, 6]), [[6, np.nan, 5]])
    with pytest.raises(ValueError, match="read-only"):
        grid.xy[0] = 0


def test_tiles_without_a_common_lattice_have_no_raster_rather_than_a_moved_tile():
    far = 2 * int(MAX_RASTER_PIXELS**0.5)
    grid = TileGrid([[0, 0], [far + 1, far]], 2)
    with pytest.raises(InputError, match="share no lattice"):
        _ = grid.raster
    np.testing.assert_array_equal(grid.drawing.boxes, [[0, 0, 2, 2], [far + 1, far, far + 3, far + 2]])


def test_what_is_drawn_is_the_raster_where_there_is_one():
    grid = TileGrid(lattice([0, 64], [0]), 64)
    assert grid.drawing is grid.raster


def pieces(size, count):
    """Lattices of as many tiles each, whose offsets share no divisor, too far apart for a common raster."""
    side = int(count**0.5)
    whole = lattice(np.arange(side) * int(size), np.arange(side) * int(size))
    return np.concatenate([whole + offset for offset in ((0, 0), (50_021, 37), (13, 61_001))])


def test_corners_of_rectangles_are_those_of_the_tiles_to_the_pixel():
    grid = TileGrid(pieces(512, 625), 512)
    quads = grid.drawing
    assert quads.shape == (3 * 625,) and quads.vertices.shape == (4 * 3 * 625, 2) and quads.faces.max() == 4 * 1875 - 1
    for at in (0, -1):
        x, y = grid.xy[at] - 0.5
        expected = [[y, x], [y, x + 512], [y + 512, x + 512], [y + 512, x]]
        np.testing.assert_array_equal(quads.vertices.reshape(-1, 4, 2)[at], expected)
    values = np.arange(1875.0)
    np.testing.assert_array_equal(quads.to_image(values), values)


def test_triangles_of_a_rectangle_fill_it():
    quads = TileGrid([[0, 0]], 256.5).drawing
    a, b, c = np.moveaxis(quads.vertices[quads.faces], 1, 0)
    areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    np.testing.assert_array_equal(areas, [256.5**2 / 2] * 2)


def test_tiles_of_an_edge_that_is_no_whole_number_are_not_cut_where_their_corners_are_rounded():
    quads = TileGrid([[0, 0], [256, 0], [513, 0]], 256.5).drawing
    np.testing.assert_array_equal(quads.boxes[:, 2], [256.5, 512.5, 769.5])
    assert not quads.mixed


def test_tiles_that_overlap_too_densely_are_left_whole():
    xy = np.random.default_rng(0).integers(0, 200, (500, 2))
    quads = TileGrid(xy, 100.5).drawing
    assert quads.mixed and quads.shape == (500,)


def test_more_tiles_than_can_be_drawn_one_by_one_are_refused_with_the_reason():
    most = TileGrid(np.arange(2 * MAX_QUADS).reshape(-1, 2) * 1000, 0.5)
    assert most.drawing.shape == (MAX_QUADS,)
    more = TileGrid(np.arange(2 * MAX_QUADS + 2).reshape(-1, 2) * 1000, 0.5)
    with pytest.raises(InputError, match=r"not a whole number.*100,001 tiles are more than the 100,000"):
        _ = more.drawing


def test_an_edge_that_is_no_whole_number_is_refused_as_a_raster_but_has_centres():
    grid = TileGrid([[0, 0]], 256.5)
    np.testing.assert_array_equal(grid.centres, [[127.75, 127.75]])
    with pytest.raises(InputError, match=r"256\.5.*not a whole number"):
        _ = grid.raster


@pytest.mark.parametrize("size", [0, -3, float("nan")])
def test_a_tile_must_have_an_edge(size):
    with pytest.raises(InputError, match="positive"):
        TileGrid([[0, 0]], size)


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(-60, 60), st.integers(-60, 60)), min_size=1, max_size=12, unique=True),
    size=st.integers(1, 24),
)
def test_every_raster_equals_painting_level_0_pixels_one_by_one(corners, size):
    grid = TileGrid(corners, size)
    raster = grid.raster
    values = np.arange(1.0, len(corners) + 1)
    x0, y0, x1, y1 = map(int, grid.bounds)
    total, cover = np.zeros((y1 - y0, x1 - x0)), np.zeros((y1 - y0, x1 - x0))
    for (x, y), value in zip(corners, values, strict=True):
        total[y - y0 : y - y0 + size, x - x0 : x - x0 + size] += value
        cover[y - y0 : y - y0 + size, x - x0 : x - x0 + size] += 1
    with np.errstate(invalid="ignore"):
        painted = total / cover
    drawn = np.kron(raster.to_image(values), np.ones((raster.pixel, raster.pixel)))
    np.testing.assert_allclose(drawn, painted, rtol=1e-6)
    assert raster.origin == (y0 + raster.pixel / 2 - 0.5, x0 + raster.pixel / 2 - 0.5)


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=1, max_size=12),
    size=st.integers(1, 24),
)
def test_rectangles_never_overlap_and_paint_what_the_raster_paints(corners, size):
    grid = TileGrid(corners, size)
    quads, values = TileQuads.of(grid.xy, grid.size), np.arange(1.0, len(corners) + 1)
    x0, y0, x1, y1 = map(int, grid.bounds)
    painted, times = np.full((y1 - y0, x1 - x0), np.nan), np.zeros((y1 - y0, x1 - x0), int)
    for box, value in zip(quads.boxes.astype(int) - (x0, y0, x0, y0), quads.to_image(values), strict=True):
        here = np.s_[box[1] : box[3], box[0] : box[2]]
        painted[here] = value
        times[here] += 1
    assert times.max() == 1
    pixel = grid.raster.pixel
    np.testing.assert_allclose(painted, np.kron(grid.raster.to_image(values), np.ones((pixel, pixel))), rtol=1e-6)


def test_tiles_and_their_raster_show_themselves_as_a_line():
    grid = TileGrid([[0, 0], [64, 0]], 64)
    assert repr(grid) == "TileGrid(2 tiles of 64 level-0 px)"
    assert repr(grid.raster) == "TileRaster(1 x 2, 64 level-0 px a pixel)"
