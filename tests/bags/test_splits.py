"""Tables of splits of CLAM, ACMIL, torchmil, BRACS and xMIL say the same, or are refused for what they are."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_asmil import read_cohort
from napari_asmil.bags.label_table import read_labels
from napari_asmil.bags.splits import read_splits
from napari_asmil.bags.table_facts import describe_table
from napari_asmil.errors import InputError

SAME = {"s0": "train", "s1": "train", "s2": "val", "s3": "test"}
RAGGED = ",train,val,test\n0,s0,s2,s3\n1,s1,,\n"
BOOLEAN = ",train,val,test\ns0,True,False,False\ns1,True,False,False\ns2,False,True,False\ns3,False,False,True\n"
DESCRIPTOR = ",train,val,test\nnormal,1,1,0\ntumor,1,0,1\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="splits.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        RAGGED,
        "train,val,test\ns0,s2,s3\ns1,,\n",
        BOOLEAN,
        BOOLEAN.replace("True", "TRUE").replace("False", "FALSE"),
        json.dumps({"train_names": ["s0", "s1"], "val_names": ["s2"], "test_names": ["s3"]}),
        "bag_name,split\ns0,train\ns1,train\ns2,val\ns3,test\n",
        ",case_id,slide_id,split_info,label\n0,p,s0,train,1\n1,p,s1,train,0\n2,q,s2,val,0\n3,r,s3,test,1\n",
        "case_id,type,label,subset\ns0,n,0,train\ns1,n,0,train\ns2,n,0,val\ns3,n,0,test\n",
        "slide_id;Split\ns0;Training\ns1;TRAIN\ns2;valid\ns3;Testing\n",
    ],
)
def test_every_dialect_says_the_same(written, text):
    assert read_splits(written(text)).of == SAME


@pytest.mark.parametrize("text", [RAGGED, BOOLEAN])
def test_a_table_of_splits_divides_the_bags_of_a_label_table(folder, written, text):
    labels = written("slide_id,label\ns0,a\ns1,b\ns2,a\ns3,b\n", "labels.csv")
    cohort = read_cohort(folder, labels, splits=written(text))
    assert cohort.splits == SAME
    assert any("splits.csv" in line and "CLAM" in line for line in cohort.describe())


def test_slides_in_no_split_are_refused_or_left_out_when_asked_for(folder, written):
    labels = written("slide_id,label\ns0,a\ns1,b\ns2,a\ns3,b\n", "labels.csv")
    path = written(json.dumps({"train_names": ["s0", "s1"], "val_names": [], "test_names": ["s3"]}), "split_1.json")
    with pytest.raises(InputError, match=r"split_1\.json: There is no split for slide s2\. .*--subset"):
        read_cohort(folder, labels, splits=path)
    cohort = read_cohort(folder, labels, splits=path, subset=True)
    assert cohort.splits == {"s0": "train", "s1": "train", "s3": "test"}
    cohort.check()


def test_names_with_folders_and_endings_find_their_bags(folder, written):
    text = "slide_id,split\na/b/s0.svs,train\nC:\\x\\s1.tif,train\ns2.h5,val\ns3,test\n"
    assert read_cohort(folder, splits=written(text)).splits == SAME


def test_counts_of_classes_are_refused_for_what_they_are(written):
    with pytest.raises(InputError, match=r"counts the slides of each class \(normal, tumor\).*splits_k\.csv"):
        read_splits(written(DESCRIPTOR))
    with pytest.raises(InputError, match="counts the slides"):
        describe_table(written(DESCRIPTOR))


def test_slides_that_are_numbers_are_not_taken_for_counts(written):
    assert read_splits(written(",train,val,test\n0,17,4,9\n1,18,,\n")).of == {
        "17": "train",
        "18": "train",
        "4": "val",
        "9": "test",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (RAGGED + "2,s3,,\n", "Slide s3 is in train and in test"),
        (BOOLEAN.replace("s2,False", "s2,True"), "Slide s2 is in train and in val"),
        ("slide_id,split\ns0,train\ns1,holdout\ns2,\n", r"s1 \(holdout\), s2 \(empty\)\. Correct the column split"),
        ("slide_id,label\ns0,a\n", "no table of splits; its columns are 'slide_id', 'label'"),
        ('{"train_names": 3, "val_names": ["s"]}', "train_names is no list of slide ids"),
        ('{"a": 1}', "no lists train_names, val_names and test_names; its entries are 'a'"),
        ('{"train_names": ["s0"', "no whole JSON file"),
        ('{"a":' * 50_000, "too deeply|no whole JSON"),
    ],
)
def test_what_is_no_table_of_splits_is_refused_with_its_fault(written, text, sentence):
    with pytest.raises(InputError, match=rf"splits\.csv.*({sentence})"):
        read_splits(written(text))


def test_splits_given_as_labels_are_told_apart(folder, written):
    with pytest.raises(InputError, match=r"no labels: it is a table of splits .*--splits"):
        read_cohort(folder, written(RAGGED))


def test_a_table_of_splits_is_described_with_its_counts(written):
    assert describe_table(written(RAGGED))[-1] == "train (2), val (1), test (1)"
    text = json.dumps({"train_names": ["s0"], "val_names": [], "test_names": ["s3"]})
    assert describe_table(written(text, "split_1.json")) == [
        "splits of 2 slides: names in JSON (as ACMIL writes them)",
        "train (1), val (0), test (1)",
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from(
        [RAGGED, BOOLEAN, DESCRIPTOR, '{"train_names": ["s0"], "val_names": ["s1"]}', "slide_id,label\na,b\n"]
    ),
    edits=st.lists(
        st.tuples(st.integers(0, 100), st.sampled_from(['"', ",", "\n", "\r", "\0", "{", "[", ";", "", "é"]))
    ),
)
def test_a_damaged_table_is_read_or_refused_with_a_sentence(tmp_path, text, edits):
    for at, sign in edits:
        text = text[:at] + sign + text[at + 1 :]
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    for read in (read_splits, read_labels, describe_table):
        with contextlib.suppress(InputError):
            read(path)
