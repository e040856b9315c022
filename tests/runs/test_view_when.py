"""Maps of an earlier epoch, or of a fixed one, along the slider."""

from __future__ import annotations

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Source, When, open_run
from tests.conftest import RunMaker


def test_an_earlier_map_comes_so_many_steps_later_and_is_empty_before(make_run: RunMaker) -> None:
    run = open_run(make_run())
    now, earlier = MapView(run, "s1"), MapView(run, "s1", when=When(2))
    assert earlier.shape == now.shape == (5, 5, 5)
    assert np.isnan(earlier[:2]).all()
    np.testing.assert_array_equal(earlier[2:], now[:3])
    with pytest.raises(InputError, match="no map 2 epochs earlier at epoch 1"):
        earlier.epoch_at(1)


def test_a_fixed_map_is_the_same_at_every_step(make_run: RunMaker) -> None:
    run = open_run(make_run())
    np.testing.assert_array_equal(MapView(run, "s0", when=When(fixed=3))[:], np.stack([MapView(run, "s0")[3]] * 5))


def test_a_shifted_map_reaches_as_far_as_the_slider_does(make_run: RunMaker) -> None:
    short, long = open_run(make_run("short", epochs=2)), open_run(make_run("long", epochs=6))
    view = MapView(short, "s0", when=When(3), along=[short, long])
    assert view.shape[0] == 7
    np.testing.assert_array_equal(view[3:6], MapView(short, "s0")[:])
    assert np.isnan(view[6]).all()
    with pytest.raises(InputError, match="no epoch 3; its last is 2"):
        view.epoch_at(6)
    assert MapView(short, "s0", when=When(fixed=1), along=[long])[6].tolist() == view[4].tolist()


def test_limits_and_values_are_by_epochs_of_the_run_whatever_the_step(make_run: RunMaker) -> None:
    run = open_run(make_run())
    source = Source(Normalizer("nsf"))
    now, earlier = MapView(run, "s0", source), MapView(run, "s0", source, when=When(2))
    np.testing.assert_array_equal(earlier.values(1), now.values(1))
    assert earlier.limits() == now.limits()


def test_words_say_the_epoch(make_run: RunMaker) -> None:
    run = open_run(make_run())
    assert "1 epoch earlier" in MapView(run, "s0", when=When(1)).label
    assert MapView(run, "s0", when=When(fixed=0)).label.count("always epoch 0") == 1
    assert MapView(run, "s0", when=When(fixed=0)).name == "run · t=0 · softmax T=1"
    assert MapView(run, "s0", when=When(3)).name == "run · t−3 · softmax T=1"
    assert When().label == ""


@pytest.mark.parametrize("wrong", [{"earlier": -1}, {"fixed": -2}])
def test_epochs_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="counted from 0"):
        When(**wrong)
