"""Vendors' TIFF files, written as openslide.org/formats describes them, and what is known of their scale."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openslide as reference
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from napari_asmil.slides import openslide, tiff_scale
from tests.slides.layouts import STRIPS, TILED, leica, philips, ventana
from tests.slides.layouts import ome as write_ome


@pytest.fixture
def area() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("write", "kind", "step", "source", "beside"),
    [
        (leica, "SCN", 4, "the view's size in the Leica image description", {"macro"}),
        (philips, "PHILIPS", 2, "DICOM_PIXEL_SPACING in the Philips image description", {"label"}),
        (ventana, "BIF", 2, "ScanRes of Ventana's iScan", {"label"}),
    ],
)
def test_levels_scale_and_pictures_beside_the_slide(tmp_path, area, capsys, write, kind, step, source, beside):
    with open_slide(write(tmp_path / "slide", area)) as slide:
        assert slide.describe()[0] == f"slide, {kind}, DEFLATE in 64 x 64 px tiles, read by tifffile"
        assert (slide.mpp, slide.mpp_source) == (pytest.approx(0.25), source)
        assert slide.reads == 0
        np.testing.assert_array_equal(slide.levels[0], area)
        np.testing.assert_array_equal(slide.levels[1], area[::step, ::step])
        assert set(slide.associated) == beside
        name = next(iter(beside))
        expected = area[:50, :60] if name == "macro" else area[:40, :50]
        np.testing.assert_array_equal(slide.associated[name], expected)
        assert any(line.startswith("pictures beside it") and name in line for line in slide.describe())
    assert capsys.readouterr().err == ""


def test_of_several_scanned_areas_the_largest_is_shown_and_the_others_are_named(tmp_path, area):
    with open_slide(leica(tmp_path / "slide.scn", area, area[:350])) as slide:
        np.testing.assert_array_equal(slide.levels[0], area)
        assert any("the largest is shown, not other of 600 x 350 px" in line for line in slide.describe())


def test_overlapping_tiles_of_ventana_are_said_where_openslide_cannot_lay_them(tmp_path, area):
    path = ventana(tmp_path / "slide.bif", area)
    with open_slide(path) as slide:
        assert any("may overlap" in line for line in slide.describe())


def test_what_is_doubtful_is_asked_of_openslide(tmp_path, area):
    """An SVS whose second level is 16 times smaller: one may be missing, and here none is."""
    path = tmp_path / "hole.svs"
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 16):
            writer.write(area[::step, ::step], description="Aperio Image Library v1\r\nMPP = 0.25", **TILED)
    with open_slide(path) as slide:
        assert slide.describe()[0] == "slide, aperio, read by OpenSlide"
        assert any("16 times smaller than the one before it" in line for line in slide.describe())
        assert [level.shape[:2] for level in slide.levels[:2]] == [(400, 600), (25, 38)]
        np.testing.assert_array_equal(slide.levels[0], area)


def test_label_macro_and_thumbnail_of_an_svs_equal_openslides(tmp_path, area):
    path = tmp_path / "slide.svs"
    described = "Aperio Image Library v11\r\n"
    with tifffile.TiffWriter(path) as writer:
        writer.write(area, description=f"{described}600x400 |MPP = 0.5", **TILED)
        writer.write(area[::8, ::8], description=f"{described}600x400 -> 75x50 - |MPP = 0.5", **STRIPS)
        writer.write(area[::2, ::2], description=f"{described}300x200", **TILED)
        writer.write(area[:30, :40], description=f"{described}label 40x30", subfiletype=1, **STRIPS)
        writer.write(area[:20, :90], description=f"{described}macro 90x20", subfiletype=9, **STRIPS)
    with open_slide(path) as slide, reference.OpenSlide(path) as other:
        assert slide.reads == 0
        assert set(slide.associated) == set(other.associated_images) == {"thumbnail", "label", "macro"}
        for name, picture in slide.associated.items():
            np.testing.assert_array_equal(picture, np.asarray(other.associated_images[name].convert("RGB")))
        through = openslide.open(path)
        assert {name: one.shape for name, one in through.associated.items()} == {
            name: picture.shape[:2] for name, picture in slide.associated.items()
        }
        np.testing.assert_array_equal(through.associated["label"].read(), area[:30, :40])
        through.close()


def test_of_images_of_one_size_the_first_is_shown_and_the_other_is_named(tmp_path, area):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for picture in (area, 255 - area):
            writer.write(picture, photometric="rgb", metadata={"axes": "YXS"})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], area)
        assert any("holds 2 images; the largest is shown, not" in line for line in slide.describe())


@pytest.mark.parametrize(
    ("x", "y", "centre"),
    [
        (2**32 - 1_500_000, 400_000, (-1_500_000, 400_000)),
        (1_500_000, 2**32 - 1, (1_500_000, -1)),
        (-7, 2**31 - 1, (-7, 2**31 - 1)),
        (None, 4, None),
    ],
)
def test_the_middle_of_a_hamamatsu_slide_from_that_of_its_glass_has_a_sign(x, y, centre):
    """Tags 65422 and 65423: nanometres right and down, in 32 bits that may be written as if there were no sign."""
    page = SimpleNamespace(is_ndpi=True, tags=SimpleNamespace(valueof={65422: x, 65423: y}.get))
    assert tiff_scale.centre_nm(page) == centre
    page.is_ndpi = False
    assert tiff_scale.centre_nm(page) is None


def test_a_resolution_without_a_unit_is_by_the_inch_as_tiff_has_it(tmp_path, area):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, area, resolution=(101600, 101600), resolutionunit=3, **TILED)
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags["ResolutionUnit"].offset
    content = bytearray(path.read_bytes())
    content[at : at + 2] = (297).to_bytes(2, "little")  # PageNumber, which says nothing
    path.write_bytes(content)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.25)


# --- the order in which sizes are believed -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "tags", "mpp", "source"),
    [
        ("AppMag = 20|MPP = 0.4990", {}, 0.499, "MPP in the Aperio image description"),
        ("AppMag = 20", {}, 0.5, "an estimate, 10 µm / 20x objective; the file does not say the size itself"),
        ("AppMag = 40|MPP = 0", {}, 0.25, "an estimate, 10 µm / 40x objective.*says 0 x 0 µm, which is no size"),
        ("AppMag = 20|MPP = 499", {}, 0.5, "an estimate.*says 499 x 499 µm, and no slide has pixels outside"),
        ("AppMag = 20", {"resolution": (40000, 40000), "resolutionunit": 3}, 0.25, "TIFF resolution tags"),
        ("AppMag = 0", {}, None, "unknown: the file does not say"),
        ("", {"resolution": (72, 72), "resolutionunit": 2}, None, "unknown: .*not believed"),
    ],
)
def test_a_declared_size_goes_before_tags_and_those_before_the_objective(tmp_path, area, described, tags, mpp, source):
    path = tmp_path / "slide.svs"
    tifffile.imwrite(path, area, description=f"Aperio Image Library v11\r\n600x400 |{described}", **TILED, **tags)
    with open_slide(path) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp))
        assert re.match(source, slide.mpp_source), slide.mpp_source


@pytest.mark.parametrize("mpp", [0, -0.25, 250, float("nan"), float("inf")])
def test_a_size_that_no_pixel_has_is_not_taken_from_anyone(tmp_path, area, mpp):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, area, **TILED)
    with pytest.raises(InputError, match="no size of a pixel"):
        open_slide(path, mpp=mpp)


# --- what would open as something smaller than it is --------------------------------------------------------


def of_size(path: Path, size: int) -> Path:
    """A file of so many bytes, which takes none of the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_vsi_is_recognised_by_its_name_or_by_the_far_larger_slide_beside_it(tmp_path, area):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, area[:128, :128], **TILED)
    with open_slide(path) as slide:
        assert slide.shape == (128, 128)
    of_size(tmp_path / "_slide_" / "stack1" / "frame_t.ets", 10**9)
    with pytest.raises(InputError, match=r"slide\.tif.*Olympus VSI.*_slide_.*bfconvert"):
        open_slide(path)
    shutil.copy(path, tmp_path / "alone.vsi")
    with pytest.raises(InputError, match="Olympus VSI"):
        open_slide(tmp_path / "alone.vsi")


def test_a_conversion_beside_the_slide_it_was_made_of_is_opened_itself_and_it_is_said(tmp_path, area):
    write_ome(tmp_path / "slide.tif", area)
    Image.fromarray(area).save(tmp_path / "slide.png")
    Image.fromarray(area[:20, :20]).save(tmp_path / "thumb.png")
    Image.fromarray(area).save(tmp_path / "slide.jpg", quality=95)
    large = 10 * (tmp_path / "slide.tif").stat().st_size
    of_size(tmp_path / "_slide_" / "stack1" / "frame_t.ets", large)
    for folder, size in (("slide", 10**6), ("thumb", 10**9)):
        of_size(tmp_path / folder / "Data0000.dat", size)
        (tmp_path / folder / "Slidedat.ini").write_text("[GENERAL]")
    with open_slide(tmp_path / "slide.tif") as slide:
        assert slide.describe()[0] == "slide, OME, DEFLATE in 128 x 128 px tiles, read by tifffile"
        assert (len(slide.levels), slide.mpp) == (3, 0.25)
        assert any("Olympus VSI slide lies beside it (_slide_)" in line for line in slide.describe())
    for name, shape in (("slide.png", (400, 600)), ("slide.jpg", (400, 600)), ("thumb.png", (20, 20))):
        with open_slide(tmp_path / name) as slide:
            assert slide.shape == shape
            assert any("MRXS slide lies beside it" in line for line in slide.describe())


def test_a_jpeg_that_is_far_smaller_than_the_mrxs_slide_beside_it_is_its_index(tmp_path, area):
    Image.fromarray(area[:20, :20]).save(tmp_path / "slide.jpg")
    (tmp_path / "slide").mkdir()
    (tmp_path / "slide" / "Slidedat.ini").write_text("[GENERAL]")
    of_size(tmp_path / "slide" / "Data0000.dat", 10**9)
    with pytest.raises(InputError, match=r"slide\.jpg.*index of an MRXS slide.*end in \.mrxs"):
        open_slide(tmp_path / "slide.jpg")


def test_an_mrxs_is_not_the_jpeg_it_begins_with(tmp_path, area):
    path = tmp_path / "slide.mrxs"
    Image.fromarray(area).save(path, format="JPEG")
    with pytest.raises(InputError, match=r"MRXS.*folder slide beside it.*Copy that folder too"):
        open_slide(path)


@pytest.mark.parametrize(
    ("start", "name"), [(b"SIS\0", "Olympus VSI"), (b"\x70\0\0\0", "Leica LIF"), (b"iSyntax", "iSyntax")]
)
def test_known_formats_that_nothing_here_reads_are_called_by_name(tmp_path, start, name):
    (tmp_path / "slide").write_bytes(start + bytes(200))
    with pytest.raises(InputError, match=f"{name}.*neither tifffile nor OpenSlide reads"):
        open_slide(tmp_path / "slide")


def test_a_file_that_asks_to_be_turned_is_shown_as_stored_and_it_is_said(tmp_path, area):
    tifffile.imwrite(tmp_path / "t.tif", area, extratags=[(274, 3, 1, 6, True)], **TILED)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(area).save(tmp_path / "t.jpg", exif=exif)
    for name in ("t.tif", "t.jpg"):
        with open_slide(tmp_path / name) as slide:
            assert slide.shape == (400, 600)
            assert any("orientation 6" in line and "not turned" in line for line in slide.describe())
