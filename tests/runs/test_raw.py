"""The map of raw scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Source, open_run
from napari_asmil.runs.raw import RawScores
from tests.conftest import random_z

RunMaker = Callable[..., Path]


def test_it_is_the_recorded_score_of_the_row_that_is_shown(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3))
    one = RawScores(MapView(run, "s0", Source(Normalizer(), "head 2")))
    mean = RawScores(MapView(run, "s0"))
    for epoch in (0, 4):
        np.testing.assert_array_equal(one.values(epoch), random_z(epoch, 0, 3, 25)[1])
        np.testing.assert_allclose(mean.values(epoch), random_z(epoch, 0, 3, 25).mean(axis=0), rtol=1e-5, atol=1e-6)
    assert one.quantity == "score z, head 2" and mean.quantity == "score z, mean of 3 rows"


def test_its_limits_are_the_extremes_of_an_epoch_or_of_all(make_run: RunMaker) -> None:
    scores = RawScores(MapView(open_run(make_run()), "s1"))
    every = np.stack([random_z(epoch, 1, 1, 25)[0] for epoch in range(5)])
    assert scores.limits(3) == (every[3].min(), every[3].max())
    assert scores.limits() == (every.min(), every.max())


def test_without_raw_scores_it_says_why(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(make_run())
    for slide in run.slides:
        object.__setattr__(slide, "score_offset", None)
    with pytest.raises(InputError, match="were not recorded"):
        RawScores(MapView(run, "s0"))
