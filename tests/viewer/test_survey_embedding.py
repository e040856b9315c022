"""Slides as points: placed as the numbers say, drawn while they are in sight, moved by the one slider."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QLabel

from napari_asmil.analysis.embedding import perplexity, tsne
from napari_asmil.runs import EpochRecord, Run, RunWriter
from napari_asmil.viewer import embedder
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.survey import SurveyDock
from napari_asmil.viewer.embedder import PCA, TSNE
from napari_asmil.viewer.plots.scatter import symbol_of
from tests.viewer.survey import SLIDES, SPLITS, UNLABELLED, surveyed_header, surveyed_record, write_surveyed

MakeDock = Callable[..., SurveyDock]
EPOCHS = 4


@pytest.fixture(autouse=True)
def no_embedding_outlives_its_test() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.endswith("of bag vectors"):
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def make_dock(model: Any, qtbot: Any) -> MakeDock:
    """A shown dock with its embedding in front."""

    def make(*runs: Path, slide: str = "s0", tab: int = 1) -> SurveyDock:
        controller = Controller.of(model)
        opened = [controller.add_run(path) for path in runs]
        controller.show_map(opened[0], slide)
        dock = SurveyDock(model)
        qtbot.addWidget(dock)
        dock.resize(420, 800)
        dock.show()
        qtbot.waitExposed(dock)
        choose_tab(dock, tab, qtbot)
        return dock

    return make


@pytest.fixture
def dock(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> SurveyDock:
    """Every epoch drawn by PCA."""
    dock = make_dock(write_surveyed(tmp_path / "first.asmil", epochs=EPOCHS))
    done(dock, qtbot)
    return dock


def choose_tab(dock: SurveyDock, at: int, qtbot: Any) -> None:
    bar = dock.tabs.tabBar()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(at).center())
    assert dock.tabs.currentIndex() == at


def done(dock: SurveyDock, qtbot: Any) -> None:
    """Wait until every epoch of the run is drawn."""
    panel = dock.embedding
    qtbot.waitUntil(lambda: not panel.computing and len(panel.course.epochs) == dock.run.n_epochs, timeout=60000)
    qtbot.waitUntil(lambda: not panel.progress.isVisible())


def shown(dock: SurveyDock) -> np.ndarray:
    """The points on the plot, float64 (S, 2), put together from what each group draws."""
    scatter = dock.embedding.scatter
    places = np.full((len(dock.table), 2), np.nan)
    for group, item in zip(scatter._groups, scatter._items, strict=True):
        places[group.members] = np.stack(item.getData(), axis=1)
    return places


def vectors(run: Run, epoch: int) -> np.ndarray:
    return run.bags()[epoch].astype(np.float64)


def components(given: np.ndarray) -> np.ndarray:
    """Places of vectors on their two first principal components, up to the sign of each."""
    centred = given - given.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return axes[:, ::-1][:, :2]


def click_point(dock: SurveyDock, index: int, qtbot: Any) -> None:
    plot = dock.embedding.scatter.plot
    QApplication.processEvents()
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=dock.embedding.scatter.place_on_screen(index))


# ---- where the points are ---------------------------------------------------------------------------


def test_principal_components_have_the_axes_of_the_last_epoch_at_every_epoch(dock: SurveyDock) -> None:
    run = dock.controller.runs[0]
    last = vectors(run, EPOCHS)
    axes = components(last)
    for epoch in (EPOCHS, 0, 2):
        dock.controller.viewer.dims.set_current_step(0, epoch)
        expected = (vectors(run, epoch) - last.mean(axis=0)) @ axes
        signs = np.sign((expected * shown(dock)).sum(axis=0))
        np.testing.assert_allclose(shown(dock), expected * signs, rtol=1e-9, atol=1e-9)
        said = dock.embedding.about.text()
        assert f"{SLIDES} bag vectors: axes of epoch {EPOCHS} (" in said and f"points of epoch {epoch}." in said


def test_axes_say_what_they_hold_and_do_not_move_with_the_slider(dock: SurveyDock) -> None:
    run, plot = dock.controller.runs[0], dock.embedding.scatter.plot
    centred = vectors(run, EPOCHS) - vectors(run, EPOCHS).mean(axis=0)
    held = np.linalg.svd(centred, compute_uv=False) ** 2
    assert plot.getAxis("bottom").labelText == f"component 1 ({100 * held[0] / held.sum():.3g} %)"
    before = plot.viewRange()
    for epoch in (0, 2):
        dock.controller.set_epoch(epoch)
        assert plot.viewRange() == before
    drawn = np.concatenate(list(dock.embedding.course.epochs))
    (low, high), (bottom, top) = before
    assert low < drawn[:, 0].min() and drawn[:, 0].max() < high
    assert bottom < drawn[:, 1].min() and drawn[:, 1].max() < top


def test_tsne_starts_each_epoch_from_the_one_before(dock: SurveyDock, qtbot: Any) -> None:
    run = dock.controller.runs[0]
    dock.embedding.method.setCurrentText(TSNE)
    assert dock.embedding.computing and dock.embedding.button.text() == "Stop"
    done(dock, qtbot)
    before = None
    for epoch in range(EPOCHS + 1):
        before = tsne(vectors(run, epoch), before)
        dock.controller.set_epoch(epoch)
        np.testing.assert_array_equal(shown(dock), before)
        assert np.isfinite(before).all()
    words = dock.embedding.about.text()
    assert words == f"t-SNE, perplexity {perplexity(SLIDES)}, 12 slides: distances between clusters mean nothing."
    dock.embedding.method.setCurrentText(PCA)
    assert not dock.embedding.computing and "Principal components" in dock.embedding.about.text()


def test_what_was_computed_is_there_again(dock: SurveyDock, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.embedding.method.setCurrentText(TSNE)
    done(dock, qtbot)
    first = shown(dock)
    monkeypatch.setattr(embedder, "tsne", None)
    dock.embedding.method.setCurrentText(PCA)
    dock.embedding.method.setCurrentText(TSNE)
    assert not dock.embedding.computing
    np.testing.assert_array_equal(shown(dock), first)


# ---- computing --------------------------------------------------------------------------------------


class Gate:
    """Stands in for t-SNE: one epoch at a time is let through."""

    def __init__(self) -> None:
        self.passes, self.calls = threading.Semaphore(0), 0

    def __call__(self, given: np.ndarray, start: np.ndarray | None) -> np.ndarray:
        self.calls += 1
        assert self.passes.acquire(timeout=20)
        return given[:, :2].astype(float) + (0 if start is None else start)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(embedder, "tsne", gate)
    yield gate
    gate.passes.release(100)


def test_epochs_appear_as_they_come_and_stop_keeps_them(dock: SurveyDock, qtbot: Any, gate: Gate) -> None:
    panel = dock.embedding
    dock.controller.set_epoch(1)
    panel.method.setCurrentText(TSNE)
    assert panel.epoch_words.text() == "No epoch is drawn yet." and not len(panel.scatter.places)
    gate.passes.release()
    qtbot.waitUntil(lambda: panel.epoch_words.text() == "This is epoch 0: epoch 1 is still to come.")
    run = dock.controller.runs[0]
    np.testing.assert_allclose(shown(dock), vectors(run, 0)[:, :2])
    assert (panel.progress.value(), panel.progress.maximum()) == (1, EPOCHS + 1)
    gate.passes.release()
    qtbot.waitUntil(lambda: not panel.epoch_words.isVisible())
    np.testing.assert_allclose(shown(dock), vectors(run, 0)[:, :2] + vectors(run, 1)[:, :2])
    qtbot.waitUntil(lambda: gate.calls == 3)
    qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    assert not panel.computing and panel.button.text() == "Go on"
    gate.passes.release()
    qtbot.waitUntil(lambda: not any(left.running for left in panel._left))
    QApplication.processEvents()
    assert len(panel.course.epochs) == 2 and gate.calls == 3
    gate.passes.release(10)
    qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    done(dock, qtbot)
    np.testing.assert_allclose(panel.course.epochs[-1], run.bags()[:, :, :2].astype(float).sum(axis=0))


def test_nothing_is_computed_out_of_sight(make_dock: MakeDock, tmp_path: Path, qtbot: Any, gate: Gate) -> None:
    dock = make_dock(write_surveyed(tmp_path / "a.asmil", epochs=EPOCHS), tab=0)
    panel = dock.embedding
    panel.method.setCurrentText(TSNE)
    dock.controller.set_epoch(0)
    assert not panel.computing and gate.calls == 0
    choose_tab(dock, 1, qtbot)
    qtbot.waitUntil(lambda: gate.calls == 1)
    choose_tab(dock, 0, qtbot)
    assert not panel.computing
    gate.passes.release(10)
    qtbot.waitUntil(lambda: not any(left.running for left in panel._left))
    assert gate.calls == 1 and panel.course.epochs == []
    choose_tab(dock, 1, qtbot)
    done(dock, qtbot)


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, KeyError])
def test_a_failure_is_a_sentence_and_can_be_tried_again(
    dock: SurveyDock, qtbot: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise error("no room")

    with monkeypatch.context() as patch:
        patch.setattr(embedder, "tsne", fails)
        dock.embedding.method.setCurrentText(TSNE)
        qtbot.waitUntil(lambda: dock.embedding.about.text() == f"t-SNE failed ({error.__name__}: {error('no room')}).")
        assert not dock.embedding.computing
    qtbot.mouseClick(dock.embedding.button, Qt.MouseButton.LeftButton)
    done(dock, qtbot)
    assert "perplexity" in dock.embedding.about.text()


def test_another_run_is_drawn_in_its_place(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> None:
    paths = [write_surveyed(tmp_path / f"{name}.asmil", epochs=epochs) for name, epochs in (("a", 2), ("b", 4))]
    dock = make_dock(*paths)
    done(dock, qtbot)
    dock.controller.show_map(dock.controller.runs[1], "s3")
    qtbot.waitUntil(lambda: dock.run is dock.controller.runs[1])
    done(dock, qtbot)
    assert "axes of epoch 4" in dock.embedding.about.text()
    dock.controller.set_epoch(4)
    dock.run_choice.setCurrentIndex(1)
    done(dock, qtbot)
    assert dock.embedding.epoch_words.text() == "This is epoch 2: the run has none after 2."


def test_a_run_trained_anew_under_the_same_name_is_drawn_anew(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> None:
    path = write_surveyed(tmp_path / "a.asmil", epochs=2)
    dock = make_dock(path)
    done(dock, qtbot)
    dock.controller.remove_run(dock.controller.runs[0])
    shutil.rmtree(path)
    with RunWriter.create(path, surveyed_header(2)) as writer:
        for epoch in range(3):
            writer.write(surveyed_record(epoch + 7))
    dock.controller.show_map(dock.controller.add_run(path), "s0")
    qtbot.waitUntil(lambda: dock.run is not None and dock.table is not None)
    done(dock, qtbot)
    dock.controller.set_epoch(2)
    qtbot.waitUntil(lambda: dock.embedding.course.axes.epoch == 2)
    last = vectors(dock.controller.runs[0], 2)
    expected = (last - last.mean(axis=0)) @ components(last)
    np.testing.assert_allclose(np.abs(shown(dock)), np.abs(expected), rtol=1e-9, atol=1e-9)


def test_a_live_run_is_drawn_as_it_grows(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> None:
    path = write_surveyed(tmp_path / "live.asmil", epochs=2, planned=6)
    dock = make_dock(path)
    done(dock, qtbot)
    course = dock.embedding.course
    assert course.axes.epoch == 2

    def write(*epochs: int) -> None:
        with RunWriter.resume(path) as writer:
            for epoch in epochs:
                writer.write(surveyed_record(epoch))
        dock.controller.follower.look()
        done(dock, qtbot)

    first, axes = course.epochs[0], course.axes
    write(3, 4)
    assert dock.embedding.course.axes is axes and dock.embedding.course.epochs[0] is first
    assert dock.controller.epoch == 4
    qtbot.waitUntil(lambda: not dock.embedding.epoch_words.isVisible())
    expected = (vectors(dock.run, 4) - vectors(dock.run, 2).mean(axis=0)) @ axes.plane.axes.T
    np.testing.assert_allclose(shown(dock), expected, atol=1e-9)
    write(5, 6)
    qtbot.waitUntil(lambda: dock.embedding.course.axes.epoch == 6)
    done(dock, qtbot)
    qtbot.waitUntil(lambda: "axes of epoch 6" in dock.embedding.about.text())


def test_tsne_of_a_live_run_goes_on_where_it_was(make_dock: MakeDock, tmp_path: Path, qtbot: Any, gate: Gate) -> None:
    gate.passes.release(100)
    path = write_surveyed(tmp_path / "live.asmil", epochs=1, planned=3)
    dock = make_dock(path)
    dock.embedding.method.setCurrentText(TSNE)
    done(dock, qtbot)
    with RunWriter.resume(path) as writer:
        writer.write(surveyed_record(2))
    dock.controller.follower.look()
    done(dock, qtbot)
    assert gate.calls == 3
    np.testing.assert_allclose(dock.embedding.course.epochs[2], dock.run.bags()[:, :, :2].astype(float).sum(axis=0))


# ---- what is refused ----------------------------------------------------------------------------------


def test_too_few_slides_are_a_sentence(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> None:
    dock = make_dock(write_surveyed(tmp_path / "few.asmil", epochs=1, slides=4))
    done(dock, qtbot)
    for method in (PCA, TSNE):
        dock.embedding.method.setCurrentText(method)
        done(dock, qtbot)
        qtbot.waitUntil(lambda: "needs at least 5 slides, and there are 4" in dock.embedding.epoch_words.text())
        assert not len(dock.embedding.scatter.places)


def test_vectors_that_are_no_numbers_are_a_sentence_and_the_next_epoch_goes_on(
    make_dock: MakeDock, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "nan.asmil"
    with RunWriter.create(path, surveyed_header(3)) as writer:
        for epoch in range(4):
            given = surveyed_record(epoch).slides
            if epoch == 2:
                given = {**given, "s3": replace(given["s3"], bag=np.full(8, np.nan, np.float32))}
            writer.write(EpochRecord(given))
    dock = make_dock(path)
    for method in (TSNE, PCA):
        dock.embedding.method.setCurrentText(method)
        done(dock, qtbot)
        dock.controller.set_epoch(2)
        assert "Epoch 2: The bag vectors of 1 of 12 slides are not numbers" in dock.embedding.epoch_words.text()
        assert not len(dock.embedding.scatter.places)
        dock.controller.set_epoch(3)
        assert np.isfinite(shown(dock)).all() and not dock.embedding.epoch_words.isVisible()


def test_a_lost_epoch_is_a_sentence(make_dock: MakeDock, tmp_path: Path, qtbot: Any) -> None:
    path = write_surveyed(tmp_path / "a.asmil", epochs=2)
    next(file for file in (path / "bags" / "c" / "1").rglob("*") if file.is_file()).unlink()
    dock = make_dock(path)
    done(dock, qtbot)
    dock.controller.set_epoch(1)
    assert "Epoch 1 is committed, but bags" in dock.embedding.epoch_words.text()


# ---- what points tell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["class", "prediction", "error", "split"])
def test_colour_and_shape_tell_groups_apart(dock: SurveyDock, by: str) -> None:
    run, scatter = dock.controller.runs[0], dock.embedding.scatter
    dock.embedding.colour.setCurrentText(by)
    for epoch in (EPOCHS, 1):
        dock.controller.set_epoch(epoch)
        best = run.logits(epoch).argmax(axis=1)
        expected = []
        for at in range(SLIDES):
            known = at != UNLABELLED
            expected.append(
                {
                    "class": run.class_names[at % 2] if known else "no label",
                    "prediction": run.class_names[best[at]],
                    "error": ("correct" if best[at] == at % 2 else "wrong") if known else "not judged",
                    "split": SPLITS[at],
                }[by]
            )
        found = {int(at): group.name for group in scatter._groups for at in group.members}
        assert [found[at] for at in range(SLIDES)] == expected
        assert scatter.key.texts == [f"{group.name} ({len(group.members)})" for group in scatter._groups]
        looks = [(item.opts["symbol"], item.opts["brush"].color().name()) for item in scatter._items]
        assert len({symbol for symbol, _ in looks}) == len({colour for _, colour in looks}) == len(looks)


def test_the_key_shows_each_mark_once(dock: SurveyDock, qtbot: Any) -> None:
    for by in ("error", "split", "class"):
        dock.embedding.colour.setCurrentText(by)

    def seen() -> int:
        return sum(label.isVisible() for label in dock.embedding.scatter.key.findChildren(QLabel))

    qtbot.waitUntil(lambda: seen() == 2 * len(dock.embedding.scatter.key.texts) == 6)
    assert len({symbol_of(style) for style in range(6)}) == 6


def test_a_click_on_a_point_opens_its_slide_and_rings_it(dock: SurveyDock, qtbot: Any) -> None:
    dock.controller.set_epoch(2)
    scatter = dock.embedding.scatter
    for slide in (9, 4):
        click_point(dock, slide, qtbot)
        qtbot.waitUntil(lambda slide=slide: dock.controller.slide_id == f"s{slide}")
        assert dock.controller.epoch == 2
        np.testing.assert_array_equal(np.stack(scatter.ring.getData(), axis=1), shown(dock)[[slide]])
        assert scatter.pointed.text().startswith(f"s{slide} · ")


def test_a_click_beside_the_points_opens_nothing(dock: SurveyDock, qtbot: Any) -> None:
    plot = dock.embedding.scatter.plot
    places = np.array([[p.x(), p.y()] for p in map(dock.embedding.scatter.place_on_screen, range(SLIDES))])
    corner = plot.mapFromScene(plot.getViewBox().sceneBoundingRect().bottomRight()) - QPoint(6, 6)
    assert np.hypot(*(places - [corner.x(), corner.y()]).T).min() > 12
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=corner)
    assert dock.controller.slide_id == "s0"


def test_the_pointer_names_a_slide_with_label_and_prediction(dock: SurveyDock, qtbot: Any) -> None:
    run, scatter = dock.controller.runs[0], dock.embedding.scatter
    QApplication.processEvents()
    qtbot.mouseMove(scatter.plot.viewport(), scatter.place_on_screen(6))
    logits = run.logits(EPOCHS)[6].astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum()
    wrong = " (wrong)" if p.argmax() != 0 else ""
    qtbot.waitUntil(lambda: scatter.pointed.text().startswith("s6"))
    assert scatter.pointed.text() == f"s6 · normal, predicted {run.class_names[p.argmax()]} {p.max():.3f}{wrong}"


def test_themes_reach_the_plot(dock: SurveyDock) -> None:
    colours = set()
    for theme in ("light", "dark"):
        dock.controller.viewer.theme = theme
        colours.add(dock.embedding.scatter.plot.backgroundBrush().color().name())
    assert len(colours) == 2


def test_every_control_says_what_it_is_for(dock: SurveyDock) -> None:
    panel = dock.embedding
    controls = [panel.method, panel.colour, panel.button, panel.progress, panel.about, panel.epoch_words]
    assert all(control.toolTip() for control in [*controls, panel.scatter.plot, panel.scatter.pointed])
