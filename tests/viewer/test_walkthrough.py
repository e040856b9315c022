"""One person's way through the window: sample, train, scrub, switch, compare, export, close in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QApplication, QComboBox, QDockWidget

from napari_asmil.runs import open_run
from napari_asmil.training import split_variant
from napari_asmil.viewer import layers
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.status import State

PLUGIN = "napari-asmil"
PATIENCE = 120_000
"""Milliseconds, for a machine that has much else to do."""


def choose(box: QComboBox, data: Any) -> None:
    box.setCurrentIndex(box.findData(data))


def seen(viewer: Any) -> np.ndarray:
    """The canvas as it is on the screen."""
    QApplication.processEvents()
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3].astype(int)


def docks(viewer: Any, *titles: str) -> list[Any]:
    return [viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=True)[1] for title in titles]


def bring_to_front(dock: Any, qtbot: Any) -> None:
    """Choose the tab of a dock; one that is not looked at writes nothing."""
    frame = dock.parentWidget()
    while not isinstance(frame, QDockWidget):
        frame = frame.parentWidget()
    frame.raise_()
    qtbot.waitUntil(dock.isVisible)


def start_training(train: Any, out: Path, variant: str, epochs: int) -> None:
    train.form.choose(*split_variant(variant))
    train.form.preset.setCurrentText("demo")
    train.form.epochs.setValue(epochs)
    train.out.set_path(out)
    train.start_button.click()


def test_from_the_sample_to_a_window_closed_in_the_middle_of_a_training(
    make_napari_viewer_proxy: Callable[..., Any], qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1280, 800)
    controller = Controller.of(viewer)

    # the sample: a slide, its attention at the newest epoch, contours, and a legend that names them
    viewer.open_sample(PLUGIN, "demo")
    explore, train, dynamics = docks(viewer, "Explore attention", "Train", "Read dynamics")
    assert [layers.entry(layer)["kind"] for layer in viewer.layers] == ["slide", "map", "contours"]
    sample, slide_id = controller.current or pytest.fail("the sample shows no map")
    assert controller.epoch == sample.n_epochs - 1 > 0
    bring_to_front(explore, qtbot)
    assert sample.label in explore.legend.facts.text()
    assert f"{controller.epoch} of {sample.planned_epochs}" in explore.legend.facts.text()
    last = seen(viewer)
    viewer.dims.set_current_step(0, 1)
    assert np.abs(seen(viewer) - last).mean() > 0.5

    # training: each epoch appears on the slide and takes the slider along
    out = tmp_path / "runs" / "mine.asmil"
    start_training(train, out, "abmil_nsf", epochs=10)
    qtbot.waitUntil(lambda: controller.current is not None and controller.current[0].path == out, timeout=PATIENCE)
    assert controller.current == (controller.find_run(out), slide_id)
    qtbot.waitUntil(lambda: controller.epoch >= 2, timeout=PATIENCE)
    run = controller.current[0]
    assert controller.epoch == len(controller.map) - 1

    # scrubbing meanwhile: the slider stays where it was left while the range grows
    train.panel.pause_button.click()
    qtbot.waitUntil(lambda: viewer.dims.nsteps[0] == open_run(out).n_epochs, timeout=PATIENCE)
    viewer.dims.set_current_step(0, 1)
    steps = viewer.dims.nsteps[0]
    train.panel.pause_button.click()
    qtbot.waitUntil(lambda: viewer.dims.nsteps[0] > steps, timeout=PATIENCE)
    assert controller.epoch == 1
    shown = controller.map_layer.get_value((1, *controller.map.raster.origin), world=True)
    first = controller.map[1][0, 0]
    assert shown == pytest.approx(first, nan_ok=True)
    qtbot.waitUntil(lambda: controller.job.status.state is State.DONE, timeout=PATIENCE)
    qtbot.waitUntil(lambda: len(controller.map) == run.planned_epochs + 1, timeout=PATIENCE)
    viewer.dims.set_current_step(0, run.planned_epochs)
    qtbot.waitUntil(lambda: dynamics.jsd.cursor.value() == run.planned_epochs, timeout=PATIENCE)
    dynamics.jsd.picked.emit(3)
    assert controller.epoch == 3

    # another normaliser: other colours, other words, nothing trained again
    explore.panes.add.click()
    before = seen(viewer)
    choose(explore.chooser.normalizer, "softmax")
    explore.chooser.numbers["temperature"].setValue(0.3)
    assert np.abs(seen(viewer) - before).mean() > 0.5
    bring_to_front(explore, qtbot)
    assert "softmax T=0.3" in explore.legend.facts.text()
    explore.panes.add.click()
    choose(explore.chooser.run, sample)
    explore.panes.add.click()

    # side by side: three panes, each with the slide and a map of its own
    explore.panes.toggle.click()
    panes = seen(viewer)
    assert viewer.canvas.grid.enabled
    assert len(controller.comparison.maps) == 3
    halves = np.array_split(panes, 2, axis=1)
    assert all((half.std(axis=(0, 1)) > 5).all() for half in halves)
    explore.panes.toggle.click()
    assert not viewer.canvas.grid.enabled

    # export: the picture says what the window says
    target = tmp_path / "overlay.png"
    explore.export_to(target)
    qtbot.waitUntil(target.is_file, timeout=PATIENCE)
    with Image.open(target) as picture:
        facts = picture.text  # type: ignore[attr-defined]
    assert facts["run"] == sample.name
    assert facts["slide"].startswith(slide_id)
    assert facts["epoch"].startswith(str(controller.epoch))

    # the window is closed in the middle of another training: it ends, and the run is whole
    second = tmp_path / "runs" / "second.asmil"
    start_training(train, second, "asmil", epochs=50)
    qtbot.waitUntil(lambda: second.exists() and open_run(second).n_epochs >= 2, timeout=PATIENCE)
    job = controller.job
    began = time.monotonic()
    viewer.close()
    qtbot.waitUntil(lambda: not job.active, timeout=PATIENCE)
    assert time.monotonic() - began < 10
    whole = open_run(second)
    assert 2 <= whole.n_epochs < 51
    for epoch in range(whole.n_epochs):
        assert np.isfinite(whole.attention(epoch, slide_id)).all()
