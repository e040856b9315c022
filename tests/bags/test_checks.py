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


def pink(folder, first=0, columns=2048, ground=245):
    """A slide of 4096 x 2048 px with a band of tissue from top to bottom."""
    pixels = np.full((2048, 4096, 3), ground, np.uint8)
    pixels[:, first : first + columns] = (200, 90, 160)
    tifffile.imwrite(folder / "s.tif", pixels, photometric="rgb", tile=(256, 256))
    return folder / "s.tif"


@pytest.fixture
def slide(tmp_path):
    return pink(tmp_path)


def on_tissue(slide, xy, size=256):
    bag = in_memory_bag("s", np.ones((len(xy), 2)), TileGrid(xy, size)).on_slide(slide)
    assert "every tile has its centre on the slide of 4096 x 2048 px" in "\n".join(bag.describe())
    return next(line for line in bag.describe() if "centre on tissue" in line)


EVERYWHERE = np.stack(np.meshgrid(np.arange(16), np.arange(8)), axis=-1).reshape(-1, 2) * 256
DOUBT = ": are these features of this slide, and its coordinates level-0 px?"


def test_tiles_on_tissue_are_not_doubted(slide):
    line = on_tissue(slide, EVERYWHERE[EVERYWHERE[:, 0] < 2048])
    assert line == "100% of the tiles have their centre on tissue, where 50% of the slide is tissue"


def test_tiles_beside_the_tissue_are_doubted(slide):
    line = on_tissue(slide, EVERYWHERE[EVERYWHERE[:, 0] >= 2048])
    assert line == f"0% of the tiles have their centre on tissue, where 50% of the slide is tissue{DOUBT}"


@pytest.mark.parametrize("size", [256, 300, 1024])
def test_tiles_laid_over_the_whole_slide_are_not_doubted_though_most_lie_on_glass(tmp_path, size):
    path = pink(tmp_path, columns=1024)
    xy = [(x, y) for y in range(0, 2048 - size + 1, size) for x in range(0, 4096 - size + 1, size)]
    line = on_tissue(path, np.array(xy), size)
    assert "laid over the whole slide, of which 25% is tissue" in line
    assert "?" not in line


def test_a_whole_grid_in_px_of_another_level_is_doubted(tmp_path):
    line = on_tissue(pink(tmp_path, first=2048, columns=1024), EVERYWHERE // 4, 64)
    assert line.startswith("0%") and line.endswith(DOUBT)


@pytest.mark.parametrize(("share", "doubted"), [(0.1, True), (0.4, False)])
def test_where_tissue_is_little_tiles_may_miss_it_but_not_as_chance_does(tmp_path, share, doubted):
    path = pink(tmp_path, columns=256)
    right, wrong = EVERYWHERE[EVERYWHERE[:, 0] == 0], EVERYWHERE[EVERYWHERE[:, 0] > 2048]
    xy = np.concatenate([right, wrong[: round(len(right) * (1 - share) / share)]])
    line = on_tissue(path, xy)
    assert "6% of the slide" in line
    assert line.endswith(DOUBT) == doubted


def test_on_a_dark_slide_it_is_said_that_tissue_cannot_be_told(tmp_path):
    path = pink(tmp_path, ground=5)
    text = "\n".join(in_memory_bag("s", np.ones((24, 2)), grid(256, 256)).on_slide(path).describe())
    assert "whether tiles lie on tissue is not known: the ground is dark, as of fluorescence" in text
    assert "centre on tissue" not in text


def test_a_slide_that_went_away_is_not_looked_at(slide):
    bag = in_memory_bag("s", np.ones((24, 2)), grid(256, 256)).on_slide(slide)
    slide.unlink()
    assert not any("tissue" in line for line in bag.describe())


def test_a_slide_without_a_small_level_is_not_looked_at(slide, monkeypatch):
    monkeypatch.setattr("napari_asmil.bags.checks.OVERVIEW_PIXELS", 2**20)
    bag = in_memory_bag("s", np.ones((24, 2)), grid(256, 256)).on_slide(slide)
    assert not any("tissue" in line for line in bag.describe())
