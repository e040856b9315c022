"""What is done while the window is idle: short steps, newest first; and neighbours of the shown epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import MapView, Source, open_run
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.idle import Idle

RunMaker = Callable[..., Path]


@pytest.fixture
def idle(qapp: Any) -> Iterator[Idle]:
    idle = Idle()
    yield idle
    idle.stop()


def steps(said: list[str], name: str, count: int) -> Iterator[None]:
    for at in range(count):
        said.append(f"{name}{at}")
        yield


def test_work_is_done_while_the_window_lives(idle: Idle, qtbot: Any) -> None:
    said: list[str] = []
    idle.do("a", steps(said, "a", 3))
    assert said == [] and idle.active
    qtbot.waitUntil(lambda: not idle.active)
    assert said == ["a0", "a1", "a2"]


def test_the_newest_is_done_first_and_the_same_key_is_done_instead(idle: Idle) -> None:
    said: list[str] = []
    for key, name in (("a", "a"), ("b", "b"), ("a", "c")):
        idle.do(key, steps(said, name, 2))
    idle.finish()
    assert said == ["c0", "c1", "b0", "b1"]


def test_what_is_dropped_is_closed(idle: Idle) -> None:
    closed: list[str] = []

    def work() -> Iterator[None]:
        try:
            while True:
                yield
        finally:
            closed.append("closed")

    begun = work()
    next(begun)
    idle.do("a", begun)
    idle.drop("a")
    assert closed == ["closed"] and not idle.active


def test_work_that_fails_is_told_once_and_the_rest_goes_on(idle: Idle) -> None:
    said: list[str] = []

    def fails() -> Iterator[None]:
        yield
        raise ValueError("once")

    idle.do("a", steps(said, "a", 1))
    idle.do("b", fails())
    with pytest.raises(ValueError, match="once"):
        idle.finish()
    idle.finish()
    assert said == ["a0"]


def test_work_that_starts_other_work_is_not_lost(idle: Idle) -> None:
    said: list[str] = []

    def first() -> Iterator[None]:
        idle.do("a", steps(said, "again", 1))
        yield

    idle.do("a", first())
    idle.finish()
    assert said == ["again0"]


def derived(viewer: Any, path: Path) -> tuple[Controller, MapView]:
    controller = Controller.of(viewer)
    view = controller.show_map(controller.add_run(path), "s0", Source(Normalizer("nsf")))
    return controller, view


def test_neighbours_of_the_shown_epoch_are_there_before_anyone_asks(
    model: Any, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, view = derived(model, make_run(rows=3, epochs=8))
    controller.set_epoch(4)
    controller.idle.finish()
    oracle = [MapView(open_run(view.run.path), "s0", view.source)[e] for e in range(9)]
    monkeypatch.setattr(view.run, "scores", None)  # from now on nothing can be derived
    for epoch in (3, 5, 2, 6):
        np.testing.assert_array_equal(view[epoch], oracle[epoch])


def test_a_map_as_stored_is_not_fetched_ahead(model: Any, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller.of(model)
    view = controller.show_map(controller.add_run(make_run()), "s0")
    controller.set_epoch(2)
    asked: list[int] = []
    monkeypatch.setattr(view.run, "attention", lambda epoch, *_: asked.append(epoch))
    controller.idle.finish()
    assert asked == [] and not controller.idle.active


def test_what_is_fetched_of_another_normaliser_is_not_taken_for_this_one(model: Any, make_run: RunMaker) -> None:
    _, view = derived(model, make_run(rows=3))
    fetching = view.fetching(1)
    next(fetching)
    view.set(Source(Normalizer("softmax", temperature=0.1)))
    list(fetching)
    fresh = MapView(view.run, "s0", view.source)
    np.testing.assert_array_equal(view[1], fresh[1])


def test_a_viewer_that_is_gone_is_no_longer_fetched_for(qapp: Any, make_run: RunMaker) -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    controller, _ = derived(viewer, make_run(rows=3))
    controller.set_epoch(1)
    del viewer
    import gc

    gc.collect()
    controller.idle.finish()
    assert not controller.idle.active
