"""The dock that inspects tiles: histograms, what is picked in them and on the slide, and words for all of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QApplication
from scipy.special import expit, softmax
from scipy.stats import rankdata

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import MapView, RunWriter, SlideHeader, Source
from napari_asmil.runs.records import EpochRecord, RunHeader, SlideRecord
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.inspect import NOTHING, NOWHERE, InspectDock
from napari_asmil.viewer.plots.histogram import HistogramPanel
from tests.conftest import header, random_z, record
from tests.viewer.mouse import drag
from tests.viewer.test_dynamics_dock import shaped, write_shaped

RunMaker = Callable[..., Path]
TILES = 25


@pytest.fixture
def opened(model: Any, make_run: RunMaker) -> Controller:
    """A viewer with one run of two rows on slide s0, without a picture."""
    controller = Controller.of(model)
    controller.show_map(controller.add_run(make_run("first", rows=2)), "s0")
    return controller


@pytest.fixture
def dock(opened: Controller, qtbot: Any) -> InspectDock:
    return shown(opened, qtbot)


def shown(controller: Controller, qtbot: Any) -> InspectDock:
    dock = InspectDock(controller.viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 900)
    dock.show()
    qtbot.waitExposed(dock)
    controller.idle.finish()
    return dock


def z_at(epoch: int, rows: int = 2) -> np.ndarray:
    return random_z(epoch, 0, rows, TILES).astype(np.float64)


def by(name: str, epoch: int) -> np.ndarray:
    """M·α (M,) by a normaliser at 1 and 0, the mean over rows."""
    z = z_at(epoch)
    sigmoid = expit(z)
    p = softmax(z, axis=1) if name == "softmax" else sigmoid / sigmoid.sum(axis=1, keepdims=True)
    return p.mean(axis=0) * TILES


def pick(panel: Any, low: float, high: float) -> None:
    """Drag in a histogram from one value on its axis to another."""
    box, laid_out = panel.plot.getViewBox(), None
    while laid_out != box.sceneBoundingRect():
        laid_out = box.sceneBoundingRect()
        QApplication.processEvents()
    middle = float(np.mean(box.viewRange()[1]))
    drag(panel.plot.viewport(), [panel.plot.mapFromScene(box.mapViewToScene(QPointF(x, middle))) for x in (low, high)])


def selected(dock: InspectDock) -> list[int]:
    tiles = dock.controller.selection.tiles
    return [] if tiles is None else np.flatnonzero(tiles).tolist()


# ---- histograms -----------------------------------------------------------------------------------


def test_the_bars_are_counts_of_z_and_of_m_alpha_by_each_normaliser(dock: InspectDock) -> None:
    distribution = dock.distribution
    for epoch in (4, 0):
        dock.controller.set_epoch(epoch)
        edges = distribution.scores._bins.edges
        expected, _ = np.histogram(z_at(epoch), edges)
        np.testing.assert_array_equal(distribution.scores._bars[0].counts, expected)
        edges = distribution.maps._bins.edges
        for bars, name in zip(distribution.maps._bars, ("softmax", "softmax", "nsf"), strict=True):
            expected, _ = np.histogram(np.log10(by(name, epoch)), edges)
            assert np.abs(bars.counts - expected).sum() <= 2  # the map as stored is rounded to float32
            assert bars.counts.sum() == TILES
    assert [bars.filled for bars in distribution.maps._bars] == [True, False, False]


def test_what_is_drawn_is_the_logarithm_of_the_counts_unless_linear(dock: InspectDock) -> None:
    panel = dock.distribution.maps
    counts = panel._bars[0].counts
    assert dock.distribution.log.isChecked()
    np.testing.assert_allclose(panel._items[0].yData, np.log10(np.maximum(counts, 0.5)))
    dock.distribution.log.click()
    np.testing.assert_array_equal(panel._items[0].yData, counts)


def test_axes_stay_while_the_slider_moves(dock: InspectDock) -> None:
    panels = dock.distribution.scores, dock.distribution.maps
    axes = [panel.plot.getViewBox().viewRange() for panel in panels]
    assert "locked over all 5 epochs" in dock.distribution.axes.text()
    for epoch in (0, 3, 1):
        dock.controller.set_epoch(epoch)
        assert [panel.plot.getViewBox().viewRange() for panel in panels] == axes
    z = np.stack([z_at(e) for e in range(5)])
    bins = dock.distribution.scores._bins
    assert (bins.low, bins.high) == (z.min(), z.max())


def test_of_a_run_that_grows_the_axes_reach_the_new_epochs_too(model: Any, make_run: RunMaker, qtbot: Any) -> None:
    path, controller = make_run("growing", epochs=2, planned=9), Controller.of(model)
    controller.show_map(controller.add_run(path), "s0")
    dock = shown(controller, qtbot)
    panel, axes = dock.distribution.scores, dock.distribution.axes
    assert "locked over all 3 epochs" in axes.text()

    def grow(*epochs: int) -> tuple[float, float]:
        with RunWriter.resume(path) as writer:
            for epoch in epochs:
                writer.write(record(epoch, 2, 1, TILES, False))
        controller.follower.look()
        controller.idle.finish()
        z = np.stack([random_z(e, 0, 1, TILES) for e in range(epochs[-1] + 1)])
        return float(z.min()), float(z.max())

    controller.set_epoch(0)
    expected = grow(3, 4)
    assert controller.epoch == 0 and "locked over all 5 epochs" in axes.text()
    assert (panel._bins.low, panel._bins.high) == expected
    dock.tabs.setCurrentIndex(1)
    expected = grow(5)
    dock.tabs.setCurrentIndex(0)
    controller.idle.finish()
    assert "locked over all 6 epochs" in axes.text() and (panel._bins.low, panel._bins.high) == expected


def test_uniform_is_marked_and_effective_tiles_stand_beside(dock: InspectDock) -> None:
    mark = dock.distribution.maps._mark
    assert mark.value() == 0.0 and mark.label.toPlainText() == "uniform"
    p = by("nsf", 4) / TILES
    effective = np.exp(-(p * np.log(p)).sum())
    line = next(words.text() for _, words in dock.distribution._lines if "NSF" in words.text())
    assert f"effective tiles {effective:.4g} of 25" in line


@pytest.mark.parametrize(("kind", "word"), [("flat", "FLAT MAP"), ("collapsed", "COLLAPSED MAP")])
def test_a_map_that_flatters_is_called_so(model: Any, tmp_path: Path, qtbot: Any, kind: str, word: str) -> None:
    controller = Controller.of(model)
    path = write_shaped(tmp_path / "a.asmil", shaped("honest"), shaped(kind))
    controller.show_map(controller.add_run(path), "s0")
    dock = shown(controller, qtbot)
    assert dock.distribution.warning.isVisible() and word in dock.distribution.warning.text()
    assert f"⚠ {kind}" in dock.distribution._lines[0][1].text()
    controller.set_epoch(0)
    assert not dock.distribution.warning.isVisible()


def test_rows_can_be_looked_at_alone(dock: InspectDock) -> None:
    dock.distribution.rows.setCurrentText("head 2")
    expected, _ = np.histogram(z_at(4)[1], dock.distribution.scores._bins.edges)
    np.testing.assert_array_equal(dock.distribution.scores._bars[0].counts, expected)
    logs = np.log10(softmax(z_at(4)[1]) * TILES)
    expected, _ = np.histogram(logs, dock.distribution.maps._bins.edges)
    np.testing.assert_array_equal(dock.distribution.maps._bars[1].counts, expected)


def test_the_map_that_is_shown_is_filled_with_its_own_numbers(dock: InspectDock) -> None:
    run = dock.controller.runs[0]
    dock.controller.show_map(run, "s0", Source(Normalizer("softmax", temperature=3.0)))
    assert dock.distribution.filled.currentText() == "softmax T=3, mean of 2 rows (shown)"
    expected = np.log10(softmax(z_at(4) / 3, axis=1).mean(axis=0) * TILES)
    bars = next(bars for bars in dock.distribution.maps._bars if bars.filled)
    np.testing.assert_array_equal(bars.counts, np.histogram(expected, dock.distribution.maps._bins.edges)[0])


def test_without_raw_scores_words_say_why_and_the_stored_map_is_shown(model: Any, tmp_path: Path, qtbot: Any) -> None:
    path = write_unwatched(tmp_path / "a.asmil", shaped("honest"))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(path), "s0")
    dock = shown(controller, qtbot)
    assert not dock.distribution.scores.isVisible()
    assert dock.distribution.missing.text().startswith("Raw scores of 's0' were not recorded")
    assert [bars.counts.sum() for bars in dock.distribution.maps._bars] == [25]
    pick(dock.distribution.maps, 0.0, 9.0)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    p = shaped("honest") / shaped("honest").sum()
    assert set(selected(dock)) == set(np.flatnonzero(p * 25 >= dock.distribution.interval[1].low).tolist())


def write_unwatched(path: Path, p: np.ndarray) -> Path:
    """A run of one slide whose raw scores were not recorded."""
    whole = header(1, 1, round(np.sqrt(len(p))), 0, False)
    slide = SlideHeader(**{**vars(whole.slides[0]), "watched": False})
    with RunWriter.create(path, RunHeader(**{**vars(whole), "slides": (slide,)})) as writer:
        row = np.log(p / p.sum()).astype(np.float32)
        writer.write(EpochRecord({"s0": SlideRecord(row, np.zeros(2, np.float32), np.zeros(3, np.float32))}))
    return path


# ---- linked selection -----------------------------------------------------------------------------


def test_a_range_of_m_alpha_selects_its_tiles_and_says_how_many(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.maps, 0.05, 0.4)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    what, interval = dock.distribution.interval
    assert what == "M·α" and (interval.low, interval.high) == (
        float(f"{interval.low:.3g}"),
        float(f"{interval.high:.3g}"),
    )
    assert interval.low == pytest.approx(10**0.05, rel=0.05) and interval.high == pytest.approx(10**0.4, rel=0.05)
    for epoch in (4, 1):
        dock.controller.set_epoch(epoch)
        m_alpha = by("softmax", epoch)
        inside = np.flatnonzero((m_alpha >= interval.low) & (m_alpha <= interval.high))
        assert selected(dock) == inside.tolist()
        held = m_alpha[inside].sum() / TILES
        assert dock.selected.text() == (
            f"{len(inside)} of 25 tiles with M·α (softmax T=1, mean of 2 rows, as stored) from"
            f" {interval.low:g} to {interval.high:g} × uniform at epoch {epoch}."
            f" They hold {100 * held:.3g} % of the attention."
        )
        name = f"selected: {dock.controller.selection.words}"
        assert dock.controller.marks.layer.name == name and f"× uniform at epoch {epoch}" in name


def test_a_range_of_scores_selects_tiles_with_any_row_in_it(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.scores, 0.8, 1.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    _, interval = dock.distribution.interval
    z = random_z(4, 0, 2, TILES)
    inside = np.flatnonzero(((z >= interval.low) & (z <= interval.high)).any(axis=0))
    assert selected(dock) == inside.tolist()
    assert "with z (any of all 2 rows) from" in dock.selected.text()


def test_a_range_beyond_the_axis_is_open(dock: InspectDock, qtbot: Any) -> None:
    panel = dock.distribution.maps
    bins = panel._bins
    panel._on_span(0.1, bins.high + 1)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    _, interval = dock.distribution.interval
    assert interval.high == np.inf
    assert selected(dock) == np.flatnonzero(by("softmax", 4) >= interval.low).tolist()
    assert f"from {interval.low:g} × uniform at epoch 4" in dock.selected.text()


def test_the_region_can_be_moved_and_a_click_drops_it(dock: InspectDock, qtbot: Any) -> None:
    panel = dock.distribution.maps
    pick(panel, 0.1, 0.4)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    panel.region.setRegion((-0.4, -0.1))
    m_alpha = by("softmax", 4)
    qtbot.waitUntil(lambda: selected(dock) == np.flatnonzero((m_alpha >= 0.398) & (m_alpha <= 0.794)).tolist())
    box = panel.plot.getViewBox()
    place = panel.plot.mapFromScene(box.mapViewToScene(QPointF(box.viewRange()[0][1] - 0.05, 0)))
    qtbot.mouseClick(panel.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert selected(dock) == [] and panel.range is None and dock.selected.text() == NOTHING


def test_the_range_follows_the_map(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.maps, 0.1, 0.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    _, interval = dock.distribution.interval
    dock.controller.show_map(dock.controller.runs[0], "s0", Source(Normalizer("nsf")))
    m_alpha = by("nsf", 4)
    assert selected(dock) == np.flatnonzero((m_alpha >= interval.low) & (m_alpha <= interval.high)).tolist()
    assert "M·α (NSF T=1 offset=0, mean of 2 rows) from" in dock.selected.text()


def test_a_range_that_no_tile_is_in_says_so_and_comes_back(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.maps, 0.1, 0.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    words = dock.distribution.words
    flat = Source(Normalizer("softmax", temperature=100.0))
    dock.controller.show_map(dock.controller.runs[0], "s0", flat)
    assert selected(dock) == []
    assert dock.selected.text().startswith("No tile has M·α (softmax T=100")
    dock.controller.show_map(dock.controller.runs[0], "s0", Source())
    assert selected(dock) != [] and dock.distribution.words == words
    _, interval = dock.distribution.interval
    np.testing.assert_allclose(dock.distribution.maps.range, np.log10([interval.low, interval.high]), atol=0.005)


def test_tiles_that_others_select_are_the_second_colour(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.maps, 0.1, 0.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    mask = np.isin(np.arange(TILES), [1, 2, 3])
    dock.controller.selection.select(mask)
    assert dock.distribution.interval is None and dock.distribution.maps.range is None
    for panel, values in ((dock.distribution.scores, z_at(4)[:, mask]), (dock.distribution.maps, None)):
        values = np.log10(by("softmax", 4)[mask]) if values is None else values
        np.testing.assert_array_equal(panel._chosen, np.histogram(values, panel._bins.edges)[0])
        assert panel._part.isVisible()
    assert dock.selected.text().startswith("3 of 25 tiles selected. They hold ")
    dock.clear.click()
    assert selected(dock) == [] and not dock.distribution.maps._part.isVisible()


def test_a_lasso_selects_tiles_whose_centre_lies_inside(dock: InspectDock) -> None:
    tiles = dock.inspected.view.slide.tiles
    dock.lasso.click()
    assert dock.picker.lasso and dock.controller.viewer.scene.camera.mouse_pan is False
    (y0, x0), (y1, x1) = tiles.centres[6] - 1, tiles.centres[12] + 1
    path = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
    dock.picker.drawn.emit(path)
    assert dock.controller.marks.layer.name == "lasso"
    dock.picker.closed.emit(path)
    assert selected(dock) == [6, 7, 11, 12]
    held = by("softmax", 4)[[6, 7, 11, 12]].sum() / TILES
    assert dock.selected.text() == (
        f"4 of 25 tiles with centre inside the lasso. They hold {100 * held:.3g} % of the attention at epoch 4."
    )
    dock.picker.closed.emit([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
    assert selected(dock) == [] and dock.controller.marks.layer is None
    dock.lasso.click()
    assert dock.controller.viewer.scene.camera.mouse_pan is True


# ---- under the pointer ----------------------------------------------------------------------------


def test_the_pointer_tells_value_rank_percentile_place_and_truth(dock: InspectDock) -> None:
    controller = dock.controller
    controller.show_map(controller.runs[0], "s0", transform="log10")
    m_alpha = by("softmax", 4)
    for tile in (0, 13):
        y, x = dock.inspected.view.slide.tiles.centres[tile]
        dock.picker.hovered.emit((y + 20, x - 20))
        rank = int(rankdata(-m_alpha, method="min")[tile])
        percentile = (rankdata(m_alpha)[tile] - 0.5) / TILES * 100
        left, top = dock.inspected.view.slide.tiles.xy[tile]
        assert dock.pointer.text().splitlines() == [
            f"Tile {tile}: rank {rank} of 25, percentile {percentile:.1f}",
            f"log10 M·α {np.log10(m_alpha[tile]):.4g} (decades over uniform)",
            f"M·α {m_alpha[tile]:.4g} × uniform",
            f"x {left}, y {top} level-0 px = {left / 2:.0f}, {top / 2:.0f} µm",
            f"tumour share {1 if tile == 0 else 0}",
        ]
    dock.picker.hovered.emit((-500.0, -500.0))
    assert dock.pointer.text() == NOWHERE


def test_what_is_under_the_pointer_follows_the_slider(dock: InspectDock, qtbot: Any) -> None:
    dock.picker.hovered.emit(tuple(dock.inspected.view.slide.tiles.centres[3]))
    dock.controller.set_epoch(1)
    qtbot.waitUntil(lambda: f"M·α {by('softmax', 1)[3]:.4g} × uniform" in dock.pointer.text())


def test_many_moves_over_one_map_derive_it_once(dock: InspectDock, monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[int] = []
    view = dock.inspected.view
    derive = view.probabilities
    monkeypatch.setattr(view, "probabilities", lambda epoch: (derived.append(epoch), derive(epoch))[1])
    for epoch in (2, 3):
        dock.controller.set_epoch(epoch)
        for tile in range(TILES):
            dock.picker.hovered.emit(tuple(view.slide.tiles.centres[tile]))
    assert derived.count(2) <= 2 and derived.count(3) <= 2  # the layer itself derives it too


def test_tiles_of_a_flat_map_are_tied(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(write_shaped(tmp_path / "a.asmil", shaped("flat"))), "s0")
    dock = shown(controller, qtbot)
    dock.picker.hovered.emit(tuple(dock.inspected.view.slide.tiles.centres[7]))
    assert "rank 1 of 25, tied with 24 others, percentile 50.0" in dock.pointer.text()


def test_a_bag_of_one_tile_is_inspected(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    controller.show_map(controller.add_run(write_shaped(tmp_path / "a.asmil", np.ones(1))), "s0")
    dock = shown(controller, qtbot)
    dock.picker.hovered.emit(tuple(dock.inspected.view.slide.tiles.centres[0]))
    assert "Tile 0: rank 1 of 1, percentile 50.0" in dock.pointer.text()
    pick(dock.distribution.maps, -0.2, 0.2)
    qtbot.waitUntil(lambda: selected(dock) == [0])


# ---- what is not there ----------------------------------------------------------------------------


def test_without_a_map_the_dock_says_so(model: Any, qtbot: Any) -> None:
    dock = shown(Controller.of(model), qtbot)
    assert dock.of.text() == "No map is shown." == dock.distribution.missing.text()
    assert not dock.lasso.isEnabled() and not dock.clear.isEnabled()
    assert not dock.distribution.maps.isVisible()
    dock.tabs.setCurrentIndex(1)
    dock.picker.clicked.emit(10.0, 10.0)
    dock.picker.hovered.emit((10.0, 10.0))
    assert dock.pointer.text() == NOWHERE


def test_a_map_that_is_taken_away_and_comes_back(dock: InspectDock, qtbot: Any) -> None:
    controller = dock.controller
    pick(dock.distribution.maps, 0.1, 0.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    controller.viewer.layers.remove(controller.map_layer)
    assert dock.of.text() == "No map is shown." and selected(dock) == []
    assert controller.marks.layer is None
    controller.show_map(controller.runs[0], "s1")
    assert "s1" in dock.of.text() and dock.distribution.maps.isVisible()
    assert dock.distribution.interval is None


def test_an_epoch_that_is_lost_says_which(model: Any, make_run: RunMaker, qtbot: Any) -> None:
    controller, path = Controller.of(model), make_run("damaged")
    controller.show_map(controller.add_run(path), "s0")
    next((path / "attention" / "online" / "c" / "2").rglob("0")).unlink()
    dock = shown(controller, qtbot)
    controller.set_epoch(2)
    assert dock.distribution.missing.text().startswith("This run is damaged: Epoch 2 is committed, but")
    assert not dock.distribution.maps.isVisible()
    dock.picker.hovered.emit(tuple(dock.inspected.view.slide.tiles.centres[3]))
    assert dock.pointer.text().startswith("This run is damaged: Epoch 2 is committed, but")
    controller.set_epoch(3)
    assert dock.distribution.maps.isVisible()


def test_in_a_comparison_the_selected_pane_is_meant(dock: InspectDock, make_run: RunMaker, qtbot: Any) -> None:
    controller = dock.controller
    other = controller.add_run(make_run("second", rows=2, epochs=2))
    cells = [cell_of(MapView(run, "s0")) for run in controller.runs]
    cells[0] = cell_of(MapView(controller.runs[0], "s0", Source(Normalizer("nsf"))))
    controller.comparison.enter(cells, "s0", "m_alpha")
    assert dock.of.text().startswith("Of pane 1, first, s0: NSF T=1 offset=0, mean of 2 rows.")
    assert "Marks are drawn on a single map" in dock.of.text()
    dock.picker.hovered.emit(tuple(dock.inspected.view.slide.tiles.centres[3]))
    assert f"M·α {by('nsf', 4)[3]:.4g} × uniform" in dock.pointer.text()
    controller.viewer.layers.selection.active = controller.comparison.maps[1]
    assert dock.of.text().startswith("Of pane 2, second, s0:")
    assert "This run has no epoch 4; its last is 2." in dock.pointer.text()
    controller.set_epoch(1)
    assert dock.inspected.view.run is other and dock.distribution.maps.isVisible()
    controller.comparison.leave()
    assert dock.of.text().startswith("Of first, s0: softmax")


def test_a_pane_of_other_tiles_takes_no_selection(dock: InspectDock, make_run: RunMaker) -> None:
    controller = dock.controller
    controller.selection.select(np.arange(TILES) < 4)
    controller.selection.pin(24)
    controller.add_run(make_run("smaller", rows=2, side=4))
    controller.comparison.enter([cell_of(MapView(run, "s0")) for run in controller.runs], "s0", "m_alpha")
    controller.viewer.layers.selection.active = controller.comparison.maps[1]
    assert "Nothing can be selected here: it has other tiles: 16 tiles, not 25." in dock.of.text()
    assert dock.distribution.maps._chosen is None
    dock.picker.closed.emit([(0.0, 0.0), (0.0, 900.0), (900.0, 900.0), (900.0, 0.0)])
    dock.picker.clicked.emit(*dock.inspected.view.slide.tiles.centres[3])
    assert dock.controller.selection.pinned == 24 and selected(dock) == [0, 1, 2, 3]
    controller.comparison.leave()
    assert dock.distribution.maps._chosen.sum() == 4


# ---- the dock itself ------------------------------------------------------------------------------


def test_hidden_it_hears_nothing_and_draws_when_it_is_shown(dock: InspectDock) -> None:
    controller = dock.controller
    dock.lasso.click()
    dock.hide()
    assert not dock.picker.listening and not dock.picker.lasso and not dock.lasso.isChecked()
    assert controller.viewer.scene.camera.mouse_pan is True
    before = dock.distribution.scores._bars
    controller.set_epoch(0)
    controller.idle.finish()
    assert dock.distribution.scores._bars is before
    dock.show()
    expected, _ = np.histogram(z_at(0), dock.distribution.scores._bins.edges)
    np.testing.assert_array_equal(dock.distribution.scores._bars[0].counts, expected)


def test_a_range_is_followed_behind_another_tab(dock: InspectDock, qtbot: Any) -> None:
    pick(dock.distribution.maps, 0.1, 0.6)
    qtbot.waitUntil(lambda: selected(dock) != [] and not dock.distribution._pick_soon.isActive())
    _, interval = dock.distribution.interval
    dock.tabs.setCurrentIndex(1)
    dock.controller.set_epoch(0)
    m_alpha = by("softmax", 0)
    assert selected(dock) == np.flatnonzero((m_alpha >= interval.low) & (m_alpha <= interval.high)).tolist()


def test_many_rows_are_spread_out_in_idle_moments(dock: InspectDock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_asmil.viewer.docks.histogram.AT_ONCE", 1)
    before = dock.distribution.scores._bars
    dock.controller.set_epoch(2)
    assert dock.distribution.scores._bars is before and dock.controller.idle.active
    dock.controller.set_epoch(1)
    dock.controller.idle.finish()
    expected, _ = np.histogram(z_at(1), dock.distribution.scores._bins.edges)
    np.testing.assert_array_equal(dock.distribution.scores._bars[0].counts, expected)


def test_a_theme_reaches_the_histograms(dock: InspectDock) -> None:
    for theme in ("light", "dark"):
        dock.controller.viewer.theme = theme
        QApplication.processEvents()
        image = dock.distribution.maps.plot.grab().toImage()
        assert image.pixelColor(image.width() - 2, 2).name() == get_theme(theme).background.as_hex("long")


def test_every_control_says_what_it_is_for(dock: InspectDock) -> None:
    distribution, gallery = dock.distribution, dock.gallery
    controls = [dock.lasso, dock.clear, dock.pointer, dock.selected, dock.of, dock.pinned.unpin, dock.pinned.picture]
    controls += [distribution.rows, distribution.filled, distribution.log, distribution.scores, distribution.maps]
    controls += [gallery.order, gallery.since, gallery.export_button]
    assert all(control.toolTip() for control in controls)


def test_a_closed_dock_is_freed_and_leaves_the_canvas_as_it_was(
    make_napari_viewer_proxy: Any, make_run: RunMaker, qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    controller = Controller.of(viewer)
    controller.show_map(controller.add_run(make_run("first")), "s0")
    before = list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)
    wrapped, dock = viewer.window.add_plugin_dock_widget("napari-asmil", "Inspect tiles")
    assert isinstance(dock, InspectDock)
    qtbot.waitUntil(lambda: dock.picker.listening)
    dock.lasso.click()
    assert viewer.scene.camera.mouse_pan is False
    viewer.window.remove_dock_widget(wrapped)
    assert viewer.scene.camera.mouse_pan is True
    gone = weakref.ref(dock)
    del dock, wrapped
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    assert (list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)) == before
    controller.set_epoch(1)
    controller.selection.select(np.arange(TILES) < 2)
    _, dock = viewer.window.add_plugin_dock_widget("napari-asmil", "Inspect tiles")
    qtbot.waitUntil(lambda: dock.distribution.maps._chosen is not None)
    assert dock.distribution.maps._chosen.sum() == 2


def test_the_name_of_an_axis_lies_inside_its_plot(qtbot: Any) -> None:
    panel = HistogramPanel("raw score z", "before any normaliser", "How the scores spread over the tiles")
    qtbot.addWidget(panel)
    panel.resize(300, 150)
    panel.show()
    qtbot.waitExposed(panel)
    axis = panel.plot.getAxis("bottom")
    assert "raw score z" in axis.label.toPlainText()
    box = panel.plot.mapFromScene(axis.label.mapRectToScene(axis.label.boundingRect())).boundingRect()
    assert box.bottom() <= panel.plot.viewport().height()
    assert box.top() > panel.plot.mapFromScene(axis.sceneBoundingRect()).boundingRect().top() + 12  # under the numbers
