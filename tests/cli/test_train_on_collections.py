"""`train`, `attend` and `info` take what other projects left: labels that bags bring, tables, slides by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil.runs import open_run

SMALL = ("--preset", "demo", "--method", "abmil", "--epochs", "1", "--device", "cpu")


@pytest.fixture
def mil_set(tmp_path: Path) -> Path:
    """Eight bags of two instances with labels, in one npz file."""
    path = tmp_path / "musk.npz"
    features = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    np.savez(path, features=features, bag_id=np.arange(16) // 2, bag_label=np.arange(8) % 2)
    return path


@pytest.fixture
def clam_folder(tmp_path: Path) -> Path:
    """Eight bags in CLAM's layout, which says no tile edge, beside slides of 192 x 64 px."""
    folder, slides = tmp_path / "h5_files", tmp_path / "slides"
    folder.mkdir()
    slides.mkdir()
    for index in range(8):
        with h5py.File(folder / f"s{index}.h5", "w") as file:
            file["features"] = np.random.default_rng(index).normal(size=(3, 5)).astype(np.float32)
            file["coords"] = np.array([[0, 0], [64, 0], [128, 0]], np.int32)
        pixels = np.zeros((64, 192, 3), np.uint8)
        tifffile.imwrite(slides / f"s{index}.tif", pixels, photometric="rgb", resolution=(20_000, 20_000))
    rows = "".join(f"p{index},s{index},{'tumor' if index % 2 else 'normal'}\n" for index in range(8))
    (tmp_path / "clam.csv").write_text("case_id,slide_id,label\n" + rows)
    return folder


def test_bags_that_bring_labels_need_no_table(command: Callable, mil_set: Path, tmp_path: Path) -> None:
    code, _, told = command("train", mil_set, "--out", tmp_path / "r.asmil", *SMALL)
    assert code == 0, told
    assert "0 (4), 1 (4)" in told
    assert open_run(tmp_path / "r.asmil").n_epochs == 2


def test_bags_without_labels_ask_for_a_table(command: Callable, clam_folder: Path, tmp_path: Path) -> None:
    code, said, told = command("train", clam_folder, "--out", tmp_path / "r.asmil", *SMALL)
    assert (code, said) == (2, "")
    assert "These bags bring no labels. Give a table of them (--labels)." in told
    assert not (tmp_path / "r.asmil").exists()


def test_slides_and_tile_edge_are_given_for_all_bags(command: Callable, clam_folder: Path, tmp_path: Path) -> None:
    given = ("--labels", tmp_path / "clam.csv", "--slides", tmp_path / "slides", "--tile-size", 64, "--slide-mpp", 0.25)
    code, _, told = command("train", clam_folder, *given, "--out", tmp_path / "r.asmil", *SMALL)
    assert code == 0, told
    slide = open_run(tmp_path / "r.asmil").slides[0]
    assert (slide.slide_id, slide.mpp, slide.tiles.size) == ("s0", 0.25, 64)
    assert Path(slide.slide_path).name == "s0.tif"


def test_splits_of_acmil_divide_the_bags(command: Callable, clam_folder: Path, tmp_path: Path) -> None:
    names = [f"s{index}" for index in range(8)]
    split = {"train_names": names[:4], "val_names": names[4:6], "test_names": names[6:]}
    (tmp_path / "split_1.json").write_text(json.dumps(split))
    given = ("--labels", tmp_path / "clam.csv", "--splits", tmp_path / "split_1.json")
    code, _, told = command("train", clam_folder, *given, "--out", tmp_path / "r.asmil", *SMALL)
    assert code == 0, told
    assert "train normal (2), tumor (2); val normal (1), tumor (1); test normal (1), tumor (1)" in told
    assert "splits: names in JSON (as ACMIL writes them), of split_1.json" in told


def test_labels_of_patients_go_with_the_table_of_slides(command: Callable, clam_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clini.csv").write_text("PATIENT,isMSIH\na,yes\nb,no\n")
    rows = "".join(f"{'ab'[index // 4]},s{index}.h5\n" for index in range(8))
    (tmp_path / "slide.csv").write_text("PATIENT,FILENAME\n" + rows)
    given = ("--labels", tmp_path / "clini.csv", "--slide-table", tmp_path / "slide.csv", "--label", "isMSIH")
    code, _, told = command("train", clam_folder, *given, "--out", tmp_path / "r.asmil", *SMALL)
    assert code == 0, told
    assert "no (4), yes (4)" in told


def test_a_trained_model_attends_to_bags_on_slides_found_by_name(
    command: Callable, clam_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "r.asmil"
    assert command("train", clam_folder, "--labels", tmp_path / "clam.csv", "--out", run, *SMALL)[0] == 0
    given = ("--checkpoint", run, "--slides", tmp_path / "slides", "--tile-size", 64)
    bags = [clam_folder / "s0.h5", clam_folder / "s1.h5"]
    code, _, told = command("attend", *bags, *given, "--out", tmp_path / "a.asmil", "--device", "cpu")
    assert code == 0, told
    slides = open_run(tmp_path / "a.asmil").slides
    assert [Path(slide.slide_path).name for slide in slides] == ["s0.tif", "s1.tif"]
    code, _, told = command("attend", *bags, "--checkpoint", run, "--slide", tmp_path / "slides" / "s0.tif", "-o", "x")
    assert code == 2 and "--slide goes with one bag, not 2. Give their folder (--slides)." in told


def test_info_of_a_collection_says_what_is_missing(command: Callable, clam_folder: Path) -> None:
    code, said, _ = command("info", clam_folder)
    assert code == 0 and said.startswith("folder of 8 bags of 3 tiles x 5 features")
    assert "8 bags have no places (s0, s1, s2, s3, s4 and 3 more): the file does not say their edge" in said
    assert "s0: " in said and "(--tile-size)" in said


def test_a_benchmark_takes_any_collection_that_brings_labels(command: Callable, mil_set: Path, tmp_path: Path) -> None:
    given = ("--method", "abmil", "--folds", 2, "--epochs", 1)
    code, said, told = command("benchmark", "mil", mil_set, *given, "--out", tmp_path / "b")
    assert code == 0, told
    assert "musk" in said
