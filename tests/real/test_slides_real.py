"""True vendor files: what they hold, and that every pixel equals OpenSlide's."""

import numpy as np
import openslide
import pytest

from napari_asmil import open_slide, read_bag
from napari_asmil.errors import InputError
from napari_asmil.info import describe
from napari_asmil.slides.tissue import tile_grid, tissue_mask

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


def test_every_file_of_the_real_data_is_described_or_refused_in_words(real_data):
    refused = set()
    kinds = ("wsi", "annotations", "splits", "features", "checkpoints", "mil_benchmarks")
    for path in sorted(p for kind in kinds for p in (real_data / kind).rglob("*") if p.is_file()):
        try:
            assert all(isinstance(line, str) and line for line in describe(path))
        except InputError as error:
            assert str(path) in str(error)
            refused.add(path.suffix)
    assert refused <= {".json", ".npz", ".pt", ".pth"}
