"""Where tissue is found, and how tiles are laid on it."""

import numpy as np
import pytest

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from napari_asmil.slides.tissue import stain_doubt, tile_grid, tissue_mask

MICRON = {"photometric": "rgb", "resolution": (10000, 10000), "resolutionunit": "CENTIMETER"}


@pytest.fixture
def stained(make_tiff):
    """1 µm per px: a pink rectangle, rows 100 to 500 and columns 200 to 700, on white glass of 800 x 1000 px."""
    array = np.full((800, 1000, 3), 245, np.uint8)
    array[100:500, 200:700] = (220, 120, 170)
    with open_slide(make_tiff(array, tile=(256, 256), **MICRON)) as slide:
        yield slide


def test_the_mask_covers_the_stained_part_at_about_4_micrometres(stained):
    mask, downsample = tissue_mask(stained)
    assert downsample == (4, 4)
    truth = np.zeros((200, 250), bool)
    truth[25:125, 50:175] = True
    assert mask.shape == truth.shape
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95


def test_a_blank_slide_has_no_tissue_and_says_so_when_tiled(make_tiff):
    noise = np.random.default_rng(0).integers(240, 246, (300, 300, 3), dtype=np.uint8)
    with open_slide(make_tiff(noise, **MICRON)) as slide:
        assert not tissue_mask(slide)[0].any()
        with pytest.raises(InputError, match=r"plain\.tif.*No tile of 64 px holds 50% tissue"):
            tile_grid(slide, 64)


def test_tiles_with_enough_tissue_are_kept_and_no_others(stained):
    grid = tile_grid(stained, 100)
    inside = {(x, y) for x in range(200, 700, 100) for y in range(100, 500, 100)}
    assert set(map(tuple, grid.xy.tolist())) == inside
    assert grid.size == 100


def test_the_share_of_tissue_in_a_tile_is_exact_for_a_given_mask(stained):
    inside = np.zeros((8, 10), bool)
    inside[2, 3] = True  # level-0 px: x 300 to 400, y 200 to 300
    mask = (inside, (100.0, 100.0))
    assert tile_grid(stained, 200, mask=mask, min_tissue=0.2499).xy.tolist() == [[200, 200]]
    with pytest.raises(InputError):
        tile_grid(stained, 200, mask=mask, min_tissue=0.2501)
    # a tile of 130 px at (260, 260) has 90 x 40 px of it
    assert [260, 260] in tile_grid(stained, 130, mask=mask, min_tissue=90 * 40 / 130**2 - 1e-6).xy.tolist()
    assert [260, 260] not in tile_grid(stained, 130, mask=mask, min_tissue=90 * 40 / 130**2 + 1e-6).xy.tolist()


def test_a_stride_smaller_than_the_tile_makes_tiles_overlap(stained):
    grid = tile_grid(stained, 200, stride=100, min_tissue=0.999)
    assert sorted(set(np.diff(np.unique(grid.xy[:, 0])).tolist())) == [100]


@pytest.mark.parametrize(
    ("width", "starts"),
    [(500, [*range(0, 449, 32), 468]), (480, list(range(0, 449, 32))), (495, list(range(0, 449, 32))), (32, [0])],
)
def test_cover_tiles_everything_and_shifts_a_last_row_inside_when_half_a_tile_is_new(make_tiff, width, starts):
    with open_slide(make_tiff(np.full((width, width, 3), 255, np.uint8), photometric="rgb")) as slide:
        grid = tile_grid(slide, 32, cover=True)
        assert slide.reads == 0
    assert np.unique(grid.xy[:, 0]).tolist() == np.unique(grid.xy[:, 1]).tolist() == starts
    assert len(grid) == len(starts) ** 2


def test_a_slide_smaller_than_a_tile_is_refused(stained):
    with pytest.raises(InputError, match=r"900 px.*1000 x 800 px"):
        tile_grid(stained, 900)


@pytest.mark.parametrize(
    ("ground", "tissue", "said"),
    [
        ((245, 245, 245), (220, 120, 170), ""),
        ((2, 2, 2), (90, 10, 20), "ground is dark"),
        ((255, 255, 255), (0, 200, 0), "neither pink nor violet"),
    ],
    ids=["H&E", "fluorescence", "painted boxes"],
)
def test_a_slide_that_is_no_h_and_e_is_told_where_tissue_is_looked_for(make_tiff, ground, tissue, said):
    array = np.full((400, 400, 3), ground, np.uint8)
    array[100:300, 100:300] = tissue
    with open_slide(make_tiff(array, **MICRON)) as slide:
        doubt = stain_doubt(slide, tissue_mask(slide))
    assert said in doubt and bool(doubt) == bool(said)
