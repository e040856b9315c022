"""Label tables as other projects wrote them, beside bags made for them."""

import csv

import numpy as np
import pytest

from napari_asmil import read_cohort
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.geometry import TileGrid


@pytest.mark.parametrize(
    ("table", "column", "slide", "classes", "patients"),
    [
        ("splits/camelyon16.csv", "label", "slide_id", ("0", "1"), True),
        ("splits/bracs.csv", "label", "slide_id", tuple("0123456"), True),
        ("splits/clam_tumor_vs_normal_dummy_clean.csv", "label", "slide_id", ("normal_tissue", "tumor_tissue"), True),
        ("crchistophenotypes/labels.csv", "bag_label", "image", ("0", "1"), False),
        ("glas/labels.csv", "malignant", "image", ("0", "1"), True),
    ],
)
def test_a_table_of_another_project_labels_its_bags(real_data, tmp_path, table, column, slide, classes, patients):
    with (real_data / table).open(newline="") as file:
        rows = {row[slide]: row for row in csv.DictReader(file)}
    for name in rows:
        bag = in_memory_bag(name, np.ones((1, 2)), TileGrid([[0, 0]], 8), encoder="colour")
        write_bag(tmp_path / f"{name}.h5", bag)
    cohort = read_cohort(tmp_path, real_data / table, label=column)
    assert cohort.class_names == classes
    assert {name: cohort.class_names[index] for name, index in cohort.labels.items()} == {
        name: row[column] for name, row in rows.items()
    }
    assert (cohort.patients is not None) == patients
    cohort.check()
