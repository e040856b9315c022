"""One tile over epochs, and one epoch spread out, against the run in float64."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import MapView, RunWriter, Source, open_run
from napari_asmil.runs.distribution import Ends, EpochNumbers, deriving, laid_beside, locking
from napari_asmil.runs.trajectory import trajectory, why_other_tiles
from tests.conftest import random_z, record

RunMaker = Callable[..., Path]


def done(work: Generator[None, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def stored(run: Any, epoch: int) -> np.ndarray:
    row = run.attention(epoch, "s0").astype(np.float64)
    return np.exp(row - logsumexp(row))


def test_a_trajectory_is_m_alpha_of_the_stored_map_and_goes_on_where_it_ended(make_run: RunMaker) -> None:
    path = make_run(epochs=2, planned=9)
    run = open_run(path)
    np.testing.assert_allclose(list(trajectory(run, "s0", 7)), [stored(run, e)[7] * 25 for e in range(3)], rtol=1e-12)
    with RunWriter.resume(path) as writer:
        writer.write(record(3, 2, 1, 25, False))
    run.refresh()
    np.testing.assert_allclose(list(trajectory(run, "s0", 7, 2)), [stored(run, e)[7] * 25 for e in (2, 3)], rtol=1e-12)


def test_an_epoch_that_is_lost_is_a_gap(make_run: RunMaker) -> None:
    path = make_run(epochs=3)
    next((path / "attention" / "online" / "c" / "1").rglob("0")).unlink()
    found = list(trajectory(open_run(path), "s0", 7))
    np.testing.assert_array_equal(np.isnan(found), [False, True, False, False])


def test_tiles_that_are_not_the_same_are_told_apart(make_run: RunMaker) -> None:
    run, same, others = (open_run(make_run(n, side=s)) for n, s in (("a", 5), ("b", 5), ("c", 4)))
    assert why_other_tiles(same, run.slide("s0")) == ""
    assert why_other_tiles(others, run.slide("s0")) == "it has other tiles: 16 tiles, not 25"
    fewer = open_run(make_run("d", slides=1))
    assert why_other_tiles(fewer, run.slide("s1")) == "it has not recorded s1"


def test_an_epoch_is_spread_out_by_each_normaliser(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3))
    sources = laid_beside(MapView(run, "s0", Source(Normalizer("nsf", offset=1.5))))
    assert sources == [Source(), Source(Normalizer("softmax")), Source(Normalizer("nsf", offset=1.5))]
    numbers: EpochNumbers = done(deriving(run, "s0", 2, sources))
    z = random_z(2, 0, 3, 25).astype(np.float64)
    sigmoid = expit(z + 1.5)
    expected = [stored(run, 2), softmax(z, axis=1).mean(axis=0), (sigmoid / sigmoid.sum(axis=1)[:, None]).mean(axis=0)]
    for source, p in zip(sources, expected, strict=True):
        np.testing.assert_allclose(numbers.maps[source], p, rtol=1e-9)
    np.testing.assert_array_equal(numbers.z, random_z(2, 0, 3, 25))


def test_one_row_is_spread_out_alone_beside_the_map_that_is_shown(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3))
    shown = Source(Normalizer("entmax"))
    sources = laid_beside(MapView(run, "s0", shown), "head 2")
    assert sources == [Source(), Source(Normalizer("softmax"), "head 2"), Source(Normalizer("nsf"), "head 2"), shown]
    numbers: EpochNumbers = done(deriving(run, "s0", 2, sources, "head 2", {shown: np.full(25, 0.04)}))
    z = random_z(2, 0, 3, 25)
    np.testing.assert_array_equal(numbers.z, z[[1]])
    np.testing.assert_allclose(numbers.maps[sources[1]], softmax(z[1].astype(np.float64)), rtol=1e-9)
    np.testing.assert_array_equal(numbers.maps[shown], np.full(25, 0.04))


def test_axes_reach_what_every_epoch_has(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=2))
    view = MapView(run, "s0")
    sources, ends = laid_beside(view), Ends()
    assert done(locking(view, sources, "mean", ends)) == "all 5"
    z = np.stack([random_z(e, 0, 2, 25) for e in range(5)])
    assert ends.z == (float(z.min()), float(z.max()))
    logs = np.log10(25 * np.array([list(done(deriving(run, "s0", e, sources)).maps.values()) for e in range(5)]))
    assert ends.maps is not None
    assert ends.maps[0] <= min(-0.5, logs.min()) and ends.maps[1] >= max(0.5, logs.max())
    assert ends.maps[0] > min(-0.5, logs.min()) - 0.11 and ends.maps[1] < max(0.5, logs.max()) + 0.11


def test_axes_of_a_long_run_are_of_a_stated_sample(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_asmil.runs.distribution.SAMPLED", 1)
    view = MapView(open_run(make_run(epochs=9)), "s0")
    assert done(locking(view, laid_beside(view), "mean", Ends())) == "4 of 10"


def test_of_a_run_that_grew_the_new_epochs_alone_are_looked_at(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run(epochs=2, planned=9)
    run, ends = open_run(path), Ends()
    view = MapView(run, "s0")
    assert done(locking(view, laid_beside(view), "mean", ends)) == "all 3"
    with RunWriter.resume(path) as writer:
        for epoch in (3, 4):
            writer.write(record(epoch, 2, 1, 25, False))
    run.refresh()
    asked: list[int] = []
    scores = type(run).scores
    monkeypatch.setattr(type(run), "scores", lambda self, e, s: (asked.append(e), scores(self, e, s))[1])
    assert done(locking(view, laid_beside(view), "mean", ends)) == "all 5" and asked == [3, 4]
    z = np.stack([random_z(e, 0, 1, 25) for e in range(5)])
    assert ends.z == (float(z.min()), float(z.max()))
    assert done(locking(view, laid_beside(view), "mean", ends)) == "all 5" and asked == [3, 4]


def test_a_flat_map_has_an_axis_around_uniform() -> None:
    ends, numbers = Ends(), EpochNumbers(z=np.full((1, 4), 3.0, np.float32))
    numbers.take(Source(), np.full(4, 0.25))
    ends.widen(numbers)
    scores, maps = ends.bins
    assert scores is not None and (scores.low, scores.high) == (2.5, 3.5)
    assert maps is not None and (maps.low, maps.high) == (-0.5, 0.5)


def test_a_map_that_is_no_number_is_left_out() -> None:
    numbers = EpochNumbers()
    numbers.take(Source(), np.array([0.5, np.nan]))
    assert numbers.maps == {}
