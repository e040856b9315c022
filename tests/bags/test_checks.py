"""What is said of how tiles lie: to each other, and on their slide."""

import numpy as np
import pytest
import tifffile

from napari_asmil.bags import in_memory_bag
from napari_asmil.bags.checks import steps
from napari_asmil.geometry import TileGrid

ROWS, COLUMNS = np.divmod(np.arange(24), 6)


def grid(step, size, shift=0):
    return TileGrid(np.stack([COLUMNS * step + shift, ROWS * step + shift], axis=1), size)


def said(tiles, **given):
    return "\n".join(in_memory_bag("s", np.ones((len(tiles), 2)), tiles, **given).describe())


@pytest.mark.parametrize(
    ("step", "size", "words"),
    [
        (256, 256, "tiles lie edge to edge"),
        (128, 256, "tiles overlap by 128 px"),
        (288, 256, "gaps of 32 px lie between tiles: is the tile edge 256 right?"),
        (1024, 256, "gaps of 768 px"),
        (1013, 1012.66, "tiles lie edge to edge"),
        (1013, 1000.5, "gaps of 12.5 px"),
    ],
)
def test_the_step_from_tile_to_tile_is_compared_with_the_edge(step, size, words):
    assert words in said(grid(step, size))


def test_the_step_is_the_most_common_one_where_tiles_are_missing():
    rng = np.random.default_rng(3)
    xy = grid(64, 64).xy[np.sort(rng.permutation(24)[:18])]
    assert steps(xy) == (64, 64)
    assert steps(rng.permutation(xy)) == (64, 64)


def test_tiles_that_share_no_row_or_column_say_nothing():
    assert steps(np.array([[0, 0], [7, 9]])) == (None, None)
    assert "tiles lie" not in said(TileGrid([[0, 0], [7, 9]], 5))


def test_pieces_of_tissue_with_lattices_of_their_own_are_counted():
    for pieces in (1, 2, 7):
        xy = np.concatenate([grid(64, 64, shift=2000 * piece + 3 * piece).xy for piece in range(pieces)])
        assert (f"on {pieces} lattices" in said(TileGrid(xy, 64))) == (pieces > 1)


def test_tiles_everywhere_share_no_lattice():
    xy = np.random.default_rng(0).integers(0, 10_000, (500, 2))
    assert "on no common lattice" in said(TileGrid(np.concatenate([xy, xy + np.array((64, 0))]), 64))


def test_tiles_exactly_on_another_one_are_counted():
    xy = grid(64, 64).xy
    assert "2 tiles lie exactly on another one" in said(TileGrid(np.concatenate([xy, xy[:2]]), 64))


@pytest.fixture
def slide(tmp_path):
    """A white slide of 4096 x 2048 px whose left half is pink."""
    pixels = np.full((2048, 4096, 3), 245, np.uint8)
    pixels[:, :2048] = (200, 90, 160)
    tifffile.imwrite(tmp_path / "s.tif", pixels, photometric="rgb", tile=(256, 256))
    return tmp_path / "s.tif"


def test_the_share_of_tiles_on_tissue_is_said_and_doubted_when_it_is_small(slide):
    everywhere = TileGrid(np.stack(np.meshgrid(np.arange(16), np.arange(8)), axis=-1).reshape(-1, 2) * 256, 256)
    left = TileGrid(everywhere.xy[everywhere.xy[:, 0] < 2048], 256)
    right = TileGrid(everywhere.xy[everywhere.xy[:, 0] >= 2048], 256)
    doubt = ": are these features of this slide"
    for tiles, share, doubted in ((everywhere, "50%", False), (left, "100%", False), (right, "0%", True)):
        bag = in_memory_bag("s", np.ones((len(tiles), 2)), tiles).on_slide(slide)
        line = next(line for line in bag.describe() if "centre on tissue" in line)
        assert line.startswith(f"{share} of the tiles have their centre on tissue")
        assert (doubt in line) == doubted
        assert "every tile has its centre on the slide of 4096 x 2048 px" in "\n".join(bag.describe())


def test_a_slide_that_went_away_is_not_looked_at(slide):
    bag = in_memory_bag("s", np.ones((24, 2)), grid(256, 256)).on_slide(slide)
    slide.unlink()
    assert not any("tissue" in line for line in bag.describe())


def test_a_slide_without_a_small_level_is_not_looked_at(slide, monkeypatch):
    monkeypatch.setattr("napari_asmil.bags.checks.OVERVIEW_PIXELS", 2**20)
    bag = in_memory_bag("s", np.ones((24, 2)), grid(256, 256)).on_slide(slide)
    assert not any("tissue" in line for line in bag.describe())
