"""Tiles in order as CSV: every number against the run in float64, and what it is of."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.render.tiles_csv import export_ranked
from napari_asmil.runs import MapView, Source, open_run
from tests.conftest import random_z
from tests.render.conftest import LATTICE, flat

RunMaker = Callable[..., Path]


def read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if line.startswith("# ")]
    return said, list(csv.DictReader(lines[len(said) :]))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


@pytest.fixture
def view(make_run: RunMaker) -> MapView:
    return MapView(open_run(make_run(rows=3)), "s0", Source(Normalizer("softmax", temperature=2.0)))


def test_every_tile_is_there_in_order_with_place_and_truth(view: MapView, tmp_path: Path) -> None:
    said, rows = read(export_ranked(tmp_path / "tiles.csv", view, 3))
    expected = softmax(random_z(3, 0, 3, 25).astype(np.float64) / 2.0, axis=1).mean(axis=0) * 25
    tiles = column(rows, "tile").astype(int)
    np.testing.assert_array_equal(np.sort(tiles), np.arange(25))
    np.testing.assert_allclose(column(rows, "M·α (× uniform)"), expected[tiles], rtol=1e-12)
    assert (np.diff(column(rows, "M·α (× uniform)")) <= 0).all()
    np.testing.assert_array_equal(column(rows, "rank"), rankdata(-expected, method="min")[tiles])
    assert view.slide.tiles is not None
    np.testing.assert_array_equal(column(rows, "x (level-0 px)"), view.slide.tiles.xy[tiles, 0])
    np.testing.assert_array_equal(column(rows, "y (level-0 px)"), view.slide.tiles.xy[tiles, 1])
    assert set(column(rows, "size (level-0 px)")) == {64.0}
    np.testing.assert_array_equal(column(rows, "tumour share"), (tiles == 0).astype(float))
    header = "\n".join(said)
    for words in (
        "software: napari-asmil",
        "run: run",
        "slide: s0",
        "epoch: 3 of 4",
        "softmax T=2",
        "effective tiles:",
    ):
        assert words in header


def test_what_changed_most_comes_first_with_both_values(view: MapView, tmp_path: Path) -> None:
    said, rows = read(export_ranked(tmp_path / "tiles.csv", view, 3, since=1))
    now, then = (softmax(random_z(e, 0, 3, 25).astype(np.float64) / 2, axis=1).mean(axis=0) * 25 for e in (3, 1))
    tiles = column(rows, "tile").astype(int)
    np.testing.assert_allclose(column(rows, "change"), (now - then)[tiles], atol=1e-12)
    np.testing.assert_allclose(column(rows, "M·α at epoch 1"), then[tiles], rtol=1e-12)
    assert (np.diff(np.abs(column(rows, "change"))) <= 0).all()
    assert "has changed since epoch 1" in said[-1]


def test_what_cannot_be_written_is_refused_and_leaves_nothing(view: MapView, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written as \.csv"):
        export_ranked(tmp_path / "tiles.txt", view, 3)
    with pytest.raises(InputError, match="Epoch 9 is not there; epochs 0 to 4 are"):
        export_ranked(tmp_path / "tiles.csv", view, 3, since=9)
    with pytest.raises(InputError, match="cannot be written"):
        export_ranked(tmp_path / "nowhere" / "tiles.csv", view, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["run.asmil"]


def test_what_a_run_notes_is_said_once(make_view: Callable[..., MapView], tmp_path: Path) -> None:
    notes = "features: simulated embeddings; scale not compared"
    said, _ = read(export_ranked(tmp_path / "a.csv", make_view([flat(len(LATTICE))], notes=notes), 0))
    assert "# features: simulated embeddings" in said and "# note: scale not compared" in said
    assert "\n".join(said).count("simulated") == 1 and "features: features" not in "\n".join(said)
    said, _ = read(
        export_ranked(tmp_path / "b.csv", make_view([flat(len(LATTICE))], name="b", notes="features: UNI"), 0)
    )
    assert "# features: UNI" in said and not any(line.startswith("# note") for line in said)
