"""Keys of the window, and what they step through: epochs, slides, runs, and back to the map before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, RunHeader, RunWriter, SlideHeader, Source
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.keys import KEYS, words
from napari_asmil.viewer.steps import go_to_slide, step_epoch, step_run, step_slide
from tests.conftest import header, record
from tests.viewer.conftest import Pictured


@pytest.fixture
def controller(model: Any, pictured: Pictured) -> Controller:
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in pictured.runs]
    controller.show_map(runs[0], "slide")
    return controller


def test_keys_drive_the_real_window(viewer: Any, pictured: Pictured, qtbot: Any) -> None:
    controller = Controller.of(viewer)
    first, second = (controller.add_run(path) for path in pictured.runs)
    controller.show_map(first, "slide")
    window = next(w for w in QApplication.allWidgets() if type(w).__name__ == "QtViewer")
    press = {",": Qt.Key.Key_Comma, ".": Qt.Key.Key_Period, "]": Qt.Key.Key_BracketRight, "'": Qt.Key.Key_Apostrophe}
    press["/"] = Qt.Key.Key_Slash

    def key(name: str) -> None:
        qtbot.keyClick(window, press[name])

    key(",")
    assert controller.epoch == 4
    key(".")
    assert controller.epoch == 5
    key("]")
    assert controller.current == (first, "other")
    key("'")
    assert controller.current == (second, "other")
    key("/")
    assert controller.current == (first, "other")


def test_epochs_stop_at_both_ends(controller: Controller) -> None:
    step_epoch(controller, 1)
    assert controller.epoch == 5
    controller.set_epoch(0)
    step_epoch(controller, -1)
    assert controller.epoch == 0


def test_slides_go_round_and_keep_attention_epoch_and_place(model: Any, controller: Controller) -> None:
    source = Source(Normalizer("nsf", offset=2.0))
    controller.show_map(controller.runs[0], "slide", source, "log10")
    controller.set_epoch(2)
    model.scene.camera.center, model.scene.camera.zoom = (0, 300, 500), 3.0
    step_slide(controller, 1)
    assert controller.current == (controller.runs[0], "other")
    assert controller.map is not None
    assert (controller.map.source, controller.map.transform_name, controller.epoch) == (source, "log10", 2)
    step_slide(controller, 1)
    assert controller.current == (controller.runs[0], "slide")
    assert tuple(model.scene.camera.center[-2:]) == (300, 500) and model.scene.camera.zoom == 3.0


def test_the_next_run_shows_the_same_slide(controller: Controller) -> None:
    step_run(controller, 1)
    assert controller.current == (controller.runs[1], "slide")
    step_run(controller, 1)
    assert controller.current == (controller.runs[0], "slide")


def test_flipping_shows_two_maps_in_turn_in_place(controller: Controller) -> None:
    first = controller.runs[0]
    stored, nsf = Source(), Source(Normalizer("nsf"))
    layer = controller.map_layer
    controller.show_map(first, "slide", nsf)
    for offset in (1.0, 2.0):  # the numbers of a normaliser are no other map to flip to
        nsf = Source(Normalizer("nsf", offset=offset))
        controller.show_map(first, "slide", nsf)
    assert controller.map is not None
    for expected in (stored, nsf, stored):
        controller.flip.back()
        assert controller.map.source == expected
    assert controller.map_layer is layer


def test_flipping_where_nothing_was_before_does_nothing(controller: Controller) -> None:
    controller.flip.back()
    assert controller.map is not None and controller.map.source == Source()


def test_flipping_stays_on_the_slide_at_hand(controller: Controller) -> None:
    controller.show_map(controller.runs[1], "slide")
    go_to_slide(controller, "other")
    for run in (controller.runs[0], controller.runs[1]):
        controller.flip.back()
        assert controller.current == (run, "other")


def test_a_run_that_was_closed_or_has_not_the_slide_is_not_flipped_to(controller: Controller, make_run: Any) -> None:
    elsewhere = controller.add_run(make_run("elsewhere"))
    controller.show_map(elsewhere, "s0")
    controller.flip.back()
    assert controller.current == (elsewhere, "s0")
    controller.show_map(controller.runs[0], "slide")
    controller.remove_run(elsewhere)
    controller.flip.back()
    assert controller.current == (controller.runs[0], "slide")


def test_a_shorter_run_does_not_cost_the_epoch(controller: Controller, make_run: Any, pictured: Pictured) -> None:
    first = controller.runs[0]
    whole = header(1, 1, 8, 1, False)
    with RunWriter.create(
        pictured.slide.parent / "short.asmil", replace(whole, slides=named(whole, "slide"))
    ) as writer:
        for epoch in range(2):
            given = record(epoch, 1, 1, 64, False)
            writer.write(replace(given, slides={"slide": given.slides["s0"]}))
    short = controller.add_run(pictured.slide.parent / "short.asmil")
    controller.set_epoch(4)
    controller.show_map(short, "slide")
    assert controller.epoch == 1
    controller.set_epoch(1)
    controller.flip.back()
    assert controller.current == (first, "slide")
    controller.set_epoch(4)
    for run, epoch in ((short, 1), (first, 4)):
        controller.flip.back()
        assert (controller.current, controller.epoch) == ((run, "slide"), epoch)


def named(whole: RunHeader, slide_id: str) -> tuple[SlideHeader, ...]:
    return (replace(whole.slides[0], slide_id=slide_id),)


@pytest.mark.parametrize("step", [step_run, step_slide])
def test_where_no_map_is_shown_a_step_shows_one(model: Any, controller: Controller, step: Any) -> None:
    go_to_slide(controller, "slide")
    model.layers.remove(controller.map_layer)
    assert controller.current is None
    step(controller, 1)
    assert controller.current == (controller.runs[0], "slide")


def test_a_comparison_goes_along_to_the_next_slide(controller: Controller) -> None:
    controller.comparison.enter([cell_of(MapView(run, "slide")) for run in controller.runs], "slide", "m_alpha")
    step_run(controller, 1)
    controller.flip.back()
    assert controller.comparison.active
    step_slide(controller, 1)
    assert [layer.data.slide.slide_id for layer in controller.comparison.maps] == ["other", "other"]


def test_attention_that_one_slide_lacks_comes_back_on_the_next(
    model: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_asmil.viewer.steps.show_info", told.append)
    whole = header(3, 1, 5, 0, False)
    slides = tuple(replace(slide, watched=slide.slide_id != "s1") for slide in whole.slides)
    with RunWriter.create(tmp_path / "run.asmil", replace(whole, slides=slides)) as writer:
        writer.write(record(0, 3, 1, 25, False))
    controller = Controller.of(model)
    nsf = Source(Normalizer("nsf", offset=2.0))
    controller.show_map(controller.add_run(tmp_path / "run.asmil"), "s0", nsf)
    seen = []
    for _ in range(3):
        step_slide(controller, 1)
        assert controller.map is not None
        seen.append((controller.map.slide.slide_id, controller.map.source))
    assert seen == [("s1", Source()), ("s2", nsf), ("s0", nsf)]
    assert told == ["Raw scores of s1 were not recorded in run: its map is shown as stored."]
    step_slide(controller, 1)
    controller.show_map(controller.runs[0], "s0", Source())  # now that is wished for
    step_slide(controller, -1)
    assert controller.map is not None and controller.map.source == Source()


def test_a_group_of_rows_that_the_next_run_lacks_becomes_the_mean(
    controller: Controller, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_asmil.viewer.steps.show_info", told.append)
    many, one = controller.add_run(make_run("many", rows=3)), controller.add_run(make_run("one"))
    many.attrs["row_names"] = [f"head {at} / token 1" for at in range(2)] + ["head 0 / token 2"]
    controller.show_map(many, "s0", Source(Normalizer(), "token 1"))
    step_run(controller, 1)
    assert controller.current == (one, "s0")
    assert controller.map is not None and controller.map.source == Source(Normalizer())
    assert told == ["one has no row 'token 1': the mean of its rows is shown."]


def test_a_comparison_stays_where_a_pane_has_not_the_next_slide(controller: Controller, tmp_path: Any) -> None:
    first = controller.runs[0]
    whole = header(1, 1, 8, 0, False)
    alone = replace(whole, slides=named(whole, "slide"))
    given = record(0, 1, 1, 64, False)
    with RunWriter.create(tmp_path / "alone.asmil", alone) as writer:
        writer.write(replace(given, slides={"slide": given.slides["s0"]}))
    other = controller.add_run(tmp_path / "alone.asmil")
    cells = [cell_of(MapView(run, "slide")) for run in (first, other)]
    controller.comparison.enter(cells, "slide", "m_alpha")
    with pytest.raises(InputError, match="'other' is not recorded"):
        step_slide(controller, 1)
    assert controller.comparison.active and controller.current == (first, "slide")


def test_a_key_that_is_taken_is_left_alone(model: Any, pictured: Pictured) -> None:
    pressed: list[str] = []
    model.bind_key(",", lambda viewer: pressed.append("mine"))
    Controller.of(model)
    next(act for key, act in model.keymap.items() if str(key) == ",")(model)
    assert pressed == ["mine"]


def test_tiles_picked_on_a_slide_are_forgotten_with_it(controller: Controller) -> None:
    controller.selection.select(np.arange(64) < 3)
    controller.selection.pin(5)
    controller.show_map(controller.runs[1], "slide")
    assert controller.selection.pinned == 5 and controller.selection.tiles is not None
    go_to_slide(controller, "other")
    assert controller.selection.pinned is None and controller.selection.tiles is None


def test_every_key_says_what_it_does() -> None:
    assert all(key.does in words() for key in KEYS)
    assert words("]") == "]  next slide"
