"""Where tissue is found, and how tiles are laid on it."""

import numpy as np
import pytest
from scipy.ndimage import label

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from napari_asmil.slides import tissue
from napari_asmil.slides.tissue import TissueRule, stain_doubt, tile_grid, tissue_mask

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


@pytest.fixture
def oblong(make_tiff):
    """400 rows and 1200 columns without a pixel size, whose second level is 2 times smaller in y and 3 times in x."""
    array = np.full((400, 1200, 3), 245, np.uint8)
    array[100:300, 300:900] = (220, 120, 170)
    with open_slide(make_tiff(array, photometric="rgb")) as slide:
        slide.levels = (*slide.levels, array[::2, ::3])
        slide.downsamples = [(1.0, 1.0), (2.0, 3.0)]
        yield slide


def test_pixels_of_a_mask_that_are_no_squares_lie_where_they_are(oblong):
    mask, downsample = tissue_mask(oblong, TissueRule(smoothing=1))
    assert downsample == (2.0, 3.0) and mask.shape == (200, 400)
    rows, columns = np.nonzero(mask)
    assert (rows.min() * 2, (rows.max() + 1) * 2) == (100, 300)
    assert (columns.min() * 3, (columns.max() + 1) * 3) == (300, 900)
    grid = tile_grid(oblong, 100, mask=(mask, downsample), min_tissue=0.999)
    assert set(map(tuple, grid.xy.tolist())) == {(x, y) for x in range(300, 900, 100) for y in (100, 200)}
    assert stain_doubt(oblong, (mask, downsample)) == ""


def test_a_level_averaged_down_keeps_each_direction_to_itself(oblong):
    oblong.mpp = 1.0
    mask, downsample = tissue_mask(oblong, TissueRule(mpp=8.0, smoothing=1))
    assert downsample == (8.0, 12.0)  # 4 times the last level, whose px are 2 µm high
    rows, columns = np.nonzero(mask)
    assert abs(rows.min() * 8 - 100) <= 8 and abs(columns.min() * 12 - 300) <= 12
    assert abs((rows.max() + 1) * 8 - 300) <= 8 and abs((columns.max() + 1) * 12 - 900) <= 12


def test_what_is_averaged_in_strips_is_what_is_averaged_at_once(stained, monkeypatch):
    whole, _ = tissue_mask(stained)
    monkeypatch.setattr(tissue, "STRIP", 1)
    np.testing.assert_array_equal(tissue_mask(stained)[0], whole)


@pytest.mark.parametrize(("mpp", "remedy"), [(1.0, "--mask-mpp"), (None, "--slide-mpp")])
def test_a_mask_of_more_pixels_than_fit_is_a_sentence_and_reads_nothing(stained, monkeypatch, mpp, remedy):
    monkeypatch.setattr(tissue, "MOST_PX", 49_999)
    stained.mpp = mpp
    with pytest.raises(InputError, match=rf"(250 x 200|1000 x 800) px, more than.*{remedy}"):
        tissue_mask(stained)
    assert stained.reads == 0


def test_any_mask_can_be_judged_not_only_that_of_the_default_rule(stained):
    for mpp in (1.0, 3.0, 16.0):
        assert stain_doubt(stained, tissue_mask(stained, TissueRule(mpp=mpp))) == ""
    half, downsample = tissue_mask(stained, TissueRule(mpp=2.0))
    assert "neither pink nor violet" in stain_doubt(stained, (~half, downsample))


def test_the_finest_level_that_is_coarse_enough_is_looked_at(make_tiff):
    array = np.full((800, 800, 3), 245, np.uint8)
    array[200:600, 200:600] = (220, 120, 170)
    with open_slide(make_tiff(array, **MICRON)) as slide:
        slide.levels = (*slide.levels, array[::2, ::2], array[::4, ::4], array[::8, ::8])
        slide.downsamples = [(float(step), float(step)) for step in (1, 2, 4, 8)]
        for mpp, coarse in ((1.0, 1), (2.0, 2), (3.0, 4), (4.0, 4), (8.0, 8), (16.0, 16)):
            mask, downsample = tissue_mask(slide, TissueRule(mpp=mpp, smoothing=1))
            assert downsample == (coarse, coarse) and mask.shape == (800 // coarse, 800 // coarse)
            assert mask.mean() == pytest.approx(0.25, abs=0.03)


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


def speckled(make_tiff, **options):
    """A pink square of 400 px with a hole of 40, and a speck of 60, at 1 µm per px unless said."""
    array = np.full((800, 1000, 3), 245, np.uint8)
    array[100:500, 200:600] = array[600:660, 800:860] = (220, 120, 170)
    array[280:320, 380:420] = 245
    return make_tiff(array, **options)


def pieces_and_holes(slide, **rule):
    mask, _ = tissue_mask(slide, TissueRule(smoothing=1, **rule))
    return label(mask)[1], label(~mask)[1] - 1


def test_small_pieces_are_dropped_and_small_holes_filled_by_their_area_in_square_millimetres(make_tiff):
    with open_slide(speckled(make_tiff, **MICRON)) as slide:
        assert pieces_and_holes(slide) == (2, 1)
        assert pieces_and_holes(slide, smallest_piece=0.0035, largest_hole=0.0015) == (2, 1)
        assert pieces_and_holes(slide, smallest_piece=0.0037) == (1, 1)
        assert pieces_and_holes(slide, largest_hole=0.0017) == (2, 0)
        assert "mm²" in TissueRule(smallest_piece=0.5).words(slide)


def test_areas_are_level_0_px_where_the_pixel_size_is_unknown(make_tiff):
    with open_slide(speckled(make_tiff, photometric="rgb")) as slide:
        assert slide.mpp is None
        assert pieces_and_holes(slide, smallest_piece=3599, largest_hole=1599) == (2, 1)
        assert pieces_and_holes(slide, smallest_piece=3601, largest_hole=1600) == (1, 0)
        assert "level-0 px" in TissueRule(smallest_piece=3601).words(slide)


def test_glass_around_tissue_is_no_hole(make_tiff):
    with open_slide(speckled(make_tiff, **MICRON)) as slide:
        assert not tissue_mask(slide, TissueRule(largest_hole=1e9))[0].all()


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (0.4, 0.25), (0.5, 0.0)])
def test_a_threshold_that_is_given_takes_the_place_of_otsus(make_tiff, threshold, share):
    array = np.full((400, 400, 3), (245, 240, 245), np.uint8)
    array[:200, :200] = (220, 120, 170)  # saturation 100 / 220
    with open_slide(make_tiff(array, **MICRON)) as slide:
        rule = TissueRule(smoothing=1, threshold=threshold)
        assert tissue_mask(slide, rule)[0].mean() == share
        assert f"above a threshold of {threshold:g}" in rule.words(slide)


def test_the_mask_is_as_fine_as_the_rule_says(stained):
    assert tissue_mask(stained, TissueRule(mpp=8.0))[1] == (8, 8)


@pytest.mark.parametrize(
    "wrong",
    [{"mpp": 0.0}, {"smoothing": 0}, {"threshold": 1.5}, {"smallest_piece": -1.0}, {"largest_hole": float("nan")}],
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        TissueRule(**wrong)


def test_no_tissue_is_demanded_where_the_least_share_is_0_yet_some_there_must_be(stained):
    grid = tile_grid(stained, 100, stride=50, min_tissue=0.0)
    x, y = grid.xy.T
    assert (x.min(), x.max(), y.min(), y.max()) == (150, 650, 50, 450)


def test_tissue_may_be_known_otherwise_than_by_a_mask(stained):
    grid = tile_grid(stained, 100, share=lambda tiles: (tiles.xy[:, 0] == 300) * 0.5)
    assert set(grid.xy[:, 0].tolist()) == {300} and len(grid) == 8
