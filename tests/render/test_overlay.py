"""An overlay lies on the tissue, and says all of what it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_asmil.analysis.dynamics import effective_tiles, jsd
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.render import export_overlay, export_tiles, overlay_image
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.render.facts import epoch_name
from napari_asmil.render.overlay import draw_legend
from napari_asmil.runs.view import Source

from .conftest import LATTICE, MARKED, SLIDE, collapsed, flat, uneven

M = len(LATTICE)


@pytest.mark.parametrize(("max_px", "step"), [(2000, 1.0), (555, 2.0), (300, 3.7)])
def test_a_bright_tile_is_found_in_the_picture_where_the_slide_has_it(
    make_view, make_slide, tissue: np.ndarray, max_px: int, step: float
) -> None:
    view, slide = make_view([collapsed(MARKED, M)]), make_slide(tissue, 3)
    picture = np.asarray(overlay_image(view, 0, slide=slide, max_px=max_px, opacity=1.0, legend=False))
    rows, columns = np.nonzero((picture == lookup_table("viridis")[-1]).all(axis=2))
    x, y = ((i.mean() + 0.5) * step - 0.5 for i in (columns, rows))
    assert np.abs((x, y) - (LATTICE[MARKED] + 148 / 2 - 0.5)).max() <= 0.5 * step
    bare = slide.read(0, 0, SLIDE[1], 0, SLIDE[0]).mean(axis=2)
    edges = [(i.min(), i.max() + 1) for i in (np.nonzero(bare == 30)[0], np.nonzero(bare == 30)[1])]
    for found, (low, high) in zip((rows, columns), edges, strict=True):
        assert abs(found.min() * step - low) <= step / 2 + 1e-9
        assert abs((found.max() + 1) * step - high) <= step / 2 + 1e-9


def test_at_scale_1_the_bright_tile_covers_exactly_the_pixels_of_its_tile(make_view, make_slide, tissue) -> None:
    picture = np.asarray(
        overlay_image(make_view([collapsed(MARKED, M)]), 0, slide=make_slide(tissue), opacity=1.0, legend=False)
    )
    bright = (picture == lookup_table("viridis")[-1]).all(axis=2)
    np.testing.assert_array_equal(bright, (tissue == 30).all(axis=2))


def test_where_there_is_no_tile_the_tissue_is_as_bright_as_without_a_map(make_view, make_slide, tissue) -> None:
    picture = np.asarray(overlay_image(make_view([flat(M)]), 0, slide=make_slide(tissue), legend=False))
    assert (picture[:37] == 230).all()
    assert (picture[:, :74] == 230).all()
    assert (picture[37, 74] != 230).any()


def test_the_legend_stands_beside_the_picture_and_moves_no_pixel(make_view, make_slide, tissue, contours) -> None:
    view, slide = make_view([uneven(0, M)]), make_slide(tissue)
    with_legend = overlay_image(view, 0, slide=slide, contours=contours)
    without = overlay_image(view, 0, slide=slide, contours=contours, legend=False)
    assert with_legend.width > without.width
    cut = with_legend.crop((0, 0, *without.size))
    np.testing.assert_array_equal(np.asarray(cut), np.asarray(without))


def test_the_file_says_in_its_text_all_that_the_legend_says_and_where_each_pixel_lies(
    tmp_path: Path, make_view, make_slide, tissue, contours
) -> None:
    view = make_view([uneven(0, M), uneven(1, M)], transform="log10")
    view.set(Source(Normalizer("nsf", 2.0, -1.0)))
    options = {"slide": make_slide(tissue), "contours": contours, "max_px": 300}
    path = export_overlay(tmp_path / "o.png", view, 1, **options)
    p = view.probabilities(1)
    with Image.open(path) as file:
        said = file.text
    low, high = view.limits()
    assert said["run"] == "run"
    assert said["method"] == "ABMIL"
    assert said["slide"] == "s0 (test)"
    assert said["label"] == "tumour"
    assert said["prediction"] == "tumour (0.881)"
    assert said["epoch"] == "1 of 1"
    assert said["normaliser"] == "NSF T=2 offset=-1, one row"
    assert said["shown"] == "log10 M·α (decades over uniform)"
    assert said["limits"] == f"limits {low:.3g} to {high:.3g}, locked over epochs 0–1"
    assert said["effective tiles"].startswith(f"{float(effective_tiles(p)):.4g} of {M}")
    assert said["JSD"] == f"{float(jsd(view.probabilities(0), p)):.3g} bits to epoch 0"
    assert said["colour map"].startswith("viridis, opacity 60%")
    assert said["slide file"] == "slide.tif"
    assert said["contours"] == "1 from contours.geojson"
    assert said["placement"] == ("level-0 y = 1.35 + 3.7 * row, level-0 x = 1.35 + 3.7 * column (pixel centres)")
    assert said["software"].startswith("napari-asmil ")
    shown = overlay_image(view, 1, **options)
    assert said == {name: text for name, text in shown.info.items() if text}


def test_jsd_never_stands_without_a_measure_of_concentration(make_view) -> None:
    said = overlay_image(make_view([flat(M), uneven(1, M)]), 1).info
    assert {"JSD", "effective tiles", "normalised entropy"} <= set(said)
    assert overlay_image(make_view([flat(M)], name="short"), 0).info["JSD"] == "none: there is no epoch before"


@pytest.mark.parametrize(("row", "word"), [(flat(M), "FLAT MAP"), (collapsed(3, M), "COLLAPSED MAP")])
def test_a_flat_or_collapsed_map_says_so_in_words(make_view, row: np.ndarray, word: str) -> None:
    view = make_view([row, uneven(0, M)])
    assert overlay_image(view, 0).info["verdict"].startswith(word)
    assert overlay_image(view, 1).info["verdict"] == ""


@pytest.mark.parametrize("transform", ["percentile", "minmax"])
def test_a_transform_that_hides_concentration_says_so(make_view, transform: str) -> None:
    view = make_view([uneven(0, M)], transform=transform)
    assert "flat and a collapsed map alike" in overlay_image(view, 0).info["caution"]
    assert overlay_image(make_view([uneven(0, M)], name="other"), 0).info["caution"] == ""


def test_a_warning_makes_the_legend_longer(make_view) -> None:
    facts = overlay_image(make_view([flat(M)]), 0).info
    assert facts["verdict"]
    args = (lookup_table("viridis"), (0.0, 1.0), 1.0, 1.0, 0.5, 14)
    assert draw_legend(facts, *args).height > draw_legend(facts | {"verdict": ""}, *args).height


def test_limits_are_locked_of_one_epoch_or_given_and_tiles_beyond_are_counted(make_view) -> None:
    view = make_view([uneven(0, M), uneven(1, M)])
    values = view.values(0)
    one = overlay_image(view, 0, limits="epoch").info["limits"]
    assert one == f"limits 0 to {values.max():.3g}, of this epoch alone"
    given = overlay_image(view, 0, limits=(0.0, 1.0)).info["limits"]
    assert given.startswith("limits 0 to 1, given; ")
    assert f"; {int((values > 1).sum())} of {M} tiles lie beyond" in given


def test_without_a_slide_the_map_lies_on_white_at_full_opacity_in_the_place_of_the_slide(make_view) -> None:
    picture = overlay_image(make_view([collapsed(MARKED, M)]), 0, legend=False)
    assert picture.size == SLIDE
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    x, y = LATTICE[MARKED].tolist()
    assert picture.getpixel((x + 5, y + 5)) == tuple(lookup_table("viridis")[-1].tolist())
    assert picture.info["colour map"] == "viridis, opacity 100%"
    assert picture.info["slide file"] == "none"


def test_without_a_slide_or_its_size_the_picture_begins_at_the_first_tile(make_view) -> None:
    view = make_view([collapsed(0, M)], slide_size=None, mpp=None)
    picture = overlay_image(view, 0, legend=False)
    assert picture.getpixel((0, 0)) == tuple(lookup_table("viridis")[-1].tolist())
    assert picture.info["placement"].startswith("level-0 y = 37.0 + 1.0 * row, level-0 x = 74.0")


def test_a_slide_of_another_size_is_refused(make_view, make_slide) -> None:
    slide = make_slide(np.zeros((100, 200, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"slide\.tif: This slide is 200 x 100 px, but the tiles .* 740 x 1110"):
        overlay_image(make_view([flat(M)]), 0, slide=slide)


@pytest.mark.parametrize(("height", "outside"), [(556, 12), (555, 16)])
def test_tiles_whose_centre_is_off_the_slide_are_refused(make_view, make_slide, height: int, outside: int) -> None:
    slide = make_slide(np.zeros((height, 740, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=rf"{outside} of 28 tiles .* lie outside the slide of 740 x {height}"):
        overlay_image(make_view([flat(M)], slide_size=None), 0, slide=slide)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 7}, "Epoch 7 is not there; epochs 0 to 0 are"),
        ({"epoch": -1}, "Epoch -1 is not there"),
        ({"opacity": 1.5}, "opacity must be 0 to 1"),
        ({"max_px": 10}, "longer side must be 64 to 8192"),
        ({"limits": (1.0, 1.0)}, "two finite numbers, the lower first"),
        ({"limits": "auto"}, "two finite numbers"),
        ({"colormap": "jet"}, "Unknown colour map"),
    ],
)
def test_arguments_out_of_range_are_refused_in_a_sentence(make_view, options: dict, words: str) -> None:
    view = make_view([flat(M)])
    with pytest.raises(InputError, match=words):
        overlay_image(view, options.pop("epoch", 0), **options)


def test_the_room_needs_no_window_and_no_torch() -> None:
    code = (
        "import sys, napari_asmil.render;"
        "print(sorted({'torch', 'napari', 'qtpy', 'magicgui', 'pyqtgraph', 'vispy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_contours_and_their_holes_lie_half_a_pixel_off_the_layers_as_their_corners_count_from_a_pixels_edge(
    make_view, make_slide, tissue, contours
) -> None:
    view, slide = make_view([flat(M)]), make_slide(tissue)
    bare, drawn = (
        np.asarray(overlay_image(view, 0, slide=slide, contours=c, legend=False)).astype(int) for c in (None, contours)
    )
    touched = np.nonzero((bare[350] != drawn[350]).any(axis=1))[0]
    lines = np.split(touched, np.nonzero(np.diff(touched) > 1)[0] + 1)
    assert [round(line.mean() + 0.5) for line in lines] == [200, 300, 400, 500]
    assert all(abs(line.mean() - (round(line.mean() + 0.5) - 0.5)) < 0.4 for line in lines)


def test_where_features_are_from_stands_under_the_slide_and_what_else_a_run_notes_at_the_end(make_view) -> None:
    notes = "features: simulated embeddings; scale not compared"
    plain, noted = make_view([flat(M)], name="plain"), make_view([flat(M)], name="noted", notes=notes)
    said, facts = overlay_image(noted, 0).info, overlay_image(plain, 0).info
    assert (said["features"], said["note"]) == ("features: simulated embeddings", notes)
    args = (lookup_table("viridis"), (0.0, 1.0), 1.0, 1.0, 0.5, 14)
    for more in ({"features": said["features"]}, {"note": notes}):
        assert draw_legend(facts | more, *args).height > draw_legend(facts, *args).height


def test_the_one_epoch_of_an_applied_model_has_one_name_everywhere(tmp_path: Path, make_view) -> None:
    view = make_view([uneven(0, M)])
    assert overlay_image(view, 0).info["limits"].endswith(", of its one epoch")
    assert epoch_name(view, 0) == "epoch 0"
    view.run.attrs["applied"] = "epoch 3 of fold0"
    assert epoch_name(view, 0) == overlay_image(view, 0).info["epoch"] == "epoch 3 of fold0"
    tiles = json.loads(export_tiles(tmp_path / "t.geojson", view, 0).read_text())["features"]
    assert all("run epoch 3 of fold0, softmax" in name for name in tiles[0]["properties"]["measurements"])
