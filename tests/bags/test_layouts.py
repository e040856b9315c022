"""Every layout of features of one slide, as its own program writes it, is read with the geometry it means."""

import json
import pickle
import shutil
import zipfile

import h5py
import numpy as np
import pytest
import shapely
import tifffile
import torch
import zarr

from napari_asmil.bags import read_bag, sniff
from napari_asmil.errors import InputError
from tests.bags import layouts
from tests.bags.layouts import EDGE, ENCODERS, FEATURES, LAYOUTS, MPP, NEEDS, NO_PLACES, SAYS, SLIDE_ID, SLIDE_SIZE, XY

PLACED = sorted(LAYOUTS.keys() - NO_PLACES)


def said(bag):
    return "\n".join(bag.describe())


@pytest.fixture
def slide(tmp_path):
    """A slide of the size all layouts are of, with its mpp in the file."""
    path = tmp_path / "slides" / f"{SLIDE_ID}.tif"
    path.parent.mkdir()
    width, height = SLIDE_SIZE
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[128 : 128 + 3 * EDGE, 256 : 256 + 4 * EDGE] = (180, 60, 140)
    scale = (1e4 / MPP, 1e4 / MPP)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), resolution=scale, resolutionunit="CENTIMETER")
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_features_and_their_encoder_are_read(tmp_path, name):
    path = LAYOUTS[name](tmp_path)
    assert sniff(path)
    bag = read_bag(path)
    assert (bag.slide_id, bag.n_tiles, bag.n_features) == (SLIDE_ID, *FEATURES.shape)
    assert bag.encoder == ENCODERS.get(name, "")
    assert bag.features().dtype == np.float32
    np.testing.assert_array_equal(bag.features(), FEATURES)


@pytest.mark.parametrize("name", PLACED)
def test_tiles_lie_where_the_program_laid_them_and_words_say_how_that_is_known(tmp_path, name):
    bag = read_bag(LAYOUTS[name](tmp_path), **NEEDS.get(name, {}))
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert bag.tiles.size == pytest.approx(EDGE)
    assert SAYS[name] in said(bag)
    assert "tiles lie edge to edge" in said(bag)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_read_is_the_same_each_time_and_in_another_process(tmp_path, name):
    path, given = LAYOUTS[name](tmp_path), NEEDS.get(name, {})
    first = read_bag(path, **given)
    again = pickle.loads(pickle.dumps(read_bag(path, **given)))
    assert first.content_hash() == again.content_hash()
    np.testing.assert_array_equal(again.features(), first.features())


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_what_is_missing_is_named_and_nothing_is_guessed(tmp_path, name):
    bag = read_bag(LAYOUTS[name](tmp_path))
    assert bag.tiles is None
    assert "tiles are not placed" in said(bag)


@pytest.mark.parametrize("name", LAYOUTS)
def test_why_tiles_are_not_placed_is_one_sentence_that_says_what_can_be_done(tmp_path, name):
    path = LAYOUTS[name](tmp_path)
    why = read_bag(path).unplaced
    if name in NO_PLACES | NEEDS.keys():
        assert why.startswith("Tiles are not placed: ") and why.endswith(".") and "\n" not in why
        done = ("--tile-size", "--slide-mpp", "can be trained on but not drawn", "npz", "lazyslide")
        assert any(words in why for words in done)
    else:
        assert why == ""
    if name in NEEDS:
        assert read_bag(path, **NEEDS[name]).unplaced == ""


@pytest.mark.parametrize("name", sorted(name for name, needs in NEEDS.items() if "mpp" in needs))
def test_tiles_are_placed_when_their_slide_is_known(tmp_path, slide, name):
    folder = tmp_path / "features"
    folder.mkdir()
    path = LAYOUTS[name](folder)
    for bag in (read_bag(path).on_slide(slide), read_bag(path, slide=slide)):
        np.testing.assert_array_equal(bag.tiles.xy, XY)
        assert bag.tiles.size == pytest.approx(EDGE)
        assert (bag.mpp, bag.slide_size) == (pytest.approx(MPP), SLIDE_SIZE)
        assert "0.5 µm per px (the slide)" in said(bag)
        assert said(bag).count("mpp from the slide file") == 1
        assert not any("not placed" in line for line in bag.describe())
        assert "100% of the tiles have their centre on tissue" in said(bag)


@pytest.mark.parametrize("name", PLACED)
def test_a_tile_edge_that_contradicts_the_file_is_refused(tmp_path, name):
    path, given = LAYOUTS[name](tmp_path), NEEDS.get(name, {})
    assert read_bag(path, **(given | {"tile_size": EDGE})).tiles.size == pytest.approx(EDGE)
    if name != "csv":
        with pytest.raises(
            InputError, match=r"tile edge given, 256 level-0 px, contradicts the file: .*512 level-0 px"
        ):
            read_bag(path, **(given | {"tile_size": EDGE / 2}))


@pytest.mark.parametrize("name", sorted(LAYOUTS.keys() - NO_PLACES - {"csv", "CLAM, .pt"}))
def test_features_and_places_of_different_length_are_refused_with_both_numbers(tmp_path, monkeypatch, name):
    monkeypatch.setattr(layouts, "FEATURES", FEATURES[:-1])
    path = LAYOUTS[name](tmp_path)
    if name == "slideflow":  # whose writer has the features as a default
        layouts.tensor(path, FEATURES[:-1])
    with pytest.raises(InputError, match="11 feature rows but 12 coordinates"):
        read_bag(path)


# --- TRIDENT ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (0, 6)])
def test_a_slide_without_tissue_is_refused_as_one_without_tiles(tmp_path, shape):
    path = layouts.hdf5(
        tmp_path / "s.h5",
        {"features": np.zeros(shape, np.float32), "coords": np.zeros((0, 2), np.int64)},
        {"coords": layouts.TRIDENT_ATTRS},
    )
    with pytest.raises(InputError, match=r"s\.h5: The bag of slide s has no tiles"):
        read_bag(path)


def test_coordinates_of_32_bits_and_whole_floats_are_the_same_places(tmp_path):
    for kind in (np.int32, np.float64, np.uint16):
        path = layouts.hdf5(
            tmp_path / "s.h5", {"features": FEATURES, "coords": XY.astype(kind)}, {"coords": layouts.TRIDENT_ATTRS}
        )
        np.testing.assert_array_equal(read_bag(path).tiles.xy, XY)


def test_an_edge_that_contradicts_the_magnifications_is_drawn_as_said_and_told(tmp_path):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        file["coords"].attrs["patch_size_level0"] = 256
    bag = read_bag(path)
    assert bag.tiles.size == 256
    assert "contradicts itself: 256 px at 10x on a slide of 20x would be 512 level-0 px" in said(bag)
    assert "gaps of 256 px lie between tiles: is the tile edge 256 right?" in said(bag)


def test_features_of_a_slide_as_a_whole_are_told_from_those_of_tiles(tmp_path):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        del file["features"]
        file["features"] = FEATURES[0]
    with pytest.raises(InputError, match=r"one vector of 6 numbers: of a single tile, or of a slide as a whole"):
        read_bag(path)


# --- CLAM ---------------------------------------------------------------------------------------------------


def test_clam_features_alone_are_not_placed_and_the_lattice_only_suggests_an_edge(tmp_path):
    bag = read_bag(layouts.clam_features(tmp_path))
    assert bag.tiles is None
    assert "no patches/slide_7.h5 beside it does" in said(bag)
    assert "corners are mostly 512 level-0 px apart" in said(bag)
    assert read_bag(bag.source, tile_size=512).tiles.size == 512


@pytest.mark.parametrize("place", ["features/patches", "patches"])
def test_the_patches_file_is_found_beside_h5_files_and_one_folder_up(tmp_path, place):
    made = layouts.clam_patches(tmp_path / "made")
    (tmp_path / place).mkdir(parents=True)
    made.rename(tmp_path / place / made.name)
    assert read_bag(layouts.clam_features(tmp_path)).tiles.size == 512


@pytest.mark.parametrize("place", ["a/b/patches", "my_patches"])
def test_nothing_is_looked_for_elsewhere(tmp_path, place):
    made = layouts.clam_patches(tmp_path / "made")
    (tmp_path / place).mkdir(parents=True)
    made.rename(tmp_path / place / made.name)
    assert read_bag(layouts.clam_features(tmp_path)).tiles is None


def test_a_patches_file_with_other_corners_is_not_believed(tmp_path):
    path = layouts.clam(tmp_path)
    with h5py.File(tmp_path / "patches" / path.name, "a") as file:
        file["coords"][3, 0] += 1
    bag = read_bag(path)
    assert bag.tiles is None
    assert "../../patches/slide_7.h5 holds other corners (12), so nothing is taken from it" in said(bag)


def test_a_patches_file_of_another_experiment_is_told_of_and_not_believed(tmp_path):
    path = layouts.clam_features(tmp_path)
    for name in ("clam_256", "clam_257"):
        layouts.clam_patches(tmp_path / name, patch_size=64)
    bag = read_bag(path)
    assert bag.tiles is None
    assert (
        "the same corners in ../../clam_256/patches/slide_7.h5, ../../clam_257/patches/slide_7.h5 are of tiles of"
        " 256 level-0 px: give --tile-size 256 if that is of this extraction"
    ) in said(bag)


def test_where_a_person_says_the_edge_another_experiment_has_no_say(tmp_path):
    path = layouts.clam_features(tmp_path)
    layouts.clam_patches(tmp_path / "clam_256", patch_size=64)
    bag = read_bag(path, tile_size=512)
    assert bag.tiles.size == 512
    assert "tile edge: 512 level-0 px, as given" in said(bag)
    assert "the same corners in ../../clam_256/patches/slide_7.h5 are of tiles of 256 level-0 px" in said(bag)
    assert "give --tile-size" not in said(bag)
    assert "the same corners" not in said(read_bag(path, tile_size=256))


def test_of_patches_files_the_nearest_is_believed(tmp_path):
    path = layouts.clam(tmp_path)
    layouts.clam_patches(tmp_path / "features", patch_size=256)
    layouts.clam_patches(tmp_path / "clam_64", patch_size=16)
    bag = read_bag(path)
    assert bag.tiles.size == 1024
    assert "1024 level-0 px, from ../patches/slide_7.h5" in said(bag)
    assert "../../patches/slide_7.h5 says 512 level-0 px; the nearer file is believed" in said(bag)
    assert "clam_64" not in said(bag)


def test_an_edge_that_contradicts_a_file_beside_is_refused_with_that_file(tmp_path):
    path = layouts.clam(tmp_path)
    with pytest.raises(InputError, match=r"or take \.\./\.\./patches/slide_7\.h5 away if it is not of these features"):
        read_bag(path, tile_size=256)


@pytest.mark.parametrize(
    ("attrs", "edge", "words"),
    [
        ({"patch_size": 256, "patch_level": 0, "downsample": (1.0, 1.0)}, 256, "256 px at level 0 x 1.0 = 256"),
        ({"custom_downsample": 2}, 1024, "128 px at level 1 x 4.0 x 2 (custom_downsample) = 1024"),
        ({"downsample": (2.7, 2.7)}, 345.6, "128 px at level 1 x 2.7 = 345.6"),
        ({"downsample": (3.9998, 3.9998)}, 512, "128 px at level 1 x 4.0 = 512"),
    ],
)
def test_clams_edge_is_patch_size_times_downsample(tmp_path, attrs, edge, words):
    path = layouts.clam_features(tmp_path)
    layouts.clam_patches(tmp_path, **attrs)
    bag = read_bag(path)
    assert bag.tiles.size == pytest.approx(edge)
    assert words in said(bag)


def test_a_level_that_is_not_smaller_by_a_whole_number_is_told(tmp_path):
    path = layouts.clam_features(tmp_path)
    layouts.clam_patches(tmp_path, downsample=(2.7, 2.5))
    text = said(read_bag(path))
    assert "smaller by 2.7 in x and 2.5 in y, so tiles are not quite square" in text
    assert "CLAM lays its tiles by whole numbers, 2 x 128 px: they overlap" in text


def test_a_patches_file_itself_holds_no_features(tmp_path):
    with pytest.raises(InputError, match=r"patches/slide_7\.h5: It says where tiles lie but holds no features"):
        read_bag(layouts.clam_patches(tmp_path))


def test_each_piece_of_tissue_may_have_a_lattice_of_its_own(tmp_path):
    path = layouts.clam(tmp_path)
    shifted = XY + np.where(XY[:, :1] >= 256 + 2 * EDGE, (37, 11), (0, 0))
    for file in (path, tmp_path / "patches" / path.name):
        with h5py.File(file, "a") as opened:
            opened["coords"][...] = shifted
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.tiles.xy, shifted)
    assert "tiles lie edge to edge, on 2 lattices, as where each piece of tissue has its own" in said(bag)


# --- .pt ----------------------------------------------------------------------------------------------------


def test_a_tensor_alone_is_a_bag_without_places(tmp_path):
    bag = read_bag(layouts.tensor(tmp_path / "a" / "b" / "s.pt"))
    assert bag.tiles is None
    assert "nor does s.h5 in h5_files or patches beside it" in said(bag)


def test_places_of_another_length_are_not_taken(tmp_path):
    path = layouts.clam_pt(tmp_path)
    layouts.tensor(path, FEATURES[:-1])
    bag = read_bag(path)
    assert bag.tiles is None
    assert "../h5_files/slide_7.h5 holds 12 corners for 11 rows" in said(bag)


def test_the_corners_of_a_tensor_are_those_of_its_own_h5_files(tmp_path):
    path = layouts.clam_pt(tmp_path)
    for folder in (tmp_path / "clam_256" / "h5_files", tmp_path / "clam_256" / "patches"):
        layouts.hdf5(folder / path.with_suffix(".h5").name, {"features": FEATURES, "coords": XY + 1})
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert "corners: from ../h5_files/slide_7.h5, whose rows are as many" in said(bag)
    assert "clam_256" not in said(bag)
    (tmp_path / "features" / "h5_files" / "slide_7.h5").unlink()
    (tmp_path / "patches" / "slide_7.h5").unlink()
    assert read_bag(path).tiles is None


def test_a_patches_file_with_other_corners_than_h5_files_says_no_edge(tmp_path):
    path = layouts.clam_pt(tmp_path)
    with h5py.File(tmp_path / "patches" / "slide_7.h5", "a") as file:
        file["coords"][0, 0] += 1
    bag = read_bag(path)
    assert bag.tiles is None
    assert "../../patches/slide_7.h5 holds other corners (12), so nothing is taken from it" in said(bag)


def test_patches_files_that_differ_do_not_place_a_tensor(tmp_path):
    path = layouts.clam_pt(tmp_path)
    (tmp_path / "features" / "h5_files" / "slide_7.h5").unlink()
    with h5py.File(layouts.clam_patches(tmp_path / "features"), "a") as file:
        file["coords"][0, 0] += 1
    bag = read_bag(path)
    assert bag.tiles is None
    assert "../patches/slide_7.h5 and ../../patches/slide_7.h5 hold different corners" in said(bag)


def test_tridents_patches_place_a_tensor_of_trident(tmp_path):
    job = tmp_path / "10x_256px_0px_overlap"
    layouts.hdf5(job / "patches" / "slide_7_patches.h5", {"coords": XY}, {"coords": layouts.TRIDENT_ATTRS})
    bag = read_bag(layouts.tensor(job / "features_uni_v1" / "slide_7.pt"))
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert bag.tiles.size == EDGE


def test_half_precision_tensors_become_float32(tmp_path):
    path = tmp_path / "s.pt"
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        torch.save(torch.from_numpy(FEATURES).to(kind), path)
        np.testing.assert_array_equal(read_bag(path).features(), torch.from_numpy(FEATURES).to(kind).float().numpy())


def test_of_a_tensor_that_is_part_of_a_larger_one_only_the_part_counts(tmp_path):
    whole = torch.zeros(5000, 64)
    whole[:12, :6] = torch.from_numpy(FEATURES)
    torch.save(whole[:12, :6], tmp_path / "s.pt")
    assert (tmp_path / "s.pt").stat().st_size > 5000 * 64 * 4
    bag, alone = read_bag(tmp_path / "s.pt"), read_bag(layouts.tensor(tmp_path / "alone.pt"))
    np.testing.assert_array_equal(bag.features(), FEATURES)
    assert bag.features().base is None or bag.features().base.nbytes == FEATURES.nbytes
    assert bag.content_hash() == alone.content_hash()


def test_files_of_the_first_torch_are_read(tmp_path):
    torch.save(torch.from_numpy(FEATURES), tmp_path / "s.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(read_bag(tmp_path / "s.pt").features(), FEATURES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model.weight": torch.ones(2, 2), "b": 1}, r"2 things by name, the first of them named 'model\.weight'"),
        ([torch.ones(2, 2)], "a list, not the features of one slide"),
        (torch.ones(1536), "one vector of 1536 numbers: of a single tile"),
        (torch.ones(2, 3, 4), r"have shape \(2, 3, 4\); one row a tile"),
        (torch.ones(2, 3, dtype=torch.complex64), "are no numbers"),
        (torch.ones(2, 3).to_sparse(), "no plain tensor"),
        (torch.ones(0, 3), "has no tiles"),
    ],
)
def test_what_is_no_tensor_of_features_is_refused_with_what_it_is(tmp_path, content, sentence):
    torch.save(content, tmp_path / "s.pt")
    with pytest.raises(InputError, match=rf"s\.pt: .*{sentence}"):
        read_bag(tmp_path / "s.pt")


def test_features_and_coords_in_one_dict_are_read_where_the_edge_is_given(tmp_path):
    path = tmp_path / "s.pt"
    torch.save({"features": torch.from_numpy(FEATURES), "coords": torch.from_numpy(XY), "slide": "s"}, path)
    bag = read_bag(path)
    assert "give it in level-0 px (--tile-size)" in bag.unplaced
    np.testing.assert_array_equal(bag.features(), FEATURES)
    bag = read_bag(path, tile_size=EDGE)
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert "corners: from coords in the file, taken as level-0 px" in said(bag)


@pytest.mark.parametrize(
    ("coords", "sentence"),
    [
        (torch.from_numpy(XY[:-1]), "12 feature rows but 11 coordinates"),
        (torch.from_numpy(XY[:, 0]), r"Its coords, of shape \(12,\), are no x and y per tile"),
        (torch.from_numpy(XY + 0.5), "are not whole level-0 px"),
        ("right there", "3 things by name"),
        (torch.from_numpy(XY).to_sparse(), "no plain tensor"),
        (torch.zeros(1, dtype=torch.int8).expand(2**28, 2), "declares an array"),
    ],
)
def test_coords_in_a_dict_that_are_none_are_refused(tmp_path, coords, sentence):
    torch.save({"features": torch.from_numpy(FEATURES), "coords": coords, "x": 1}, tmp_path / "s.pt")
    with pytest.raises(InputError, match=sentence):
        read_bag(tmp_path / "s.pt", tile_size=EDGE)


@pytest.mark.parametrize("name", ["s.pt", "s.pth", "s.pkl", "S.PT"])
def test_a_file_of_torch_that_is_cut_off_or_runs_code_is_told_as_one(tmp_path, name):
    path = tmp_path / name
    torch.save(torch.from_numpy(FEATURES), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert sniff(path)
    with pytest.raises(InputError, match=r"It cannot be read as a file of torch\.save .*cut off"):
        read_bag(path)
    path.write_bytes(pickle.dumps(__import__("os").system))
    with pytest.raises(InputError, match=r"Python objects besides tensors|cannot be read as a file of torch"):
        read_bag(path)


def test_an_npz_and_hdf5_named_as_a_pickle_are_what_they_are(tmp_path):
    layouts.npz(tmp_path).rename(tmp_path / "s.pt")
    assert read_bag(tmp_path / "s.pt").tiles.size == EDGE
    layouts.trident_old(tmp_path).rename(tmp_path / "t.pt")
    assert read_bag(tmp_path / "t.pt").encoder == "uni_v1"


def test_a_program_of_torchscript_is_told(tmp_path):
    path = layouts.tensor(tmp_path / "s.pt")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("s/constants.pkl", b"")
    with pytest.raises(InputError, match="It is a TorchScript program"):
        read_bag(path)


# --- STAMP --------------------------------------------------------------------------------------------------


def test_micrometres_become_level_0_px_by_the_slides_mpp_and_corners_are_rounded(tmp_path):
    mpp = 0.2528
    bag = read_bag(layouts.stamp(tmp_path), mpp=mpp)
    assert bag.tiles.size == pytest.approx(256 / mpp)
    exact = XY * MPP / mpp
    assert np.abs(bag.tiles.xy - exact).max() <= 0.5
    assert f"by {np.abs(np.round(exact) - exact).max():.2f} px at most" in said(bag)
    assert "tiles lie edge to edge" in said(bag)
    assert bag.tile_mpp == pytest.approx(256 / 224)


def test_the_tile_edge_of_stamp_gives_the_mpp_where_nothing_else_does(tmp_path):
    bag = read_bag(layouts.stamp(tmp_path), tile_size=EDGE)
    assert bag.mpp == pytest.approx(MPP)
    np.testing.assert_array_equal(bag.tiles.xy, XY)


@pytest.mark.parametrize("kind", ["slide", "patient"])
def test_features_of_slides_and_patients_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=f"features of a {kind} as a whole, which have no tiles"):
        read_bag(layouts.stamp(tmp_path, feat_type=kind))


def test_coordinates_of_an_unknown_unit_are_not_placed(tmp_path):
    without = dict.fromkeys(layouts.STAMP_ATTRS)
    bag = read_bag(layouts.stamp(tmp_path, **without), mpp=MPP)
    assert bag.tiles is None
    assert "does not say the unit of its coordinates" in said(bag)


def test_coordinates_in_px_are_placed_only_by_a_person_who_says_the_edge_in_them(tmp_path):
    path = layouts.hdf5(tmp_path / "s.h5", {"feats": FEATURES, "coords": XY}, {"": {"unit": "px", "tile_size_px": 224}})
    asked = "Tiles are not placed: the file says that its coordinates are px, and neither of which level nor the edge"
    assert read_bag(path, mpp=MPP).unplaced.startswith(asked)
    bag = read_bag(path, tile_size=EDGE)
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert "the file's px, taken as level-0 px, as the tile edge was given in them" in said(bag)


def test_a_unit_that_stamp_does_not_know_is_named_with_a_remedy(tmp_path):
    bag = read_bag(layouts.stamp(tmp_path, unit="mm"), mpp=MPP)
    assert (
        "the file's coordinates are in 'mm', which is no unit of STAMP: write the attributes unit = um" in bag.unplaced
    )


@pytest.mark.parametrize("change", [{"mpp": MPP / 2}, {"unit_um": MPP / 2}])
def test_micrometres_that_lie_off_the_slide_put_mpp_and_unit_in_doubt(tmp_path, slide, change):
    path = layouts.stamp(tmp_path, change.get("unit_um", 1.0))
    with pytest.raises(
        InputError, match=r"the file's µm divided by 0\.2?5 µm per px: check the pixel size \(--slide-mpp\)"
    ):
        read_bag(path, mpp=change.get("mpp", MPP)).on_slide(slide, mpp=change.get("mpp", MPP))


# --- slideflow ----------------------------------------------------------------------------------------------


def test_centres_are_not_taken_for_corners_when_the_edge_is_odd(tmp_path):
    path = layouts.slideflow(tmp_path)
    np.savez(tmp_path / f"{SLIDE_ID}.index.npz", XY + 255)
    bag = read_bag(path, tile_size=511)
    assert np.abs(bag.tiles.xy + 255.5 - (XY + 255)).max() <= 0.5
    assert "corners: centres of slide_7.index.npz less half an edge, rounded" in said(bag)


def test_a_magnification_in_place_of_a_size_is_told(tmp_path):
    path = layouts.slideflow(tmp_path)
    (tmp_path / "bags_config.json").write_text(json.dumps({"tile_px": 299, "tile_um": "20x"}))
    bag = read_bag(path, mpp=MPP)
    assert bag.tiles is None
    assert "gives the tile size as '20x', a magnification, not in µm" in said(bag)


@pytest.mark.parametrize("config", [None, "{", "[" * 100_000, "[]", '{"tile_um": -1}', '{"tile_um": true}'])
def test_without_a_sound_config_only_the_edge_is_missing(tmp_path, config):
    path = layouts.slideflow(tmp_path)
    (tmp_path / "bags_config.json").unlink()
    if config is not None:
        (tmp_path / "bags_config.json").write_text(config)
    assert read_bag(path, mpp=MPP).tiles is None
    np.testing.assert_array_equal(read_bag(path, tile_size=EDGE).tiles.xy, XY)


# --- npz and csv --------------------------------------------------------------------------------------------


def test_an_npz_of_many_bags_is_no_bag_of_one_slide(tmp_path):
    np.savez(tmp_path / "musk.npz", features=FEATURES, bag_id=np.zeros(12, int), bag_label=np.zeros(1, int))
    with pytest.raises(InputError, match="the features of many slides"):
        read_bag(tmp_path / "musk.npz")


def test_an_npz_without_an_edge_asks_for_it(tmp_path):
    np.savez(tmp_path / "s.npz", features=FEATURES, coords=XY)
    assert "no patch_size_level0, so their edge is unknown" in said(read_bag(tmp_path / "s.npz"))
    assert read_bag(tmp_path / "s.npz", tile_size=100).tiles.size == 100


@pytest.mark.parametrize("edge", [0, -1, np.nan, "a", [1, 2]])
def test_an_edge_in_an_npz_that_is_none_is_refused(tmp_path, edge):
    np.savez(tmp_path / "s.npz", features=FEATURES, coords=XY, patch_size_level0=edge)
    with pytest.raises(InputError, match="patch_size_level0 is no positive number"):
        read_bag(tmp_path / "s.npz")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_files_may_use_other_delimiters_quotes_and_columns(tmp_path, delimiter):
    rows = [["", "x", "y", '"f0"', "f1", "f2", "score"], [0, 10, 20, 0.5, -1, 3, 9], [1, 30, 20, 1e-3, 2, 4, 9]]
    text = "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "s.csv").write_text("\ufeff" + text, encoding="utf-8")
    bag = read_bag(tmp_path / "s.csv", tile_size=20)
    np.testing.assert_array_equal(bag.tiles.xy, [[10, 20], [30, 20]])
    np.testing.assert_allclose(bag.features(), [[0.5, -1, 3], [1e-3, 2, 4]])
    assert "not read: column (no name), score" in said(bag)


@pytest.mark.parametrize(
    "text",
    [
        "slide_id,0,1\na,1,2\n",
        "x,y,attention\n1,2,3\n",
        "x,y,f1\n1,2,3\n",
        "f3,f4\n1,2\n",
        "train,val,test\na,b,c\n",
        "0,1",
        "",
        "f0,f1\n1,2\n",
        "x,y,prob_0,prob_1,prob_2\n1,2,0.5,0.25,0.25\n",
        "x,y,attention_0,attention_1,attention_2\n1,2,3,4,5\n",
        "x,y,Logits 0,Logits 1,Logits 2\n1,2,3,4,5\n",
        "x0,y0,x1,y1,x2,y2,attention\n1,2,3,4,5,6,7\n",
        "case,fold_0,fold_1,fold_2\na,1,2,3\n",
        "class_0,class_1,class_2\n1,2,3\n",
        "case,0,1,2\na,train,test,val\n",
    ],
)
def test_tables_of_something_else_are_no_features(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    assert not sniff(tmp_path / "t.csv")


@pytest.mark.parametrize("quote", ["", '"'])
def test_decimal_commas_are_told(tmp_path, quote):
    (tmp_path / "s.csv").write_text(f"f0;f1;f2\n1;2;3\n{quote}-0,25{quote};1e3;0\n")
    with pytest.raises(InputError, match=r"written with decimal commas, as -0,25\. Save the table with decimal points"):
        read_bag(tmp_path / "s.csv").features()


def test_a_row_with_more_values_than_columns_is_refused_and_not_read_askew(tmp_path):
    (tmp_path / "s.csv").write_text("f0,f1,f2\n1,2,3\n0,25,1,5\n")
    with pytest.raises(InputError, match="Row 2 of the table has 4 values for 3 columns"):
        read_bag(tmp_path / "s.csv")


def test_a_row_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "s.csv").write_text("f0,f1,f2\n1,2,3\n1,two,3\n")
    with pytest.raises(InputError, match=r"A row of the table cannot be read .*two"):
        read_bag(tmp_path / "s.csv").features()
    (tmp_path / "s.csv").write_text("f0,f1,f2\n")
    with pytest.raises(InputError, match="has no tiles"):
        read_bag(tmp_path / "s.csv")


# --- wsidata ------------------------------------------------------------------------------------------------


def test_a_wsidata_folder_without_its_shapes_is_a_bag_without_places(tmp_path):
    bag = read_bag(layouts.wsidata(tmp_path))
    assert (bag.mpp, bag.slide_size, bag.tile_px) == (MPP, SLIDE_SIZE, 256)
    assert "there is no shapes/tiles/shapes.parquet" in said(bag)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_table_of_anndata_is_read_without_what_wsidata_says_of_the_slide(tmp_path, monkeypatch, zarr_format):
    monkeypatch.setattr(layouts, "WSIDATA_ATTRS", {"spatialdata_attrs": {"version": "0.1"}})
    path = layouts.wsidata(tmp_path, zarr_format)
    assert sniff(path)
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.features(), FEATURES)
    assert (bag.mpp, bag.slide_size, bag.encoder) == (None, None, "resnet50")
    assert "the folder does not hold tile_spec or slide_properties, which lazyslide writes" in said(bag)


def test_a_sparse_table_is_refused_for_what_it_is(tmp_path):
    path = layouts.wsidata(tmp_path)
    x = path / "tables" / "resnet50_tiles" / "X"
    shutil.rmtree(x)
    zarr.open_group(x, mode="w").create_array("data", data=np.ones(3))
    with pytest.raises(InputError, match=r"Its table resnet50_tiles holds no plain array X .*missing or sparse"):
        read_bag(path)


def test_several_tables_are_listed_and_none_is_taken(tmp_path):
    with pytest.raises(InputError, match=r"2 tables of features, and which is meant .*: resnet50_tiles, uni_tiles"):
        read_bag(layouts.wsidata(tmp_path, tables=("resnet50_tiles", "uni_tiles")))


def test_where_pyarrow_is_missing_it_is_named_with_another_way(tmp_path, monkeypatch):
    path = layouts.wsidata(tmp_path)
    (path / "shapes" / "tiles").mkdir()
    (path / "shapes" / "tiles" / "shapes.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert "pip install 'napari-asmil[wsidata]', or export features and coords to npz" in said(read_bag(path))


@pytest.mark.parametrize(
    ("spec", "box", "edge", "words"),
    [
        ({"width": 256, "base_downsample": 2.0}, EDGE, EDGE, "256 px x 2 = 512 level-0 px, from tile_spec of tiles"),
        ({}, EDGE, EDGE, "512 level-0 px, from the boxes of shapes/tiles"),
        ({"width": 256, "base_downsample": 1.0}, EDGE, EDGE, "tile_spec says 256 level-0 px, the boxes of shapes 512"),
    ],
)
def test_shapes_place_the_tiles_by_their_ids(tmp_path, spec, box, edge, words):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = layouts.wsidata(tmp_path)
    told = json.loads((path / "zarr.json").read_text())
    told["attributes"]["tile_spec"]["tiles"] = spec
    (path / "zarr.json").write_text(json.dumps(told))
    (path / "shapes" / "tiles").mkdir()
    order = np.random.default_rng(0).permutation(len(XY))
    x, y = XY[order].T
    geometry = [shapely.box(*corner, *(corner + box)).wkb for corner in XY[order]]
    columns = {"tile_id": order, "x": x, "y": y, "geometry": geometry}
    parquet.write_table(pyarrow.table(columns), path / "shapes" / "tiles" / "shapes.parquet")
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.tiles.xy, XY)
    assert bag.tiles.size == edge
    assert words in said(bag)


@pytest.mark.parametrize("damage", ["ids", "rows", "bytes"])
def test_shapes_of_other_tiles_are_not_taken(tmp_path, damage):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = layouts.wsidata(tmp_path)
    (path / "shapes" / "tiles").mkdir()
    file = path / "shapes" / "tiles" / "shapes.parquet"
    n = len(XY) - (damage == "rows")
    ids = np.arange(n) + (damage == "ids")
    parquet.write_table(pyarrow.table({"tile_id": ids, "x": XY[:n, 0], "y": XY[:n, 1]}), file)
    if damage == "bytes":
        file.write_bytes(file.read_bytes()[:-50])
    words = {"ids": "are not those of shapes", "rows": "11 rows for 12 rows", "bytes": "cannot be read"}
    bag = read_bag(path)
    assert bag.tiles is None
    assert words[damage] in said(bag)
