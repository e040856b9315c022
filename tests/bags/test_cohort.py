"""A cohort: the label table, splits, and what is refused before anything is trained."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil import read_cohort
from napari_asmil.bags import Cohort, write_bag
from napari_asmil.errors import InputError


@pytest.fixture
def table(tmp_path):
    def write(text, name="labels.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def cohort_of(*bags, **given):
    labels = {bag.slide_id: index % 2 for index, bag in enumerate(bags)}
    return Cohort(**{"bags": bags, "labels": labels, "class_names": ("normal", "tumour"), **given})


ROWS = "case_id,slide_id,label\np0,s3,b\np1,s1,a\np0,s0,a\np2,s2,b\n"


def test_columns_are_picked_by_name_and_bags_are_in_order_of_their_ids(folder, table):
    cohort = read_cohort(folder, table(ROWS))
    assert [bag.slide_id for bag in cohort.bags] == ["s0", "s1", "s2", "s3"]
    assert cohort.labels == {"s0": 0, "s1": 0, "s2": 1, "s3": 1}
    assert cohort.class_names == ("a", "b")
    assert cohort.patients == {"s0": "p0", "s1": "p1", "s2": "p2", "s3": "p0"}
    assert cohort.splits == {}
    cohort.check()


@pytest.mark.parametrize(
    "text",
    [
        "slide;label\ns0;0\ns1;1\ns2;0\ns3;1\n",
        "slide_id\tlabel\ns0\t0\ns1\t1\ns2\t0\ns3\t1\n",
        "\ufeffimage,label\ns0.svs,0\ns1.tif,1\ns2.ndpi,0\ns3,1\n",
        ",slide_id,label\n0,s0,0\n1,s1,1\n2,s2,0\n3,s3,1\n",
        "slide_id,label\ns0,0\ns0,0\ns1,1\ns2,0\ns3,1\n",
    ],
)
def test_tables_as_others_write_them_read_alike(folder, table, text):
    assert read_cohort(folder, table(text)).labels == {"s0": 0, "s1": 1, "s2": 0, "s3": 1}


def test_numbers_as_labels_are_in_the_order_of_numbers(folder, table):
    cohort = read_cohort(folder, table("slide_id,grade\ns0,10\ns1,9\ns2,10\ns3,-1\n"), label="grade")
    assert cohort.class_names == ("-1", "9", "10")
    assert cohort.labels["s0"] == 2


def test_splits_come_from_the_table_a_file_or_a_mapping(folder, table):
    own = table("slide_id,label,split\ns0,a,train\ns1,b,train\ns2,a,val\ns3,b,test\n")
    other = table("slide_id,split\ns0,train\ns1,train\ns2,test\ns3,test\n", "splits.csv")
    names = lambda cohort, split: [bag.slide_id for bag in cohort.select(split)]  # noqa: E731
    cohort = read_cohort(folder, own)
    assert [names(cohort, split) for split in ("train", "val", "test")] == [["s0", "s1"], ["s2"], ["s3"]]
    assert names(read_cohort(folder, own, splits=other), "test") == ["s2", "s3"]
    everything = dict.fromkeys(("s0", "s1", "s2", "s3"), "train")
    assert len(read_cohort(folder, own, splits=everything).select("train")) == 4
    assert len(cohort.with_splits(everything).select("train")) == 4
    assert len(cohort.select("train")) == 2


def test_without_splits_every_bag_is_for_training(folder, table):
    cohort = read_cohort(folder, table(ROWS))
    assert len(cohort.select("train")) == 4
    assert cohort.select("test") == ()


def test_without_labels_the_bags_are_there_but_cannot_be_trained_on(folder):
    cohort = read_cohort(folder)
    assert (len(cohort.bags), cohort.labels) == (4, {})
    with pytest.raises(InputError, match="no label for slide s0, s1, s2, s3"):
        cohort.check()


def test_the_table_may_say_where_slides_and_contours_are(folder, table, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 192, 3), np.uint8), photometric="rgb")
    (tmp_path / "a.geojson").write_text("[]")
    text = "slide_id,label,slide_path,contours_path\ns0,a,a.tif,a.geojson\ns1,b,gone.tif,\ns2,a,,\ns3,b,,\n"
    bags = read_cohort(folder, table(text)).bags
    assert (bags[0].slide_path, bags[0].contours_path) == (tmp_path / "a.tif", tmp_path / "a.geojson")
    assert any("gone.tif" in line and "not there" in line for line in bags[1].describe())


# --- refusals -----------------------------------------------------------------------------------------------


def test_labels_without_bags_are_listed_five_at_most(folder, table):
    extra = "".join(f"x{index},a\n" for index in range(7))
    with pytest.raises(InputError, match=r"labels\.csv.*no bag for slide x0, x1, x2, x3, x4 and 2 more"):
        read_cohort(folder, table("slide_id,label\ns0,a\ns1,b\ns2,a\ns3,b\n" + extra))


def test_bags_without_labels_are_listed(folder, table):
    with pytest.raises(InputError, match=r"labels\.csv.*no row for slide s1, s3.*Add"):
        read_cohort(folder, table("slide_id,label\ns0,a\ns2,b\n"))
    with pytest.raises(InputError, match="no value in column 'label' for slide s1"):
        read_cohort(folder, table("slide_id,label\ns0,a\ns1,\ns2,b\ns3,b\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,label\ns0,a\n", "no column of slide ids; its columns are name, label"),
        ("slide_id,class\ns0,a\ns1,b\ns2,a\ns3,b\n", "no column 'label'; its columns are slide_id, class"),
        ("slide_id,label\n", "no rows"),
        ("", "no rows"),
        ("slide_id,label\ns0,a\ns0,b\ns1,a\ns2,a\ns3,a\n", "s0 has two rows that differ"),
        ("slide_id,label,split\ns0,a,train\ns1,b,holdout\ns2,a,\ns3,b,val\n", r"s1 \(holdout\), s2 \(empty\)"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_it_lacks(folder, table, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_cohort(folder, table(text))


def test_missing_folders_and_tables_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_cohort(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no feature file in it"):
        read_cohort(tmp_path / "empty")
    with pytest.raises(InputError, match=r"gone\.csv: There is no such table"):
        read_cohort(folder, tmp_path / "gone.csv")
    with pytest.raises(InputError, match="There is no such table"):
        read_cohort(folder, tmp_path)


def test_one_class_cannot_be_trained_on(make_bag):
    bags = [make_bag(f"s{index}") for index in range(4)]
    with pytest.raises(InputError, match=r"one class only \(normal\)"):
        cohort_of(*bags, labels=dict.fromkeys(("s0", "s1", "s2", "s3"), 0)).check()
    split = {"s0": "train", "s1": "test", "s2": "train", "s3": "test"}
    with pytest.raises(InputError, match="one class only"):
        cohort_of(*bags, splits=split).check()


def test_bags_of_another_encoder_or_length_are_named(make_bag):
    usual = [make_bag(f"s{index}") for index in range(3)]
    with pytest.raises(InputError, match="same number of features a tile: 4 in most, 9 in slide odd"):
        cohort_of(*usual, make_bag("odd", dim=9)).check()
    with pytest.raises(InputError, match="same encoder: colour in most, uni in slide odd"):
        cohort_of(*usual, make_bag("odd", encoder="uni")).check()
    cohort_of(*usual, make_bag("odd", encoder="")).check()


def test_tiles_of_another_scale_are_mentioned_but_not_refused(make_bag):
    cohort = cohort_of(make_bag("s0"), make_bag("s1", mpp=0.25))
    cohort.check()
    assert any("0.25 to 0.5 µm per px" in line for line in cohort.describe())
    assert not any("scale" in line for line in cohort_of(make_bag("s0"), make_bag("s1", mpp=0.51)).warnings())


def test_a_patient_in_two_splits_is_refused_by_name(make_bag):
    bags = [make_bag(f"s{index}") for index in range(4)]
    split = {"s0": "train", "s1": "train", "s2": "test", "s3": "test"}
    together = {"s0": "p0", "s1": "p1", "s2": "p2", "s3": "p2"}
    cohort_of(*bags, splits=split, patients=together).check()
    with pytest.raises(InputError, match="more than one split of patient p1"):
        cohort_of(*bags, splits=split, patients={**together, "s3": "p1"}).check()


def test_a_bag_twice_or_without_a_split_is_refused(make_bag):
    with pytest.raises(InputError, match="more than one bag of slide s0"):
        cohort_of(make_bag("s0"), make_bag("s0"), make_bag("s1")).check()
    with pytest.raises(InputError, match="no split for slide s1"):
        cohort_of(make_bag("s0"), make_bag("s1"), splits={"s0": "train"}).check()
    with pytest.raises(InputError, match="no bags"):
        cohort_of().check()


def test_checking_reads_no_features_which_refuse_themselves_when_read(folder, table):
    with h5py.File(folder / "s2.h5", "a") as file:
        file["features"][1, 1] = np.nan
    cohort = read_cohort(folder, table(ROWS))
    cohort.check()
    with pytest.raises(InputError, match=r"s2\.h5.*slide s2 hold 1 NaN"):
        cohort.bags[2].content_hash()


def test_half_written_files_of_a_running_extraction_are_no_bags(folder, table, make_bag):
    write_bag(folder / ".s9.h5", make_bag("s9"))
    (folder / ".s8.h5.partial-123").write_bytes(b"half")
    assert len(read_cohort(folder, table(ROWS)).bags) == 4


# --- where tiles are from -----------------------------------------------------------------------------------


def test_edges_of_all_bags_are_told_in_one_line_with_how_they_were_found(make_bag):
    derived = [replace(make_bag(f"s{i}"), derivation=[f"tile edge: 64 level-0 px, from patches/s{i}.h5"]) for i in "12"]
    assert Cohort(tuple(derived)).geometry() == ["tile edge: 64 level-0 px, from patches/SLIDE.h5 (in all 2)"]
    others = [*derived, make_bag("a"), make_bag("b", tiles=2)]
    assert Cohort(tuple(others)).geometry() == [
        "tile edge: 64 level-0 px, from patches/SLIDE.h5 (in 2 bags: s1, s2); 64 level-0 px (in 2 bags: a, b)"
    ]


def test_bags_without_places_are_named_with_the_reason_of_the_first(make_bag):
    why = "tiles are not placed: nobody says their edge"
    bags = [make_bag("a"), *(replace(make_bag(f"s{i}"), tiles=None, derivation=[why]) for i in range(3))]
    assert Cohort(tuple(bags)).geometry() == [
        "tile edge: 64 level-0 px (in 1 bag: a)",
        "3 bags have no places (s0, s1, s2): nobody says their edge.",
    ]
