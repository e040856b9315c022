"""What a label table says of its classes is said aloud, and what is no class is not guessed to be one."""

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil import read_cohort
from napari_asmil.bags import Cohort, in_memory_bag, write_bag
from napari_asmil.bags.slide_files import beside
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


def test_a_table_of_more_slides_than_there_are_features_is_refused_or_left_out_when_asked_for(folder, table):
    path = table("slide_id,label\ns0,a\ns1,b\ns8,?\ns9,b\n")
    with pytest.raises(InputError, match=r"no bag for slide s8, s9\. Extract .*--subset"):
        read_cohort(folder, path)
    cohort = read_cohort(folder, path, subset=True)
    assert [bag.slide_id for bag in cohort.bags] == ["s0", "s1"] and cohort.class_names == ("a", "b")
    assert "left out, as they have no features: 2 slides of labels.csv (s8, s9)" in cohort.notes
    assert "left out, as they have no row in labels.csv: 2 bags (s2, s3)" in cohort.notes


def test_splits_of_more_slides_than_there_are_features_are_left_out_when_asked_for(folder, table, tmp_path):
    labels, splits = table("slide_id,label\ns0,a\ns1,b\ns2,a\ns3,b\n"), tmp_path / "splits_0.csv"
    splits.write_text(",train,val,test\n0,s0,x1,x3\n1,s1,x2,\n2,x0,,\n")
    with pytest.raises(InputError, match=r"splits_0\.csv: There is no bag for slide x0, x1, x2, x3\..*--subset"):
        read_cohort(folder, labels, splits=splits)
    cohort = read_cohort(folder, labels, splits=splits, subset=True)
    assert cohort.splits == {"s0": "train", "s1": "train"} and [bag.slide_id for bag in cohort.bags] == ["s0", "s1"]
    assert "left out, as they have no features: 4 slides of splits_0.csv (x0, x1, x2, x3)" in cohort.notes
    assert "left out, as they have no split in splits_0.csv: 2 bags (s2, s3)" in cohort.notes


def test_a_part_of_nothing_is_refused(folder, table, tmp_path):
    with pytest.raises(InputError, match=r"labels\.csv: None of its slides \(o1, o2\) is the name of a bag \(s0, s1, "):
        read_cohort(folder, table("slide_id,label\no1,a\no2,b\n"), subset=True)
    splits = tmp_path / "splits_0.csv"
    splits.write_text("slide_id,split\no1,train\n")
    with pytest.raises(InputError, match=r"splits_0\.csv: None of its slides \(o1\) is the name of a bag"):
        read_cohort(folder, splits=splits, subset=True)


def test_a_bag_shows_itself_as_a_line():
    assert repr(in_memory_bag("s", np.ones((1, 3)))) == "Bag(s, 1 tile x 3 features)"


# --- tables of other projects -------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


STAGES = (
    "patient,stage\npatient_000.zip,pN0\npatient_000_node_0.tif,negative\npatient_000_node_1.tif,itc\n"
    "patient_0001.zip,pN1\npatient_0001_node_0.tif,macro\npatient_0001_node_1.tif,negative\n"
)


def bags_named(tmp_path, *names):
    path = tmp_path / "bags"
    path.mkdir()
    for name in names:
        write_bag(path / f"{name}.h5", in_memory_bag(name, np.ones((2, 3)), TileGrid([[0, 0], [64, 0]], 64)))
    return path


def test_camelyon17_stages_label_slides_and_not_patients(tmp_path, written):
    names = [f"patient_{patient}_node_{node}" for patient in ("000", "0001") for node in (0, 1)]
    cohort = read_cohort(bags_named(tmp_path, *names), written("stage_labels.csv", STAGES))
    labels = {name: cohort.class_names[index] for name, index in cohort.labels.items()}
    assert labels == dict(zip(names, ["negative", "itc", "macro", "negative"], strict=True))
    assert set(cohort.patients.values()) == {"patient_000", "patient_0001"}
    assert any("2 rows of patients left out (patient_000.zip ...)" in line for line in cohort.describe())


def test_camelyon16_reference_needs_no_header(tmp_path, written):
    path = written("reference.csv", "test_001,Tumor,IDC,Macro\ntest_003,Normal,None,None\n")
    cohort = read_cohort(bags_named(tmp_path, "test_001", "test_003"), path)
    assert (cohort.class_names, cohort.labels) == (("Normal", "Tumor"), {"test_001": 1, "test_003": 0})


def test_xmil_calls_slides_cases_and_splits_subsets(folder, written):
    rows = "case_id,type,label,subset\ns0,normal,0,train\ns1,tumor,1,train\ns2,normal,0,val\ns3,tumor,1,test\n"
    cohort = read_cohort(folder, written("xmil.csv", rows))
    assert cohort.splits == {"s0": "train", "s1": "train", "s2": "val", "s3": "test"}
    assert cohort.patients is None
    assert "splits: column subset of the label table" in cohort.describe()


def test_a_subset_that_is_no_split_is_another_column(folder, written):
    rows = "slide_id,label,subset\ns0,0,x\ns1,1,y\ns2,0,x\ns3,1,y\n"
    assert read_cohort(folder, written("t.csv", rows)).splits == {}


def test_bracs_paths_of_anothers_disk_are_left_and_told(folder, written):
    rows = ",case_id,slide_id,split_info,full_path,label\n" + "".join(
        f"{i},patient_{i},s{i},{split},/Xsky/gone/s{i}.svs,{i % 2}\n"
        for i, split in enumerate(("train", "train", "val", "test"))
    )
    cohort = read_cohort(folder, written("bracs.csv", rows))
    assert cohort.splits["s3"] == "test" and cohort.patients["s1"] == "patient_1"
    told = "column full_path: 4 files not there and not used, the first /Xsky/gone/s0.svs"
    assert told in cohort.describe()


def test_dsmil_lists_files_in_a_column_that_pandas_called_0(folder, written):
    rows = "0,label\n" + "".join(f"datasets/c16/{'tumor' if i % 2 else 'normal'}/s{i}.csv,{i % 2}\n" for i in range(4))
    assert read_cohort(folder, written("c16.csv", rows)).labels == {"s0": 0, "s1": 1, "s2": 0, "s3": 1}


CLINI = "PATIENT,isMSIH,AGE\np0,yes,50\np1,no,60\np9,no,70\n"
SLIDES = "PATIENT,FILENAME\np0,batch/s0.h5\np0,s1.h5\np1,s2.h5\np1,s3.h5\n"


def test_stamp_labels_patients_whose_slides_another_table_names(folder, written):
    clini, slides = written("clini.csv", CLINI), written("slide.csv", SLIDES)
    cohort = read_cohort(folder, clini, label="isMSIH", slide_table=slides)
    assert [cohort.class_names[cohort.labels[f"s{i}"]] for i in range(4)] == ["yes", "yes", "no", "no"]
    assert cohort.patients == {"s0": "p0", "s1": "p0", "s2": "p1", "s3": "p1"}


def test_labels_of_patients_alone_ask_for_the_table_of_slides(folder, written):
    with pytest.raises(InputError, match=r"clini\.csv.*rows are of patients \(column PATIENT\).*--slide-table"):
        read_cohort(folder, written("clini.csv", CLINI), label="isMSIH")


def test_slides_of_a_patient_without_labels_are_told_and_refused(folder, written):
    clini, slides = written("clini.csv", "PATIENT,isMSIH\np0,yes\n"), written("slide.csv", SLIDES)
    with pytest.raises(InputError, match="no row for slide s2, s3"):
        read_cohort(folder, clini, label="isMSIH", slide_table=slides)
    told = read_cohort(folder, clini, label="isMSIH", slide_table=slides, subset=True).describe()
    assert "2 slides without a row of the patient in clini.csv: s2.h5, s3.h5" in told


def test_a_missing_label_column_is_answered_with_the_columns_of_the_file_itself(folder, written):
    clini, slides = written("clini.csv", CLINI), written("slide.csv", SLIDES)
    with pytest.raises(InputError, match=r"no column 'label'; its columns are PATIENT, isMSIH, AGE\."):
        read_cohort(folder, clini, slide_table=slides)


@pytest.mark.parametrize(
    ("clini", "slides", "sentence"),
    [
        ("ID,isMSIH\np0,yes\n", SLIDES, r"clini\.csv.*no column of patients .*its columns are ID, isMSIH"),
        (CLINI, "PATIENT,PATH\np0,s0.h5\n", r"slide\.csv.*no column of slides"),
        (CLINI, "PATIENT,FILENAME\nx,s0.h5\n", r"None of its patients \(x\) is in clini\.csv"),
        (CLINI + "p0,no,50\n", SLIDES, "Patient p0 has two rows that differ"),
    ],
)
def test_two_tables_that_do_not_fit_are_refused(folder, written, clini, slides, sentence):
    with pytest.raises(InputError, match=sentence):
        read_cohort(
            folder, written("clini.csv", clini), label="isMSIH", slide_table=written("slide.csv", slides), subset=True
        )


def test_columns_are_found_in_any_case_and_the_exact_one_first(folder, written):
    rows = "Slide_ID,Label,LABEL,Patient\n" + "".join(f"s{i},{i % 2},x,p{i}\n" for i in range(4))
    path = written("t.csv", rows)
    cohort = read_cohort(folder, path, label="Label")
    assert cohort.class_names == ("0", "1") and cohort.patients["s1"] == "p1"
    with pytest.raises(InputError, match="no column 'label'; its columns are Slide_ID, Label, LABEL"):
        read_cohort(folder, path)


def test_patients_missing_for_some_are_told_and_the_others_still_divide(folder, written):
    cohort = read_cohort(folder, written("t.csv", "slide_id,label,patient\ns0,0,p\ns1,1,\ns2,0,p\ns3,1,q\n"))
    assert cohort.patients is not None and cohort.patients["s1"] == "s1"
    assert "column patient is empty for slide s1: each counts as a patient of its own" in cohort.describe()


def test_a_table_without_a_header_says_so(folder, written):
    with pytest.raises(InputError, match=r"no header: its first line names a slide \(s0, 0\)"):
        read_cohort(folder, written("t.csv", "s0,0\ns1,1\n"), label="0")


# --- damaged tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no rows"),
        (b"\n\n  \n", "no rows"),
        (b"slide_id|label\ns0|a\n", r"no column of slide ids|no column 'label'; its columns are slide_id\|label"),
        (b'slide_id,label\ns0,"a\n', r"no row of a csv file \(unexpected end"),
        (b'slide_id,label\ns0,"a"b\n', "Line 2 is no row of a csv file"),
        (b"slide_id,label\ns0,a,b\n", "Line 2 has 3 values, but the header names 2 columns"),
        (b"slide_id,label,label\ns0,a,b\n", "More than one column is called label"),
        (b"slide_id,label\ns0,a\0\n", "no text .NUL."),
        ("slide_id,label\ns0,a\n".encode("utf-16"), "no text .NUL."),
        ("slide_id,label\ns0,größe\n".encode("latin-1"), "byte 20 is no UTF-8 text"),
        (b"PK\x03\x04rest of a workbook", "a workbook, not a csv file"),
        (b"slide_id,label\ns0," + b"a" * 200_000 + b"\n", "field larger than field limit"),
    ],
)
def test_a_damaged_table_is_refused_with_its_fault(folder, written, content, sentence):
    with pytest.raises(InputError, match=rf"t\.csv.*({sentence})"):
        read_cohort(folder, written("t.csv", content))


def test_a_huge_table_is_refused_before_it_is_read(folder, tmp_path):
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.truncate(40 * 2**20)
    with pytest.raises(InputError, match="too large for a table of slides"):
        read_cohort(folder, path)


def test_many_empty_columns_in_short_rows_take_no_memory(folder, written):
    header = ",".join(f"c{i}" for i in range(3000))
    with pytest.raises(InputError, match="too large for a table of slides"):
        read_cohort(folder, written("t.csv", header + "\na" * 1000))


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffslide_id,label\r\ns0,0\r\ns1,1\r\ns2,0\r\ns3,1\r\n".encode(),
        b"slide_id,label,,\ns0,0,,\ns1,1,,\ns2,0,,\ns3,1,,\n",
        b'"slide_id";"label"\n"s0";"0"\n\n"s1";"1"\n"s2";"0"\n"s3";"1"\n',
        b'slide_id,label,note\ns0,0\ns1,1\ns2,0,"a, b"\ns3,1\n',
        b"slide_id,label\rs0,0\rs1,1\rs2,0\rs3,1\r",
    ],
)
def test_tables_as_spreadsheets_write_them_read_alike(folder, written, content):
    assert read_cohort(folder, written("t.csv", content)).labels == {"s0": 0, "s1": 1, "s2": 0, "s3": 1}


# --- slide files --------------------------------------------------------------------------------------------


def picture(path, width=2000, height=64):
    tifffile.imwrite(path, np.zeros((height, width, 3), np.uint8), photometric="rgb")
    return path


@pytest.fixture
def plain_folder(tmp_path):
    """Two bags in CLAM's layout, which says no tile edge and no slide."""
    path = tmp_path / "plain"
    path.mkdir()
    for name in ("s0", "s1"):
        with h5py.File(path / f"{name}.h5", "w") as file:
            file["features"] = np.ones((3, 4), np.float32)
            file["coords"] = np.array([[0, 0], [64, 0], [128, 0]], np.int32)
    return path


def test_slides_are_found_by_name_and_what_is_given_is_of_all(tmp_path, plain_folder):
    (tmp_path / "slides" / "deep").mkdir(parents=True)
    picture(tmp_path / "slides" / "s0.tif")
    picture(tmp_path / "slides" / "deep" / "s1.tif")
    (tmp_path / "slides" / "s0.txt").write_text("of s0")
    bags = read_cohort(plain_folder, slides=tmp_path / "slides", mpp=0.5, tile_size=64).bags
    assert [bag.slide_path.name for bag in bags] == ["s0.tif", "s1.tif"]
    assert [(bag.mpp, bag.tiles.size, bag.slide_size) for bag in bags] == [(0.5, 64, (2000, 64))] * 2


def test_a_slide_that_is_not_there_is_told_and_none_at_all_refused(tmp_path, plain_folder):
    slides = tmp_path / "slides"
    slides.mkdir()
    with pytest.raises(InputError, match=r"no slide file named after a bag \(s0, s1\)"):
        read_cohort(plain_folder, slides=slides)
    picture(slides / "s0.tif")
    assert f"no slide file in {slides} for 1 slide: s1" in read_cohort(plain_folder, slides=slides).describe()
    picture(slides / "s0.png.tif")
    picture(slides / "s0.tiff")
    with pytest.raises(InputError, match=r"slide files of slide s0: .*Keep one"):
        read_cohort(plain_folder, slides=slides)
    with pytest.raises(InputError, match="no such folder of slides"):
        read_cohort(plain_folder, slides=tmp_path / "gone")


def test_the_tables_slide_comes_before_the_folders(tmp_path, plain_folder, written):
    (tmp_path / "slides").mkdir()
    picture(tmp_path / "slides" / "s0.tif")
    picture(tmp_path / "other.tif", width=3000)
    table = written("t.csv", "slide_id,label,slide_path\ns0.svs,a,other.tif\ns1,b,\n")
    bags = read_cohort(plain_folder, table, slides=tmp_path / "slides").bags
    assert bags[0].slide_path.name == "other.tif"


@pytest.mark.parametrize("name", ["//host/share/s.tif", "\\\\host\\s.tif", "a\0b", "x" * 5000])
def test_a_table_cannot_make_us_open_what_is_no_file_here(name, tmp_path):
    assert beside(tmp_path / "t.csv", name) is None
