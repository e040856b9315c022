"""Temperature, offset and order are dragged: the map follows a held slider, and is settled when that is let go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QStyle, QStyleOptionSlider

from napari_asmil.analysis.normalizers import nsf
from napari_asmil.runs import Source
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.docks.number import Number

RunMaker = Callable[..., Path]


def handle(slider: Any) -> QPoint:
    """Middle of a slider's handle."""
    option = QStyleOptionSlider()
    slider.initStyleOption(option)
    kind = QStyle.ComplexControl.CC_Slider
    return slider.style().subControlRect(kind, option, QStyle.SubControl.SC_SliderHandle, slider).center()


@pytest.fixture
def explore(viewer: Any, make_run: RunMaker, qtbot: Any) -> ExploreDock:
    dock = ExploreDock(viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 760)
    dock.show()
    qtbot.waitExposed(dock)
    controller = dock.controller
    controller.show_map(controller.add_run(make_run(epochs=6)), "s0")
    dock.chooser.normalizer.setCurrentIndex(dock.chooser.normalizer.findData("nsf"))
    return dock


def test_the_map_follows_a_held_slider_and_its_limits_are_locked_when_it_is_let_go(
    explore: ExploreDock, qtbot: Any
) -> None:
    controller, number = explore.controller, explore.chooser.numbers["offset"]
    controller.set_epoch(2)
    layer, view = controller.map_layer, controller.map
    assert layer is not None and view is not None
    start = handle(number.slider)
    qtbot.mousePress(number.slider, Qt.MouseButton.LeftButton, pos=start)
    for step in (10, 20, 30):
        qtbot.mouseMove(number.slider, start + QPoint(step, 0))
    held = number.value()
    assert held > 0 and number.dragged
    qtbot.waitUntil(lambda: view.source.normalizer is not None and view.source.normalizer.offset == held)
    z = view.run.scores(2, "s0")
    np.testing.assert_allclose(layer.data.values(2), 25 * nsf(z, offset=held)[0], rtol=1e-5)
    assert "of this epoch alone" in explore.legend.facts.text()
    qtbot.mouseRelease(number.slider, Qt.MouseButton.LeftButton, pos=start + QPoint(30, 0))
    assert not controller.tuning
    assert tuple(layer.contrast_limits) == pytest.approx(view.limits())
    explore.write_legend()
    assert "locked over all" in explore.legend.facts.text()


def test_typing_a_number_moves_the_slider_and_the_map(explore: ExploreDock, qtbot: Any) -> None:
    number = explore.chooser.numbers["temperature"]
    before = number.slider.value()
    number.spin.selectAll()
    qtbot.keyClicks(number.spin, "5")
    assert explore.controller.map.source.normalizer.temperature == 1.0  # type: ignore[union-attr]
    qtbot.keyClick(number.spin, Qt.Key.Key_Return)
    assert explore.controller.map.source.normalizer.temperature == 5.0  # type: ignore[union-attr]
    assert number.slider.value() > before


def test_the_slider_shows_the_number_of_the_map_that_is_shown(explore: ExploreDock) -> None:
    from napari_asmil.analysis.normalizers import Normalizer

    controller = explore.controller
    run, _ = controller.current  # type: ignore[misc]
    controller.show_map(run, "s0", Source(Normalizer("nsf", temperature=0.1, offset=-4)))
    numbers = explore.chooser.numbers
    assert (numbers["temperature"].value(), numbers["offset"].value()) == (0.1, -4)
    assert numbers["temperature"].isVisible() and not numbers["alpha"].isVisible()


def test_a_number_that_the_box_rounds_stays_as_it_is_until_it_is_changed(explore: ExploreDock) -> None:
    from napari_asmil.analysis.normalizers import Normalizer

    controller, chooser = explore.controller, explore.chooser
    run, _ = controller.current  # type: ignore[misc]
    controller.show_map(run, "s0", Source(Normalizer("nsf", temperature=0.125)))
    chooser.transform.setCurrentIndex(chooser.transform.findData("log10"))
    assert controller.map is not None and controller.map.source.normalizer.temperature == 0.125  # type: ignore[union-attr]
    chooser.numbers["temperature"].setValue(0.2)
    assert controller.map.source.normalizer.temperature == 0.2  # type: ignore[union-attr]


@pytest.mark.parametrize("log", [False, True])
def test_slider_and_box_agree_over_the_whole_range(qtbot: Any, log: bool) -> None:
    number = Number(1.0, 0.01, 100.0, ends=(0.05, 20.0), log=log)
    qtbot.addWidget(number)
    said: list[float] = []
    number.valueChanged.connect(said.append)
    number.slider.setValue(0)
    assert number.value() == 0.05
    number.slider.setValue(number.slider.maximum())
    assert number.value() == 20.0 and said == [0.05, 20.0]
    number.setValue(100.0)  # the box reaches further than the slider
    assert number.value() == 100.0 and number.slider.value() == number.slider.maximum()
    number.setValue(1.0)
    share = np.log(1 / 0.05) / np.log(20 / 0.05) if log else 0.95 / 19.95
    assert number.slider.value() == round(share * number.slider.maximum())
