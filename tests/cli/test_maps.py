"""``map``: from a file of scores to the overlay, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_asmil.runs import MapView, open_run
from tests.maps import layouts
from tests.maps.layouts import EDGE, HOT, LOGITS, SLIDE, XY, block_map


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """A white slide."""
    path = tmp_path / "slides" / "s1.tif"
    path.parent.mkdir()
    pixels = np.full((SLIDE[1], SLIDE[0], 3), 255, np.uint8)
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb", resolution=(20000, 20000), resolutionunit=3)
    return path


def coloured(path: Path, tile: int) -> np.ndarray:
    """Mean colour of a tile in an exported overlay that has a pixel for each level-0 px."""
    with Image.open(path) as picture:
        pixels, said = np.asarray(picture.convert("RGB")).astype(float), picture.info["placement"]
    assert said.startswith("level-0 y = 0.0 + 1.0 * row, level-0 x = 0.0 + 1.0 * column"), said
    x, y = XY[tile]
    return np.asarray(pixels[y + 5 : y + EDGE - 5, x + 5 : x + EDGE - 5].mean(axis=(0, 1)))


@pytest.mark.parametrize("layout", ["CLAM block map", "CLAM region of percentiles", "csv"])
def test_the_hot_tile_of_the_file_is_hot_in_the_overlay(
    command: Callable, tmp_path: Path, slide: Path, layout: str
) -> None:
    path, out = layouts.LAYOUTS[layout](tmp_path), tmp_path / "mine.asmil"
    asked = ("--values", "logits") if layout == "csv" else ()
    code, said, derived = command("map", path, "--slide", slide, "--out", out, *asked)
    assert code == 0, derived
    assert said.startswith(f"{out}: ") and "from elsewhere on 1 slide" in said
    assert "tile edge: " in derived and "100 level-0 px" in derived
    code, said, told = command("export", out, "--out", tmp_path / "o.png", "--max-px", 1000)
    assert code == 0, told
    assert f"as in {path.name}" in said and "without the slide" not in said
    hot = np.array([253, 231, 37]) * 0.6 + 255 * 0.4
    np.testing.assert_allclose(coloured(tmp_path / "o.png", HOT), hot, atol=3)
    others = [coloured(tmp_path / "o.png", tile) for tile in range(len(XY)) if tile != HOT]
    assert min(np.abs(other - hot).max() for other in others) > 10


def test_percentiles_export_as_stored_and_say_what_means_nothing(command: Callable, tmp_path: Path) -> None:
    out = tmp_path / "mine.asmil"
    assert command("map", layouts.clam_roi_percentiles(tmp_path), "--out", out)[0] == 0
    assert command("export", out, "--out", tmp_path / "o.png")[0] == 0
    with Image.open(tmp_path / "o.png") as picture:
        facts = dict(picture.info)
    assert facts["shown"] == "percentile (as stored)"
    assert {facts[name] for name in ("effective tiles", "normalised entropy", "JSD")} == {
        "means nothing for these values"
    }
    assert facts["caution"] == "Percentiles as stored: mass, entropy and effective tiles mean nothing for them."
    assert command("export", out, "--out", tmp_path / "o.geojson")[0] == 0
    tiles = json.loads((tmp_path / "o.geojson").read_text())["features"]
    measured = [list(tile["properties"]["measurements"].values()) for tile in tiles]
    np.testing.assert_allclose(np.array(measured)[:, 0], layouts.PERCENTILES, rtol=1e-6)
    assert len(measured[0]) == 1
    for option in (("--transform", "m_alpha"), ("--normalizer", "nsf")):
        code, _, said = command("export", out, "--out", tmp_path / "p.png", *option)
        assert code == 2 and "mean nothing for them" in said
    code, _, said = command("export", out, "--out", tmp_path / "p.gif")
    assert code == 2 and "mean nothing for them" in said


def test_what_the_numbers_do_not_tell_is_asked_for_and_then_taken(command: Callable, tmp_path: Path) -> None:
    path, out = block_map(tmp_path / "s1_blockmap.h5", np.abs(LOGITS)), tmp_path / "mine.asmil"
    given = ("map", path, "--out", out, "--tile-size", EDGE)
    code, _, said = command(*given)
    assert code == 2 and "Nothing tells what its values are" in said and not out.exists()
    code, _, said = command(*given, "--values", "logits")
    assert code == 0 and "values: logits, as given" in said


def test_a_vector_with_its_features_and_the_size_of_a_pixel(command: Callable, tmp_path: Path, slide: Path) -> None:
    path, out = layouts.npy_vector(tmp_path), tmp_path / "mine.asmil"
    features = tmp_path / "s1_features" / "s1.h5"
    told = ("--features", features, "--slide", slide, "--slide-mpp", 0.25, "--values", "logits")
    code, _, said = command("map", path, *told, "--out", out)
    assert code == 0, said
    recorded = open_run(out).slides[0]
    assert recorded.slide_path == slide and recorded.mpp == 0.25 and recorded.bag_hash


def test_a_folder_of_maps_with_a_folder_of_slides_makes_one_run(command: Callable, tmp_path: Path, slide: Path) -> None:
    for name in ("s1", "s2"):
        block_map(tmp_path / "maps" / f"{name}_blockmap.h5", LOGITS)
    (tmp_path / "maps" / "remarks.txt").write_text("nothing")
    out = tmp_path / "both.asmil"
    code, said, told = command("map", tmp_path / "maps", "--slide", slide.parent, "--tile-size", EDGE, "--out", out)
    assert code == 0, told
    assert "on 2 slides" in said and "no slide file in" in told and "1 slide: s2" in told
    assert [s.slide_path for s in open_run(out).slides] == [slide, None]
    assert MapView(open_run(out), "s2").probabilities(0).argmax() == HOT


def test_what_does_not_go_together_is_refused(command: Callable, tmp_path: Path, slide: Path) -> None:
    one, two = (block_map(tmp_path / "maps" / f"{name}_blockmap.h5", LOGITS) for name in ("s1", "s2"))
    code, _, said = command("map", one, two, "--slide", slide, "--out", tmp_path / "r.asmil")
    assert code == 2 and "One slide goes with one file, not 2. Give the folder of the slides." in said
    (tmp_path / "empty").mkdir()
    code, _, said = command("map", tmp_path / "empty", "--out", tmp_path / "r.asmil")
    assert code == 2 and "There is no file of attention scores in it." in said
    features = layouts.features(tmp_path)
    code, _, said = command("map", two, "--features", features.parent, "--out", tmp_path / "r.asmil")
    assert code == 2 and "holds no features of slide s2" in said
