"""Every way in which a TIFF file may hold pixels, read piece by piece, against tifffile reading it whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_asmil import open_slide
from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.slides import openslide
from napari_asmil.slides.slide import Slide

SHAPE = (331, 447)


def picture(channels: int | None = 3, dtype: type = np.uint8, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Waves with grain, of which every codec keeps enough to tell pixels apart."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = np.stack([np.sin(y / (9 + c)) + np.cos(x / (13 - c)) for c in range(channels or 1)], axis=-1) / 4 + 0.5
    grain = np.random.default_rng(7).normal(0, 0.02, waves.shape)
    values = (np.clip(waves + grain, 0, 1) * np.iinfo(dtype).max).astype(dtype)
    return values if channels else values[..., 0]


def in_pieces(slide: Slide, level: int = 0) -> np.ndarray:
    """A level put together from boxes that fit no tile."""
    rows, columns = slide.levels[level].shape[:2]
    out = np.zeros((rows, columns, 3), np.uint8)
    for y in range(0, rows, 97):
        for x in range(0, columns, 113):
            out[y : y + 97, x : x + 113] = slide.levels[level][y : y + 97, x : x + 113]
    return out


LAYOUTS = {
    "tiles of 64": {"tile": (64, 64)},
    "tiles of 240": {"tile": (240, 240)},
    "tiles wider than high": {"tile": (32, 128)},
    "strips of 8": {"rowsperstrip": 8},
    "strips of 100": {"rowsperstrip": 100},
    "one strip": {"rowsperstrip": SHAPE[0]},
}


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits", "jpeg", "jpeg2000", "webp", "zstd"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_compression_is_read_as_tifffile_reads_it(make_tiff, layout, compression):
    path = make_tiff(picture(), photometric="rgb", compression=compression, **LAYOUTS[layout])
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide), tifffile.imread(path))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("predictor", [None, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_separate_planes_predictors_and_byte_orders_are_read(make_tiff, layout, compression, predictor, byteorder):
    array = np.moveaxis(picture(), 2, 0).copy()
    options = {"predictor": predictor if compression else None, "byteorder": byteorder}
    path = make_tiff(
        array, photometric="rgb", planarconfig="separate", compression=compression, **LAYOUTS[layout], **options
    )
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide), picture())


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_of_ycbcr_is_read_as_tifffile_and_openslide_read_it(make_tiff, subsampling):
    path = make_tiff(picture(), photometric="ycbcr", compression="jpeg", subsampling=subsampling, tile=(128, 128))
    with open_slide(path) as slide, Slide(path, openslide.open(path), cache=ArrayCache(2**24)) as other:
        assert slide.describe()[0] == "slide, TIFF, JPEG in 128 x 128 px tiles, read by tifffile"
        np.testing.assert_array_equal(in_pieces(slide), tifffile.imread(path))
        np.testing.assert_allclose(in_pieces(slide).astype(int), in_pieces(other), atol=1)


@pytest.mark.parametrize("compression", [33003, 33005])
def test_aperios_jpeg_2000_is_read_as_openslide_reads_it(make_tiff, compression):
    description = "Aperio Image Library v10\r\nx"
    array = picture()
    path = make_tiff(array, photometric="rgb", compression=compression, tile=(128, 128), description=description)
    with open_slide(path) as slide, Slide(path, openslide.open(path), cache=ArrayCache(2**24)) as other:
        found = in_pieces(slide).astype(int)
        np.testing.assert_allclose(found, in_pieces(other), atol=2)
    assert (np.abs(found - array).mean() < 1) == (compression == 33005)  # 33003 holds YCbCr, whatever its tag says


def test_ycbcr_that_no_jpeg_decoder_saw_becomes_rgb(make_tiff):
    """The same picture, written as JPEG's YCbCr by hand: full-range BT.601."""
    rgb = picture().astype(float)
    red, green, blue = np.moveaxis(rgb, 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    stored = np.stack([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], axis=2).round().astype(np.uint8)
    path = make_tiff(stored, photometric="ycbcr", compression="lzw", tile=(64, 64), subsampling=(1, 1))
    with open_slide(path) as slide:
        np.testing.assert_allclose(in_pieces(slide), rgb, atol=2)


@pytest.mark.parametrize(
    ("photometric", "compression"),
    [
        ("minisblack", None),
        ("minisblack", "deflate"),
        ("minisblack", "jpeg"),
        ("miniswhite", None),
        ("miniswhite", "lzw"),
    ],
)
def test_grey_becomes_rgb_and_white_is_white(make_tiff, photometric, compression):
    path = make_tiff(picture(None), photometric=photometric, compression=compression, tile=(64, 64))
    stored = tifffile.imread(path)
    shown = stored if photometric == "minisblack" else 255 - stored
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide), np.stack([shown] * 3, axis=2))


@pytest.mark.parametrize("top", [65535, 255])
def test_a_palette_is_looked_up_be_its_colours_of_16_bits_or_of_8(make_tiff, top):
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint16)
    indices = picture(None)
    path = make_tiff(indices, photometric="palette", colormap=colours * (257 if top > 255 else 1), tile=(64, 64))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide), colours.T.astype(np.uint8)[indices])


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_fluorescence_channels_are_red_green_and_blue_and_it_is_said(make_tiff, channels):
    array = np.moveaxis(picture(channels), 2, 0).copy()
    metadata = {"axes": "CYX"}
    path = make_tiff(array, "f.ome.tif", photometric="minisblack", metadata=metadata, ome=True, tile=(64, 64))
    with open_slide(path) as slide:
        assert any(f"{channels} channels" in line and "red" in line for line in slide.describe())
        expected = np.moveaxis(array[:3], 0, 2)
        expected = np.pad(expected, ((0, 0), (0, 0), (0, 3 - expected.shape[2])))
        np.testing.assert_array_equal(in_pieces(slide), expected)


@pytest.mark.parametrize(
    "axes", ["TZCYX", "ZTCYX", "CTZYX", "CZTYX", "TZYXS", "ZTYX", "TYX", "ZCYX", "CYX", "YXS", "YX"]
)
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_of_any_order_of_axes_the_first_time_and_plane_is_shown_and_it_is_said(make_tiff, axes, compression):
    lengths = {"T": 3, "Z": 4, "C": 3, "S": 3, "Y": 70, "X": 90}
    array = np.random.default_rng(0).integers(0, 256, [lengths[axis] for axis in axes], dtype=np.uint8)
    path = make_tiff(
        array,
        "axes.ome.tif",
        ome=True,
        photometric="rgb" if "S" in axes else "minisblack",
        metadata={"axes": axes},
        compression=compression,
    )
    first = array[tuple(0 if axis in "TZ" else slice(None) for axis in axes)]
    first = np.moveaxis(first, 0, 2) if "C" in axes else first
    first = np.stack([first] * 3, axis=2) if first.ndim == 2 else first
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide), first)
        told = " ".join(slide.describe())
        assert ("the first of 3 time points" in told) == ("T" in axes)
        assert ("the first of 4 focal planes" in told) == ("Z" in axes)


# --- 16 bits ------------------------------------------------------------------------------------------------


def test_stated_bits_of_16_bit_samples_give_the_scale(make_tiff):
    array = picture(3, np.uint16) >> 4
    metadata = {"axes": "YXS", "SignificantBits": 12}
    path = make_tiff(array, "s.ome.tif", photometric="rgb", metadata=metadata, ome=True, tile=(64, 64))
    with open_slide(path) as slide:
        assert any("12 bits a sample, as the file states" in line for line in slide.describe())
        np.testing.assert_array_equal(in_pieces(slide), (array >> 4).astype(np.uint8))


@pytest.mark.parametrize("used", [16, 12, 9])
@pytest.mark.parametrize("channels", [None, 3])
def test_bits_nobody_states_are_those_the_smallest_level_uses_and_opening_reads_no_pixels(tmp_path, used, channels):
    array = picture(channels, np.uint16) >> (16 - used)
    path = tmp_path / "deep.tif"
    options = {"photometric": "rgb" if channels else "minisblack", "tile": (64, 64), "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(array, **options)
        writer.write(array[::4, ::4], subfiletype=1, **options)
    with open_slide(path) as slide:
        assert any("greatest value of the smallest level" in line for line in slide.describe())
        assert slide.reads == 0
        shown = (array >> (used - 8)).astype(np.uint8)
        shown = shown if channels else np.stack([shown] * 3, axis=2)
        np.testing.assert_array_equal(in_pieces(slide), shown)
        np.testing.assert_array_equal(in_pieces(slide, 1), shown[::4, ::4])


def test_samples_of_12_packed_bits_are_read(make_tiff):
    array = picture(None, np.uint16) >> 4
    path = make_tiff(array, photometric="minisblack", bitspersample=12, rowsperstrip=16)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(in_pieces(slide)[..., 0], array >> 4)


# --- pyramids -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "factors", [((2, 2), (4, 4)), ((4, 4), (16, 16)), ((2.7, 2.7), (7.29, 7.29)), ((2, 4), (4, 8))]
)
@pytest.mark.parametrize("kind", ["SubIFDs", "pages"])
@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_levels_in_subifds_or_pages_are_read_with_their_own_factors(tmp_path, factors, kind, compression):
    full = picture(shape=(700, 900))
    smaller = [full[: int(700 // y), : int(900 // x)] for y, x in factors]
    path = tmp_path / "pyramid.tif"
    options = {"photometric": "rgb", "tile": (128, 128), "compression": compression, "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(full, subifds=len(smaller) if kind == "SubIFDs" else 0, **options)
        for level in smaller:
            writer.write(level, subfiletype=1, **options)
    with open_slide(path) as slide, tifffile.TiffFile(path) as file:
        assert [level.shape for level in slide.levels] == [full.shape, *(level.shape for level in smaller)]
        assert slide.downsamples[1:] == [(700 / level.shape[0], 900 / level.shape[1]) for level in smaller]
        for index, level in enumerate(file.series[0].levels):
            np.testing.assert_array_equal(in_pieces(slide, index), level.asarray())


@pytest.mark.parametrize("reduced", [0, 1])
def test_tiled_pages_of_an_svs_like_export_are_levels_where_tifffile_sees_a_thumbnail(tmp_path, reduced):
    full = picture(shape=(1600, 1200))
    path = tmp_path / "export.svs"
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 4, 16):
            description = "Aperio Image Library v11\r\nMPP = 0.25"
            kind = {"subfiletype": reduced if step > 1 else 0}
            writer.write(full[::step, ::step], description=description, **kind, **options)
    with open_slide(path) as slide:
        assert [level.shape[0] for level in slide.levels] == [1600, 400, 100]
        assert dict(slide.associated) == {}
        for level, step in enumerate((1, 4, 16)):
            np.testing.assert_array_equal(in_pieces(slide, level), full[::step, ::step])


# --- tiles that are not there -------------------------------------------------------------------------------


def without_tiles(path: Path, *numbers: int) -> Path:
    """The same file, in which these tiles are not stored."""
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = list(file.pages[0].databytecounts)
        for number in numbers:
            counts[number] = 0
        file.pages[0].tags["TileByteCounts"].overwrite(counts)
    return path


WHITE = {
    "RGB": {"photometric": "rgb", "compression": "deflate"},
    "RGB planes": {"photometric": "rgb", "compression": "deflate", "planarconfig": "separate"},
    "JPEG of RGB": {"photometric": "rgb", "compression": "jpeg"},
    "JPEG of YCbCr": {"photometric": "ycbcr", "compression": "jpeg", "subsampling": (1, 1)},
    "YCbCr": {"photometric": "ycbcr", "compression": "lzw", "subsampling": (1, 1)},
    "Aperio's YCbCr": {"photometric": "rgb", "compression": 33003},
    "white at zero": {"photometric": "miniswhite", "compression": "deflate"},
}


@pytest.mark.parametrize("kind", WHITE)
def test_tiles_that_were_not_stored_are_white_and_it_is_said(make_tiff, kind):
    array = picture(None if kind == "white at zero" else 3)
    array = np.moveaxis(array, 2, 0).copy() if kind == "RGB planes" else array
    path = make_tiff(array, tile=(64, 64), **WHITE[kind])
    with open_slide(path) as slide:
        expected = in_pieces(slide)
    assert not (expected[:64, 192:256] == 255).all()
    planes = range(3 if kind == "RGB planes" else 1)
    without_tiles(path, *(42 * plane + number for plane in planes for number in (3, 41)))
    expected[:64, 192:256] = 255
    expected[320:, 384:] = 255
    with open_slide(path) as slide:
        assert any(
            f"{2 * len(planes)} of its tiles were not stored, and are white" in line for line in slide.describe()
        )
        np.testing.assert_array_equal(in_pieces(slide), expected)


@pytest.mark.parametrize("photometric", ["ycbcr", "rgb"])
def test_openslide_shows_tiles_that_were_not_stored_as_white_too(make_tiff, photometric):
    path = make_tiff(picture(shape=(512, 512)), photometric=photometric, compression="jpeg", tile=(128, 128))
    without_tiles(path, 5)
    with open_slide(path) as slide, Slide(path, openslide.open(path), cache=ArrayCache(2**24)) as other:
        np.testing.assert_array_equal(other.read(0, 128, 256, 128, 256), 255)
        np.testing.assert_array_equal(slide.read(0, 128, 256, 128, 256), 255)


def test_grey_and_palette_tiles_that_were_not_stored_are_called_what_they_are(make_tiff):
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint16)
    told = {"minisblack": "without light", "palette": "the first colour of its palette"}
    for photometric, colour in (("minisblack", np.zeros(3)), ("palette", colours[:, 0])):
        options = {"colormap": colours * 257} if photometric == "palette" else {}
        path = make_tiff(picture(None), f"{photometric}.tif", photometric=photometric, tile=(64, 64), **options)
        without_tiles(path, 0)
        with open_slide(path) as slide:
            assert any(
                f"not stored, and are {told[photometric]}" in line.replace("of the", "the") for line in slide.describe()
            )
            np.testing.assert_array_equal(slide.read(0, 0, 64, 0, 64), np.broadcast_to(colour, (64, 64, 3)))


ZEROS = np.zeros((4096, 4096, 3), np.uint8)
BOMBS = {
    "jpeg": lambda: imagecodecs.jpeg_encode(ZEROS),
    "jpeg with what comes before its frame": lambda: b"\xff\xd8" + 9 * b"\xff" + imagecodecs.jpeg_encode(ZEROS)[3:],
    "jpeg2000": lambda: imagecodecs.jpeg2k_encode(ZEROS),
    "jpeg2000 after a box": lambda: _after_a_box(imagecodecs.jpeg2k_encode(ZEROS)),
    "jpegxr": lambda: imagecodecs.jpegxr_encode(ZEROS),
    "png": lambda: imagecodecs.png_encode(ZEROS),
    "webp": lambda: imagecodecs.webp_encode(ZEROS, lossless=True),
    "webp with losses": lambda: imagecodecs.webp_encode(ZEROS, lossless=False, level=1),
}


def _after_a_box(jp2: bytes) -> bytes:
    """A box of 8 KB that says nothing before that of the picture."""
    at = jp2.index(b"jp2c") - 4
    return jp2[:at] + (8192).to_bytes(4, "big") + b"free" + bytes(8184) + jp2[at:]


def with_tile(path: Path, content: bytes) -> Path:
    """The file of one tile with another content in it."""
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["TileOffsets"].overwrite([path.stat().st_size])
        file.pages[0].tags["TileByteCounts"].overwrite([len(content)])
    path.write_bytes(path.read_bytes() + content)
    return path


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_tile_that_holds_a_picture_far_larger_than_itself_is_refused_before_it_is_decoded(make_tiff, bomb):
    kind = bomb.partition(" ")[0]
    path = make_tiff(picture(shape=(64, 64)), photometric="rgb", compression=kind, tile=(64, 64))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], tifffile.imread(path))
    with_tile(path, BOMBS[bomb]())
    with open_slide(path) as slide, pytest.raises(InputError, match="64 x 64 px holds a picture of 4096 x 4096"):
        slide.read(0, 0, 8, 0, 8)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "jpegxr", "png", "webp"])
def test_a_tile_whose_picture_does_not_say_its_size_is_a_sentence(make_tiff, kind):
    path = make_tiff(picture(shape=(64, 64)), photometric="rgb", compression=kind, tile=(64, 64))
    with_tile(path, b"\xff" * 100)
    with open_slide(path) as slide, pytest.raises(InputError, match="does not say how large the picture in it is"):
        slide.read(0, 0, 8, 0, 8)


@pytest.mark.parametrize("kind", ["jpegxl", "lerc"])
def test_tiles_packed_so_that_nobody_can_tell_their_size_are_refused_by_name(make_tiff, kind):
    path = make_tiff(picture(shape=(64, 64)), photometric="rgb", compression=kind, tile=(64, 64))
    with pytest.raises(InputError, match=f"(?i)packed as {kind}"):
        open_slide(path)


# --- threads ------------------------------------------------------------------------------------------------


def test_a_slide_that_is_closed_while_threads_read_it_gives_pixels_or_says_so(make_tiff):
    array = picture(shape=(1200, 1500))
    path = make_tiff(array, photometric="rgb", compression="deflate", tile=(64, 64))
    boxes = [(y, x) for y in range(0, 1100, 100) for x in range(0, 1400, 100)]
    slide = open_slide(path, cache=ArrayCache(2**20))

    def read(box: tuple[int, int]) -> bool:
        if box == boxes[40]:
            slide.close()
        try:
            pixels = slide.read(0, box[0], box[0] + 90, box[1], box[1] + 90)
        except InputError as error:
            assert "closed" in str(error)
            return False
        np.testing.assert_array_equal(pixels, array[box[0] : box[0] + 90, box[1] : box[1] + 90])
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(read, boxes))
    assert done[0] and not done[-1]
