"""Runs whose epochs hold no attention: values as a file had them, or no number at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from napari_asmil.errors import InputError
from napari_asmil.runs import EpochRecord, MapView, Run, RunHeader, RunWriter, SlideHeader, SlideRecord, open_run
from tests.conftest import grid_xy

TILES = 9
SHARES = np.linspace(0, 1, TILES, dtype=np.float32)


def write(path: Path, maps: list[SlideRecord], imported: str = "", watched: bool = False) -> Run:
    """A run of one slide."""
    slides = (SlideHeader("s0", TILES, xy=grid_xy(3), tile_size=64.0, labels=np.eye(TILES)[0], watched=watched),)
    header = RunHeader("m", "M", {}, ("unknown",), ("row",), slides, len(maps) - 1, 1, imported=imported)
    with RunWriter.create(path, header) as writer:
        for record in maps:
            writer.write(EpochRecord({"s0": record}))
    return open_run(path)


def of(log_p: np.ndarray, values: np.ndarray | None = None) -> SlideRecord:
    unknown = np.full(1, np.nan, dtype=np.float32)
    return SlideRecord(log_p.astype(np.float32), unknown, unknown, values=values)


def test_an_epoch_without_any_number_is_no_damage(tmp_path: Path) -> None:
    whole = log_softmax(np.arange(TILES))
    run = write(tmp_path / "r.asmil", [of(whole), of(np.full(TILES, np.nan)), of(whole)])
    assert np.isnan(run.attention(1, "s0")).all()
    assert np.isnan(run.scalars("entropy")[1, 0]) and np.isfinite(run.scalars("entropy")[[0, 2], 0]).all()


def test_of_a_map_that_is_no_number_no_scalar_is_one(tmp_path: Path) -> None:
    row = log_softmax(np.arange(TILES))
    row[4] = np.nan
    run = write(tmp_path / "r.asmil", [of(row)])
    assert {name for name in run.scalar_names if np.isfinite(run.scalars(name)).any()} == set()


def test_values_of_every_slide_and_epoch_come_back_as_they_were(tmp_path: Path) -> None:
    nothing = np.full(TILES, np.nan)
    run = write(tmp_path / "r.asmil", [of(nothing, SHARES), of(nothing, SHARES[::-1])], imported="scaled")
    np.testing.assert_array_equal(run.values(0, "s0"), SHARES)
    np.testing.assert_array_equal(run.values(1, "s0"), SHARES[::-1])
    view = MapView(run, "s0")
    np.testing.assert_array_equal(view.drawing.to_image(SHARES[::-1]), np.asarray(view)[1])
    for _ in view.fetching(0):
        pass
    np.testing.assert_array_equal(view.image(0), view.drawing.to_image(SHARES))


def test_a_run_of_attention_has_no_values_and_one_of_values_no_attention(tmp_path: Path) -> None:
    run = write(tmp_path / "a.asmil", [of(log_softmax(np.arange(TILES)))])
    with pytest.raises(InputError):
        run.values(0, "s0")
    run = write(tmp_path / "b.asmil", [of(np.full(TILES, np.nan), SHARES)], imported="scaled")
    with pytest.raises(InputError, match="mean nothing for them"):
        MapView(run, "s0").probabilities(0)
