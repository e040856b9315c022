"""Label and split tables as other projects wrote them: every file is opened, or refused with the right sentence."""

import csv
import json
from collections import Counter

import numpy as np
import pytest

from napari_asmil import read_cohort
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.bags.splits import read_splits
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.info import describe


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def bags_of(tmp_path):
    """A folder of bags of one tile, of the slides of the given names."""

    def make(names):
        for name in names:
            bag = in_memory_bag(name, np.ones((1, 2)), TileGrid([[0, 0]], 8), encoder="colour")
            write_bag(tmp_path / f"{name}.h5", bag)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("table", "column", "slide", "classes", "patients"),
    [
        ("splits/camelyon16.csv", "label", "slide_id", ("0", "1"), True),
        ("splits/camelyon17.csv", "label", "slide_id", ("0", "1"), True),
        ("splits/bracs.csv", "label", "slide_id", tuple("0123456"), True),
        ("splits/clam_tumor_vs_normal_dummy_clean.csv", "label", "slide_id", ("normal_tissue", "tumor_tissue"), True),
        (
            "splits/clam_tumor_subtyping_dummy_clean.csv",
            "label",
            "slide_id",
            ("subtype_1", "subtype_2", "subtype_3"),
            True,
        ),
        ("splits/xmil_camelyon16_tumor_85_15_orig_0.csv", "type", "case_id", ("normal", "tumor"), False),
        ("crchistophenotypes/labels.csv", "bag_label", "image", ("0", "1"), False),
        ("glas/labels.csv", "malignant", "image", ("0", "1"), True),
        ("ucsb_breast/labels.csv", "malignant", "image", ("0", "1"), False),
    ],
)
def test_a_table_of_another_project_labels_its_bags(real_data, bags_of, table, column, slide, classes, patients):
    rows = {row[slide]: row for row in rows_of(real_data / table)}
    cohort = read_cohort(bags_of(rows), real_data / table, label=column)
    assert cohort.class_names == classes
    assert {name: cohort.class_names[index] for name, index in cohort.labels.items()} == {
        name: row[column] for name, row in rows.items()
    }
    assert (cohort.patients is not None) == patients
    cohort.check()


def test_camelyon16_has_159_normal_111_tumour_and_129_test_slides_of_362_patients(real_data, bags_of):
    table = real_data / "splits" / "camelyon16.csv"
    cohort = read_cohort(bags_of(row["slide_id"] for row in rows_of(table)), table)
    assert Counter(name.split("_")[0] for name in cohort.labels) == {"normal": 159, "tumor": 111, "test": 129}
    assert sum(cohort.labels[name] for name in cohort.labels if name.startswith("test")) == 49
    slides_of = Counter(Counter(cohort.patients.values()).values())
    assert slides_of == {1: 325, 2: 37}


def test_bracs_brings_its_splits_and_not_anothers_disk(real_data, bags_of):
    table = real_data / "splits" / "bracs.csv"
    rows = rows_of(table)
    cohort = read_cohort(bags_of(row["slide_id"] for row in rows), table)
    assert cohort.splits == {row["slide_id"]: row["split_info"] for row in rows}
    assert Counter(cohort.splits.values()) == {"train": 395, "val": 65, "test": 87}
    assert any("column full_path: 547 files not there and not used" in line for line in cohort.describe())
    assert all(bag.slide_path is None for bag in cohort.bags)


def test_xmil_cases_are_slides_and_subsets_are_splits(real_data, bags_of):
    table = real_data / "splits" / "xmil_camelyon16_tumor_85_15_orig_0.csv"
    rows = rows_of(table)
    cohort = read_cohort(bags_of(row["case_id"] for row in rows), table)
    assert len(cohort.bags) == 399 and cohort.patients is None
    assert cohort.splits == {row["case_id"]: row["subset"] for row in rows}
    assert Counter(cohort.labels.values()) == {0: 239, 1: 160}


@pytest.mark.parametrize("fold", range(1, 6))
def test_acmil_splits_398_of_camelyon16s_slides(real_data, fold):
    path = real_data / "splits" / "acmil_camelyon16" / f"split_{fold}.json"
    given = read_splits(path)
    assert Counter(given.of.values()) == {"train": 242, "val": 27, "test": 129}
    raw = json.loads(path.read_text())
    assert {name for name, split in given.of.items() if split == "val"} == set(raw["val_names"])
    known = {row["slide_id"] for row in rows_of(real_data / "splits" / "camelyon16.csv")}
    assert len(known - given.of.keys()) == 1 and given.of.keys() < known


def test_acmil_splits_divide_a_cohort_but_for_the_slide_they_leave_out(real_data, bags_of):
    table, split = (real_data / "splits" / name for name in ("camelyon16.csv", "acmil_camelyon16/split_1.json"))
    folder = bags_of(row["slide_id"] for row in rows_of(table))
    left_out = {row["slide_id"] for row in rows_of(table)} - read_splits(split).of.keys()
    with pytest.raises(InputError, match=rf"no split for slide {left_out.pop()}\. .*--subset"):
        read_cohort(folder, table, splits=split)
    cohort = read_cohort(folder, table, splits=split, subset=True)
    assert [len(cohort.select(name)) for name in ("train", "val", "test")] == [242, 27, 129]
    with pytest.raises(InputError, match="more than one split of patient"):  # its folds are not made by patient
        cohort.check()


def test_clams_two_kinds_of_splits_agree_slide_by_slide_and_with_the_counts_beside_them(real_data):
    splits = real_data / "splits"
    ragged, boolean = (read_splits(splits / f"clam_task1_splits_0{name}.csv").of for name in ("", "_bool"))
    assert ragged == boolean and len(ragged) == 399
    label = {row["slide_id"]: row["label"] for row in rows_of(splits / "clam_tumor_vs_normal_dummy_clean.csv")}
    counted = Counter((label[slide], split) for slide, split in ragged.items())
    for row in rows_of(splits / "clam_task1_splits_0_descriptor.csv"):
        for split in ("train", "val", "test"):
            assert counted[row[""], split] == int(row[split])


def test_clams_splits_divide_clams_labels_by_patient(real_data, bags_of):
    splits = real_data / "splits"
    table = splits / "clam_tumor_vs_normal_dummy_clean.csv"
    folder = bags_of(row["slide_id"] for row in rows_of(table))
    cohort = read_cohort(folder, table, splits=splits / "clam_task1_splits_0_bool.csv", subset=True)
    cohort.check()
    assert cohort.classes() == (
        "2 classes; train normal_tissue (211), tumor_tissue (89); val normal_tissue (36), tumor_tissue (15);"
        " test normal_tissue (33), tumor_tissue (15)"
    )


def test_clams_counts_are_refused_for_what_they_are(real_data):
    path = real_data / "splits" / "clam_task1_splits_0_descriptor.csv"
    for read in (read_splits, describe):
        with pytest.raises(InputError, match=r"counts the slides of each class \(normal_tissue, tumor_tissue\)"):
            read(path)


def test_info_describes_every_table_of_splits_and_labels(real_data):
    opened = 0
    for path in sorted((real_data / "splits").rglob("*.*")):
        if "descriptor" not in path.name:
            assert describe(path)[0].startswith(("table of", "splits of")), path
            opened += 1
    assert opened == 13


@pytest.mark.parametrize(
    ("name", "counts", "tiles"),
    [("musk1", [45, 47], (2, 40)), ("tiger", [100, 100], (1, 13)), ("fox", [100, 100], (2, 13))],
)
def test_a_classical_benchmark_is_a_cohort_with_its_labels(real_data, name, counts, tiles):
    cohort = read_cohort(real_data / "mil_benchmarks" / f"{name}.npz")
    assert [Counter(cohort.labels.values())[index] for index in (0, 1)] == counts
    sizes = [bag.n_tiles for bag in cohort.bags]
    assert (min(sizes), max(sizes)) == tiles
    cohort.check()
