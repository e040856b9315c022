"""What a label table says of its classes is said aloud, and what is no class is not guessed to be one."""

import numpy as np
import pytest

from napari_asmil import read_cohort
from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return path

    return write


def in_memory(labels, splits=None, sizes=None):
    """A cohort of bags named a, b, c ... of the given classes."""
    ids = [chr(ord("a") + index) for index in range(len(labels))]
    names = tuple(sorted(set(labels)))
    bags = tuple(
        in_memory_bag(i, np.ones((2, 3)), TileGrid([[0, 0], [512, 0]], size))
        for i, size in zip(ids, sizes or [32] * len(ids), strict=True)
    )
    given = {i: names.index(label) for i, label in zip(ids, labels, strict=True)}
    return Cohort(bags, given, names, dict(zip(ids, splits, strict=True)) if splits else {})


@pytest.mark.parametrize("value", ["NA", "nan", "None", "?", "n/a", "NULL"])
def test_a_label_that_means_unknown_is_no_class(folder, table, value):
    with pytest.raises(
        InputError, match=rf"labels\.csv.*means unknown in column 'label' for slide s2 \({value}\)".replace("?", r"\?")
    ):
        read_cohort(folder, table(f"slide_id,label\ns0,0\ns1,1\ns2,{value}\ns3,1\n"))


def test_a_column_of_measurements_is_no_column_of_classes(folder, table):
    path = table("slide_id,label\ns0,20\ns1,35\ns2,146\ns3,133\n")
    with pytest.raises(InputError, match=r"labels\.csv.*4 slides are of 4 classes \(20, 35, 133, 146\).*--label"):
        read_cohort(folder, path).check()


def test_one_class_only_names_the_table(folder, table):
    with pytest.raises(InputError, match=r"labels\.csv.*one class only \(a\)"):
        read_cohort(folder, table("slide_id,label\ns0,a\ns1,a\ns2,a\ns3,a\n")).check()


def test_classes_are_told_with_their_counts_in_each_split():
    cohort = in_memory("nntntt", ["train"] * 3 + ["test"] * 3)
    assert cohort.classes() == "2 classes; train n (2), t (1); val none; test n (1), t (2)"


def test_without_a_split_it_is_said_that_nothing_tests_the_result():
    assert "all are trained on and none tests the result: n (2), t (1)" in in_memory("nnt").classes()


def test_a_class_of_one_slide_is_told():
    assert any("one slide only is of class t" in line for line in in_memory("nnt").warnings())


def test_tiles_of_different_size_are_told_where_the_pixel_size_is_not_known():
    warned = in_memory("nntt", sizes=[32, 32, 64, 32]).warnings()
    assert warned == ["tiles differ in size between slides: 32 to 64 level-0 px (pixel size unknown)"]


def test_tiles_that_lie_on_one_another_are_told():
    bag = in_memory_bag("twice", np.ones((3, 2)), TileGrid([[0, 0], [0, 0], [9, 9]], 9))
    assert Cohort((bag,)).warnings() == ["tiles lie exactly on another one in slide twice (1)"]
    assert "1 tile lies exactly on another one" in bag.describe()


def test_a_part_of_the_bags_is_taken_only_when_asked_for(folder, table):
    path = table("slide_id,label\ns0,a\ns2,b\n")
    with pytest.raises(InputError, match=r"no row for slide s1, s3.*--subset"):
        read_cohort(folder, path)
    assert [bag.slide_id for bag in read_cohort(folder, path, subset=True).bags] == ["s0", "s2"]


def test_a_row_without_a_bag_is_refused_even_of_a_part(folder, table):
    with pytest.raises(InputError, match="no bag for slide s9"):
        read_cohort(folder, table("slide_id,label\ns0,a\ns9,b\n"), subset=True)


def test_a_bag_shows_itself_as_a_line():
    assert repr(in_memory_bag("s", np.ones((1, 3)))) == "Bag(s, 1 tile x 3 features)"
