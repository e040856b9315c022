"""True vendor files: what they hold, and that every pixel equals OpenSlide's."""

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from napari_asmil import open_slide, read_bag
from napari_asmil.errors import InputError
from napari_asmil.info import describe
from napari_asmil.slides.tissue import tile_grid, tissue_mask
from tests.slides.mutations import directory_places, mutated, within_bounds

SLIDES = {
    "CMU-1-Small-Region.svs": ((2967, 2220), 1, 0.499, "MPP in the Aperio image description"),
    "test3-TRITC-2-560.ndpi": ((4864, 3968), 4, 0.2282, "TIFF resolution tags"),
    "boxes.tiff": ((250, 300), 4, None, "unknown: the TIFF resolution tags claim 352.8 µm"),
}


@pytest.fixture(params=SLIDES)
def slide(request, real_data):
    with open_slide(real_data / "wsi" / request.param) as opened:
        yield opened


def test_vendor_files_open_with_their_size_levels_and_scale(slide):
    shape, levels, mpp, source = SLIDES[slide.path.name]
    assert slide.shape == shape
    assert sum("made from" not in line for line in slide.describe() if line.startswith("level")) == levels
    assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-3))
    assert slide.mpp_source.startswith(source)
    assert max(slide.levels[-1].shape) <= 2048
    assert slide.reads == 0


def test_every_level_0_pixel_equals_openslides(slide):
    with openslide.OpenSlide(slide.path) as other:
        pixels = np.asarray(other.read_region((0, 0), 0, other.dimensions).convert("RGB"))
        mpp = other.properties.get("openslide.mpp-x")
    np.testing.assert_array_equal(slide.levels[0], pixels)
    if slide.mpp is not None:
        assert slide.mpp == pytest.approx(float(mpp), rel=1e-3)


def test_every_pixel_of_every_level_in_the_file_equals_openslides_where_it_has_the_level(slide):
    with openslide.OpenSlide(slide.path) as other:
        for level, shape in enumerate(array.shape[:2] for array in slide.levels[: slide.stored]):
            if level < other.level_count and other.level_dimensions[level] == shape[::-1]:
                pixels = np.asarray(other.read_region((0, 0), level, shape[::-1]).convert("RGB"))
                np.testing.assert_array_equal(slide.levels[level], pixels)


def test_every_level_is_read_the_same_in_odd_pieces_as_tifffile_reads_it_whole(slide):
    with tifffile.TiffFile(slide.path) as file:
        for level, stored in enumerate(file.series[0].levels):
            whole = stored.asarray()
            rows, columns = whole.shape[:2]
            for y in range(0, rows, 397):
                for x in range(0, columns, 511):
                    piece = slide.read(level, y, min(y + 397, rows), x, min(x + 511, columns))
                    np.testing.assert_array_equal(piece, whole[y : y + 397, x : x + 511, :3])


def test_the_generic_pyramid_equals_pillows_pages(real_data):
    with open_slide(real_data / "wsi" / "boxes.tiff") as slide, Image.open(slide.path) as pages:
        assert slide.downsamples == [(1, 1), (2, 2), (250 / 62, 4), (250 / 31, 300 / 37)]
        for level, array in enumerate(slide.levels):
            pages.seek(level)
            np.testing.assert_array_equal(array, np.asarray(pages.convert("RGB")))


def test_pictures_beside_the_slide_equal_openslides(slide):
    with openslide.OpenSlide(slide.path) as other:
        for name, picture in other.associated_images.items():
            np.testing.assert_array_equal(slide.associated[name], np.asarray(picture.convert("RGB")))
        assert set(other.associated_images) <= set(slide.associated)


def test_the_place_on_the_glass_equals_openslides(slide):
    with openslide.OpenSlide(slide.path) as other:
        offsets = [other.properties.get(f"hamamatsu.{axis}OffsetFromSlideCentre") for axis in "XY"]
    expected = None if None in offsets else tuple(map(float, offsets))
    assert slide.frame.centre_nm == expected
    assert slide.frame.size == slide.shape[::-1]


@pytest.mark.parametrize("name", SLIDES)
def test_real_files_with_changed_bytes_open_or_are_refused_in_words(real_data, tmp_path, name):
    content = (real_data / "wsi" / name).read_bytes()
    places = directory_places(content)
    for seed in range(25):
        path = tmp_path / f"mutated{seed}"
        path.write_bytes(mutated(content, places, seed))
        within_bounds(path)
        path.unlink()


def test_a_region_across_many_blocks_equals_the_level_it_is_cut_from(slide):
    whole = np.asarray(slide.levels[0])
    y, x = (length // 3 for length in slide.shape)
    np.testing.assert_array_equal(slide.read(0, y, y + 101, x, x + 77), whole[y : y + 101, x : x + 77])
    np.testing.assert_array_equal(slide.dask(0)[y : y + 9, x : x + 9].compute(), whole[y : y + 9, x : x + 9])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 0.98])
def test_a_truncated_vendor_file_is_refused(real_data, tmp_path, share):
    for name in SLIDES:
        content = (real_data / "wsi" / name).read_bytes()
        cut = tmp_path / name
        cut.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=r"cut off|damaged"):
            open_slide(cut)


def test_the_tissue_of_the_aperio_region_is_found(real_data):
    with open_slide(real_data / "wsi" / "CMU-1-Small-Region.svs") as slide:
        mask, _ = tissue_mask(slide)
        grid = tile_grid(slide, 224)
        assert 0.3 < mask.mean() < 0.4
        shares = [(slide.read(0, y, y + 224, x, x + 224).std(axis=2) > 8).mean() for x, y in grid.xy]
    assert len(grid) > 40
    assert min(shares) > 0.3


def test_every_colon_image_is_a_slide_of_256_tiles(real_data):
    for path in sorted((real_data / "crchistophenotypes" / "images").glob("img*.webp"))[:5]:
        with open_slide(path) as slide:
            grid = tile_grid(slide, 32, cover=True)
        assert len(grid) == 256
        assert grid.xy.max(axis=0).tolist() == [468, 468]


def test_the_trident_file_of_the_aperio_region_lies_on_it(real_data):
    bag = read_bag(real_data / "features" / "CMU-1-Small-Region_trident_layout.h5")
    assert (bag.n_tiles, bag.n_features, bag.tiles.size, bag.slide_size) == (65, 64, 224, (2220, 2967))
    placed = bag.on_slide(real_data / "wsi" / "CMU-1-Small-Region.svs")
    assert placed.tile_mpp == pytest.approx(0.499)
    with pytest.raises(InputError, match="2220 x 2967"):
        bag.on_slide(real_data / "wsi" / "boxes.tiff")


REFUSED = {
    "clam_task1_splits_0_descriptor.csv": "names none of them",
    "gigapath_prov_normal_000_1.pt": "one vector of 1536 numbers",
    "dsmil_c16_aggregator.pth": "as a model's checkpoint does",
    "xmil_c16_attnmil_unsafe_pickle.pt": "could run code",
}
"""Files of the real data that are none of ours to open, and what is said of them."""


def test_every_file_of_the_real_data_is_described_or_refused_in_words(real_data):
    refused = {}
    kinds = ("wsi", "annotations", "splits", "features", "checkpoints", "mil_benchmarks")
    for path in sorted(p for kind in kinds for p in (real_data / kind).rglob("*") if p.is_file()):
        try:
            assert all(isinstance(line, str) and line for line in describe(path))
        except InputError as error:
            assert str(path) in str(error)
            refused[path.name] = str(error)
    assert refused.keys() <= REFUSED.keys()
    for name, sentence in refused.items():
        assert REFUSED[name] in sentence
