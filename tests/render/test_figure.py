"""A figure compares runs on one scale, with the numbers that keep it honest."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_asmil.analysis import dynamics, localisation
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.render import export_tiles, figure, film, overlay_image
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.render.course import Course
from napari_asmil.render.facts import map_text
from napari_asmil.render.plot import round_up, style
from napari_asmil.runs.view import MapView

from .conftest import LATTICE, collapsed, flat, uneven

M = len(LATTICE)


@pytest.fixture
def views(make_view) -> list[MapView]:
    truth = (np.arange(M) < 6).astype(np.float32)
    moving = make_view([uneven(e, M) for e in range(7)], name="moving", label="ABMIL", truth=truth)
    still = make_view([flat(M)] * 7, name="still", label="ASMIL", truth=truth)
    return [moving, still]


def text_of(path: Path) -> dict[str, str]:
    with Image.open(path) as file:
        return dict(file.text)


def test_its_numbers_are_those_of_the_recorded_maps(tmp_path: Path, views: list[MapView]) -> None:
    said = text_of(figure(tmp_path / "f.png", [v.run for v in views], "s0"))
    moving, still, blind = json.loads(said["numbers"])
    maps = [np.exp(views[0].run.attention(e, "s0").astype(float)) for e in range(7)]
    maps = [p / p.sum() for p in maps]
    mean = np.mean([dynamics.jsd(a, b) for a, b in pairwise(maps)])
    assert moving["JSD mean (bits)"] == f"{mean:.3g}"
    assert moving["norm. entropy"] == f"{float(dynamics.normalized_entropy(maps[-1])):.3f}"
    truth = views[0].slide.tile_labels
    assert moving["tile AUC"] == f"{localisation.tile_auc(maps[-1], truth):.3f}"
    assert moving["tumour mass"] == f"{localisation.tumour_mass(maps[-1], truth):.3f}"
    assert moving["verdict"] == ""
    assert still["JSD mean (bits)"] == "0"
    assert still["verdict"] == "flat"
    assert blind["method"] == "blind: all tiles alike"
    alike = np.full(M, 1 / M)
    assert blind["tumour mass"] == blind["top-k recall"] == f"{localisation.tumour_mass(alike, truth):.3f}"
    assert blind["tile AUC"] == f"{localisation.tile_auc(alike, truth):.3f}"
    assert blind["top 1 % mass"] == f"{float(dynamics.top_mass(alike)):.3f}"
    assert (blind["effective / M"], blind["norm. entropy"], blind["JSD mean (bits)"]) == ("100 %", "1.000", "0")


def test_a_column_of_verdicts_is_there_only_where_one_is_passed(tmp_path: Path, views: list[MapView]) -> None:
    said = text_of(figure(tmp_path / "f.png", [views[0].run], "s0"))
    assert all("verdict" not in row for row in json.loads(said["numbers"]))


def test_remarks_stand_on_the_page_and_in_the_file(tmp_path: Path, views: list[MapView]) -> None:
    paths = [figure(tmp_path / f"{n}.png", [views[0].run], "s0", remarks=["One sentence."] * n) for n in (0, 2)]
    assert text_of(paths[1])["remarks"] == "One sentence. One sentence."
    with Image.open(paths[0]) as bare, Image.open(paths[1]) as remarked:
        assert remarked.height > bare.height


def test_a_map_that_is_not_a_number_is_refused(tmp_path: Path, make_view) -> None:
    view = make_view([flat(M), np.where(np.arange(M) < 2, np.nan, flat(M)).astype(np.float32)])
    for draw in (
        lambda: figure(tmp_path / "f.png", [view.run], "s0", limits=(0.0, 1.0)),
        lambda: overlay_image(view, 1),
        lambda: film(tmp_path / "f.gif", [view]),
        lambda: export_tiles(tmp_path / "f.geojson", view, 1),
    ):
        with pytest.raises(InputError, match=rf"map of epoch 1 is not a number \(NaN\) on {M} of {M} tiles"):
            draw()
    assert not list(tmp_path.glob("f.*"))


def test_an_anchors_normaliser_is_not_taken_for_that_of_the_map(make_view) -> None:
    view = make_view([flat(M)])
    assert map_text(view) == "softmax T=1, one row, as stored"
    view.run.attrs["anchor_normalizer"] = Normalizer("nsf").as_dict()
    assert map_text(view) == "softmax T=1, one row, as stored; anchor by NSF T=1 offset=0"


def test_it_names_every_run_the_epochs_the_scale_and_the_files(tmp_path: Path, views, contours) -> None:
    said = text_of(figure(tmp_path / "f.png", [v.run for v in views], "s0", contours=contours, transform="m_alpha"))
    assert said["run 1"] == views[0].label
    assert said["run 2"] == views[1].label
    assert said["epochs"] == "0, 2, 4, 6"
    high = max(v.limits()[1] for v in views)
    assert said["limits"] == f"limits 0 to {high:.3g}, locked over all maps and epochs"
    assert said["contours"] == "1 from contours.geojson"
    assert "caution" not in said


def test_what_runs_note_of_themselves_is_said_once(tmp_path: Path, make_view) -> None:
    runs = [make_view([flat(M)], name=n, notes="simulated embeddings").run for n in ("a", "b")]
    assert text_of(figure(tmp_path / "f.png", runs, "s0"))["note"] == "simulated embeddings"


def test_all_maps_have_one_scale(tmp_path: Path, make_view) -> None:
    sharp = make_view([uneven(0, M), collapsed(0, M)], name="sharp")
    dull = make_view([uneven(0, M), flat(M)], name="dull")
    path = figure(tmp_path / "f.png", [sharp.run, dull.run], "s0", transform="m_alpha", panel_px=222)
    with Image.open(path) as file:
        picture = np.asarray(file)
    # a flat map, 1 everywhere, on the scale of one that has M on one tile
    expected = lookup_table("viridis")[round(255 / M)]
    assert ((picture == expected).all(axis=2)).sum() >= M * (148 / 5) ** 2 * 0.95


def test_tile_truth_is_left_out_where_there_is_none(tmp_path: Path, make_view) -> None:
    said = text_of(figure(tmp_path / "f.png", [make_view([uneven(0, M)]).run], "s0"))
    row, _ = json.loads(said["numbers"])
    assert "tile AUC" not in row
    assert row["JSD mean (bits)"] == "–"


def test_a_run_of_one_epoch_and_many_rows_of_words_fit_the_page(tmp_path: Path, make_view) -> None:
    name = "a-run-with-a-name-much-longer-than-its-column-is-wide-and-without-a-space"
    view = make_view([uneven(0, M)], name=name, label="A method with a long name that needs many lines " * 3)
    path = figure(tmp_path / "f.png", [view.run], "s0", transform="percentile")
    assert "caution" in text_of(path)
    with Image.open(path) as file:
        edge = np.asarray(file)
    assert (edge[:, -4:] == 255).all()
    assert (edge[-4:] == 255).all()


def test_a_course_begins_without_jsd_and_counts_tiles_by_share(views: list[MapView]) -> None:
    course = Course.of(views[1])
    assert np.isnan(course.jsd[0])
    np.testing.assert_array_equal(course.jsd[1:], 0)
    np.testing.assert_allclose(course.effective_share, 1)
    np.testing.assert_allclose(course.entropy, 1)


def test_curves_differ_in_colour_and_in_dashes() -> None:
    assert len({style(i) for i in range(7)}) == 7
    assert len({style(i)[1] for i in range(4)}) == 4


@pytest.mark.parametrize(("value", "end"), [(0.37, 0.4), (1.0, 1.0), (3.2e-5, 3.5e-5), (0.5, 0.5)])
def test_an_axis_ends_at_a_round_number_that_holds_its_curves(value: float, end: float) -> None:
    assert round_up(value) == pytest.approx(end)


def test_what_cannot_be_shown_is_refused(tmp_path: Path, views: list[MapView]) -> None:
    with pytest.raises(InputError, match="1 to 7 runs, not 0"):
        figure(tmp_path / "f.png", [], "s0")
    with pytest.raises(InputError, match=r"Epochs \[9\] were asked for; epochs 0 to 6"):
        figure(tmp_path / "f.png", [views[0].run], "s0", epochs=[9])
    with pytest.raises(InputError):
        figure(tmp_path / "f.png", [views[0].run], "no such slide")
