"""One bag: what a feature file holds, how its geometry is derived, and what is refused."""

import hashlib
import os
import pickle

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil import read_bag
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.bags.bag import FEATURE_CACHE
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid


@pytest.fixture
def trident(tmp_path):
    """Factory: a file as TRIDENT writes it; keywords replace attributes of coords, None leaves one out."""

    def write(features=None, coords=None, name="slide_7.h5", **attrs):
        path = tmp_path / name
        given = {
            "patch_size": 224,
            "patch_size_level0": 448,
            "level0_magnification": 40,
            "target_magnification": 20,
            "overlap": 0,
            "name": "slide_7",
            "savetodir": "None",
            "level0_width": 2000,
            "level0_height": 1000,
            **attrs,
        }
        features = np.arange(12, dtype=np.float32).reshape(3, 4) if features is None else features
        coords = np.array([[0, 0], [448, 0], [0, 448]]) if coords is None else coords
        with h5py.File(path, "w") as file:
            file.create_dataset("features", data=features).attrs["encoder"] = "uni_v1"
            file.create_dataset("coords", data=coords).attrs.update({k: v for k, v in given.items() if v is not None})
        return path

    return write


def test_a_trident_file_is_a_bag_of_level_0_tiles(trident):
    bag = read_bag(trident())
    assert (bag.slide_id, bag.n_tiles, bag.n_features, bag.encoder) == ("slide_7", 3, 4, "uni_v1")
    assert (bag.tiles.size, bag.tile_px, bag.slide_size) == (448, 224, (2000, 1000))
    np.testing.assert_array_equal(bag.tiles.xy, [[0, 0], [448, 0], [0, 448]])
    np.testing.assert_array_equal(bag.features(), np.arange(12).reshape(3, 4))
    assert bag.features().dtype == np.float32
    assert bag.mpp is bag.tile_mpp is bag.tile_labels is None
    assert "224 px at 20x = 448 level-0 px, from the attribute patch_size_level0" in "\n".join(bag.describe())


def test_the_edge_in_level_0_px_is_enough(trident):
    bag = read_bag(trident(patch_size=None))
    assert bag.tiles.size == 448
    assert "tile edge: 448 level-0 px, from the attribute patch_size_level0" in "\n".join(bag.describe())


def test_an_older_trident_file_gives_its_edge_through_the_magnifications(trident):
    bag = read_bag(trident(patch_size_level0=None))
    assert bag.tiles.size == 448
    assert "x 2 = 448 level-0 px, from level0_magnification 40x" in "\n".join(bag.describe())


def test_without_any_tile_edge_tiles_are_not_placed_and_it_is_asked_for_rather_than_guessed_at(trident):
    path = trident(patch_size_level0=None, target_magnification="None")
    bag = read_bag(path)
    assert bag.tiles is None
    assert "coords has no attribute patch_size_level0" in "\n".join(bag.describe())
    assert "corners are mostly 448 level-0 px apart" in "\n".join(bag.describe())
    assert read_bag(path, tile_size=448).tiles.size == 448


def test_half_precision_features_become_float32(trident):
    bag = read_bag(trident(np.full((3, 4), 0.1, np.float16)))
    np.testing.assert_array_equal(bag.features(), np.full((3, 4), np.float16(0.1), np.float32))


def test_features_stay_in_the_file_until_asked_for_and_are_read_once(trident, monkeypatch):
    path = trident()
    bag = read_bag(path)
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(InputError, match="cannot be opened"):
        bag.features()
    monkeypatch.undo()
    first = bag.features()
    assert bag.features() is first
    assert not first.flags.writeable
    assert FEATURE_CACHE.nbytes <= FEATURE_CACHE.limit


def test_a_bag_can_be_sent_to_another_process(trident):
    bag = pickle.loads(pickle.dumps(read_bag(trident())))
    assert bag.features().shape == (3, 4)


def test_the_content_hash_is_sha256_of_features_and_coordinates(trident):
    bag = read_bag(trident())
    digest = hashlib.sha256(
        np.arange(12, dtype="<f4").tobytes() + np.array([[0, 0], [448, 0], [0, 448]], "<i8").tobytes()
    )
    assert bag.content_hash() == digest.hexdigest()
    moved = trident(coords=np.array([[0, 0], [448, 0], [1, 448]]), name="other.h5")
    assert read_bag(moved).content_hash() != bag.content_hash()


# --- our own files ------------------------------------------------------------------------------------------


def test_a_written_bag_reads_back_with_all_it_knows(tmp_path, make_bag):
    (tmp_path / "slide.tif").write_bytes(b"II*\0")
    (tmp_path / "truth.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    share = np.linspace(0, 1, 6, dtype=np.float32)
    bag = make_bag(
        tile_labels=share, slide_path=tmp_path / "slide.tif", contours_path=tmp_path / "truth.geojson", tile_px=32
    )
    (tmp_path / "bags").mkdir()
    write_bag(tmp_path / "bags" / "s0.h5", bag)
    back = read_bag(tmp_path / "bags" / "s0.h5")
    for name in ("slide_id", "encoder", "mpp", "tile_px", "slide_size", "slide_path", "contours_path"):
        assert getattr(back, name) == getattr(bag, name)
    np.testing.assert_array_equal(back.tile_labels, share)
    np.testing.assert_array_equal(back.tiles.xy, bag.tiles.xy)
    assert (back.tiles.size, back.content_hash(), back.tile_mpp) == (64, bag.content_hash(), 1.0)
    assert "3 of 6 tiles positive (a share of one half or more)" in "\n".join(back.describe())


def test_the_slide_is_named_relative_to_the_bag_so_that_both_can_be_moved(tmp_path, make_bag):
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "bags").mkdir(parents=True)
    (old / "slide.tif").write_bytes(b"II*\0")
    write_bag(old / "bags" / "s0.h5", make_bag(slide_path=old / "slide.tif"))
    old.rename(new)
    assert read_bag(new / "bags" / "s0.h5").slide_path == new / "slide.tif"


@pytest.mark.parametrize("given", ["gone.tif", "//server/share/x.tif", "\\\\server\\x.tif", "."])
def test_a_slide_that_is_not_there_or_not_a_local_file_is_not_followed(tmp_path, make_bag, given):
    write_bag(tmp_path / "s0.h5", make_bag(), attrs={"slide_path": given})
    bag = read_bag(tmp_path / "s0.h5")
    assert bag.slide_path is None
    assert any(given in line and "not there" in line for line in bag.describe())


def test_an_edge_that_is_no_whole_number_survives(tmp_path, make_bag):
    write_bag(tmp_path / "s0.h5", make_bag(grid=TileGrid([[0, 0]], 63.5), features=np.ones((1, 2))))
    assert read_bag(tmp_path / "s0.h5").tiles.size == 63.5


def test_a_failed_writing_leaves_nothing_behind(tmp_path, make_bag):
    with pytest.raises(InputError, match=r"cannot be written.*Choose an existing folder"):
        write_bag(tmp_path / "nowhere" / "s0.h5", make_bag())
    assert list(tmp_path.iterdir()) == []


# --- refusals -----------------------------------------------------------------------------------------------


def test_a_bag_without_tiles_is_refused(trident):
    for empty in (np.zeros((0, 4), np.float32), np.zeros((0,), np.float32)):
        with pytest.raises(InputError, match=r"slide_7\.h5.*no tiles"):
            read_bag(trident(empty, np.zeros((0, 2), int)))


def test_rows_that_do_not_match_are_refused_with_both_numbers(trident):
    with pytest.raises(InputError, match=r"slide_7 has 5 feature rows but 3 coordinates"):
        read_bag(trident(np.ones((5, 4), np.float32)))
    with pytest.raises(InputError, match="2 feature rows but 3 tile labels"):
        in_memory_bag("a", np.ones((2, 2)), tile_labels=[0, 1, 0])


@pytest.mark.parametrize(
    ("corner", "fits"),
    [
        ((1999 - 224, 0), True),
        ((2000 - 224, 0), False),
        ((0, 1000 - 224), False),
        ((-224, 0), True),
        ((-225, 0), False),
    ],
)
def test_tiles_whose_centre_is_outside_the_slide_are_refused_with_the_first_of_them(trident, corner, fits):
    path = trident(coords=np.array([[0, 0], corner, [448, 0]]))
    if fits:
        assert read_bag(path).n_tiles == 3
    else:
        with pytest.raises(InputError, match=rf"1 of 3 tiles.*2000 x 1000 px, tile 1 begins at x = {corner[0]}"):
            read_bag(path)


def test_features_that_are_no_numbers_are_refused_by_slide_and_count(trident):
    features = np.ones((3, 4), np.float32)
    features[0, 0], features[2, 1], features[2, 2] = np.nan, np.inf, np.nan
    bag = read_bag(trident(features))
    for use in (bag.features, bag.content_hash):
        with pytest.raises(InputError, match=r"slide_7 hold 3 NaN or infinite values, in 2 of 3 tiles"):
            use()
    with pytest.raises(InputError, match="NaN"):
        in_memory_bag("a", features)


@pytest.mark.parametrize("attribute", ["patch_size", "patch_size_level0", "level0_width"])
@pytest.mark.parametrize("value", ["big", -1, 0, float("nan")])
def test_an_attribute_that_is_no_size_is_refused_by_name(trident, attribute, value):
    with pytest.raises(InputError, match=rf"slide_7\.h5.*{attribute} is .*not a positive number"):
        read_bag(trident(**{attribute: value}))


def test_datasets_that_lie_in_other_files_are_not_followed(tmp_path, trident):
    path = trident()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    for where in ("link", "storage"):
        with h5py.File(path, "a") as file:
            del file["features"]
            if where == "link":
                file["features"] = h5py.ExternalLink("other.h5", "features")
            else:
                file.create_dataset("features", (3, 4), "f4", external=str(tmp_path / "secret.bin"))
        with pytest.raises(InputError, match="Its dataset features lies in another file or place"):
            read_bag(path)


def test_coordinates_between_pixels_are_refused(trident):
    with pytest.raises(InputError, match="not whole level-0 px"):
        read_bag(trident(coords=np.array([[0, 0], [0.5, 0], [1, 0]])))


def test_tiles_on_top_of_each_other_are_mentioned(trident):
    assert any(
        "1 tile lies exactly" in line
        for line in read_bag(trident(coords=np.array([[0, 0], [0, 0], [9, 9]]))).describe()
    )


def test_files_that_are_no_bags_are_refused(tmp_path, trident):
    with pytest.raises(InputError, match="no such feature file"):
        read_bag(tmp_path / "gone.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="no feature file that can be read"):
        read_bag(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="no feature file that can be read"):
        read_bag(tmp_path / "other.h5")
    whole = trident()
    whole.write_bytes(whole.read_bytes()[: os.path.getsize(whole) // 2])
    with pytest.raises(InputError, match=r"slide_7\.h5.*copy it again"):
        read_bag(whole)


def test_a_file_that_went_away_is_reported_when_its_features_are_needed(trident):
    path = trident()
    bag = read_bag(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        bag.features()


def test_a_bag_belongs_to_slides_of_its_own_size_only(tmp_path, make_bag):
    for width in (384, 320, 390):
        tifffile.imwrite(tmp_path / f"{width}.tif", np.zeros((64, width, 3), np.uint8), photometric="rgb")
    free, bound = make_bag(slide_size=None, mpp=None), make_bag()
    placed = free.on_slide(tmp_path / "390.tif")
    assert (placed.slide_size, placed.slide_path, placed.mpp) == ((390, 64), tmp_path / "390.tif", None)
    assert bound.on_slide(tmp_path / "384.tif").mpp == 0.5
    with pytest.raises(InputError, match=r"390\.tif.*390 x 64 px.*384 x 64 px"):
        bound.on_slide(tmp_path / "390.tif")
    with pytest.raises(InputError, match="1 of 6 tiles"):
        free.on_slide(tmp_path / "320.tif")


def test_tiles_off_the_slide_that_would_lie_on_it_with_x_and_y_swapped_are_told_so(make_bag):
    tall = TileGrid([[0, 64 * row] for row in range(6)], 64)
    swap = r"With x and y swapped all would lie on it: the file may hold y before x"
    with pytest.raises(InputError, match=swap):
        make_bag(grid=tall)
    with pytest.raises(InputError, match="must be level-0 px"):
        make_bag(grid=tall, slide_size=(64, 64))


def test_a_bag_without_places_and_reasons_still_says_so_in_a_sentence(make_bag):
    assert make_bag().unplaced == ""
    assert make_bag(grid=None, slide_size=None).unplaced == (
        "Tiles are not placed: it is not known where they lie, so they can be trained on but not drawn."
    )
