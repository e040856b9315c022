"""A panel of curves: what it draws, and the epoch a person picks in it."""

import time

import numpy as np
import pyqtgraph as pg
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QFontMetrics, QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_asmil.viewer.plots.curves import CurvePanel, Series
from napari_asmil.viewer.plots.stack import CurveStack
from napari_asmil.viewer.plots.style import Palette, line_pen

LIGHT = Palette(background="#ebe7e6", text="#1e1e21", grid="#b4b2af", cursor="#1e1e21", dark=False)


@pytest.fixture
def panel(qtbot):
    panel = CurvePanel("JSD", "bits", "How much the map moved")
    qtbot.addWidget(panel)
    panel.resize(600, 250)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def wave(epochs=21, shift=0.0):
    return np.sin(np.arange(epochs) / 3 + shift) + 2


def spot(panel, epoch, value):
    """Where a value lies in the plot's viewport."""
    QApplication.processEvents()
    scene = panel.plot.getViewBox().mapViewToScene(QPointF(epoch, value))
    return panel.plot.mapFromScene(scene)


def drag(panel, start: QPoint, end: QPoint):
    """Press, move and release with the left button; QTest's own moves carry no button."""
    viewport, left, none = panel.plot.viewport(), Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    steps = [QPoint(start + (end - start) * k / 5) for k in range(6)]
    kinds = [QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, *[QEvent.Type.MouseMove] * 5]
    kinds.append(QEvent.Type.MouseButtonRelease)
    places = [start, *steps, end]
    for kind, place in zip(kinds, places, strict=True):
        held = left if kind == QEvent.Type.MouseMove and place is not start else none
        held = left if kind == QEvent.Type.MouseButtonPress else held
        which = none if kind == QEvent.Type.MouseMove else left
        where = QPointF(place)
        event = QMouseEvent(kind, where, QPointF(viewport.mapToGlobal(place)), which, held, Qt.KeyboardModifier(0))
        QApplication.sendEvent(viewport, event)
        QApplication.processEvents()


def test_curves_are_told_apart_by_colour_and_by_dash(panel):
    panel.set_series([Series(f"run {i}", wave(shift=i), i) for i in range(5)])
    pens = [panel.pen(i) for i in range(5)]
    assert len({pen.color().name() for pen in pens}) == 5
    assert len({tuple(pen.dashPattern()) for pen in pens}) == 5


@pytest.mark.parametrize("palette", [Palette(), LIGHT], ids=["dark", "light"])
def test_every_colour_has_a_contrast_of_three_to_one_on_its_ground(palette):
    def luminance(colour):
        parts = [QColor(colour).redF(), QColor(colour).greenF(), QColor(colour).blueF()]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for index in range(6):
        pair = sorted([luminance(line_pen(index, palette).color()), luminance(palette.background)])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3, index


def test_a_run_keeps_its_look_whatever_else_is_drawn(panel):
    panel.set_series([Series("b", wave(), 1)])
    alone = panel.pen(0).color().name()
    panel.set_series([Series("a", wave(), 0), Series("b", wave(), 1)])
    assert panel.pen(1).color().name() == alone


def test_a_gap_in_the_values_is_a_gap_in_the_line(panel):
    y = np.ones(101)
    y[30:70] = np.nan
    panel.set_series([Series("a", y)])
    QApplication.processEvents()
    image = panel.plot.grab().toImage()
    colour = line_pen(0, Palette()).color()

    def drawn(epoch):
        place = spot(panel, epoch, 1.0)
        column = [QColor(image.pixel(place.x(), place.y() + dy)) for dy in range(-2, 3)]
        return any(abs(c.blue() - colour.blue()) + abs(c.red() - colour.red()) < 60 for c in column)

    assert drawn(15) and drawn(85)
    assert not drawn(50)


def test_axes_carry_their_units(panel):
    assert panel.plot.getAxis("left").labelText == "bits"
    assert panel.plot.getAxis("bottom").labelText == "epoch"
    assert "JSD" in panel.title.text()


def test_epochs_have_whole_numbers_only(panel):
    panel.set_series([Series("a", wave(3))])
    axis = panel.plot.getAxis("bottom")
    ticks = [value for _, values in axis.tickValues(0, 2, 500) for value in values]
    assert ticks
    assert all(float(value).is_integer() for value in ticks)


def test_a_logarithmic_axis_draws_the_logarithm_and_leaves_a_gap_at_zero(panel):
    panel.set_series([Series("a", np.array([1.0, 0.0, 0.01]))])
    panel.set_log(True)
    np.testing.assert_allclose(panel._items[0].getOriginalDataset()[1], [0.0, np.nan, -2.0])
    assert panel.plot.getAxis("left").logMode
    panel.set_log(False)
    np.testing.assert_allclose(panel._items[0].getOriginalDataset()[1], [1.0, 0.0, 0.01])


def test_the_cursor_is_set_without_a_signal_and_tells_the_values_there(panel, qtbot):
    panel.set_series([Series("a", wave()), Series("b", np.full(21, np.nan), 1)])
    with qtbot.assertNotEmitted(panel.picked):
        panel.set_epoch(7)
    assert panel.cursor.value() == 7
    assert f"{wave()[7]:.3g}" in panel.values.text()
    assert "–" in panel.values.text()


def test_a_click_on_a_point_of_a_curve_picks_its_epoch(panel, qtbot):
    panel.set_series([Series("a", wave())])
    with qtbot.waitSignal(panel.picked) as picked:
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=spot(panel, 12, wave()[12]))
    assert picked.args == [12]
    assert panel.cursor.value() == 12


def test_a_click_on_an_axis_picks_nothing(panel, qtbot):
    panel.set_series([Series("a", wave())])
    with qtbot.assertNotEmitted(panel.picked, wait=50):
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(5, 60))


@pytest.mark.parametrize(("epochs", "width"), [(13, 250), (13, 600), (51, 250), (1001, 250), (2, 250)])
def test_numbers_of_epochs_are_whole_and_do_not_touch(panel, epochs, width):
    panel.resize(width, 250)
    panel.set_series([Series("a", wave(epochs))])
    QApplication.processEvents()
    axis, (low, high) = panel.plot.getAxis("bottom"), panel.plot.getViewBox().viewRange()[0]
    length = panel.plot.getViewBox().width()
    ((step, numbers),) = axis.tickValues(low, high, length)
    assert step == int(step) >= 1 and len(numbers) >= 2
    widest = QFontMetrics(axis.font()).horizontalAdvance(str(epochs))
    assert step / (high - low) * length > widest


def test_all_of_the_epochs_axis_lies_inside_the_plot(panel):
    panel.resize(250, 200)
    panel.set_series([Series("a", wave(13))])
    QApplication.processEvents()
    axis = panel.plot.getAxis("bottom")
    inside = panel.plot.sceneBoundingRect() if hasattr(panel.plot, "sceneBoundingRect") else panel.plot.sceneRect()
    last = axis.mapToScene(QPointF(panel.plot.getViewBox().width(), 0)).x()
    assert last + QFontMetrics(axis.font()).horizontalAdvance("12") / 2 <= inside.right()
    assert axis.label.sceneBoundingRect().bottom() - 4 <= inside.bottom()


def test_values_of_many_curves_go_on_in_another_line(panel):
    panel.resize(200, 250)
    panel.set_series([Series(str(i), np.full(9, 1.234567e-8 * (i + 1)), i) for i in range(6)])
    assert panel.values.heightForWidth(200) >= 2 * panel.values.fontMetrics().height()


def test_dragging_the_cursor_picks_every_epoch_it_passes(panel, monkeypatch):
    monkeypatch.setitem(pg.CONFIG_OPTIONS, "mouseRateLimit", 0)  # which would drop moves as fast as these
    panel.set_series([Series("a", wave())])
    picked = []
    panel.picked.connect(picked.append)
    drag(panel, spot(panel, 0, 2.0), spot(panel, 10, 2.0))
    assert picked == sorted(set(picked))
    assert len(picked) >= 3
    assert picked[-1] == 10
    assert panel.cursor.value() == 10


def test_a_pick_beyond_the_last_epoch_is_the_last_epoch(panel):
    panel.set_series([Series("a", wave(5))])
    panel._pick(99.0)
    assert panel.cursor.value() == 4


def test_the_wheel_is_left_to_the_dock(panel):
    from qtpy.QtGui import QWheelEvent

    panel.set_series([Series("a", wave())])
    before = panel.plot.getViewBox().viewRange()
    where = QPointF(200, 80)
    wheel = QWheelEvent(
        where, where, QPoint(0, 0), QPoint(0, 120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(panel.plot.viewport(), wheel)
    assert not wheel.isAccepted()
    assert panel.plot.getViewBox().viewRange() == before


def test_a_theme_changes_ground_and_curves(panel):
    panel.set_series([Series("a", wave())])
    panel.set_palette(LIGHT)
    QApplication.processEvents()
    image = panel.plot.grab().toImage()
    assert image.pixelColor(image.width() - 3, 3).name() == LIGHT.background
    assert panel.pen(0).color() == line_pen(0, LIGHT).color()


def test_scrubbing_draws_no_curve_anew(panel, monkeypatch):
    panel.set_series([Series("a", wave(1000))])
    QApplication.processEvents()
    calls = []
    monkeypatch.setattr(type(panel._items[0]), "setData", lambda *_, **__: calls.append(1))
    paths = [panel._items[0].curve.getPath()]
    for epoch in range(50):
        panel.set_epoch(epoch)
    assert calls == []
    assert panel._items[0].curve.getPath() is paths[0]


def test_no_curves_at_all_is_an_empty_panel(panel):
    panel.set_series([Series("a", wave())])
    panel.set_series([])
    assert panel.plot.getPlotItem().listDataItems() == []
    panel.set_series([Series("a", np.full(4, np.nan))])


def test_a_stack_has_one_key_and_one_cursor(qtbot):
    panels = [CurvePanel("JSD", "bits"), CurvePanel("Effective tiles / M", "share")]
    stack = CurveStack(panels)
    qtbot.addWidget(stack)
    stack.set_names(["abmil (ABMIL)", "asmil (ASMIL)"])
    for panel in panels:
        panel.set_series([Series("a", wave(), 0), Series("b", wave(), 1)])
    assert stack.key.names == ["abmil (ABMIL)", "asmil (ASMIL)"]
    with qtbot.assertNotEmitted(stack.picked):
        stack.set_epoch(3)
    with qtbot.waitSignal(stack.picked) as picked:
        panels[0]._pick(9.2)
    assert picked.args == [9]
    assert [panel.cursor.value() for panel in panels] == [9, 9]


def test_a_long_update_stays_within_a_frame(panel):
    """A loose guard; the figures are those of the benchmark."""
    series = [Series(str(i), wave(1000, i), i) for i in range(5)]
    panel.set_series(series)
    QApplication.processEvents()
    begun = time.process_time()
    for _ in range(5):
        panel.set_series(series)
        QApplication.processEvents()
    assert (time.process_time() - begun) / 5 < 0.05
