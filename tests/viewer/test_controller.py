"""The controller: one map over epochs, the slider, and runs that grow."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone
from napari_asmil.runs import RunWriter, Source
from napari_asmil.viewer import layers
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.window import open_runs
from tests.conftest import header, record

RunMaker = Callable[..., Path]


def commit(path: Path, *, slides: int = 2, tiles: int = 25, epochs: int = 1) -> None:
    with RunWriter.resume(path) as writer:
        for _ in range(epochs):
            writer.write(record(writer.n_epochs, slides, 1, tiles, False))


def test_a_viewer_and_its_proxy_have_one_controller(make_napari_viewer: Callable[..., Any]) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    real = make_napari_viewer()
    assert Controller.of(PublicOnlyProxy(real)) is Controller.of(PublicOnlyProxy(real)) is Controller.of(real)


def test_a_map_is_one_lazy_layer_with_places_units_and_limits(model: Any, make_run: RunMaker) -> None:
    controller = Controller.of(model)
    view = controller.show_map(controller.add_run(make_run()), "s0")
    (layer,) = model.layers
    assert layer.data is view
    assert layer.data.shape == (5, 5, 5)
    assert tuple(layer.axis_labels) == ("epoch", "y", "x")
    assert tuple(map(str, layer.units)) == ("pixel", "pixel", "pixel")
    assert layer.scale.tolist() == [1, 64, 64]
    assert layer.translate.tolist() == [0, 64 + 31.5, 128 + 31.5]
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits())
    assert layers.entry(layer)["label"] == view.label


def test_the_slider_starts_at_the_newest_epoch_and_is_tied_both_ways(model: Any, make_run: RunMaker) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(make_run()), "s0")
    assert controller.epoch == 4
    seen: list[int] = []
    controller.epoch_changed.connect(seen.append)
    model.dims.set_current_step(0, 2)
    controller.set_epoch(1)
    controller.set_epoch(1)
    controller.set_epoch(99)
    assert seen == [2, 1, 4]
    assert model.dims.current_step[0] == 4


def test_a_run_that_grows_takes_the_slider_along_only_from_its_newest_epoch(model: Any, make_run: RunMaker) -> None:
    path = make_run(epochs=2, planned=8)
    controller = Controller.of(model)
    run = controller.add_run(path)
    controller.show_map(run, "s0")
    grown: list[int] = []
    controller.run_grew.connect(lambda run: grown.append(run.n_epochs))
    commit(path)
    controller.follower.look()
    assert (model.dims.nsteps[0], controller.epoch) == (4, 3)
    controller.set_epoch(1)
    commit(path, epochs=3)
    controller.follower.look()
    assert (model.dims.nsteps[0], controller.epoch) == (7, 1)
    controller.follower.look()
    assert grown == [4, 7]


def test_an_announced_epoch_of_an_unknown_run_opens_and_shows_it(model: Any, make_run: RunMaker, qtbot: Any) -> None:
    path = make_run(epochs=1, planned=8)
    controller = Controller.of(model)
    controller.on_event(EpochDone(path, 1, 8, 0.1))
    qtbot.waitUntil(lambda: controller.map is not None, timeout=3000)
    assert controller.current == (controller.find_run(path), "s0")
    commit(path)
    controller.on_event(EpochDone(path, 2, 8, 0.1))
    qtbot.waitUntil(lambda: controller.epoch == 2, timeout=3000)


def test_a_run_without_an_epoch_is_waited_for(
    viewer: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_asmil.viewer.window.show_info", told.append)
    path = tmp_path / "young.asmil"
    with RunWriter.create(path, header(1, 1, 5, 3, False)) as writer:
        (run,) = open_runs(Controller.of(viewer), [path])
        controller = Controller.of(viewer)
        assert controller.map is None and "appears with the first" in told[0]
        with pytest.raises(InputError, match="No epoch of this run is committed yet"):
            controller.show_map(run, "s0")
        for epoch in range(2):
            writer.write(record(epoch, 1, 1, 25, False))
            qtbot.waitUntil(lambda: run.n_epochs == epoch + 1)  # noqa: B023 waited for here
            assert controller.current == (run, "s0") and controller.epoch == epoch


def test_another_process_that_writes_is_followed_without_being_announced(
    model: Any, make_run: RunMaker, qtbot: Any
) -> None:
    path = make_run(epochs=1, planned=8)
    controller = Controller.of(model)
    controller.show_map(controller.add_run(path), "s0")
    commit(path)
    qtbot.waitUntil(lambda: model.dims.nsteps[0] == 3, timeout=5000)


def test_another_normaliser_keeps_layer_place_and_data_and_reads_one_row(
    model: Any, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = Controller.of(model)
    run = controller.add_run(make_run(epochs=9))
    view = controller.show_map(run, "s0")
    (layer,) = model.layers
    controller.set_locked(False)
    controller.set_epoch(3)
    read: list[int] = []
    scores = type(run).scores

    def counted(self: Any, epoch: int, slide_id: str) -> Any:
        read.append(epoch)
        return scores(self, epoch, slide_id)

    monkeypatch.setattr(type(run), "scores", counted)
    controller.show_map(run, "s0", Source(Normalizer("nsf", temperature=2.0)))
    assert len(model.layers) == 1
    assert layer.data is view
    assert set(read) == {3}
    assert controller.epoch == 3
    shown = layer.get_value((3, *view.raster.origin), world=True)
    assert shown == pytest.approx(view.values(3)[0])


def test_limits_are_locked_over_epochs_or_those_of_each(model: Any, make_run: RunMaker) -> None:
    controller = Controller.of(model)
    view = controller.show_map(controller.add_run(make_run(epochs=6)), "s0")
    (layer,) = model.layers
    controller.set_epoch(2)
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits())
    controller.set_locked(False)
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits(2))
    controller.set_epoch(5)
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits(5))


def test_limits_set_by_hand_stay_when_the_run_grows(model: Any, make_run: RunMaker) -> None:
    path = make_run(epochs=2, planned=8)
    controller = Controller.of(model)
    controller.show_map(controller.add_run(path), "s0")
    model.layers[0].contrast_limits = (0.5, 1.5)
    commit(path)
    controller.follower.look()
    assert tuple(model.layers[0].contrast_limits) == (0.5, 1.5)


def test_a_map_the_person_deleted_comes_back_only_on_request(model: Any, make_run: RunMaker) -> None:
    path = make_run(epochs=2, planned=8)
    controller = Controller.of(model)
    run = controller.add_run(path)
    controller.show_map(run, "s0")
    del model.layers[0]
    assert controller.map is None
    commit(path)
    controller.follower.look()
    assert len(model.layers) == 0
    controller.show_map(run, "s0")
    assert model.layers[0].data.shape[0] == 4


def test_a_slide_without_places_has_no_map_and_says_so(model: Any, tmp_path: Path) -> None:
    from napari_asmil.runs import RunHeader, SlideHeader

    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("row",), (SlideHeader("s0", 4),), 2, 3)
    with RunWriter.create(tmp_path / "bare.asmil", header) as writer:
        writer.write(record(0, 1, 1, 4, False))
    controller = Controller.of(model)
    run = controller.add_run(tmp_path / "bare.asmil")
    with pytest.raises(InputError, match=r"tiles of slide 's0' were not placed when the run was made.*--tile-size"):
        controller.show_map(run, "s0")
    assert len(model.layers) == 0


def test_the_same_folder_is_opened_once_and_closing_it_takes_its_map_away(model: Any, make_run: RunMaker) -> None:
    controller = Controller.of(model)
    path = make_run()
    run = controller.add_run(path)
    assert controller.add_run(str(path)) is run
    controller.show_map(run, "s0")
    controller.remove_run(run)
    assert list(controller.runs) == []
    assert len(model.layers) == 0


def test_a_closed_viewer_takes_its_controller_along(make_run: RunMaker) -> None:
    from napari.components import ViewerModel

    model = ViewerModel()
    controller = Controller.of(model)
    controller.show_map(controller.add_run(make_run()), "s0")
    gone = weakref.ref(model)
    del model, controller
    gc.collect()
    assert gone() is None


def test_the_map_layer_shows_the_row_that_was_recorded(model: Any, make_run: RunMaker) -> None:
    controller = Controller.of(model)
    run = controller.add_run(make_run())
    view = controller.show_map(run, "s1", transform="probability")
    expected = np.exp(run.attention(1, "s1").astype(np.float64))
    centres = run.slide("s1").tiles.centres
    controller.set_epoch(1)
    seen = [model.layers[0].get_value((1, *centre), world=True) for centre in centres]
    assert np.allclose(seen, expected / expected.sum(), rtol=1e-6)
    assert view.transform_name == "probability"
