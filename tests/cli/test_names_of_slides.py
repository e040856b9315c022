"""A slide, contours or a folder given on the command line: what is doubtful of them is asked, what is wrong refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

from napari_asmil.runs import open_run
from tests.maps.layouts import EDGE, LOGITS, PERCENTILES, SLIDE, XY, block_map, clam_blockmap, features, patches


@pytest.fixture
def slide_of(tmp_path: Path) -> Callable[[str], Path]:
    """A white slide of a name."""

    def make(name: str) -> Path:
        path = tmp_path / "slides" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        pixels = np.full((SLIDE[1], SLIDE[0], 3), 255, np.uint8)
        tifffile.imwrite(path, pixels, photometric="rgb", resolution=(20000, 20000), resolutionunit=3)
        return path

    return make


def drawn(path: Path, x: float) -> Path:
    """A square of tumour of 200 px that begins at x."""
    ring = [[x, 100], [x + 200, 100], [x + 200, 300], [x, 300], [x, 100]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"classification": {"name": "Tumor"}}
    path.write_text(json.dumps({"type": "Feature", "properties": properties, "geometry": geometry}))
    return path


def clam_heatmap(folder: Path) -> Path:
    """What CLAM's heatmaps leave of slide s1: a block map, percentiles of a region, and its features twice."""
    patches(folder.parent)
    block_map(folder / "s1_blockmap.h5")
    block_map(folder / "s1_0.5_roi_False.h5", PERCENTILES)
    with h5py.File(folder / "s1.h5", "w") as file:
        file["features"], file["coords"] = np.ones((len(XY), 3), np.float32), XY.astype(np.int32)
    torch.save(torch.ones(len(XY), 3), folder / "s1.pt")
    return folder


def test_features_on_a_slide_of_another_name_are_used_and_asked_of(
    command: Callable, tmp_path: Path, slide_of: Callable
) -> None:
    path = features(tmp_path)
    code, said, told = command("info", path, "--slide", slide_of("other"))
    assert code == 0, told
    assert "the slide is called other.tif, the features s1.h5: are they of it?" in said
    assert "are they of it" not in command("info", path, "--slide", slide_of("s1"))[1]


def test_scores_on_a_slide_of_another_name_are_asked_of_and_the_run_keeps_the_question(
    command: Callable, tmp_path: Path, slide_of: Callable
) -> None:
    path, out = clam_blockmap(tmp_path), tmp_path / "r.asmil"
    question = f"the slide is called other.tif, the scores {path.name}: are they of it?"
    code, _, told = command("map", path, "--slide", slide_of("other"), "--out", out)
    assert code == 0 and question in told
    assert question in command("info", out)[1]
    assert question in command("info", path, "--slide", slide_of("other"))[1]


def test_attend_asks_of_a_slide_of_another_name_and_says_where_tiles_are_from(
    command: Callable, train: Callable, make_cohort: Callable, tmp_path: Path, slide_of: Callable
) -> None:
    cohort, run = make_cohort(), tmp_path / "r.asmil"
    told = train(cohort, run)[2]
    assert told.count("tile edge: ") == 1 and "(in all 8)" in told
    given = ("--checkpoint", run, "--out", tmp_path / "a.asmil", "--device", "cpu")
    code, _, told = command("attend", cohort[0] / "s0.h5", "--slide", slide_of("other"), *given)
    assert code == 0, told
    assert "the slide is called other.tif, the features s0: are they of it?" in told and "(in all 1)" in told


def test_contours_of_another_slide_are_refused(command: Callable, tmp_path: Path, slide_of: Callable) -> None:
    beyond, slide, out = drawn(tmp_path / "beyond.geojson", 5000), slide_of("s1"), tmp_path / "r.asmil"
    for given in (
        ("map", clam_blockmap(tmp_path), "--slide", slide, "--contours", beyond, "--out", out),
        ("info", beyond, "--slide", slide),
    ):
        code, _, told = command(*given)
        assert code == 2 and "None of its contours lies on the slide of 1000 x 800 px" in told
    assert not out.exists()


def test_what_was_derived_of_contours_is_told_with_the_map(
    command: Callable, tmp_path: Path, slide_of: Callable
) -> None:
    contours, out = drawn(tmp_path / "c.geojson", 100), tmp_path / "r.asmil"
    given = ("--slide", slide_of("s1"), "--contours", contours, "--out", out)
    code, _, told = command("map", clam_blockmap(tmp_path), *given)
    assert code == 0, told
    assert "c.geojson: 1 contour; groups: Tumor (1)" in told and "c.geojson: tumour: Tumor" in told
    assert open_run(out).slides[0].tile_labels.max() > 0


def test_two_maps_of_one_slide_in_a_folder_are_listed_and_one_is_to_be_named(command: Callable, tmp_path: Path) -> None:
    folder = clam_heatmap(tmp_path / "heat" / "exp" / "tumor" / "s1")
    code, _, told = command("map", folder, "--out", tmp_path / "r.asmil")
    assert code == 2 and told.startswith(str(folder))
    assert "2 files of attention of slide s1, which are different maps: s1_0.5_roi_False.h5, s1_blockmap.h5." in told
    assert "Name the one that is meant." in told
    assert command("map", folder / "s1_blockmap.h5", "--out", tmp_path / "r.asmil")[0] == 0


def test_folders_of_maps_within_a_folder_are_named(command: Callable, tmp_path: Path) -> None:
    clam_heatmap(tmp_path / "heat" / "exp" / "tumor" / "s1")
    code, _, told = command("map", tmp_path / "heat" / "exp", "--out", tmp_path / "r.asmil")
    assert code == 2
    assert "no file of attention scores in it. Name one of the folders in it that hold some: tumor/s1." in told
    code, _, told = command("info", tmp_path / "heat" / "exp")
    assert code == 2 and "Folders in it hold attention: tumor/s1." in told


def test_a_folder_of_features_and_maps_is_described_file_by_file(command: Callable, tmp_path: Path) -> None:
    code, said, told = command("info", clam_heatmap(tmp_path / "heat" / "s1"))
    assert code == 0, told
    lines = said.splitlines()
    assert lines[0].startswith("folder of 4 files, some of attention")
    assert lines[1:] == [
        "s1.h5: features",
        "s1.pt: features",
        "s1_0.5_roi_False.h5: attention",
        "s1_blockmap.h5: attention",
    ]
    code, said, told = command("info", block_map(tmp_path / "maps" / "a_blockmap.h5").parent)
    assert code == 0 and "a_blockmap.h5: attention" in said


def test_info_names_the_command_that_has_the_options_a_map_needs(command: Callable, tmp_path: Path) -> None:
    path = block_map(tmp_path / "s1_blockmap.h5", np.abs(LOGITS))
    code, _, told = command("info", path, "--tile-size", EDGE)
    assert code == 2
    assert "--values" in told
    assert told.strip().endswith("Say it to `napari-asmil map`; `info` takes no such option.")


def test_one_slide_goes_with_a_folder_in_which_a_bag_is_named_after_it(
    command: Callable, make_cohort: Callable, tmp_path: Path, slide_of: Callable
) -> None:
    folder, _ = make_cohort(slides=3)
    code, said, told = command("info", folder, "--slide", slide_of("s1"))
    assert code == 0, told
    assert "s1.tif is the slide of s1; 2 bags are without a slide" in said
    code, _, told = command("info", folder, "--slide", slide_of("other"))
    assert code == 2 and "other.tif: No bag is named after this slide; there is s0, s1, s2. Give the slide" in told


def test_a_map_of_tiles_that_were_not_placed_says_so_and_what_places_them(
    command: Callable, make_cohort: Callable, train: Callable, tmp_path: Path
) -> None:
    folder, labels = make_cohort()
    for path in folder.glob("*.h5"):
        with h5py.File(path, "w") as file:  # CLAM's, without the patches file that says the edge
            file["features"] = np.random.default_rng(int(path.stem[1:])).normal(size=(9, 5)).astype(np.float32)
            file["coords"] = np.stack(np.divmod(np.arange(9), 3), axis=1).astype(np.int32) * 64
    code, _, told = train((folder, labels), tmp_path / "r.asmil")
    assert code == 0, told
    assert "8 bags have no places (s0, s1, s2, s3, s4 and 3 more): the file does not say their edge" in told
    code, _, told = command("export", tmp_path / "r.asmil", "--out", tmp_path / "o.png")
    assert code == 2 and "The tiles of slide 's0' were not placed when the run was made" in told
    assert "--tile-size" in told


def test_a_table_of_places_under_other_names_says_what_they_must_be_called(command: Callable, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("slide,tile_x,tile_y,attn\ns,0,0,0.5\ns,64,0,0.5\n")
    code, said, _ = command("info", path)
    assert code == 0 and "slides: slide" in said
    assert (
        "tile_x and tile_y look like some; a table of attention must call them x and y, and its scores attention"
        in said
    )
    path.write_text("slide_id,label,y_true\ns,a,0\nt,b,1\n")
    assert "look like" not in command("info", path)[1]
