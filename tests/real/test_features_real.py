"""Real feature files, and what is none: read with the geometry they mean, or refused with the right sentence."""

import h5py
import numpy as np
import pytest

from napari_asmil import read_bag
from napari_asmil.bags import sniff
from napari_asmil.errors import InputError

H5, SVS = "features/CMU-1-Small-Region_trident_layout.h5", "wsi/CMU-1-Small-Region.svs"


def test_a_trident_file_has_the_geometry_that_h5py_and_its_slide_say(real_data):
    bag = read_bag(real_data / H5, slide=real_data / SVS)
    with h5py.File(real_data / H5) as file:
        np.testing.assert_array_equal(bag.features(), file["features"][()])
        np.testing.assert_array_equal(bag.tiles.xy, file["coords"][()])
        attrs = dict(file["coords"].attrs)
    assert (bag.n_tiles, bag.n_features) == (65, 64)
    assert bag.tiles.size == attrs["patch_size_level0"] == 224
    assert bag.slide_size == (attrs["level0_width"], attrs["level0_height"]) == (2220, 2967)
    assert bag.mpp == pytest.approx(0.499)
    text = "\n".join(bag.describe())
    assert "224 px at 20x = 224 level-0 px, from the attribute patch_size_level0" in text
    assert "tiles lie edge to edge" in text
    share = next(line for line in bag.describe() if "centre on tissue" in line)
    assert int(share.split("%")[0]) >= 60  # some of these tiles hold a quarter of tissue, beside their centre
    assert "are these features of this slide" not in share


def test_the_corners_of_the_first_and_last_tile_in_the_world_are_the_files(real_data):
    bag = read_bag(real_data / H5)
    raster = bag.tiles.raster
    with h5py.File(real_data / H5) as file:
        coords = file["coords"][()]
    for tile in (0, len(coords) - 1):
        rows, columns = np.nonzero(raster.tile_image() == tile)
        y0, x0 = (o + raster.pixel * (i.min() - 0.5) for o, i in zip(raster.origin, (rows, columns), strict=True))
        y1, x1 = (o + raster.pixel * (i.max() + 0.5) for o, i in zip(raster.origin, (rows, columns), strict=True))
        x, y = coords[tile]
        np.testing.assert_allclose((x0, y0, x1, y1), (x - 0.5, y - 0.5, x + 223.5, y + 223.5), atol=0.5)


def test_features_of_another_slide_are_refused(real_data):
    with pytest.raises(InputError, match="are of a slide of 2220 x 2967 px"):
        read_bag(real_data / H5, slide=real_data / "wsi" / "test3-TRITC-2-560.ndpi")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("features/gigapath_prov_normal_000_1.pt", "one vector of 1536 numbers: of a single tile"),
        ("checkpoints/dsmil_c16_aggregator.pth", r"\d+ things by name, .* as a model's checkpoint does"),
        ("checkpoints/xmil_c16_attnmil_unsafe_pickle.pt", "which could run code when loaded, so it is not loaded"),
    ],
)
def test_what_is_no_bag_is_refused_with_what_it_is(real_data, name, sentence):
    assert sniff(real_data / name)
    with pytest.raises(InputError, match=sentence):
        read_bag(real_data / name)


def test_tables_of_slides_and_files_of_many_bags_are_no_features_of_one_slide(real_data):
    folders = ("splits", "mil_benchmarks", "wsi", "annotations")
    files = [file for folder in folders for file in sorted((real_data / folder).rglob("*")) if file.is_file()]
    assert len(files) > 20
    for file in files:
        with pytest.raises(InputError):
            read_bag(file)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", [H5, "features/gigapath_prov_normal_000_1.pt"])
def test_a_damaged_real_file_is_read_or_refused_in_a_sentence(real_data, tmp_path, name, seed):
    content = bytearray((real_data / name).read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, min(len(content), 20_000), 3):  # where the structure is, more than the numbers
        content[at : at + 4] = rng.bytes(4)
    if seed % 4 == 0:
        del content[rng.integers(0, len(content)) :]
    path = tmp_path / name.rpartition("/")[2]
    path.write_bytes(content)
    try:
        bag = read_bag(path)
        assert bag.features().shape == (bag.n_tiles, bag.n_features)
        bag.describe()
    except InputError as error:
        assert str(error).startswith(str(path))
