"""Files that a stranger made: nothing runs, nothing outside is read, and a small file takes little memory."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_asmil.bags import read_bag, sniff
from napari_asmil.errors import InputError
from tests.bags import layouts
from tests.bags.layouts import FEATURES, LAYOUTS, NEEDS, TRIDENT_ATTRS, XY

MOST_BYTES = 256 * 2**20
"""That reading a file of a few kB may take, besides what the libraries take."""


class Mine:
    """An object that makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def refused(path, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_bag(path).features()
    assert str(caught.value).startswith(str(path.parent))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- HDF5 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["features", "coords", "tile_labels"])
@pytest.mark.parametrize("shape", [(10**9, 1024), (10**12, 2), (2**31, 2)])
def test_an_array_that_the_file_cannot_hold_is_refused_before_memory_is_taken(tmp_path, name, shape):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        attrs = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        file.create_dataset(name, shape, "f4", chunks=(1024, 2), fillvalue=1).attrs.update(attrs)
    assert path.stat().st_size < 100_000
    refused(path, r"declares an array of \d+ x \d+ numbers, more than its [\d,]+ bytes can hold")


def test_a_chunk_larger_than_its_array_is_refused(tmp_path):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        del file["features"]
        file.create_dataset("features", (12, 6), "f4", chunks=(2**17, 2**12), maxshape=(None, None))
    refused(path, "declares an array of 131072 x 4096 numbers")


def test_zeros_packed_to_almost_nothing_are_refused_when_they_are_too_many(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (2**16, 2**10), "f4", chunks=(64, 2**10), compression="gzip")
    assert path.stat().st_size < 2**20
    refused(path, "more than its")


@pytest.mark.parametrize("name", ["features", "coords"])
@pytest.mark.parametrize("kind", ["link", "soft link", "storage", "virtual"])
def test_what_leads_out_of_the_file_is_not_followed(tmp_path, kind, name):
    path = layouts.trident(tmp_path)
    secret = layouts.hdf5(tmp_path / "secret.h5", {"features": FEATURES, "coords": XY}, {"coords": TRIDENT_ATTRS})
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    with h5py.File(path, "a") as file:
        shape, dtype = file[name].shape, file[name].dtype
        attrs = dict(file[name].attrs)
        del file[name]
        if kind == "link":
            file[name] = h5py.ExternalLink(str(secret), name)
        elif kind == "soft link":
            file["inner/there"] = h5py.ExternalLink(str(secret), name)
            file[name] = h5py.SoftLink("/inner/there")
        elif kind == "storage":
            file.create_dataset(name, shape, dtype, external=str(tmp_path / "secret.bin"))
        else:
            source = h5py.VirtualLayout(shape, dtype)
            source[...] = h5py.VirtualSource(str(secret), name, shape)
            file.create_virtual_dataset(name, source)
        if "link" not in kind:
            file[name].attrs.update(attrs)
    refused(path, f"Its dataset {name} lies in another file or place")


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (np.array([[b"a"] * 6] * 12), "are no numbers"),
        (np.ones((12, 6), bool), "are no numbers"),
        (np.ones((12, 6), complex), "are no numbers"),
        (np.ones((12, 6, 2)), r"have shape \(12, 6, 2\); one row a tile"),
        (np.ones((2, 12, 6)), r"have shape \(2, 12, 6\); one row a tile"),
        (np.float32(1), r"have shape \(\); one row a tile"),
    ],
)
def test_features_of_another_kind_or_shape_are_refused_with_it(tmp_path, features, sentence):
    path = layouts.hdf5(tmp_path / "s.h5", {"features": features, "coords": XY}, {"coords": TRIDENT_ATTRS})
    refused(path, sentence)


@pytest.mark.parametrize(
    ("coords", "sentence"),
    [
        (np.where(XY == 128, np.nan, XY), "hold NaN, infinite or absurd numbers"),
        (np.where(XY == 128, np.inf, XY), "hold NaN, infinite or absurd numbers"),
        (np.where(XY == 128, 2**62, XY), "hold NaN, infinite or absurd numbers"),
        (XY + 0.5, "are not whole level-0 px"),
        (XY - 2000, r"tiles of slide s lie left of or above"),
        (np.array([[b"a", b"b"]] * 12), r"coords, bytes8 of shape \(12, 2\), are no numbers"),
        (np.hstack([XY, XY]), "no x and y per tile"),
        (XY[:, 0], "no x and y per tile"),
    ],
)
@pytest.mark.parametrize("sized", [False, True])
def test_coordinates_that_are_none_are_refused(tmp_path, coords, sentence, sized):
    attrs = TRIDENT_ATTRS if sized else {"patch_size_level0": 512}
    path = layouts.hdf5(tmp_path / "s.h5", {"features": FEATURES, "coords": coords}, {"coords": attrs})
    refused(path, "lie outside it" if sized and "left" in sentence else sentence)


def test_a_group_in_the_place_of_an_array_is_refused(tmp_path):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        del file["features"]
        file["features/x"] = FEATURES
    refused(path, "Its dataset features is no array")


def test_attributes_that_are_not_read_do_no_harm(tmp_path):
    path = layouts.trident(tmp_path)
    with h5py.File(path, "a") as file:
        file["coords"].attrs["overlap"] = h5py.Empty("f")
        file["coords"].attrs["name"] = np.arange(1000)
        file["coords"].attrs["level0_width"] = "None"
        file["features"].attrs["encoder"] = np.bytes_(b"\xff\xfe")
    bag = read_bag(path)
    assert bag.slide_size is None
    assert "\ufffd" in bag.encoder


@pytest.mark.parametrize("size", [0, 1, 2**64 - 16, 2**63, 5000])
@pytest.mark.parametrize("index", [0, 1])
def test_a_heap_of_words_without_end_does_not_hang(tmp_path, size, index):
    path = layouts.trident(tmp_path)
    content = bytearray(path.read_bytes())
    begin = content.index(b"GCOL")
    struct.pack_into("<H6xQ", content, begin + 16, index, size)
    path.write_bytes(content)
    if (index, size) == (1, 1):  # shorter than it was, and followed by what is left of it
        content[begin + 16 + 24 : begin + 4096] = bytes(4096 - 40)
        path.write_bytes(content)
    refused(path, "a heap in it has no end")


# --- npz ----------------------------------------------------------------------------------------------------


def _npz(path, **headers):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (shape, dtype) in headers.items():
            with file.open(f"{name}.npy", "w") as stream:
                header = {"shape": shape, "descr": dtype, "fortran_order": False}
                np.lib.format.write_array_header_1_0(stream, header)
                stream.write(bytes(64))
    return path


@pytest.mark.parametrize("shape", [(10**9, 1024), (2**30, 2), (-12, 2)])
def test_an_npz_that_declares_more_than_it_holds_is_refused(tmp_path, shape):
    refused(_npz(tmp_path / "s.npz", features=(shape, "<f4")), "more than its")
    refused(_npz(tmp_path / "s.npz", features=((12, 6), "<f4"), coords=(shape, "<i8")), "more than its")


def test_a_header_of_an_npz_without_end_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("features.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**26) + bytes(2**26))
    assert (tmp_path / "s.npz").stat().st_size < 2**17
    tracemalloc.start()
    refused(tmp_path / "s.npz", "no feature file that can be read")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_an_array_of_an_npz_is_the_one_whose_size_was_looked_at(tmp_path):
    path = layouts.npz(tmp_path)
    with zipfile.ZipFile(path, "a") as file:  # numpy would take this one, as its name is the shorter
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.zeros((500, 6)))
        file.writestr("features", stream.getvalue())
    np.testing.assert_array_equal(read_bag(path).features(), FEATURES)


def test_an_npz_that_is_cut_off_is_refused(tmp_path):
    refused(_npz(tmp_path / "s.npz", features=((12, 600), "<f4")), "Its array features cannot be read")


def test_python_objects_in_an_npz_are_not_unpickled(tmp_path):
    marker = tmp_path / "ran"
    np.savez(tmp_path / "s.npz", features=np.array([[Mine(marker)]], dtype=object))
    refused(tmp_path / "s.npz", "no feature file that can be read")
    np.savez(tmp_path / "s.npz", features=FEATURES, coords=np.array([[Mine(marker)]], dtype=object))
    assert read_bag(tmp_path / "s.npz").tiles is None
    assert not marker.exists()


# --- torch --------------------------------------------------------------------------------------------------


def test_objects_in_a_pt_file_are_not_unpickled(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "s.pt"
    for save in (
        lambda: torch.save({"features": torch.ones(2, 2), "x": Mine(marker)}, path),
        lambda: torch.save(Mine(marker), path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(pickle.dumps(Mine(marker))),
        lambda: path.write_bytes(pickle.dumps(Mine(marker), protocol=2)),
    ):
        save()
        assert sniff(path)
        told = refused(path, "(which could run code when loaded, so it is not loaded|cannot be read as a file)")
        assert "weights_only" not in told
        assert not marker.exists()


def test_a_tensor_that_repeats_one_number_without_end_is_refused(tmp_path):
    torch.save(torch.ones(1).expand(10**6, 10**6), tmp_path / "s.pt")
    refused(tmp_path / "s.pt", "declares an array of 1000000 x 1000000 numbers")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
def test_a_pt_file_that_is_cut_off_is_refused(tmp_path, share):
    path = layouts.tensor(tmp_path / "s.pt", np.ones((500, 64), np.float32))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "(cannot be read|no feature file that can be read)")


# --- zarr ---------------------------------------------------------------------------------------------------


def test_a_codec_that_could_run_code_is_not_loaded(tmp_path):
    marker = tmp_path / "ran"
    path = layouts.wsidata(tmp_path, zarr_format=2)
    x = path / "tables" / "resnet50_tiles" / "X"
    told = json.loads((x / ".zarray").read_text())
    for where in ({"compressor": {"id": "pickle"}}, {"filters": [{"id": "pickle"}]}):
        (x / ".zarray").write_text(json.dumps(told | {"compressor": None, "filters": None} | where))
        for chunk in x.glob("[0-9]*"):
            chunk.write_bytes(pickle.dumps(Mine(marker)))
        refused(path, "is packed by 'pickle', which is not read")
    assert not marker.exists()


def test_an_array_larger_than_its_files_is_refused(tmp_path):
    path = layouts.wsidata(tmp_path)
    meta = path / "tables" / "resnet50_tiles" / "X" / "zarr.json"
    told = json.loads(meta.read_text())
    for change in (
        {"shape": [10**9, 1024]},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**5]}}},
    ):
        meta.write_text(json.dumps(told | change))
        refused(path, "more than its")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_zarr_folder_are_not_followed(tmp_path):
    path = layouts.wsidata(tmp_path)
    x = path / "tables" / "resnet50_tiles" / "X"
    chunk = next(file for file in x.rglob("*") if file.is_file() and file.name != "zarr.json")
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    refused(path, "holds a link, and links are not followed")
    (path / "tables" / "resnet50_tiles").rename(tmp_path / "table")
    (path / "tables" / "resnet50_tiles").symlink_to(tmp_path / "table")
    refused(path, "holds no table of features")


@pytest.mark.parametrize("key", ["../../secret", "..", "/etc", "a/b"])
def test_a_name_in_a_zarr_folder_does_not_lead_out_of_it(tmp_path, key):
    folder = tmp_path / "in"
    folder.mkdir()
    path = layouts.wsidata(folder, tables=(f"m_{key}".replace("/", "_"),))
    meta = path / "zarr.json"
    told = json.loads(meta.read_text())
    told["attributes"]["tile_spec"] = {key.replace("/", "_"): {}, key: {"width": 1, "base_downsample": 1}}
    meta.write_text(json.dumps(told))
    assert read_bag(path).tiles is None


def test_json_without_end_is_refused(tmp_path):
    path = layouts.wsidata(tmp_path)
    bomb = '{"zarr_format": 3, "node_type": "array", "attributes": ' + "[" * 10**5
    (path / "tables" / "resnet50_tiles" / "X" / "zarr.json").write_text(bomb)
    refused(path, r"Its zarr\.json in X is damaged")
    (path / "zarr.json").write_text(bomb)
    refused(path, "no feature file that can be read")


# --- any file -----------------------------------------------------------------------------------------------

MEMORY = """
import resource, sys, pathlib
from napari_asmil.bags import read_bag
from napari_asmil.errors import InputError
import torch, zarr
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        read_bag(pathlib.Path(name)).features()
    except InputError:
        pass
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def _bombs(folder):
    huge = folder / "huge.h5"
    with h5py.File(huge, "w") as file:
        file.create_dataset("features", (10**9, 1024), "f4", chunks=(64, 1024), fillvalue=1, compression="gzip")
    packed = folder / "packed.h5"
    with h5py.File(packed, "w") as file:
        file.create_dataset("features", (2**15, 2**10), "f4", chunks=(2**10, 2**10), compression="gzip")
        file["features"][...] = 0
    torch.save(torch.ones(1).expand(10**6, 10**6), folder / "endless.pt")
    return [huge, packed, _npz(folder / "huge.npz", features=((10**9, 1024), "<f4")), folder / "endless.pt"]


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux tells it")
def test_small_files_take_little_memory(tmp_path):
    files = _bombs(tmp_path)
    assert max(path.stat().st_size for path in files) < 2**20
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, files)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST_BYTES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file or folder of every layout, and the bytes of all files."""
    made = {}
    for name, write in LAYOUTS.items():
        folder = tmp_path_factory.mktemp("layout")
        path = write(folder)
        made[name] = (path, {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()})
    return made


SHARE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(st.tuples(SHARE, st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(LAYOUTS)), SHARE, EDITS, st.none() | SHARE)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(whole, name, which, edits, cut):
    path, files = whole[name]
    file = sorted(files)[int(which * len(files))]
    content = bytearray(files[file])
    for share, put, length in edits:
        at = int(share * len(content))
        content[at : at + length] = put
    if cut is not None:
        del content[int(cut * len(content)) :]
    file.write_bytes(content)
    try:
        bag = read_bag(path, **NEEDS.get(name, {}))
        assert bag.features().shape == (bag.n_tiles, bag.n_features)
        bag.describe()
    except InputError as error:
        assert str(error).startswith(str(path.parent)) or str(error).startswith(os.fspath(file.parent))
    finally:
        file.write_bytes(files[file])
