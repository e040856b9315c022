"""Sound files of unsound content: any JSON, any cells of a table, any arrays under the names that readers know."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.fuzz.hammer import everything


def words(*lines: str) -> st.SearchStrategy[str]:
    """One of the words of these lines."""
    return st.sampled_from(" ".join(lines).split())


FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = words(
    "type features geometry coordinates properties classification name names geometries",
    "positive negative vertices train_names val_names test_names objectType childObjects",
)
WORDS = st.sampled_from(("Feature", "FeatureCollection", "Polygon", "MultiPolygon", "Point", "LineString", "Tumor", ""))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.integers(0, 300))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=30,
)
COLUMNS = words(
    "slide_id label split patient case_id x y attention prob_1 0 1 2 train val test tile_size PATIENT FILENAME",
    "image cls feature_0 feature_1 stage",
) | st.just("")
CELLS = st.one_of(
    st.sampled_from(("", "s0", "s1.svs", "train", "True", "tumor", "nan", "inf", "1e400", "=1+1")),
    st.integers(-9, 999).map(str),
    st.text(max_size=4),
)
HELD = st.sampled_from(
    ("features", "coords", "feats", "attention_scores", "scores", "arr_0", "bag_id", "bag_label", "tile_labels", "xy")
)
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
KINDS = st.sampled_from((np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_, np.complex64, "S3"))
ARRAYS = st.dictionaries(
    HELD, KINDS.flatmap(lambda kind: SHAPES.flatmap(lambda shape: arrays.arrays(kind, shape))), max_size=4
)
SAID = st.dictionaries(
    words(
        "patch_size patch_size_level0 patch_level downsample level0_width level0_height unit mpp",
        "tile_size_um tile_size level0_magnification target_magnification encoder feat_type",
    ),
    st.one_of(st.integers(-5, 10**12), st.floats(), st.sampled_from(("None", "um", "px", "tile", ""))),
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("structures")


@FEW
@given(JSON)
def test_any_json_is_read_or_refused(folder: Path, content: Any) -> None:
    path = folder / "any.json"
    path.write_text(json.dumps(content))
    everything(path)


@FEW
@given(st.lists(COLUMNS, min_size=1, max_size=6), st.lists(st.lists(CELLS, max_size=7), max_size=5))
def test_any_table_is_read_or_refused(folder: Path, header: list[str], rows: list[list[str]]) -> None:
    path = folder / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    everything(path)


@FEW
@given(ARRAYS)
def test_any_arrays_in_an_npz_are_read_or_refused(folder: Path, held: dict[str, np.ndarray]) -> None:
    path = folder / "any.npz"
    np.savez(path, **held)
    everything(path)


@FEW
@given(ARRAYS, SAID, SAID)
def test_any_arrays_and_attributes_in_hdf5_are_read_or_refused(
    folder: Path, held: dict[str, np.ndarray], of_file: dict[str, Any], of_coords: dict[str, Any]
) -> None:
    path = folder / "any.h5"
    with h5py.File(path, "w") as file:
        for name, array in held.items():
            file[name] = array
        file.attrs.update(of_file)
        if "coords" in file:
            file["coords"].attrs.update(of_coords)
    everything(path)
