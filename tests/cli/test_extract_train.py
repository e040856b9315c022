"""From images to a judged cross-validation, by the two commands that do it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_asmil import read_bag
from napari_asmil.runs import open_run
from tests.cli.conftest import Command
from tests.slides.layouts import ome_zarr


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eight pictures of 64 px; odd ones hold a dark violet nucleus, which the tables name."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels, points = ["image,bag_label"], ["image,x,y,cls"]
    for number in range(8):
        pixels = rng.normal((225, 150, 190), 8, (64, 64, 3))
        if number % 2:
            pixels[36:44, 4:12] = (60, 40, 120)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"img{number}.png")
        labels.append(f"img{number},{number % 2}")
        points.append(f"img{number},9.0,41.0,{'epithelial' if number % 2 else 'fibroblast'}")
    (folder / "notes.txt").write_text("no image")
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    (tmp_path / "points.csv").write_text("\n".join(points))
    return folder


@pytest.fixture
def bags(images: Path, tmp_path: Path, command: Command) -> Path:
    out = tmp_path / "bags"
    points = tmp_path / "points.csv"
    code, said, _ = command("extract", images, "--size", 16, "--cover", "--points", points, "--out", out)
    assert code == 0
    assert "8 bags" in said
    return out


def test_extract_makes_a_bag_of_every_image_in_a_folder(bags: Path) -> None:
    assert sorted(path.name for path in bags.iterdir()) == [f"img{number}.h5" for number in range(8)]
    labels = [read_bag(path).tile_labels for path in sorted(bags.iterdir())]
    assert [np.flatnonzero(one).tolist() for one in labels] == [[], [8]] * 4


def test_extract_names_what_it_could_not_use_and_keeps_the_rest(images: Path, tmp_path: Path, command: Command) -> None:
    (images / "img3.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, complaint = command("extract", images, "--size", 16, "--cover", "--out", tmp_path / "bags")
    assert code == 2
    assert "1 of 8" in complaint.replace("\n", " ") and "img3.png" in complaint
    assert len(list((tmp_path / "bags").iterdir())) == 7


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--out", "bags"), "either a size"),
        (("--tile-px", 16, "--mpp", 0.5, "--out", "bags"), "micrometres per pixel"),
    ],
)
def test_extract_says_what_is_wrong_with_a_tile_size(
    images: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, options: tuple, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, complaint = command("extract", images / "img0.png", *options)
    assert code == 2
    assert says in " ".join(complaint.split())


def test_extract_refuses_a_folder_without_slides(tmp_path: Path, command: Command) -> None:
    (tmp_path / "empty").mkdir()
    code, _, complaint = command("extract", tmp_path / "empty", "--size", 16, "--out", tmp_path / "bags")
    assert (code, "no slide or image" in complaint) == (2, True)


def test_extract_takes_slides_that_are_folders_alone_and_in_a_folder(
    images: Path, tmp_path: Path, command: Command
) -> None:
    pixels = np.full((64, 64, 3), (225, 150, 190), np.uint8)
    ome_zarr(images / "z.zarr", pixels, "0.5")
    command("extract", images / "z.zarr", "--size", 16, "--cover", "--out", tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["z.h5"]
    command("extract", images, "--size", 16, "--cover", "--out", tmp_path / "all")
    assert len(list((tmp_path / "all").iterdir())) == 9


def train(command: Command, bags: Path, *options: object) -> tuple[int, str, str]:
    table = bags.parent / "labels.csv"
    fixed = ("--labels", table, "--label", "bag_label", "--preset", "crc-r1", "--epochs", 2, "--device", "cpu")
    return command("train", bags, *fixed, *options)


def test_train_writes_one_run(bags: Path, tmp_path: Path, command: Command) -> None:
    assert train(command, bags, "--method", "abmil", "--seed", 3, "--out", tmp_path / "one.asmil")[0] == 0
    run = open_run(tmp_path / "one.asmil")
    assert (run.n_epochs, run.label, run.recipe["seed"]) == (3, "ABMIL", 3)


def test_train_writes_a_run_for_each_of_several_methods(bags: Path, tmp_path: Path, command: Command) -> None:
    methods = ("--method", "abmil", "--method", "abmil_nsf")
    assert train(command, bags, *methods, "--out", tmp_path / "runs")[0] == 0
    assert [open_run(tmp_path / "runs" / f"{name}.asmil").has_anchor for name in ("abmil", "abmil_nsf")] == [
        False,
        True,
    ]


def test_train_with_folds_prints_the_result_and_its_floors(bags: Path, tmp_path: Path, command: Command) -> None:
    methods = ("--method", "abmil", "--method", "abmil_nsf")
    code, said, _ = train(command, bags, *methods, "--folds", 2, "--out", tmp_path / "cv")
    assert code == 0
    for words in ("ABMIL + anchor (NSF)", "haematoxylin mean", "pooled features", "permuted bag labels"):
        assert words in said
    assert json.loads((tmp_path / "cv" / "report.json").read_text())["floors"]["named"]["name"] == "haematoxylin mean"
    assert open_run(tmp_path / "cv" / "abmil_nsf" / "fold1.asmil").n_epochs == 3


def test_train_without_floors_trains_and_prints_none(bags: Path, tmp_path: Path, command: Command) -> None:
    code, said, _ = train(command, bags, "--method", "abmil", "--folds", 2, "--no-floors", "--out", tmp_path / "cv")
    assert (code, "Floors" in said) == (0, False)
    assert [path.name for path in (tmp_path / "cv").iterdir() if path.is_dir()] == ["abmil"]


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--method", "oracle"), "oracle"), (("--folds", 9), "too few for 9 folds"), (("--device", "abacus"), "abacus")],
)
def test_train_says_what_is_wrong_and_writes_nothing(
    bags: Path, tmp_path: Path, command: Command, options: tuple, says: str
) -> None:
    code, _, complaint = train(command, bags, *options, "--out", tmp_path / "run")
    assert code == 2
    assert says in " ".join(complaint.split())
    assert not (tmp_path / "run").exists()


def test_encoders_are_listed_with_their_licences(command: Command) -> None:
    code, said, _ = command("encoders")
    assert code == 0
    for words in (
        "resnet50_trunc:WEIGHTS",
        "pt2:FILE.pt2",
        "MahmoodLab/UNI\n    CC-BY-NC-ND-4.0; not for commercial use; gated: ask for access on its page",
    ):
        assert words in said


def test_the_licence_of_a_model_is_told_before_it_is_downloaded(
    images: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    options = ("--encoder", "transformers:owkin/phikon", "--out", tmp_path / "bags")
    code, _, complaint = command("extract", images / "img0.png", *options)
    told = " ".join(complaint.split())
    assert code == 2
    assert told.index("Owkin's licence; not for commercial use") < told.index(
        "pip install 'napari-asmil[transformers]'"
    )
    assert not (tmp_path / "bags").exists()


def test_outlines_of_tissue_are_written_and_taken_back(images: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "tissue.geojson"
    code, said, _ = command("tissue", images / "img1.png", "--out", out, "--threshold", 0.5)
    assert code == 0
    assert said.startswith(f"{out}: ") and "above a threshold of 0.5" in said
    options = ("--within", out, "--size", 16, "--min-tissue", 0.2, "--out", tmp_path / "bags")
    code, said, _ = command("extract", images / "img1.png", *options)
    bag = read_bag(tmp_path / "bags" / "img1.h5")
    assert code == 0
    assert bag.tiles is not None and bag.tiles.xy.tolist() == [[0, 32]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--encoder", "clairvoyant", "--size", 16), "no encoder 'clairvoyant'"),
        (("--encoder", "resnet18", "--size", 16), "It is written resnet18:WEIGHTS"),
        (("--cover", "--within", "a.geojson", "--size", 16), "not both"),
        (("--min-tissue", 50, "--size", 16), "from 0 to 1, not 50"),
        (("--role", "Gland", "--size", 16), "'Gland' is no role"),
        (("--device", "abacus", "--encoder", "pt2:x.pt2", "--size", 16), "no device 'abacus'"),
    ],
)
def test_extract_says_what_does_not_fit(
    images: Path, tmp_path: Path, command: Command, options: tuple, says: str
) -> None:
    code, _, complaint = command("extract", images / "img0.png", *options, "--out", tmp_path / "bags")
    assert code == 2
    assert says in " ".join(complaint.split())
    assert not (tmp_path / "bags").exists()
