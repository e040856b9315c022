"""The difference of two maps as a map, against float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.agreement import agreement
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, RunWriter, Source, When, open_run
from napari_asmil.runs.contrast import Difference, agreeing_at
from tests.conftest import RunMaker, header, record


@pytest.fixture
def pair(make_run: RunMaker) -> tuple[MapView, MapView]:
    run = open_run(make_run(rows=2, anchor=True))
    return MapView(run, "s1"), MapView(run, "s1", Source(branch="anchor"))


def test_a_ratio_and_a_difference_are_those_of_the_two_maps_in_float64(pair: tuple[MapView, MapView]) -> None:
    a, b = pair
    p, q = a.probabilities(3), b.probabilities(3)
    np.testing.assert_allclose(Difference(a, b)[3].ravel(), np.log2(p / q), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(Difference(a, b, "plain")[3].ravel(), 25 * (p - q), rtol=1e-5, atol=1e-6)


def test_each_map_is_at_its_own_epoch(make_run: RunMaker) -> None:
    run = open_run(make_run())
    now, before = MapView(run, "s0"), MapView(run, "s0", when=When(1))
    shown = Difference(now, before, "plain")
    np.testing.assert_allclose(
        shown[4].ravel(), 25 * (now.probabilities(4) - now.probabilities(3)), rtol=1e-5, atol=1e-6
    )
    assert np.isnan(shown[0]).all()
    with pytest.raises(InputError, match="B: There is no map 1 epoch earlier at epoch 0"):
        shown.values(0)


@pytest.mark.parametrize("kind", ["log2", "plain"])
def test_limits_are_symmetric_and_hold_every_epoch(pair: tuple[MapView, MapView], kind: str) -> None:
    shown = Difference(*pair, kind)  # type: ignore[arg-type]
    low, high = shown.limits()
    assert low == -high
    assert high == pytest.approx(np.nanmax(np.abs(shown[:])), rel=1e-6)
    assert shown.limits(2)[1] == pytest.approx(np.abs(shown[2]).max(), rel=1e-6)


def test_maps_that_are_alike_show_no_pattern_of_rounding(make_run: RunMaker) -> None:
    run = open_run(make_run())
    shown = Difference(MapView(run, "s0"), MapView(run, "s0", Source(Normalizer("softmax"))))
    assert 0 < np.abs(shown[1]).max() < 1e-4 * shown.limits()[1]


def test_tiles_that_neither_uses_do_not_stretch_the_colours_of_a_ratio(make_run: RunMaker) -> None:
    run = open_run(make_run())
    sharp = Source(Normalizer("softmax", temperature=0.05))
    shown = Difference(MapView(run, "s0", sharp), MapView(run, "s0"))
    assert np.abs(shown[2]).max() > shown.limits()[1]
    assert shown.limits()[1] <= np.log2(25 / 1e-3)


def other_tiles(path: Path, side: int, shift: int = 0) -> MapView:
    from dataclasses import replace

    head = header(1, 1, side, 1, False)
    (slide,) = head.slides
    assert slide.xy is not None
    with RunWriter.create(path, replace(head, slides=(replace(slide, xy=slide.xy + shift),))) as writer:
        for epoch in range(2):
            writer.write(record(epoch, 1, 1, side * side, False))
    return MapView(open_run(path), "s0")


def test_maps_of_other_tiles_have_no_difference(make_run: RunMaker, tmp_path: Path) -> None:
    a = MapView(open_run(make_run()), "s0")
    with pytest.raises(InputError, match="not of one tile set: 16 tiles, not 25"):
        Difference(a, other_tiles(tmp_path / "fewer.asmil", 4))
    with pytest.raises(InputError, match="not of one tile set: 25 of 25 lie elsewhere"):
        Difference(a, other_tiles(tmp_path / "moved.asmil", 5, shift=8))


def test_one_tile_has_no_difference_to_show(tmp_path: Path) -> None:
    view = other_tiles(tmp_path / "one.asmil", 1)
    shown = Difference(view, MapView(view.run, "s0", Source(Normalizer("nsf"))))
    assert shown[0].tolist() == [[0.0]]
    assert shown.limits()[0] < shown.limits()[1]


def test_agreement_at_a_step_is_of_the_maps_shown_there(pair: tuple[MapView, MapView]) -> None:
    a, b = pair
    *_, found = agreeing_at(a, b, 2)
    assert found == agreement(a.probabilities(2), b.probabilities(2))


def test_an_epoch_that_one_run_lacks_is_said(make_run: RunMaker) -> None:
    short, long = (MapView(open_run(make_run(f"r{n}", epochs=n)), "s0") for n in (2, 4))
    shown = Difference(long, short)
    assert shown.shape[0] == 5
    with pytest.raises(InputError, match="B: This run has no epoch 4; its last is 2"):
        next(agreeing_at(long, short, 4))
    assert np.isnan(shown[4]).all()


def test_a_difference_grows_with_its_runs(make_run: RunMaker) -> None:
    path = make_run(epochs=2, planned=4)
    shown = Difference(MapView(open_run(path), "s0"), MapView(open_run(path), "s0", when=When(1)))
    with RunWriter.resume(path) as writer:
        writer.write(record(3, 2, 1, 25, False))
    shown.refresh()
    assert shown.shape[0] == 4 and np.isfinite(shown[3]).all()
