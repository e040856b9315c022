"""Masks: traced along the edges of their pixels, placed by the slide's size, and what is no mask."""

import numpy as np
import pytest
import shapely
import tifffile
from PIL import Image

from napari_asmil import info, read_annotations
from napari_asmil.annotations import mask
from napari_asmil.annotations.trace import trace
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from tests.annotations.dialects import DIALECTS, FRAME


def png(folder, pixels, name="mask.png"):
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def boxes(pixels):
    rows, columns = np.nonzero(pixels)
    return shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_an_outline_encloses_the_pixels_and_no_other(share):
    rng = np.random.default_rng(3)
    for _ in range(20):
        pixels = rng.random((13, 17)) < share
        traced = [shapely.Polygon(outside, holes) for outside, holes in trace(pixels)]
        assert all(part.is_valid for part in traced)
        assert sum(part.area for part in traced) == pixels.sum()
        assert shapely.symmetric_difference(shapely.union_all(traced), boxes(pixels)).area == 0


def test_only_corners_are_kept_and_pixels_that_touch_at_a_corner_are_apart():
    pixels = np.zeros((50, 60), dtype=bool)
    pixels[10:20, 10:30] = True
    pixels[20:40, 30:50] = True
    assert sorted(len(outside) for outside, _ in trace(pixels)) == [4, 4]
    assert trace(np.zeros((5, 5), dtype=bool)) == []


def test_a_ring_within_a_hole_is_a_part_of_its_own():
    pixels = np.ones((9, 9), dtype=bool)
    pixels[1:8, 1:8] = False
    pixels[3:6, 3:6] = True
    assert sorted((len(holes), len(outside)) for outside, holes in trace(pixels)) == [(0, 4), (1, 4)]


def test_a_mask_is_scaled_by_the_sizes_on_each_axis(tmp_path):
    pixels = np.zeros((30, 41), dtype=np.uint8)
    pixels[3:6, 10:20] = 1
    contours = read_annotations(png(tmp_path, pixels), Frame((4096, 3001)))
    assert contours.tumour().bounds == pytest.approx((10 * 4096 / 41, 300.1, 20 * 4096 / 41, 600.2))
    assert any("1 px is 99.9024 x 100.033 level-0 px" in note for note in contours.notes)


def test_a_mask_of_another_shape_than_the_slide_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"mask is 40 x 40 px, the slide 4000 x 3000.*30 rows.*another slide"):
        read_annotations(png(tmp_path, np.ones((40, 40), dtype=np.uint8)), FRAME)


def test_a_mask_without_its_slide_is_not_placed(tmp_path):
    with pytest.raises(InputError, match=r"200 x 150 px does not say where.*Open the slide"):
        read_annotations(DIALECTS["mask PNG 255"](tmp_path))


def test_a_picture_that_nobody_calls_an_annotation_is_a_slide(tmp_path):
    assert info.describe(DIALECTS["mask PNG 255"](tmp_path))[0] != "annotation file"


def test_each_value_of_a_mask_is_a_group_that_can_be_given_another_role(tmp_path):
    contours = read_annotations(DIALECTS["mask of two values"](tmp_path), FRAME)
    assert contours.roles == {"1": "tumour", "2": "tumour"}
    assert "tumour: 1, 2" in contours.describe()
    two = contours.with_roles({"1": "ignore"})
    assert 0 < two.tumour().area < contours.tumour().area


def test_a_smoothed_mask_is_one_group_and_that_is_said(tmp_path):
    pixels = np.zeros((30, 40), dtype=np.uint8)
    pixels[5:10, 5:35] = np.arange(1, 31)
    contours = read_annotations(png(tmp_path, pixels), FRAME)
    assert list(contours.groups) == ["above 0"]
    assert any("30 values above 0" in note for note in contours.notes)


def test_a_mask_that_seems_inverted_is_said_so(tmp_path):
    pixels = np.full((30, 40), 255, dtype=np.uint8)
    pixels[5:10, 5:10] = 0
    assert any("98% of the mask is above 0" in note for note in read_annotations(png(tmp_path, pixels), FRAME).notes)


def test_an_empty_mask_is_a_slide_without_tumour(tmp_path):
    contours = read_annotations(png(tmp_path, np.zeros((30, 40), dtype=np.uint8)), FRAME)
    assert contours.tumour().is_empty
    assert "tumour: none" in contours.describe()


def test_the_indices_of_a_palette_count_and_three_equal_channels_are_one(tmp_path):
    pixels = np.zeros((30, 40), dtype=np.uint8)
    pixels[5:10, 5:10] = 1
    picture = Image.fromarray(pixels, mode=None).convert("P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.save(tmp_path / "p.png")
    for path in (tmp_path / "p.png", png(tmp_path, np.stack([pixels] * 3, axis=-1), "rgb.png")):
        assert read_annotations(path, FRAME).tumour().area == 25 * 100**2


def test_a_colour_picture_and_a_jpeg_are_no_masks(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="colour picture, not a mask"):
        read_annotations(png(tmp_path, pixels), FRAME)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "mask.jpg")
    with pytest.raises(InputError, match="JPEG has no sharp zeros"):
        read_annotations(tmp_path / "mask.jpg", FRAME)


def test_of_a_pyramid_the_largest_level_is_traced_that_is_not_too_large(tmp_path, monkeypatch):
    pixels = np.zeros((300, 400), dtype=np.uint8)
    pixels[100:200, 100:200] = 1
    with tifffile.TiffWriter(tmp_path / "mask.tif") as tif:
        tif.write(pixels, tile=(64, 64), subifds=2)
        tif.write(pixels[::2, ::2], tile=(64, 64), subfiletype=1)
        tif.write(pixels[::4, ::4], tile=(64, 64), subfiletype=1)
    monkeypatch.setattr(mask, "MOST_PIXELS", 200 * 150)
    contours = read_annotations(tmp_path / "mask.tif", FRAME)
    assert contours.tumour().bounds == (1000, 1000, 2000, 2000)
    assert "level 1 of the mask's 3 was traced" in contours.notes


def test_a_mask_too_large_to_trace_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(mask, "MOST_PIXELS", 1000)
    pixels = np.zeros((30, 40), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "mask.tif", pixels)
    for path in (png(tmp_path, pixels), tmp_path / "mask.tif"):
        with pytest.raises(InputError, match="million pixels"):
            read_annotations(path, FRAME)


def test_noise_is_not_traced(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_asmil.annotations.trace.MOST_EDGES", 100)
    pixels = np.random.default_rng(0).integers(0, 2, (30, 40), dtype=np.uint8)
    with pytest.raises(InputError, match="it is noise"):
        read_annotations(png(tmp_path, pixels), FRAME)


def test_a_picture_without_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda _: np.empty(0))
    with pytest.raises(InputError, match="holds no pixels"):
        read_annotations(DIALECTS["mask TIFF 1"](tmp_path), FRAME)


def test_a_damaged_picture_is_refused(tmp_path):
    path = DIALECTS["mask PNG 255"](tmp_path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="cannot be decoded"):
        read_annotations(path, FRAME)


def test_holes_of_a_mask_are_scaled_on_each_axis_as_outlines_are(tmp_path):
    pixels = np.zeros((30, 41), dtype=np.uint8)
    pixels[3:12, 10:20] = 1
    pixels[5:7, 12:18] = 0
    contours = read_annotations(png(tmp_path, pixels), Frame((4096, 3001)))
    hole = shapely.Polygon(contours.polygons[0].holes[0])
    across, down = 4096 / 41, 3001 / 30
    assert hole.bounds == pytest.approx((12 * across, 5 * down, 18 * across, 7 * down))


@pytest.mark.parametrize(("rows", "fits"), [(149, True), (150, True), (151, True), (147, False), (153, False)])
def test_a_mask_may_be_rounded_to_a_whole_row_and_no_more(tmp_path, rows, fits):
    path = png(tmp_path, np.ones((rows, 200), dtype=np.uint8))
    if fits:
        assert read_annotations(path, FRAME).tumour().area == pytest.approx(4000 * 3000)
    else:
        with pytest.raises(InputError, match="another slide"):
            read_annotations(path, FRAME)
