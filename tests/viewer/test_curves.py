"""A panel of curves: what it draws, and the epoch a person picks in it."""

import re
import time

import numpy as np
import pyqtgraph as pg
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QFontMetrics, QMouseEvent
from qtpy.QtWidgets import QApplication, QLabel

from napari_asmil.viewer.plots.curves import CurvePanel, Series, Threads
from napari_asmil.viewer.plots.lines import style_of
from napari_asmil.viewer.plots.stack import SAMPLE, CurveStack
from napari_asmil.viewer.plots.style import Palette, line_pen, thread_pen

LIGHT = Palette(background="#ebe7e6", text="#1e1e21", grid="#b4b2af", cursor="#1e1e21", dark=False)


@pytest.fixture
def panel(qtbot, monkeypatch):
    monkeypatch.setitem(pg.CONFIG_OPTIONS, "mouseRateLimit", 0)  # which would drop moves as fast as these
    panel = CurvePanel("JSD", "bits", "How much the map moved")
    qtbot.addWidget(panel)
    panel.resize(600, 250)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def wave(epochs=21, shift=0.0):
    return np.sin(np.arange(epochs) / 3 + shift) + 2


def inked(panel):
    """The values that lie on the plot, as its axis has them."""
    return [item.getOriginalDataset()[1] for item in panel.ink.curves]


def hover(panel, epoch, value, dy=0):
    """Move the pointer there, with no button held."""
    viewport, place = panel.plot.viewport(), spot(panel, epoch, value) + QPoint(0, dy)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(place), QPointF(viewport.mapToGlobal(place)), none, none, Qt.KeyboardModifier(0)
    )
    QApplication.sendEvent(viewport, event)
    QApplication.processEvents()


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
    np.testing.assert_allclose(inked(panel)[0], [0.0, np.nan, -2.0])
    assert panel.plot.getAxis("left").logMode
    assert "1 value of 0 or less cannot be on this axis" in panel.words.text() and panel.words.isVisible()
    panel.set_log(False)
    np.testing.assert_allclose(inked(panel)[0], [1.0, 0.0, 0.01])
    assert not panel.words.isVisible()


def test_numbers_of_a_logarithmic_axis_do_not_touch(panel):
    panel.set_series([Series("a", np.geomspace(0.2, 3.0, 30))])
    panel.set_log(True)
    QApplication.processEvents()
    axis, box = panel.plot.getAxis("left"), panel.plot.getViewBox()
    levels = axis.tickValues(*box.viewRange()[1], box.height())
    written = [
        at for step, ticks in levels for at, text in zip(ticks, axis.tickStrings(ticks, 1, step), strict=True) if text
    ]
    apart = np.diff(np.sort(written)) * box.height() / np.ptp(box.viewRange()[1])
    assert len(written) >= 3 and apart.min() > 0.8 * QFontMetrics(axis.font()).height()


def test_the_cursor_is_set_without_a_signal_and_tells_the_values_there(panel, qtbot):
    panel.set_series([Series("a", wave()), Series("b", np.full(21, np.nan), 1)])
    with qtbot.assertNotEmitted(panel.picked):
        panel.set_epoch(7)
    assert panel.cursor.value() == 7
    assert f"{wave()[7]:.3g}" in panel.values.text()
    assert "–" in panel.values.text()


@pytest.mark.parametrize("palette", [Palette(), LIGHT])
def test_values_are_told_in_the_order_of_the_key_each_in_its_colour_and_by_name(panel, palette):
    curves = [
        Series(f"run {k}, {name}", wave(3, k + d), style_of(k, d)) for k in (0, 1) for d, name in ((1, "a"), (2, "b"))
    ]
    panel.set_palette(palette)
    panel.set_series([*curves, Series("gone", np.full(3, np.nan), 2)])
    panel.set_epoch(2)
    said = re.findall(r"color:(#\w+)'>([^<]+)<", panel.values.text())
    assert said == [
        *((line_pen(curve.style, palette).color().name(), f"{curve.y[2]:.3g}") for curve in curves),
        (line_pen(2, palette).color().name(), "–"),
    ]
    assert said[0][0] == said[1][0] != said[2][0] == said[3][0]
    told = panel.values.toolTip().split("<br>")
    assert told == [
        "<b>Epoch 2</b>, in the order of the key",
        *(f"{curve.name}: {curve.y[2]:.3g} bits" for curve in curves),
        "gone: –",
    ]


@pytest.mark.parametrize("unit", ["share", "0 to 1", "share of tiles"])
@pytest.mark.parametrize("y", [[1.0], [1.0, 1.0, 1.0], [0.2, 1.0, 0.99], [0.999]])
@pytest.mark.parametrize("log", [False, True])
def test_the_axis_of_a_share_ends_at_one_and_what_lies_there_is_seen(panel, unit, y, log):
    panel.set_title("Effective tiles / M", unit)
    panel.set_series([Series("a", np.array(y))])
    panel.set_log(log)
    QApplication.processEvents()
    low, high = panel.plot.getViewBox().viewRange()[1]
    assert low < high <= (0 if log else 1)
    panel.set_title("JSD", "tiles")
    panel.set_series([Series("a", np.array([1.0]))])
    assert panel.plot.getViewBox().viewRange()[1][1] > (0 if log else 1)


def test_a_flat_map_at_the_end_of_the_axis_has_all_of_its_line(panel):
    def thick():
        image, colour = panel.plot.grab().toImage(), line_pen(0, Palette()).color()
        column = image.width() // 2 + 4
        far = [
            np.abs(np.subtract(image.pixelColor(column, y).getRgb(), colour.getRgb())).max()
            for y in range(image.height())
        ]
        return sum(away < 60 for away in far)

    panel.set_title("Effective tiles / M", "share")
    seen = []
    for value in (0.5, 1.0):
        panel.set_series([Series("a", np.full(9, value))])
        QApplication.processEvents()
        seen.append(thick())
    assert seen[0] == seen[1] >= 2


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
    assert axis.label.sceneBoundingRect().bottom() - axis.label.document().documentMargin() <= inside.bottom()
    assert axis.label.sceneBoundingRect().bottom() - 4 <= axis.sceneBoundingRect().bottom()


def test_values_of_many_curves_go_on_in_another_line(panel):
    panel.resize(200, 250)
    panel.set_series([Series(str(i), np.full(9, 1.234567e-8 * (i + 1)), i) for i in range(6)])
    assert panel.values.heightForWidth(200) >= 2 * panel.values.fontMetrics().height()


def test_dragging_the_cursor_picks_every_epoch_it_passes(panel):
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
    monkeypatch.setattr(type(panel.ink.curves[0]), "setData", lambda *_, **__: calls.append(1))
    paths = [panel.ink.curves[0].curve.getPath()]
    for epoch in range(50):
        panel.set_epoch(epoch)
    assert calls == []
    assert panel.ink.curves[0].curve.getPath() is paths[0]


def test_no_curves_at_all_is_an_empty_panel(panel):
    panel.set_series([Series("a", wave())])
    y = wave()
    panel.set_series([Series("b", y, 1, (y - 1, y + 1))], [Threads(["c"], y[None])])
    panel.set_series([])
    assert panel.ink.curves == panel.ink.threads == panel.ink.bands == []
    image, ground = panel.plot.grab().toImage(), QColor(Palette().background)
    place = spot(panel, 0.5, 0)
    assert all(image.pixelColor(place.x(), at) == ground for at in range(5, 50))
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


# ---- bands and threads ----------------------------------------------------------------------------


def slides(lines=6, epochs=21):
    return np.arange(lines)[:, None] + np.sin(np.arange(epochs) / 3)[None] * 0.3


def threads(lines=6, epochs=21, style=0):
    return Threads(
        [f"s{i}" for i in range(lines)], slides(lines, epochs), style, [("run", f"s{i}") for i in range(lines)]
    )


def pixel(panel, epoch, value):
    place = spot(panel, epoch, value)
    return panel.plot.grab().toImage().pixelColor(place.x(), place.y())


def test_threads_are_one_item_with_a_gap_after_each(panel):
    y = slides(200, 50)
    y[3, 7] = np.nan
    panel.set_series([], [Threads([str(i) for i in range(200)], y)])
    (item,) = panel.ink.threads
    x, drawn = item.getOriginalDataset()
    np.testing.assert_array_equal(drawn.reshape(200, 51)[:, :50], y)
    assert np.isnan(drawn.reshape(200, 51)[:, 50]).all()
    np.testing.assert_array_equal(x.reshape(200, 51)[:, :50], np.broadcast_to(np.arange(50), (200, 50)))


def test_a_band_fills_the_room_between_its_ends_and_leaves_gaps(panel):
    y, gap = np.ones(21), slice(8, 12)
    low, high = y - 0.5, y + 0.5
    low[gap] = np.nan
    panel.set_series([Series("a", y, 0, (low, high))])
    ground = QColor(Palette().background)
    for epoch, value, filled in ((3.5, 1.3, True), (15.5, 0.7, True), (10.0, 1.3, False), (3.5, 1.52, False)):
        assert (pixel(panel, epoch, value) != ground) is filled, (epoch, value)
    shown = panel.plot.getViewBox().viewRange()[1]
    assert shown[0] < 0.5 and shown[1] > 1.5


def test_the_axis_holds_all_threads_and_a_logarithmic_one_has_them_in_decades(panel):
    y = np.array([[1e-3, 1.0, 0.0], [1e-2, 10.0, 1.0]])
    panel.set_series([Series("m", np.array([0.1, 1.0, 1.0]))], [Threads(["a", "b"], y)])
    low, high = panel.plot.getViewBox().viewRange()[1]
    assert low <= 0 and high >= 10
    panel.set_log(True)
    low, high = panel.plot.getViewBox().viewRange()[1]
    assert -3.5 < low <= -3 and 1 <= high < 1.5
    drawn = panel.ink.threads[0].getOriginalDataset()[1].reshape(2, 4)[:, :3]
    np.testing.assert_allclose(drawn, [[-3, 0, np.nan], [-2, 1, 0]])
    assert "1 value of 0 or less" in panel.words.text()


@pytest.mark.parametrize("log", [False, True])
def test_the_curve_under_the_pointer_is_lit_and_named(panel, log):
    y = slides() + 1
    panel.set_series([Series("median", np.full(21, 3.6))], [Threads([f"s{i}" for i in range(6)], y, 1)])
    panel.set_log(log)
    shown = np.log10(y) if log else y
    hover(panel, 5.6, 0.4 * shown[4, 5] + 0.6 * shown[4, 6])
    assert panel.name.isVisible()
    assert "s4" in panel.name.text() and f"{y[4, 6]:.3g} bits" in panel.name.text()
    np.testing.assert_allclose(panel._lit.getData()[1], shown[4])
    assert panel._lit.opts["pen"].color() == line_pen(1, Palette()).color()
    hover(panel, 12, np.log10(3.6) if log else 3.6)
    assert "median" in panel.name.text()


def test_away_from_every_curve_nothing_is_lit(panel):
    panel.set_series([], [threads(3)])
    hover(panel, 10, slides(3)[1, 10])
    assert panel.name.isVisible()
    hover(panel, 10, slides(3)[1, 10], dy=-20)
    assert not panel.name.isVisible() and not panel._lit.isVisible()
    hover(panel, 10, slides(3)[1, 10])
    QApplication.sendEvent(panel.plot, QEvent(QEvent.Type.Leave))
    assert not panel.name.isVisible()


def test_the_name_beside_the_pointer_lies_inside_the_plot(panel):
    long = "a slide with a long name (tumour) · a run with a long name, too"
    panel.resize(290, 250)
    panel.set_series([], [Threads([long] * 6, slides())])
    for epoch, line in ((0, 0), (20, 0), (0, 5), (20, 5)):
        hover(panel, epoch, slides()[line, epoch])
        inside = panel.plot.mapFromScene(panel.plot.getViewBox().sceneBoundingRect()).boundingRect()
        assert inside.contains(panel.name.geometry()), (epoch, line)
        assert panel.name.height() >= panel.name.heightForWidth(panel.name.width())


def test_a_steep_curve_is_under_the_pointer_between_its_epochs(panel):
    y = np.zeros((2, 5))
    y[0, 2:], y[1] = 10, 3
    panel.set_series([], [Threads(["steep", "level"], y)])
    hover(panel, 1.5, 5.0)
    assert "steep" in panel.name.text()


def test_a_click_on_a_thread_picks_what_it_is_of_and_its_epoch(panel, qtbot):
    panel.set_series([Series("median", slides().mean(axis=0))], [threads()])
    with qtbot.waitSignals([panel.thread_picked, panel.picked], order="strict") as picked:
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=spot(panel, 12, slides()[4, 12]))
    assert [signal.args for signal in picked.all_signals_and_args] == [(("run", "s4"), 12), (12,)]
    with qtbot.waitSignal(panel.thread_picked) as again:  # the same epoch, another slide
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=spot(panel, 12, slides()[1, 12]))
    assert again.args == [("run", "s1"), 12]


def test_a_click_on_a_thread_of_nothing_or_beside_all_picks_the_epoch_alone(panel, qtbot):
    panel.set_series([], [Threads(["row 1"], slides(1))])
    with qtbot.assertNotEmitted(panel.thread_picked), qtbot.waitSignal(panel.picked):
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=spot(panel, 12, slides(1)[0, 12]))
    panel.set_series([], [threads()])
    between = spot(panel, 3, slides()[2, 3] + 0.5)
    with qtbot.assertNotEmitted(panel.thread_picked), qtbot.waitSignal(panel.picked):
        qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=between)


def test_threads_are_paler_than_their_curve_and_keep_its_hue():
    for palette in (Palette(), LIGHT):
        ground = QColor(palette.background)
        for index in range(6):
            curve, thread = line_pen(index, palette).color(), thread_pen(index, palette).color()

            def far(colour, ground=ground):
                return np.abs(np.subtract(colour.getRgb()[:3], ground.getRgb()[:3])).sum()

            assert 0.3 * far(curve) < far(thread) < 0.7 * far(curve)


def test_thirty_six_curves_have_looks_of_their_own():
    looks = {(line_pen(i, LIGHT).color().name(), tuple(line_pen(i, LIGHT).dashPattern())) for i in range(36)}
    assert len(looks) == 36


def test_a_style_has_the_colour_and_the_dash_that_are_asked_for():
    pens = {(c, d): line_pen(style_of(c, d), LIGHT) for c in range(6) for d in range(6)}
    assert len({style_of(c, d) for c, d in pens}) == 36
    assert len({pens[c, 2].color().name() for c in range(6)}) == 6
    for (c, d), pen in pens.items():
        assert pen.color() == pens[c, 0].color() and pen.dashPattern() == pens[0, d].dashPattern()
    assert pens[4, 0].style() == Qt.PenStyle.SolidLine


def test_a_line_in_the_key_is_as_long_as_its_dash_with_a_gap(qtbot):
    assert SAMPLE.width() >= 36
    assert all(2 * sum(line_pen(style_of(0, d), LIGHT, 2).dashPattern()[:2]) < SAMPLE.width() for d in range(1, 6))


def test_a_key_shows_what_belongs_to_a_curve_under_it(qtbot):
    stack = CurveStack([CurvePanel("JSD", "bits")])
    qtbot.addWidget(stack)
    stack.resize(280, 300)
    stack.show()
    stack.set_names(["a"])
    stack.set_key([[(0, "abmil (ABMIL)"), (2, "normal"), (3, "tumour")], [(1, "asmil (ASMIL)")]])
    QApplication.processEvents()
    assert stack.key.names == ["abmil (ABMIL)", "normal", "tumour", "asmil (ASMIL)"]
    shown = {w.text(): w.geometry() for w in stack.key.findChildren(QLabel) if w.text() and w.isVisible()}
    assert set(shown) == set(stack.key.names)
    assert shown["normal"].top() == shown["tumour"].top() > shown["abmil (ABMIL)"].top()
    assert shown["asmil (ASMIL)"].top() > shown["normal"].top()


def test_many_threads_are_drawn_and_passed_over_within_a_frame_or_two(panel):
    """A loose guard; 200 slides over 50 epochs must stay smooth."""
    y = slides(200, 50) + np.random.default_rng(0).normal(0, 1, (200, 50))
    panel.set_series([], [Threads([str(i) for i in range(200)], y)])
    QApplication.processEvents()
    begun = time.process_time()
    for _ in range(5):
        panel.set_series([], [Threads([str(i) for i in range(200)], y)])
        QApplication.processEvents()
    assert (time.process_time() - begun) / 5 < 0.1
    begun = time.process_time()
    for epoch in range(20):
        panel.set_epoch(epoch)
        QApplication.processEvents()
    assert (time.process_time() - begun) / 20 < 0.02


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
