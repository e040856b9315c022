"""What is read is what lies there now, of numbers, in the file itself; and it takes no more memory than its size."""

import os
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import shapely
import tifffile
import zarr

from napari_asmil.bags import read_bag, read_bags, read_cohort
from napari_asmil.bags.hdf5 import load_features
from napari_asmil.bags.naming import class_names
from napari_asmil.errors import InputError
from tests.bags import layouts
from tests.bags.collections import one_file, torchmil
from tests.bags.layouts import FEATURES, XY

MOST_BYTES = 256 * 2**20
LONG = "S4096"
"""A word of which a few thousand take gigabytes in memory, and next to nothing in a packed file."""


def table_of(path, name, features):
    """Writes a table's features in place; returns the folder of their array."""
    tables = zarr.open_group(path, mode="a").require_group("tables")
    group = tables.require_group(name)
    if "X" in group:
        group["X"][...] = features
    else:
        group.create_array("X", data=features, chunks=(5, features.shape[1]))
    return path / "tables" / name / "X"


# --- what lies there now ------------------------------------------------------------------------------------


def test_features_of_a_folder_that_are_written_again_are_read_again(tmp_path):
    path = layouts.wsidata(tmp_path)
    before = read_bag(path)
    assert np.array_equal(before.features(), FEATURES)
    digest = before.content_hash()
    told = path.stat().st_mtime_ns
    table_of(path, "resnet50_tiles", FEATURES + 1)
    assert path.stat().st_mtime_ns == told
    after = read_bag(path)
    np.testing.assert_allclose(after.features(), FEATURES + 1)
    assert after.content_hash() != digest


def test_another_table_in_the_place_of_the_first_is_read(tmp_path):
    path = layouts.wsidata(tmp_path)
    assert read_bag(path).features().shape == (len(XY), 6)
    told = path.stat().st_mtime_ns
    shutil.rmtree(path / "tables" / "resnet50_tiles")
    table_of(path, "uni_tiles", FEATURES[:, :5])
    os.utime(path, ns=(told, told))
    bag = read_bag(path)
    assert (bag.encoder, bag.n_features, bag.features().shape) == ("uni", 5, (len(XY), 5))


def test_two_datasets_of_one_file_are_not_taken_for_each_other(tmp_path):
    path = layouts.hdf5(tmp_path / "s.h5", {"feats": FEATURES, "patch_embeddings": FEATURES * 2})

    assert np.array_equal(load_features(path, "feats", "s"), FEATURES)
    assert np.array_equal(load_features(path, "patch_embeddings", "s"), FEATURES * 2)


# --- numbers, and no more memory than their size ------------------------------------------------------------


def packed_npz(path, shape):
    """Features beside coordinates that are words, packed to almost nothing."""
    np.savez(path, features=np.ones((shape[0], 2), np.float32))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file, file.open("coords.npy", "w", force_zip64=True) as s:
        np.lib.format.write_array_header_1_0(s, {"shape": shape, "descr": f"|{LONG}", "fortran_order": False})
        for _ in range(shape[0] * shape[1] * 4096 // 2**20 + 1):
            s.write(bytes(2**20))
    return path


def words(file, name, shape):
    file.create_dataset(name, shape, LONG, chunks=(1024, *shape[1:]), compression="gzip")


def packed_labels(path):
    rows = 160_000
    xy = np.stack([np.arange(rows), np.zeros(rows, int)], axis=1)
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((rows, 1), np.float32)
        file["coords"] = xy
        file["coords"].attrs["patch_size_level0"] = 64
        words(file, "tile_labels", (rows,))
    return path


def packed_coords(root):
    torchmil(root, ".h5")
    with h5py.File(root / "coords" / "s1.h5", "w") as file:
        words(file, "coords", (80_000, 2))
    return root


BOMBS = {
    "npz": lambda folder: packed_npz(folder / "s.npz", (80_000, 2)),
    "tile labels": lambda folder: packed_labels(folder / "s.h5"),
    "torchmil": packed_coords,
}
READ = """
import resource, sys
from napari_asmil.bags import read_bags
from napari_asmil.errors import InputError
import zarr
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    [bag.features() for bag in read_bags(sys.argv[1])]
except InputError as error:
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before), error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux tells it")
@pytest.mark.parametrize("name", sorted(BOMBS))
def test_words_in_the_place_of_numbers_are_refused_before_memory_is_taken(tmp_path, name):
    path = BOMBS[name](tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    taken, sentence = done.stdout.split(" ", 1)
    assert int(taken) < MOST_BYTES
    assert "are no numbers" in sentence or "more than its" in sentence


@pytest.mark.parametrize("dtype", ["S8", "c8", [("x", "f4"), ("y", "f4")]])
def test_coordinates_that_are_no_numbers_are_refused_in_each_layout(tmp_path, dtype):
    coords = np.zeros(XY.shape, np.dtype(dtype))
    trident = layouts.trident(tmp_path / "trident")
    with h5py.File(trident, "a") as file:
        attrs = dict(file["coords"].attrs)
        del file["coords"]
        file["coords"] = coords
        file["coords"].attrs.update(attrs)
    np.savez(tmp_path / "s.npz", features=FEATURES, coords=coords)
    (tmp_path / "torchmil").mkdir()
    for path in (trident, tmp_path / "s.npz", torchmil(tmp_path / "torchmil"), one_file(tmp_path / "all.h5")):
        if path.name == "torchmil":
            np.save(path / "coords" / "s1.npy", coords)
        if path.name == "all.h5":
            with h5py.File(path, "a") as file:
                del file["s1/coords"]
                file["s1/coords"] = coords
        with pytest.raises(InputError, match=r"coords.* are no numbers"):
            read_bags(path)


# --- zarr ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("linked", ["tables/resnet50_tiles/X", "tables"])
def test_a_linked_folder_of_a_zarr_folder_is_not_followed(tmp_path, linked):
    path = layouts.wsidata(tmp_path)
    shutil.move(path / linked, tmp_path / "elsewhere")
    (path / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="holds a link, and links are not followed"):
        read_bag(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_a_whole_zarr_folder_is_the_folder(tmp_path):
    path = layouts.wsidata(tmp_path)
    (tmp_path / "short.zarr").symlink_to(path)
    assert np.array_equal(read_bag(tmp_path / "short.zarr").features(), FEATURES)


class Columns:
    """Stands for pyarrow's reader of a parquet file and for its table: columns by name."""

    def __init__(self, **columns):
        self.columns, self.column_names = columns, list(columns)
        self.metadata = type("Metadata", (), {"num_rows": len(columns["x"])})

    def read(self, columns):
        return Columns(**{name: self.columns[name] for name in columns if name in self.columns})

    def column(self, name):
        return Column(self.columns[name])


class Column:
    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.asarray(self.values)

    def __getitem__(self, index):
        return type("Scalar", (), {"as_py": lambda self_: self.values[index]})()


@pytest.fixture
def shapes(monkeypatch):
    """Shapes of the tiles of a wsidata folder without pyarrow: they are what a test says, whatever the file holds."""

    def write(path, ids, xy=XY, **more):
        parquet = type(sys)("pyarrow.parquet")
        parquet.ParquetFile = lambda file: Columns(tile_id=ids, x=xy[:, 0], y=xy[:, 1], **more)
        pyarrow = type(sys)("pyarrow")
        pyarrow.parquet = parquet
        monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
        (path / "shapes" / "tiles").mkdir()
        (path / "shapes" / "tiles" / "shapes.parquet").write_bytes(b"PAR1")

    return write


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_tiles_stand_in_the_order_of_the_tables_ids(tmp_path, shapes, zarr_format):
    path = layouts.wsidata(tmp_path, zarr_format)
    order = np.random.default_rng(0).permutation(len(XY))
    shapes(path, order, XY[order])
    bag = read_bag(path)
    assert np.array_equal(bag.tiles.xy, XY) and bag.tiles.size == 512
    assert not any("corners:" in line for line in bag.derivation)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_ids_that_are_categories_do_not_place_tiles(tmp_path, shapes, zarr_format):
    path = layouts.wsidata(tmp_path, zarr_format)
    obs = zarr.open_group(path / "tables" / "resnet50_tiles" / "obs", mode="a")
    del obs["tile_id"]
    group = obs.create_group("tile_id")
    group.create_array("codes", data=np.arange(len(XY))[::-1].copy())
    group.create_array("categories", data=np.arange(len(XY)))
    shapes(path, np.arange(len(XY)))
    bag = read_bag(path)
    assert bag.tiles is None
    assert any("tile_id of resnet50_tiles is no plain array" in line for line in bag.derivation)


def test_ids_that_are_words_do_not_place_tiles(tmp_path, shapes):
    path = layouts.wsidata(tmp_path, zarr_format=2)
    obs = zarr.open_group(path / "tables" / "resnet50_tiles" / "obs", mode="a")
    del obs["tile_id"]
    obs.create_array("tile_id", data=np.array([str(index) for index in range(len(XY))], "S4"))
    shapes(path, np.arange(len(XY)))
    bag = read_bag(path)
    assert bag.tiles is None and any("are no numbers" in line for line in bag.derivation)


def test_without_ids_rows_are_taken_in_the_order_of_shapes_and_that_is_said(tmp_path, shapes):
    path = layouts.wsidata(tmp_path)
    del zarr.open_group(path / "tables" / "resnet50_tiles" / "obs", mode="a")["tile_id"]
    shapes(path, np.arange(len(XY)))
    bag = read_bag(path)
    assert np.array_equal(bag.tiles.xy, XY)
    assert "corners: row by row those of shapes, as resnet50_tiles has no tile_id" in bag.derivation


@pytest.mark.parametrize("ids", [np.arange(1, len(XY) + 1), np.zeros(len(XY), int)])
def test_ids_of_other_tiles_do_not_place_them(tmp_path, shapes, ids):
    path = layouts.wsidata(tmp_path)
    shapes(path, ids)
    bag = read_bag(path)
    assert bag.tiles is None
    assert any("are not those of shapes" in line for line in bag.derivation)


# --- what our own attributes say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.random.default_rng(0).integers(0, 255, (len(XY), 4)),
        np.full(len(XY), 255),
        np.full(len(XY), np.nan),
        np.full(len(XY), -0.5),
        np.zeros((len(XY), 1)),
        np.zeros(len(XY) - 1),
        np.full(len(XY), b"1"),
    ],
)
def test_tile_labels_that_are_no_share_of_each_tile_are_refused(tmp_path, labels):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        file["tile_labels"] = labels
    with pytest.raises(InputError, match=r"tile_labels, .*(are not a share from 0 to 1 for each of 12|are no numbers)"):
        read_bag(path)


@pytest.mark.parametrize("name", ["slide_path", "contours_path"])
@pytest.mark.parametrize("given", ["a" * 1500, "a/" * 3000, "\0", "é" * 300])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path, name, given):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        file.attrs[name] = np.bytes_(given.encode())
    bag = read_bag(path)
    assert getattr(bag, name) is None
    assert given == "\0" or any(line.startswith(f"{name} {given[:100]}") for line in bag.derivation)


@pytest.mark.parametrize("name", ["slide_path", "contours_path"])
def test_a_file_that_is_no_slide_and_no_annotation_is_not_used(tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    path = layouts.trident(tmp_path / "in")
    for given in ("../../../secret.txt", str(tmp_path / "secret.txt")):
        with h5py.File(path, "a") as file:
            file.attrs[name] = given
        bag = read_bag(path)
        assert getattr(bag, name) is None
        kind = "slide" if name == "slide_path" else "annotation"
        assert f"{name} {given} is no {kind} file, and not used" in bag.derivation


@pytest.fixture
def slide(tmp_path):
    """A slide of the size of all layouts, of 0.5 µm per px."""
    path = tmp_path / "slides" / f"{layouts.SLIDE_ID}.tif"
    path.parent.mkdir()
    pixels = np.full((*layouts.SLIDE_SIZE[::-1], 3), 200, np.uint8)
    scale = (1e4 / layouts.MPP, 1e4 / layouts.MPP)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), resolution=scale, resolutionunit="CENTIMETER")
    return path


def trident_of(folder, mpp):
    path = layouts.trident(folder)
    with h5py.File(path, "a") as file:
        file.attrs["mpp"] = mpp
    return path


def wsidata_of(folder, mpp):
    path = layouts.wsidata(folder)
    root = zarr.open_group(path, mode="a")
    root.attrs["slide_properties"] = {**layouts.WSIDATA_ATTRS["slide_properties"], "mpp": mpp}
    return path


@pytest.mark.parametrize("write", [trident_of, wsidata_of])
def test_of_pixel_sizes_the_users_comes_first_then_the_feature_files_then_the_slides(tmp_path, slide, write):
    path = write(tmp_path / "features", 0.25)
    for bag in (read_bag(path, slide=slide), read_bag(path).on_slide(slide)):
        assert bag.mpp == 0.25
        differs = [line for line in bag.derivation if "pixel sizes differ" in line]
        assert len(differs) == 1 and "0.25 µm per level-0 px, known with the features, is taken" in differs[0]
        assert "not 0.5, of the slide file" in differs[0]
    bag = read_bag(path, slide=slide, mpp=0.4)
    assert bag.mpp == 0.4
    assert sum("pixel sizes differ: 0.4 µm per level-0 px" in line for line in bag.derivation) == 2
    assert read_bag(path).on_slide(slide, mpp=0.4).mpp == 0.4


def test_pixel_sizes_that_agree_are_not_spoken_of(tmp_path, slide):
    bag = read_bag(trident_of(tmp_path / "features", 0.4999), slide=slide)
    assert bag.mpp == 0.4999 and not any("pixel sizes differ" in line for line in bag.derivation)


@pytest.mark.parametrize("write", [layouts.stamp, layouts.slideflow])
def test_a_pixel_size_is_of_the_slide_only_where_the_slide_said_it(tmp_path, slide, write):
    path = write(tmp_path)
    assert any("0.5 µm per px (the slide)" in line for line in read_bag(path, slide=slide).derivation)
    assert any("0.25 µm per px (as given)" in line for line in read_bag(path, mpp=0.25).derivation)
    given = 0.51 if write is layouts.stamp else 0.52
    bag = read_bag(path, slide=slide, mpp=given)
    assert bag.mpp == given and any(f"{given} µm per px (as given)" in line for line in bag.derivation)


# --- what rows and classes there are ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["npz", "CLAM"])
@pytest.mark.parametrize("rows", [len(XY) - 1, len(XY) + 1])
def test_rows_that_do_not_match_are_refused_where_tiles_cannot_be_placed_too(tmp_path, name, rows):
    coords = np.arange(2 * rows).reshape(rows, 2)
    if name == "npz":
        path = tmp_path / "s.npz"
        np.savez(path, features=FEATURES, coords=coords)
    else:
        path = layouts.hdf5(tmp_path / "h5_files" / "s.h5", {"features": FEATURES, "coords": coords})
    with pytest.raises(InputError, match=f"12 feature rows but {rows} coordinates"):
        read_bag(path)


def test_classes_that_are_whole_numbers_stand_in_their_order_and_others_in_that_of_words():
    assert class_names(["10", "2", "-1", "2"]) == ("-1", "2", "10")
    assert class_names(["b", "10", "a", "2"]) == ("10", "2", "a", "b")
    for odd in ("--1", "-", "1-", "9" * 5000, "²", ""):
        assert class_names([odd, "0"]) == tuple(sorted([odd, "0"]))


@pytest.mark.parametrize("labels", [(10, 2, 10, 2), ("10", "2", "10", "2")])
def test_classes_of_one_file_stand_in_the_order_of_numbers(tmp_path, labels):
    cohort = read_cohort(one_file(tmp_path / "all.h5", labels))
    assert cohort.class_names == ("2", "10") and cohort.labels == {"s0": 1, "s1": 0, "s2": 1, "s3": 0}


def test_a_label_that_looks_like_a_number_and_is_none_is_a_word(tmp_path):
    assert read_cohort(one_file(tmp_path / "all.h5", ("--1", "0", "--1", "0"))).class_names == ("--1", "0")
    (tmp_path / "t.csv").write_text("slide_id,label\ns0,--1\ns1,0\ns2,--1\ns3,0\n")
    assert read_cohort(tmp_path / "all.h5", tmp_path / "t.csv").class_names == ("--1", "0")


def test_classes_of_torchmil_stand_in_the_order_of_numbers(tmp_path):
    torchmil(tmp_path)
    for name, label in {"s0": 10, "s1": 2, "s2": 10, "s3": 2}.items():
        np.save(tmp_path / "labels" / f"{name}.npy", np.array([label]))
    cohort = read_cohort(tmp_path)
    assert cohort.class_names == ("2", "10") and cohort.labels == {"s0": 1, "s1": 0, "s2": 1, "s3": 0}


def test_splits_of_some_of_torchmils_slides_are_not_used(tmp_path):
    torchmil(tmp_path)
    (tmp_path / "splits.csv").write_text("bag_name,split\ns0,train\ns1,train\ns2,test\n")
    cohort = read_cohort(tmp_path)
    assert cohort.splits == {}
    assert "splits.csv has no split for 1 slide (s3): it is not used" in cohort.notes


def test_clams_attributes_that_contradict_tridents_are_told_of(tmp_path):
    attrs = {**layouts.CLAM_ATTRS, "patch_size": 256, "downsample": np.array((4.0, 4.0)), "patch_size_level0": 256}
    path = layouts.hdf5(tmp_path / "s.h5", {"features": FEATURES, "coords": XY}, {"coords": attrs})
    bag = read_bag(path)
    assert bag.tiles.size == 1024
    told = [line for line in bag.derivation if "the file contradicts itself: that is 1024 level-0 px" in line]
    assert len(told) == 1 and "256 level-0 px, from the attribute patch_size_level0" in told[0]
    with h5py.File(path, "a") as file:
        file["coords"].attrs["patch_size_level0"] = 1024
    assert not any("contradicts" in line for line in read_bag(path).derivation)


@pytest.mark.parametrize(
    ("spec", "box", "words"),
    [
        ({"width": 256, "base_downsample": 2.0}, 512, "256 px x 2 = 512 level-0 px, from tile_spec of tiles"),
        ({}, 512, "512 level-0 px, from the boxes of shapes/tiles"),
        ({"width": 256, "base_downsample": 1.0}, 512, "tile_spec says 256 level-0 px, the boxes of shapes 512"),
    ],
)
def test_the_edge_is_that_of_tile_spec_and_of_the_boxes(tmp_path, shapes, spec, box, words):
    path = layouts.wsidata(tmp_path)
    zarr.open_group(path, mode="a").attrs["tile_spec"] = {"tiles": spec}
    shapes(path, np.arange(len(XY)), geometry=[shapely.box(*corner, *(corner + box)).wkb for corner in XY])
    bag = read_bag(path)
    assert bag.tiles.size == box and np.array_equal(bag.tiles.xy, XY)
    assert any(words in line for line in bag.derivation)


def test_shapes_with_other_rows_than_the_table_do_not_place_tiles(tmp_path, shapes):
    path = layouts.wsidata(tmp_path)
    shapes(path, np.arange(len(XY) - 1), XY[:-1])
    bag = read_bag(path)
    assert bag.tiles is None and any("11 rows for 12 rows" in line for line in bag.derivation)
