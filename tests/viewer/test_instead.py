"""Maps in place of attention (spreads, scores, tiles alone): shown with words, and gone without a trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_asmil.analysis.normalizers import Normalizer, log_nsf, log_softmax
from napari_asmil.errors import InputError
from napari_asmil.render.facts import share
from napari_asmil.runs import EpochRecord, MapView, RunWriter, Source
from napari_asmil.runs.spread import OverViews
from napari_asmil.viewer import layers, limits
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.docks.instead import InsteadForm
from napari_asmil.viewer.instead_words import told
from napari_asmil.viewer.steps import go_to_slide
from tests.conftest import header, random_z, record

RunMaker = Callable[..., Path]
TILES = 25


@pytest.fixture
def controller(model: Any, make_run: RunMaker) -> Controller:
    """A run with an anchor and three rows, shown on slide s1, and one of another seed."""
    controller = Controller.of(model)
    paths = [make_run("first", rows=3, anchor=True), make_run("second", rows=2, anchor=True)]
    for seed, path in enumerate(paths):
        write_recipe(path, {"method": "abmil", "seed": seed})
    first, _ = (controller.add_run(path) for path in paths)
    controller.show_map(first, "s1")
    return controller


@pytest.fixture
def group(controller: Controller, qtbot: Any) -> Iterator[InsteadForm]:
    dock = ExploreDock(controller.viewer)
    qtbot.addWidget(dock)
    dock.resize(330, 900)
    dock.show()
    qtbot.waitExposed(dock)
    yield dock.instead


def parents(widget: Any) -> Iterator[Any]:
    while widget is not None:
        yield widget
        widget = widget.parentWidget()


def write_recipe(path: Path, recipe: dict[str, Any]) -> None:
    meta = path / "zarr.json"
    content = json.loads(meta.read_text())
    content["attributes"]["napari_asmil"]["recipe"] = recipe
    meta.write_text(json.dumps(content))


def choose(group: InsteadForm, what: str | None) -> None:
    """Choose with the keyboard, as a person does: what is disabled cannot be reached."""
    box = group.what
    box.setFocus()
    want = box.findData(what)
    for _ in range(box.count()):
        if box.currentIndex() != want:
            QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < want else Qt.Key.Key_Up)


def shown(controller: Controller) -> np.ndarray:
    """What the layer shows of each tile at the epoch of the slider; the raster is the lattice of tiles."""
    layer = controller.instead.layer
    assert layer is not None and layer.visible
    origin, pixel = layer.data.raster.origin, layer.data.raster.pixel
    rows, columns = np.divmod(np.arange(TILES), 5)
    at = [(controller.epoch, origin[0] + r * pixel, origin[1] + c * pixel) for r, c in zip(rows, columns, strict=True)]
    return np.array([layer.get_value(place, world=True) for place in at], dtype=float)


def stored(epoch: int, rows: int, slide: int = 1) -> np.ndarray:
    """A map as stored, from scores made anew, in float64."""
    return np.asarray(np.exp(log_softmax(random_z(epoch, slide, rows, TILES))).mean(axis=0))


def spread_of(maps: list[np.ndarray] | np.ndarray) -> np.ndarray:
    return np.asarray((np.stack(list(maps)) * TILES).std(axis=0))


def oracle(what: str, epoch: int) -> np.ndarray:
    z = random_z(epoch, 1, 3, TILES)
    return {
        "epochs": lambda: spread_of([stored(e, 3) for e in range(max(0, epoch - 4), epoch + 1)]),
        "runs": lambda: spread_of([stored(epoch, 3), stored(epoch, 2)]),
        "rows": lambda: spread_of(np.exp(log_softmax(z))),
        "anchor": lambda: spread_of([stored(epoch, 3), np.exp(log_nsf(z)).mean(axis=0)]),
    }[what]()


WORDS = {
    "epochs": ["5 epochs, 0 to 4", "of first, "],
    "runs": ["2 maps: first, second"],
    "rows": ["3 rows, head 1 to head 3, each by softmax T=1", "of first, "],
    "anchor": ["2 maps: model, anchor", "of first, "],
}


@pytest.mark.parametrize("what", list(WORDS))
def test_the_spread_is_shown_in_place_of_the_map_follows_the_slider_and_says_what_it_is(
    controller: Controller, group: InsteadForm, what: str
) -> None:
    layer = controller.map_layer
    assert layer is not None
    choose(group, what)
    assert not layer.visible
    for epoch in (4, 2):
        controller.set_epoch(epoch)
        np.testing.assert_allclose(shown(controller), oracle(what, epoch), rtol=1e-4, atol=1e-6)
    controller.set_epoch(4)
    group.write_words()
    said = group.words.text()
    assert "standard deviation of M·α</b> (× uniform)" in said and "effective tiles of their mean " in said
    assert all(words in said for words in [*WORDS[what], "locked over all 5 epochs"])
    assert group.bar.isVisible()
    choose(group, None)
    assert layer.visible and controller.instead.layer is None and not group.bar.isVisible()


def test_limits_begin_at_nothing_and_are_locked_or_of_each_epoch(controller: Controller) -> None:
    controller.instead.show("rows")
    layer = controller.instead.layer
    assert layer is not None
    most = [oracle("rows", epoch).max() for epoch in range(5)]
    assert layer.contrast_limits == pytest.approx([0, max(most)], rel=1e-5)
    controller.set_locked(False)
    controller.set_epoch(2)
    assert layer.contrast_limits == pytest.approx([0, most[2]], rel=1e-5)
    assert limits.words(layer) == "of this epoch alone"


def test_it_lies_under_the_contours_with_a_bar_and_words_on_the_canvas(model: Any, controller: Controller) -> None:
    controller.instead.show("rows")
    layer = controller.instead.layer
    assert layer is not None
    assert model.layers.index(layer) == model.layers.index(controller.map_layer) + 1
    assert layer.colorbar.visible and layer.colormap.name == "magma"
    assert model.canvas.overlays.text.text == "colours: standard deviation of M·α (× uniform)"
    controller.instead.hide()
    assert model.canvas.overlays.text.text == "colours: M·α (× uniform)"


def test_the_window_is_chosen(controller: Controller, group: InsteadForm) -> None:
    choose(group, "epochs")
    assert group.window.isVisible()
    group.window.setValue(2)
    controller.set_epoch(3)
    np.testing.assert_allclose(shown(controller), spread_of([stored(2, 3), stored(3, 3)]), rtol=1e-4)
    group.write_words()
    assert "2 epochs, 2 to 3" in group.words.text()
    controller.set_epoch(0)
    group.write_words()
    assert np.isnan(shown(controller)).all()
    assert "Here is 1 map: a spread needs two." in group.words.text()
    choose(group, None)
    assert not group.window.isVisible()


def test_it_follows_attention_run_and_slide(controller: Controller) -> None:
    first, second = controller.runs
    controller.instead.show("rows")
    controller.set_epoch(3)
    controller.show_map(first, "s1", Source(Normalizer("nsf", temperature=0.5)))
    expected = spread_of(np.exp(log_nsf(random_z(3, 1, 3, TILES), 0.5)))
    np.testing.assert_allclose(shown(controller), expected, rtol=1e-4)
    controller.show_map(second, "s1", Source())
    np.testing.assert_allclose(shown(controller), spread_of(np.exp(log_softmax(random_z(3, 1, 2, TILES)))), rtol=1e-4)
    go_to_slide(controller, "s0")
    np.testing.assert_allclose(shown(controller), spread_of(np.exp(log_softmax(random_z(3, 0, 2, TILES)))), rtol=1e-4)
    assert [layers.entry(layer).get("kind") for layer in controller.viewer.layers].count(layers.INSTEAD) == 1
    assert controller.map_layer is not None and not controller.map_layer.visible


def test_it_goes_where_the_next_map_has_none(controller: Controller, make_run: RunMaker) -> None:
    controller.instead.show("anchor")
    controller.show_map(controller.add_run(make_run("plain")), "s1")
    assert controller.instead.layer is None and controller.instead.what is None
    assert controller.map_layer is not None and controller.map_layer.visible


def test_what_cannot_be_shown_is_disabled_with_the_reason(
    controller: Controller, group: InsteadForm, make_run: RunMaker
) -> None:
    assert group.reasons.text().startswith("Not here: each tile judged alone. This run has")
    plain = controller.add_run(make_run("plain", epochs=0))
    controller.show_map(plain, "s1")
    for what, reason in {
        "epochs": "This run has one epoch.",
        "rows": "This model has one row",
        "anchor": "This run has no anchor",
    }.items():
        assert not group.what.model().item(group.what.findData(what)).isEnabled()
        assert reason in group.reasons.text()
        choose(group, what)
        assert controller.instead.what != what
    for run in list(controller.runs)[:2]:
        controller.remove_run(run)
    assert "No other open run has this slide with the same tiles" in group.reasons.text()


def test_runs_of_other_tiles_are_not_offered(controller: Controller, tmp_path: Path, group: InsteadForm) -> None:
    path = tmp_path / "fewer.asmil"
    with RunWriter.create(path, header(2, 1, 4, 0, False)) as writer:
        writer.write(record(0, 2, 1, 16, False))
    fewer = controller.add_run(path)
    assert fewer not in controller.instead.candidates()
    choose(group, "runs")
    assert group.runs.count() == 2


def test_runs_that_differ_by_their_seed_alone_are_taken_and_others_can_be_chosen(
    controller: Controller, group: InsteadForm, make_run: RunMaker
) -> None:
    other = make_run("other", rows=1)
    write_recipe(other, {"method": "abmil", "seed": 0, "lr": 7})
    controller.add_run(other)
    choose(group, "runs")
    assert group.runs.isVisible()
    checks = {group.runs.item(at).text().partition(" ")[0]: group.runs.item(at) for at in range(3)}
    assert [checks[name].checkState() == Qt.CheckState.Checked for name in ("first", "second", "other")] == [1, 1, 0]
    assert "seed 1" in checks["second"].text()
    controller.set_epoch(2)
    checks["other"].setCheckState(Qt.CheckState.Checked)
    np.testing.assert_allclose(
        shown(controller), spread_of([stored(2, rows) for rows in (3, 2, 1)]), rtol=1e-4, atol=1e-6
    )
    for name, at in (("first", 0), ("second", 1)):
        assert group.runs.item(at).text().startswith(name)
        group.runs.item(at).setCheckState(Qt.CheckState.Unchecked)
    np.testing.assert_allclose(shown(controller), spread_of([stored(2, rows) for rows in (2, 1)]), rtol=1e-4, atol=1e-6)
    assert group.runs.item(1).checkState() == Qt.CheckState.Checked, "one alone has no spread"
    controller.remove_run(controller.runs[2])
    assert controller.instead.layer is None


def test_deleting_the_layer_brings_the_map_back(model: Any, controller: Controller, group: InsteadForm) -> None:
    choose(group, "rows")
    model.layers.remove(controller.instead.layer)
    assert controller.map_layer is not None and controller.map_layer.visible
    assert group.what.currentData() is None
    choose(group, "epochs")
    assert controller.instead.what == "epochs"


def test_deleting_the_map_takes_it_away(model: Any, controller: Controller, qtbot: Any) -> None:
    controller.instead.show("rows")
    model.layers.remove(controller.map_layer)
    qtbot.waitUntil(lambda: controller.instead.layer is None)


def test_deleting_everything_at_once_ends_without_an_error(model: Any, controller: Controller, qtbot: Any) -> None:
    controller.instead.show("rows")
    model.layers.select_all()
    model.layers.remove_selected()
    qtbot.wait(1)
    assert len(model.layers) == 0


def test_comparing_hides_it_and_leaving_brings_it_back(model: Any, controller: Controller, group: InsteadForm) -> None:
    choose(group, "rows")
    before = [(layer.name, layer.visible) for layer in model.layers], set(model.layers.selection)
    view = controller.map
    assert view is not None
    cells = [cell_of(view), cell_of(view.__class__(controller.runs[1], "s1"))]
    for swiping in (False, True):
        controller.comparison.swiping = swiping
        controller.comparison.enter(cells, "s1", "m_alpha")
        assert not group.what.isEnabled() and "Leave the comparison first." in group.reasons.text()
        with pytest.raises(InputError, match="Leave the comparison"):
            controller.instead.show("epochs")
        controller.comparison.leave()
        assert ([(layer.name, layer.visible) for layer in model.layers], set(model.layers.selection)) == before
    assert group.what.isEnabled() and group.what.currentData() == "rows"


def test_it_grows_with_its_run(controller: Controller, make_run: RunMaker) -> None:
    path = make_run("growing", epochs=2, planned=4, rows=3)
    controller.show_map(controller.add_run(path), "s1")
    controller.instead.window = 3
    controller.instead.show("epochs")
    assert controller.instead.layer is not None
    before = controller.instead.layer.data
    with RunWriter.resume(path) as writer:
        writer.write(record(3, 2, 3, TILES, False))
    run = controller.find_run(path)
    assert run is not None
    controller.follower.refresh(run)
    controller.set_epoch(3)
    assert controller.instead.layer.data is before  # it has grown, and was not made anew
    np.testing.assert_allclose(shown(controller), spread_of([stored(e, 3) for e in (1, 2, 3)]), rtol=1e-4)


def test_a_dock_opened_again_knows_what_is_shown(controller: Controller, group: InsteadForm, qtbot: Any) -> None:
    choose(group, "epochs")
    group.window.setValue(3)
    again = ExploreDock(controller.viewer)
    qtbot.addWidget(again)
    again.show()
    assert again.instead.what.currentData() == "epochs" and again.instead.window.value() == 3


def test_one_tile_and_flat_maps_have_a_spread_of_nothing(model: Any, tmp_path: Path, qtbot: Any) -> None:
    path = tmp_path / "one.asmil"
    with RunWriter.create(path, header(1, 1, 1, 1, False)) as writer:
        for epoch in range(2):
            writer.write(record(epoch, 1, 1, 1, False))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(path), "s0")
    controller.instead.show("epochs")
    layer = controller.instead.layer
    assert layer is not None
    assert layer.data[1].tolist() == [[0.0]] and layer.contrast_limits[1] > 0
    group = InsteadForm(controller)
    qtbot.addWidget(group)
    group.show()
    assert "1 of 1" in group.words.text()


# ---- scores, and tiles judged alone ---------------------------------------------------------------


def test_raw_scores_of_the_row_that_is_chosen_are_shown_and_said(controller: Controller, group: InsteadForm) -> None:
    first = controller.runs[0]
    controller.show_map(first, "s1", Source(Normalizer(), "head 2"))
    choose(group, "score")
    controller.set_epoch(3)
    group.write_words()
    z = random_z(3, 1, 3, TILES)[1]
    np.testing.assert_allclose(shown(controller), z, rtol=1e-6)
    assert "score z, head 2" in group.words.text()
    assert f"mean {z.mean():.3g}, standard deviation {z.std():.3g}" in group.words.text()
    assert "on 0 % of the tiles" in group.words.text() and group.bar.isVisible()
    controller.show_map(first, "s1", Source(Normalizer("nsf"), "head 3"))  # it follows the row
    np.testing.assert_allclose(shown(controller), random_z(3, 1, 3, TILES)[2], rtol=1e-6)


@pytest.mark.parametrize(("what", "of"), [("least", np.min), ("greatest", np.max)])
def test_the_least_and_the_greatest_of_the_rows_are_shown_and_said(
    controller: Controller, group: InsteadForm, what: str, of: Callable[..., np.ndarray]
) -> None:
    controller.show_map(controller.runs[0], "s1", Source(Normalizer("nsf", offset=-1.0)))
    choose(group, what)
    for epoch in (4, 1):
        controller.set_epoch(epoch)
        rows = np.exp(log_nsf(random_z(epoch, 1, 3, TILES), offset=-1.0))
        np.testing.assert_allclose(shown(controller), TILES * of(rows, axis=0), rtol=1e-5)
    group.write_words()
    assert f"{what} M·α of the rows" in group.words.text() and "do not sum to 1" in group.words.text()
    layer = controller.instead.layer
    assert layer is not None
    every = [TILES * of(np.exp(log_nsf(random_z(e, 1, 3, TILES), offset=-1.0)), axis=0).max() for e in range(5)]
    assert tuple(layer.contrast_limits) == pytest.approx((0, max(every)), rel=1e-5)


def test_scores_that_saturate_nsf_are_counted(model: Any, tmp_path: Path) -> None:
    controller = Controller.of(model)
    given = record(0, 1, 1, TILES, False)
    z = np.zeros((1, TILES), np.float32)
    z[0, :5] = [-9, 9, 4.7, -4.7, 4.5]  # four of them beyond .99 or below .01
    with RunWriter.create(tmp_path / "run.asmil", header(1, 1, 5, 0, False)) as writer:
        writer.write(replace(given, slides={"s0": replace(given.slides["s0"], z=z)}))
    controller.show_map(controller.add_run(tmp_path / "run.asmil"), "s0")
    controller.instead.show("score")
    assert controller.instead.layer is not None
    assert any("on 16 % of the tiles" in words for words in told(controller.instead.layer.data, 0))


def test_what_is_said_of_each_tile_alone_is_shown_class_by_class(model: Any, tmp_path: Path, qtbot: Any) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (2, TILES)).astype(np.float32)
    with RunWriter.create(tmp_path / "run.asmil", replace(header(1, 1, 5, 0, False), evidence=True)) as writer:
        given = record(0, 1, 1, TILES, False)
        writer.write(replace(given, slides={"s0": replace(given.slides["s0"], evidence=logits)}))
    controller = Controller.of(model)
    controller.show_map(controller.add_run(tmp_path / "run.asmil"), "s0")
    dock = ExploreDock(model)
    qtbot.addWidget(dock)
    dock.show()
    group, tumour = dock.instead, 1 / (1 + np.exp(logits[0].astype(float) - logits[1]))
    choose(group, "alone")
    np.testing.assert_allclose(shown(controller), tumour, rtol=1e-5)
    assert group.class_name.isVisible() and group.class_name.currentText() == "tumour"
    assert "this is no attention" in group.words.text()
    assert f"above one half on {share((tumour > 0.5).mean())} of the tiles" in group.words.text()
    assert tuple(controller.instead.layer.contrast_limits) == (0, 1)  # type: ignore[union-attr]
    QTest.keyClick(group.class_name, Qt.Key.Key_Up)
    np.testing.assert_allclose(shown(controller), 1 - tumour, rtol=1e-4)
    assert "P(normal | tile alone)" in group.words.text()


def test_what_was_not_recorded_cannot_be_chosen_and_the_group_says_how_to_have_it(group: InsteadForm) -> None:
    choose(group, "alone")
    assert group.what.currentData() != "alone"
    assert "evidence=true" in group.reasons.text()


def test_the_map_comes_back_when_its_stand_in_is_deleted_while_maps_are_compared(controller: Controller) -> None:
    controller.instead.show("rows")
    first, second = controller.runs
    controller.comparison.enter([cell_of(MapView(run, "s1")) for run in (first, second)], "s1", "m_alpha")
    controller.viewer.layers.remove(controller.instead.layer)
    controller.comparison.leave()
    assert controller.instead.layer is None
    assert controller.map_layer is not None and controller.map_layer.visible


def test_the_hidden_map_is_neither_exported_nor_taken_for_what_is_shown(
    controller: Controller, group: InsteadForm
) -> None:
    dock = next(p for p in parents(group) if isinstance(p, ExploreDock))
    choose(group, "rows")
    assert not dock.export_button.isEnabled() and "hidden" in dock.export_button.toolTip()
    assert not dock.legend.isVisible()
    choose(group, None)
    assert dock.export_button.isEnabled() and dock.legend.isVisible()


def test_a_hidden_dock_derives_nothing(controller: Controller, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dock = ExploreDock(controller.viewer)
    qtbot.addWidget(dock)
    asked: list[str] = []
    monkeypatch.setattr(controller.instead, "reason", lambda what: asked.append(what) or "")
    controller.show_map(controller.runs[0], "s1", Source(Normalizer("nsf")))
    assert asked == [] and dock.legend.facts.text() == ""
    dock.show()
    assert asked != [] and "NSF" in dock.legend.facts.text()


def test_a_spread_is_made_anew_when_a_run_catches_up_with_epochs_that_others_had(
    model: Any, make_run: RunMaker
) -> None:
    paths = [make_run(name, epochs=epochs, planned=6) for name, epochs in (("a", 1), ("b", 2), ("c", 4), ("d", 4))]
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in paths]
    spread = OverViews([MapView(run, "s0") for run in runs], ["a", "b", "c", "d"])
    assert spread.varied(3).startswith("2 maps: c, d")
    before = spread[3]
    with RunWriter.resume(paths[1]) as writer:
        writer.write(replace_maps(record(3, 2, 1, TILES, False)))
    spread.refresh()
    assert spread.varied(3).startswith("3 maps: b, c, d")
    expected = np.stack([MapView(run, "s0").probabilities(3) for run in runs[1:]]).std(axis=0) * TILES
    np.testing.assert_allclose(spread.values(3), expected, rtol=1e-5)
    assert not np.array_equal(spread[3], before)


def replace_maps(given: EpochRecord) -> EpochRecord:
    """Another epoch than that which all these runs have."""
    flat = np.full(TILES, -np.log(TILES), np.float32)
    return replace(given, slides={name: replace(slide, online=flat) for name, slide in given.slides.items()})


def test_folds_are_no_seeds(model: Any, make_run: RunMaker) -> None:
    paths = [make_run(name) for name in ("a", "b", "c")]
    for seed, path in enumerate(paths):
        write_recipe(path, {"method": "abmil", "seed": seed})
    about = paths[2] / "zarr.json"
    content = json.loads(about.read_text())
    content["attributes"]["napari_asmil"]["splits"] = {"s0": "train"}
    about.write_text(json.dumps(content))
    controller = Controller.of(model)
    runs = [controller.add_run(path) for path in paths]
    controller.show_map(runs[0], "s0")
    assert controller.instead.taken() == runs[:2]
