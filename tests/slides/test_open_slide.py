"""What opening a slide promises: levels, scale, laziness, bounds and refusals."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import dask.array
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_asmil import open_slide
from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.slides import image, openslide, slide_name, tiff
from napari_asmil.slides.slide import Slide


def test_opening_reads_no_pixels(aperio, ome):
    for path in (aperio, ome):
        with open_slide(path) as slide:
            slide.describe()
            assert slide.reads == slide.requests == 0


def test_levels_hold_the_pixels_that_were_written(aperio, ome, pixels):
    with open_slide(aperio) as slide:
        assert [level.shape for level in slide.levels] == [(400, 600, 3), (100, 150, 3)]
        for level, step in zip(slide.levels, (1, 4), strict=True):
            np.testing.assert_array_equal(level, pixels[::step, ::step])
    with open_slide(ome) as slide:
        assert slide.shape == (400, 600)
        for level, step in zip(slide.levels, (1, 2, 4), strict=True):
            np.testing.assert_array_equal(level, pixels[::step, ::step])


def test_a_lazy_level_is_indexed_like_an_array(aperio, pixels):
    with open_slide(aperio) as slide:
        level = slide.levels[0]
        assert (level.dtype, level.ndim, level.size, len(level)) == (np.uint8, 3, pixels.size, 400)
        for index in (
            np.s_[100:300, 250:],
            np.s_[5],
            np.s_[-1, ::-7],
            np.s_[..., 1],
            np.s_[350:10:-3, 599, 2],
            np.s_[10:10],
            np.s_[:, 130:131, 0:2],
        ):
            np.testing.assert_array_equal(level[index], pixels[index])
        with pytest.raises(IndexError):
            level[400]


def test_downsamples_are_computed_per_axis_from_the_shapes(tmp_path):
    path = tmp_path / "odd.tif"
    array = np.zeros((250, 301, 3), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        writer.write(array, tile=(64, 64), photometric="rgb", metadata=None)
        writer.write(array[:62, :75], tile=(64, 64), photometric="rgb", metadata=None, subfiletype=1)
    with open_slide(path) as slide:
        assert slide.downsamples == [(1, 1), (250 / 62, 301 / 75)]


def test_missing_small_levels_are_made_as_means_of_the_level_above(make_tiff):
    array = np.random.default_rng(0).integers(0, 256, (4101, 300, 3), dtype=np.uint8)
    with open_slide(make_tiff(array, tile=(256, 256), photometric="rgb")) as slide:
        assert [level.shape[:2] for level in slide.levels] == [(4101, 300), (2051, 150), (1026, 75)]
        assert slide.downsamples == [(1, 1), (2, 2), (4, 4)]
        assert slide.reads == 0
        halved = np.asarray(slide.levels[1])
    even = array[:4100].astype(float)
    mean = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    np.testing.assert_allclose(halved[:2050], mean, atol=0.5)
    np.testing.assert_allclose(halved[2050], (array[4100, ::2].astype(float) + array[4100, 1::2]) / 2, atol=0.5)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((90, 120), {"photometric": "minisblack"}),
        ((90, 120), {"photometric": "minisblack", "tile": (32, 32), "bigtiff": True}),
        ((90, 120, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        ((3, 90, 120), {"photometric": "rgb", "planarconfig": "separate"}),
        ((90, 120, 3), {"photometric": "rgb", "rowsperstrip": 8, "compression": "lzw"}),
    ],
)
def test_grey_planar_striped_and_transparent_files_become_rgb(make_tiff, shape, options):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with open_slide(make_tiff(array, **options)) as slide:
        rgb = np.stack([array] * 3, axis=2) if array.ndim == 2 else array
        rgb = np.moveaxis(rgb, 0, 2) if rgb.shape[0] == 3 else rgb
        np.testing.assert_array_equal(slide.levels[0], rgb[..., :3])


def test_reading_outside_the_slide_is_white(aperio, pixels):
    with open_slide(aperio) as slide:
        got = slide.read(0, -10, 20, 590, 620)
        np.testing.assert_array_equal(got[10:, :10], pixels[:20, 590:])
        assert (got[:10] == 255).all()
        assert (got[:, 10:] == 255).all()
        assert (slide.read(1, 500, 510, 0, 5) == 255).all()


def test_the_dask_array_equals_the_level_and_has_large_chunks(aperio, pixels):
    with open_slide(aperio) as slide:
        array = slide.dask(0)
        assert isinstance(array, dask.array.Array)
        assert array.numblocks == (1, 1, 1)
        assert slide.reads == 0
        np.testing.assert_array_equal(array[37:301, 5:].compute(), pixels[37:301, 5:])


def test_tiles_are_decoded_once_and_then_come_from_the_cache(aperio):
    with open_slide(aperio, cache=ArrayCache(2**24)) as slide:
        slide.read(0, 0, 400, 0, 600)
        decoded = slide.reads
        slide.read(0, 0, 400, 0, 600)
        slide.levels[0][100:200, 300:310]
        assert decoded == slide.reads > 0
        assert slide.requests == 3


def test_the_cache_stays_within_its_bound_and_what_falls_out_is_decoded_again(aperio, pixels):
    cache = ArrayCache(2 * 256 * 256 * 3)
    with open_slide(aperio, cache=cache) as slide:
        for _ in range(2):
            np.testing.assert_array_equal(slide.levels[0], pixels)
            assert cache.nbytes <= cache.limit
        assert slide.reads == 12


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((600, 500, 30), {"photometric": "minisblack", "planarconfig": "contig", "tile": (256, 256)}),
        ((600, 500, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"], "rowsperstrip": 600}),
        ((600, 20, 3), {"photometric": "rgb", "tile": (512, 512)}),
    ],
)
def test_the_cache_keeps_nothing_that_it_does_not_count(make_tiff, shape, options):
    cache = ArrayCache(2**24)
    with open_slide(make_tiff(np.zeros(shape, np.uint8), compression="deflate", **options), cache=cache) as slide:
        slide.read(0, 0, 600, 0, shape[1])
        kept = list(cache._arrays.values())
        assert kept
        assert sum(one.nbytes if one.base is None else memoryview(one.base).nbytes for one in kept) == cache.nbytes


def test_threads_read_the_same_pixels_as_one_thread(ome, pixels):
    rng = np.random.default_rng(5)
    corners = [(int(y), int(x)) for y, x in rng.integers(0, (350, 550), (80, 2))]
    with open_slide(ome, cache=ArrayCache(300_000)) as slide, ThreadPoolExecutor(4) as pool:
        boxes = list(pool.map(lambda at: slide.read(0, at[0], at[0] + 50, at[1], at[1] + 50), corners))
    for (y, x), box in zip(corners, boxes, strict=True):
        np.testing.assert_array_equal(box, pixels[y : y + 50, x : x + 50])


def test_a_closed_slide_frees_its_tiles_and_says_that_it_is_closed(aperio):
    cache = ArrayCache(2**24)
    slide = open_slide(aperio, cache=cache)
    slide.read(0, 0, 10, 0, 10)
    slide.close()
    slide.close()
    assert (len(cache), cache.nbytes) == (0, 0)
    with pytest.raises(InputError, match="closed"):
        slide.read(0, 0, 10, 0, 10)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("folder.d/case 1.svs", "case 1"),
        ("case.1.svs", "case.1"),
        ("case.ome.tif", "case"),
        ("case.OME.TIFF", "case"),
        ("case.ome.zarr", "case"),
        ("case.zarr", "case"),
        ("case", "case"),
        ("awesome.tif", "awesome"),
        (".ome.tif", ".ome"),
    ],
)
def test_a_slide_is_called_after_its_file_without_suffix_and_ome(tmp_path, file, name):
    assert slide_name(file) == slide_name(tmp_path / file) == name


# --- pixel size ---------------------------------------------------------------------------------------------


def test_mpp_is_that_of_the_image_shown_and_not_of_an_overview_before_it(tmp_path):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for edge, mpp in ((64, 8.0), (512, 0.5)):
            said = {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
            file.write(np.zeros((edge, edge, 3), np.uint8), photometric="rgb", metadata=said)
    with open_slide(path) as slide:
        assert (slide.shape, slide.mpp) == ((512, 512), 0.5)


def test_mpp_is_taken_from_the_user_then_ome_then_aperio(aperio, ome):
    for path, options, mpp, source in (
        (aperio, {}, 0.499, "Aperio"),
        (ome, {}, 0.25, "OME"),
        (ome, {"mpp": 0.3}, 0.3, "user"),
    ):
        with open_slide(path, **options) as slide:
            assert slide.mpp == pytest.approx(mpp)
            assert source in slide.mpp_source
            assert any(f"{mpp:g} µm" in line and source in line for line in slide.describe())


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [((20000, 20000), "CENTIMETER", 0.5), ((101600, 101600), "INCH", 0.25)],
)
def test_sane_resolution_tags_give_the_mpp(make_tiff, resolution, unit, mpp):
    path = make_tiff(np.zeros((50, 60, 3), np.uint8), photometric="rgb", resolution=resolution, resolutionunit=unit)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(mpp)
        assert "resolution tags" in slide.mpp_source


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, "352.8 µm per px.*not believed"),
        ({"resolution": (20000, 40000), "resolutionunit": "CENTIMETER"}, "not square"),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, "does not say"),
        ({"tile": (32, 32), "description": "Aperio Image Library\r\nfoo |MPP = 0"}, "no size"),
        ({"tile": (32, 32), "description": "Aperio Image Library\r\nfoo |MPP = 1.2.3"}, "metadata cannot be read"),
        (
            {"description": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><OME>&b;</OME>'},
            "cannot be read|does not say",
        ),
    ],
)
def test_a_pixel_size_that_cannot_be_believed_is_unknown_with_the_reason(make_tiff, options, reason):
    with open_slide(make_tiff(np.zeros((50, 60, 3), np.uint8), photometric="rgb", **options)) as slide:
        assert slide.mpp is None
        assert slide.mpp_source.startswith("unknown")
        assert re.search(reason, slide.mpp_source)


# --- other backends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.webp", {"lossless": True}), ("a.bmp", {})])
def test_a_plain_picture_is_a_slide_of_one_level_without_a_scale(tmp_path, pixels, name, options):
    Image.fromarray(pixels).save(tmp_path / name, **options)
    with open_slide(tmp_path / name) as slide:
        assert len(slide.levels) == 1
        assert slide.mpp is None
        assert slide.reads == 0
        np.testing.assert_array_equal(slide.levels[0], pixels)


def test_a_grey_picture_becomes_rgb(tmp_path, pixels):
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    with open_slide(tmp_path / "grey.png") as slide:
        np.testing.assert_array_equal(slide.levels[0], np.stack([pixels[..., 0]] * 3, axis=2))


@pytest.mark.parametrize("used", [16, 12, 8])
def test_a_grey_picture_of_16_bits_is_shown_by_the_highest_8_in_use_and_it_is_said(tmp_path, used):
    values = np.arange(400 * 600).reshape(400, 600) % 2**used
    values[0, 0] = 2**used - 1
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    with open_slide(tmp_path / "deep.png") as slide:
        assert any("16-bit samples without a word" in line for line in slide.describe())
        np.testing.assert_array_equal(slide.levels[0], np.stack([values >> (used - 8)] * 3, axis=2))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_shown_on_white_and_it_is_said(tmp_path, pixels, mode):
    picture = Image.fromarray(pixels).convert(mode[0] if mode == "LA" else mode)
    shown = np.asarray(picture.convert("RGB")).astype(int)
    if mode == "P":
        clear = np.asarray(picture) == 0
        picture.save(tmp_path / "clear.png", transparency=0)
        expected = np.where(clear[..., None], 255, shown)
    else:
        alpha = np.tile(np.linspace(0, 255, 600).astype(np.uint8), (400, 1))
        picture.putalpha(Image.fromarray(alpha))
        picture.save(tmp_path / "clear.png")
        share = alpha[..., None] / 255
        expected = share * shown + (1 - share) * 255
    with open_slide(tmp_path / "clear.png") as slide:
        assert any("transparent is shown on white" in line for line in slide.describe())
        np.testing.assert_allclose(slide.levels[0], expected, atol=1)


def test_openslide_and_tifffile_agree_on_every_pixel(aperio, pixels):
    assert openslide.sniff(aperio)
    with Slide(aperio, openslide.open(aperio)) as slide:
        np.testing.assert_array_equal(slide.levels[0], pixels)
        assert slide.mpp == pytest.approx(0.499)


def test_backends_recognise_their_files_by_content_not_by_name(tmp_path, aperio, pixels):
    disguised = tmp_path / "slide.png"
    disguised.write_bytes(aperio.read_bytes())
    Image.fromarray(pixels).save(tmp_path / "picture.svs", format="PNG")
    assert (tiff.sniff(disguised), image.sniff(disguised)) == (True, False)
    assert (tiff.sniff(tmp_path / "picture.svs"), image.sniff(tmp_path / "picture.svs")) == (False, True)
    for path in (disguised, tmp_path / "picture.svs"):
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.levels[0], pixels)


# --- what is let go of ---------------------------------------------------------------------------------------


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts this process's open files as Linux lists them")
@pytest.mark.parametrize(
    "broken", ["tiff_scale.read", "ladder", "pictures_beside", "_doubt", "_turned", "Picture.check", "Slide"]
)
@pytest.mark.parametrize("raised", [InputError("no"), ValueError("no"), KeyboardInterrupt()])
def test_whatever_goes_wrong_in_opening_a_tiff_leaves_no_file_open(aperio, monkeypatch, broken, raised):
    def fails(*_: object, **__: object) -> None:
        raise raised

    where = "napari_asmil.slides" if broken == "Slide" else "napari_asmil.slides.tiff"
    monkeypatch.setattr(f"{where}.{broken}", fails)
    before = descriptors()
    with pytest.raises((InputError, ValueError, KeyboardInterrupt)):
        open_slide(aperio)
    assert descriptors() == before


# --- refusals -----------------------------------------------------------------------------------------------


def test_a_missing_slide_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.svs.*no such file"):
        open_slide(tmp_path / "nothing.svs")
    with pytest.raises(InputError, match="folder"):
        open_slide(tmp_path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_anywhere_is_refused(aperio, ome, capsys, share):
    for path in (aperio, ome):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=r"(?s)cut off.*[Cc]opy it again"):
            open_slide(path)
    assert capsys.readouterr().err == ""


def test_damaged_pixels_are_reported_with_their_place(make_tiff):
    array = np.random.default_rng(2).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    path = make_tiff(array, tile=(128, 128), compression="deflate", photometric="rgb")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(content)
    with open_slide(path) as slide, pytest.raises(InputError, match=r"plain\.tif.*x 0 to 256.*cannot be decoded"):
        slide.read(0, 0, 10, 0, 10)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (np.zeros((64, 64), np.float32), {"photometric": "minisblack"}),
        (np.zeros((64, 64), np.uint32), {"photometric": "minisblack"}),
        (np.zeros((64, 64), np.int16), {"photometric": "minisblack"}),
        (np.zeros((64, 64), bool), {"photometric": "minisblack"}),
        (np.zeros((64, 64, 4), np.uint8), {"photometric": "separated"}),
        (np.zeros((64, 64, 3), np.uint8), {"photometric": "cielab"}),
    ],
)
def test_what_is_neither_8_nor_16_bit_colour_or_grey_is_refused_with_what_it_is(make_tiff, array, options):
    with pytest.raises(InputError, match=rf"{array.dtype}.*64.*8-bit RGB or grey"):
        open_slide(make_tiff(array, **options))


def test_a_file_that_is_no_image_is_refused(tmp_path):
    for content in (b"", b"hello", b"\x89PING"):
        (tmp_path / "x.svs").write_bytes(content)
        with pytest.raises(InputError, match="no slide or image"):
            open_slide(tmp_path / "x.svs")


def test_a_pixel_size_of_nothing_is_refused(aperio):
    with pytest.raises(InputError, match="no size"):
        open_slide(aperio, mpp=0)
