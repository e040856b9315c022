"""`describe` says what any file is and what was derived from it, or why it is refused."""

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.info import describe


def said(path):
    return "\n".join(describe(path))


def test_a_slide_is_described_with_its_levels_and_the_source_of_its_scale(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(
        path, np.zeros((40, 50, 3), np.uint8), photometric="rgb", resolution=(72, 72), resolutionunit="INCH"
    )
    assert "level 0: 50 x 40 px" in said(path)
    assert "pixel size: unknown: the TIFF resolution tags claim 352.8 µm" in said(path)


def test_a_bag_and_a_folder_of_bags_are_described(tmp_path):
    bag = in_memory_bag(
        "s", np.ones((2, 3)), TileGrid([[0, 0], [512, 0]], 512), encoder="colour", mpp=0.25, tile_px=256
    )
    write_bag(tmp_path / "s.h5", bag)
    assert "2 tiles x 3 features" in said(tmp_path / "s.h5")
    assert "256 px = 512 level-0 px" in said(tmp_path / "s.h5")
    assert "256 px at 0.5 µm per px" in said(tmp_path / "s.h5")
    assert "folder of 1 bag of 2 tiles x 3 features" in said(tmp_path)


def test_an_annotation_file_is_described_with_what_counts_as_tumour(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}')
    assert "1 contour;" in said(path)
    assert "tumour: everything" in said(path)


def test_a_label_table_is_described_with_its_classes(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("slide_id,label,split\na,tumour,train\nb,normal,test\nc,tumour,train\n")
    assert "table of 3 rows; columns: slide_id, label, split" in said(path)
    assert "label: normal (1), tumour (2)" in said(path)
    assert "split: test (1), train (2)" in said(path)


def test_a_run_describes_itself(make_run):
    assert "5 of 5 epochs committed" in said(make_run(epochs=4))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.bin", b"\0\1\2", "no slide, picture, feature file"),
        ("x.h5", b"\0\1\2", "no feature file that can be read"),
        ("x.xml", b"<a/>", "no annotation file that can be read"),
        ("x.csv", b"", "no rows"),
        ("x.tif", b"II*\0\x08\0\0\0", "no image is found|cut off"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"(?s){name}.*({sentence})"):
        describe(tmp_path / name)


def test_nothing_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        describe(tmp_path / "gone")
    with pytest.raises(InputError, match="no run and holds no runs, feature files"):
        describe(tmp_path)


def test_a_folder_of_runs_is_described_run_by_run(tmp_path, make_run):
    make_run("a", epochs=2)
    (make_run("b") / "zarr.json").write_text("{")
    assert describe(tmp_path)[:2] == ["folder of 2 runs", "a.asmil: ABMIL, 3 of 3 epochs committed"]
    assert "This run is damaged" in describe(tmp_path)[2]


def test_a_cross_validation_is_described_fold_by_fold(tmp_path, make_run):
    run = make_run(epochs=1)
    (tmp_path / "cv" / "abmil").mkdir(parents=True)
    run.rename(tmp_path / "cv" / "abmil" / "fold0.asmil")
    assert describe(tmp_path / "cv") == ["folder of 1 run", "abmil/fold0.asmil: ABMIL, 2 of 2 epochs committed"]


def test_a_folder_of_slides_is_described(tmp_path):
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    (tmp_path / "notes.txt").write_text("")
    assert describe(tmp_path) == ["folder of 2 slides: a.tif, b.tif"]


def test_features_that_are_no_numbers_are_told(tmp_path):
    write_bag(tmp_path / "s.h5", in_memory_bag("s", np.ones((2, 3)), TileGrid([[0, 0], [9, 0]], 9)))
    assert "cannot be trained on" not in said(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file["features"][1, 1] = np.nan
    assert "cannot be trained on: The features of slide s hold 1 NaN" in said(tmp_path / "s.h5")
