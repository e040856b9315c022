"""The controller in the real window: one map over epochs, the slider, and runs that grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import RunWriter, Source, open_run
from napari_asmil.viewer import layers
from napari_asmil.viewer.controller import Controller
from tests.conftest import record


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    return make_napari_viewer_proxy()


def commit(path: Path, epoch: int, *, slides: int = 2, tiles: int = 25) -> None:
    with RunWriter.resume(path) as writer:
        writer.write(record(epoch, slides, 1, tiles, False))


def test_a_viewer_and_its_proxy_have_one_controller(make_napari_viewer: Callable[..., Any]) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    real = make_napari_viewer()
    assert Controller.of(PublicOnlyProxy(real)) is Controller.of(PublicOnlyProxy(real)) is Controller.of(real)


def test_a_map_is_one_lazy_layer_with_places_units_and_limits(viewer: Any, make_run: Callable[..., Path]) -> None:
    controller = Controller.of(viewer)
    view = controller.show_map(controller.add_run(make_run()), "s0")
    (layer,) = viewer.layers
    assert layer.data is view
    assert layer.data.shape == (5, 5, 5)
    assert tuple(layer.axis_labels) == ("epoch", "y", "x")
    assert tuple(map(str, layer.units)) == ("pixel", "pixel", "pixel")
    assert layer.scale.tolist() == [1, 64, 64]
    assert layer.translate.tolist() == [0, 64 + 31.5, 128 + 31.5]
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits())
    assert layer.metadata["napari-asmil"]["label"] == view.label


def test_the_slider_starts_at_the_newest_epoch_and_both_ways_agree(viewer: Any, make_run: Callable[..., Path]) -> None:
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(make_run()), "s0")
    assert controller.epoch == 4
    seen: list[int] = []
    controller.epoch_changed.connect(seen.append)
    viewer.dims.set_current_step(0, 2)
    controller.set_epoch(1)
    controller.set_epoch(1)
    assert seen == [2, 1]
    assert viewer.dims.current_step[0] == 1
