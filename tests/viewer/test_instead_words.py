"""What is said of a map in place of attention, against the scores as they are stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import expit

from napari_asmil.render.facts import share
from napari_asmil.runs import EpochRecord, MapView, RunWriter, open_run
from napari_asmil.runs.raw import RawScores
from napari_asmil.viewer.instead_words import told
from tests.conftest import header, record

TILES = 25


def scored(path: Path, z: np.ndarray) -> RawScores:
    """A run of one epoch with these raw scores (1, M)."""
    with RunWriter.create(path, header(1, 1, 5, 0, False)) as writer:
        given = record(0, 1, 1, TILES, False).slides["s0"]
        writer.write(EpochRecord({"s0": replace(given, z=z)}))
    return RawScores(MapView(open_run(path), "s0"))


def test_the_share_of_saturated_scores_is_that_of_their_sigmoids(tmp_path: Path) -> None:
    z = np.random.default_rng(0).normal(2, 4, (1, TILES)).astype(np.float32)
    sigmoid = expit(z.astype(np.float64))
    lost = float(((sigmoid < 0.01) | (sigmoid > 0.99)).mean())
    assert 0.1 < lost < 0.9
    _, spread, saturated = told(scored(tmp_path / "a.asmil", z), 0)
    assert spread == f"mean {z.astype(float).mean():.3g}, standard deviation {z.astype(float).std():.3g}"
    assert saturated.startswith(f"on {share(lost)} of the tiles their sigmoid is below 0.01 or above 0.99: there NSF")


def test_scores_that_are_no_numbers_are_counted_and_nothing_is_said_of_the_others(tmp_path: Path) -> None:
    z = np.zeros((1, TILES), np.float32)
    z[0, 3:5] = np.nan
    said = told(scored(tmp_path / "a.asmil", z), 0)
    assert said == ["of a", "not a number (NaN) on 2 of 25 tiles: the training went astray"]
