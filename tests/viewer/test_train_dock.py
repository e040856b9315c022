"""The dock that trains: real clicks, real bags, a real trainer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QStyle,
    QStyleOptionComboBox,
)

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.runs import open_run
from napari_asmil.training import PRESETS, STABILIZERS, preset, variant_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.progress import duration
from napari_asmil.viewer.docks.recipe import RecipeForm
from napari_asmil.viewer.docks.train import TrainDock
from napari_asmil.viewer.status import State
from tests.conftest import grid_xy
from tests.viewer.leaving import leave

SIDE, WIDTH = 6, 8


@pytest.fixture
def cohort_files(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of ten small bags and its label table; slides s6 to s9 are held out."""
    folder = tmp_path / "features"
    folder.mkdir()
    rows = ["slide_id,label,split"]
    for i in range(10):
        rng = np.random.default_rng(i)
        features = rng.normal(size=(SIDE * SIDE, WIDTH)).astype(np.float32) + 2.0 * (i % 2)
        bag = in_memory_bag(f"s{i}", features, TileGrid(grid_xy(SIDE), 64.0), encoder="toy", mpp=0.5, tile_px=64)
        write_bag(folder / f"s{i}.h5", bag)
        rows.append(f"s{i},{'tumour' if i % 2 else 'normal'},{'test' if i > 5 else 'train'}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows))
    return folder, table


@pytest.fixture
def dock(viewer: Any, qtbot: Any, plain_devices: None) -> Any:
    dock = TrainDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    yield dock
    job = dock.controller.job
    dock.controller.close()
    qtbot.waitUntil(lambda: not job.active, timeout=20_000)


@pytest.fixture
def plain_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process is asked for devices."""
    import napari_asmil.training.device  # noqa: F401 the dock asks torch itself where it is loaded


@pytest.fixture
def ready(dock: TrainDock, cohort_files: tuple[Path, Path], qtbot: Any) -> TrainDock:
    """A dock with bags, a small recipe and a folder."""
    folder, table = cohort_files
    dock.features.set_path(folder)
    dock.labels.set_path(table)
    click(qtbot, dock.read_button)
    dock.form.choose("abmil", "nsf")
    dock.form.preset.setCurrentText("demo")
    dock.form.epochs.setValue(3)
    return dock


def click(qtbot: Any, button: QAbstractButton) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until(qtbot: Any, dock: TrainDock, *states: State) -> None:
    qtbot.waitUntil(lambda: dock.controller.job.status.state in states, timeout=60_000)


# ---- the form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", STABILIZERS)
@pytest.mark.parametrize("method", ["abmil", "asmil"])
@pytest.mark.parametrize("name", ["stable", "demo", "crc-r1"])
def test_an_untouched_form_builds_the_preset_itself(qtbot: Any, name: str, method: str, ending: str) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    form.choose(method, ending)
    form.preset.setCurrentText(name)
    assert form.recipe() == preset(name, variant_of(method, ending))


def test_every_preset_is_offered_and_one_that_is_not_of_the_method_says_so(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    assert [form.preset.itemText(i) for i in range(form.preset.count())] == list(PRESETS)
    form.preset.setCurrentText("released")
    assert form.recipe() == preset("released", "asmil")
    form.choose("abmil", "nsf")
    assert "ASMIL's own" in form.words.text()
    with pytest.raises(InputError, match="ASMIL's own"):
        form.recipe()


def test_the_paper_s_half_life_is_the_lower_end_of_the_momentum(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    assert form.momentum.text() == "paper's half-life" and form.recipe().anchor.momentum is None
    form.momentum.stepUp()
    assert form.momentum.momentum() == 0
    form.momentum.stepDown()
    assert form.momentum.momentum() is None


def test_every_field_of_the_form_reaches_the_recipe(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    form.epochs.setValue(7)
    form.lr.setValue(3e-5)
    form.beta.setValue(0.25)
    form.momentum.setValue(0.9)
    form.seed.setValue(11)
    form.record.setCurrentIndex(form.record.findData("all"))
    form.normalizer.setCurrentIndex(form.normalizer.findData("softmax"))
    anchor = {**preset().anchor.model_dump(), "beta": 0.25, "momentum": 0.9, "normalizer": Normalizer("softmax")}
    assert form.recipe() == preset(epochs=7, lr=3e-5, seed=11, record="all", anchor=anchor)


def test_the_form_keeps_to_the_bounds_of_the_recipe(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    assert form.momentum.maximum() == 1
    assert form.lr.minimum() > 0
    assert form.beta.minimum() == 0
    assert form.epochs.minimum() == 0


def test_small_numbers_can_be_typed_as_people_write_them(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    form.lr.selectAll()
    qtbot.keyClicks(form.lr, "2e-4")
    qtbot.keyClick(form.lr, Qt.Key.Key_Return)
    assert form.lr.value() == pytest.approx(2e-4)
    assert form.lr.text() == "0.0002"
    assert form.lr.validate("two", 0)[0] == QValidator.State.Invalid


def test_without_an_anchor_its_fields_are_off(qtbot: Any) -> None:
    form = RecipeForm()
    qtbot.addWidget(form)
    form.choose("abmil", "")
    assert not any(field.isEnabled() for field in (form.beta, form.momentum, form.normalizer))
    form.choose("asmil", "nsf")
    assert all(field.isEnabled() for field in (form.beta, form.momentum, form.normalizer))


def test_every_control_says_what_it_is_for(dock: TrainDock) -> None:
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox):
        for control in dock.findChildren(kind):
            assert control.toolTip(), control
    named = [line for line in dock.findChildren(QLineEdit) if not isinstance(line.parent(), QAbstractSpinBox)]
    assert all(line.toolTip() for line in named)


def test_no_choice_of_the_form_is_cut_off_where_the_dock_is_narrowest(dock: TrainDock) -> None:
    dock.resize(dock.minimumSizeHint().width(), 900)
    QApplication.processEvents()
    form = dock.form
    for field in (form.method, form.steadied, form.preset, form.normalizer, form.record):
        option = QStyleOptionComboBox()
        field.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = field.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, field).width()
        for at in range(field.count()):
            assert field.fontMetrics().horizontalAdvance(field.itemText(at)) <= room, field.itemText(at)
    assert dock.minimumSizeHint().width() <= 350


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (4000, "1 h 7 min")])
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# ---- before anything starts -----------------------------------------------------------------------


def test_bags_are_described_once_they_are_read(ready: TrainDock) -> None:
    assert "10 bags of 36 tiles" in ready.cohort_words.text()
    assert "normal (2), tumour (2)" in ready.cohort_words.text()
    assert ready.controller.cohort is not None


def test_a_wrong_label_column_is_named_and_nothing_starts(
    dock: TrainDock, cohort_files: tuple[Path, Path], qtbot: Any
) -> None:
    dock.features.set_path(cohort_files[0])
    dock.labels.set_path(cohort_files[1])
    dock.column.setText("grade")
    click(qtbot, dock.read_button)
    assert "'grade'" in dock.panel.message.text()
    assert dock.controller.cohort is None
    click(qtbot, dock.start_button)
    assert "no bags to train on" in dock.panel.message.text()
    assert dock.controller.job.status.state is State.IDLE


def test_bags_without_labels_are_refused_before_a_folder_is_made(
    dock: TrainDock, cohort_files: tuple[Path, Path], qtbot: Any
) -> None:
    dock.features.set_path(cohort_files[0])
    click(qtbot, dock.read_button)
    click(qtbot, dock.start_button)
    assert "no label for slide s0" in dock.panel.message.text()
    assert not dock.out.path.parent.exists()


def test_a_folder_is_suggested_until_a_person_writes_one(ready: TrainDock, tmp_path: Path) -> None:
    assert ready.out.path == tmp_path / "features" / "runs" / "abmil_nsf-demo-seed0.asmil"
    ready.form.seed.setValue(3)
    assert ready.out.path.name == "abmil_nsf-demo-seed3.asmil"
    ready.out.set_path(tmp_path / "mine.asmil")
    ready.form.seed.setValue(4)
    assert ready.out.path == tmp_path / "mine.asmil"


# ---- training -------------------------------------------------------------------------------------


def test_a_click_trains_and_every_epoch_is_on_disk_and_open_in_the_window(ready: TrainDock, qtbot: Any) -> None:
    out = ready.out.path
    click(qtbot, ready.start_button)
    assert not ready.start_button.isEnabled()
    assert not ready.form.epochs.isEnabled()
    until(qtbot, ready, State.DONE, State.FAILED)
    assert ready.controller.job.status.state is State.DONE
    assert open_run(out).n_epochs == 4
    assert open_run(out).label == "ABMIL + anchor (NSF)"
    qtbot.waitUntil(lambda: [run.n_epochs for run in ready.controller.runs] == [4])
    assert ready.panel.bar.value() == ready.panel.bar.maximum()
    assert ready.panel.message.text() == "Trained 3 epochs."
    assert ready.start_button.isEnabled() and ready.form.epochs.isEnabled()
    assert "finished" in ready.out_words.text()


def test_pause_resume_and_stop_by_their_buttons_and_a_stopped_run_goes_on(ready: TrainDock, qtbot: Any) -> None:
    ready.form.epochs.setValue(25)
    click(qtbot, ready.start_button)
    until(qtbot, ready, State.RUNNING)
    qtbot.waitUntil(lambda: ready.controller.job.status.done >= 1, timeout=30_000)
    click(qtbot, ready.panel.pause_button)
    assert ready.panel.pause_button.text() == "Resume"
    assert "Paused" in ready.panel.state.text()
    click(qtbot, ready.panel.pause_button)
    assert ready.panel.pause_button.text() == "Pause"
    click(qtbot, ready.panel.stop_button)
    until(qtbot, ready, State.IDLE)
    assert "are kept" in ready.panel.message.text()
    kept = open_run(ready.out.path).n_epochs
    assert 2 <= kept < 25
    assert f"has {kept - 1} of 25 epochs" in ready.out_words.text()
    click(qtbot, ready.start_button)
    until(qtbot, ready, State.DONE, State.FAILED)
    assert open_run(ready.out.path).n_epochs == 26


def test_the_open_slide_is_recorded_even_where_the_recipe_would_not(ready: TrainDock, qtbot: Any) -> None:
    ready.form.preset.setCurrentText("crc-r1")
    ready.form.epochs.setValue(1)
    training = ready.training()
    watched = type(training)(training.cohort, training.recipe, training.out, "cpu", "s2")
    assert watched._recording().record == ("s6", "s7", "s8", "s9", "s2")
    unknown = type(training)(training.cohort, training.recipe, training.out, "cpu", "elsewhere")
    assert unknown._recording() == training.recipe


def test_a_device_this_machine_lacks_is_refused_with_a_sentence(ready: TrainDock, qtbot: Any) -> None:
    ready.device.addItem("cuda:9 · of another machine", "cuda:9")
    ready.device.setCurrentIndex(ready.device.findData("cuda:9"))
    click(qtbot, ready.start_button)
    until(qtbot, ready, State.FAILED)
    assert "This machine has no device 'cuda:9'" in ready.panel.message.text()
    assert not ready.out.path.exists()


def test_the_model_is_freed_after_a_stop(ready: TrainDock, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_asmil.training import state

    models = []
    fresh = state.State.fresh.__func__

    def watched(cls: Any, *args: Any) -> Any:
        made = fresh(cls, *args)
        models.append(weakref.ref(made.model))
        return made

    monkeypatch.setattr(state.State, "fresh", classmethod(watched))
    ready.form.epochs.setValue(400)
    click(qtbot, ready.start_button)
    qtbot.waitUntil(lambda: ready.controller.job.status.done >= 1, timeout=30_000)
    assert models[0]() is not None
    click(qtbot, ready.panel.stop_button)
    until(qtbot, ready, State.IDLE)
    gc.collect()
    assert models[0]() is None


def test_a_trained_run_is_applied_to_the_bags(ready: TrainDock, qtbot: Any, tmp_path: Path) -> None:
    click(qtbot, ready.start_button)
    until(qtbot, ready, State.DONE)
    qtbot.waitUntil(lambda: ready.open_slide == "s6")
    assert ready.apply_words.text() == "To be applied to the bag of s6."
    ready.trained.set_path(ready.out.path)
    ready.applied.set_path(tmp_path / "applied.asmil")
    click(qtbot, ready.apply_button)
    until(qtbot, ready, State.PREPARING, State.RUNNING)
    until(qtbot, ready, State.DONE, State.FAILED)
    run = open_run(tmp_path / "applied.asmil")
    assert run.n_epochs == 1
    assert [slide.slide_id for slide in run.slides] == ["s6"]


# ---- the dock as a view ---------------------------------------------------------------------------


def test_a_dock_can_be_closed_and_opened_again_without_touching_the_job(
    make_napari_viewer_proxy: Callable[..., Any], cohort_files: tuple[Path, Path], qtbot: Any, plain_devices: None
) -> None:
    viewer = make_napari_viewer_proxy()
    first = TrainDock(viewer)
    wrapped = viewer.window.add_dock_widget(first, name="Train")
    job = Controller.of(viewer).job
    first.features.set_path(cohort_files[0])
    first.labels.set_path(cohort_files[1])
    click(qtbot, first.read_button)
    first.form.epochs.setValue(400)
    click(qtbot, first.start_button)
    qtbot.waitUntil(lambda: job.status.state is State.RUNNING, timeout=30_000)
    gone = weakref.ref(first)
    viewer.window.remove_dock_widget(wrapped)
    del first, wrapped
    gc.collect()
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    done = job.status.done
    qtbot.waitUntil(lambda: job.status.done > done, timeout=30_000)
    second = TrainDock(viewer)
    qtbot.addWidget(second)
    assert not second.start_button.isEnabled()
    assert second.panel.stop_button.isEnabled()
    click(qtbot, second.panel.stop_button)
    qtbot.waitUntil(lambda: not job.active, timeout=30_000)


CLOSING = """
    from pathlib import Path
    import napari
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtTest import QTest
    from napari_asmil.viewer.docks.train import TrainDock

    features, labels, out = map(Path, sys.argv[2:])
    viewer = napari.Viewer(show=True)
    dock = TrainDock(viewer)
    viewer.window.add_dock_widget(dock)
    dock.features.set_path(features)
    dock.labels.set_path(labels)
    dock.read()
    dock.form.epochs.setValue(2000)
    dock.out.set_path(out)
    QTest.mouseClick(dock.start_button, Qt.MouseButton.LeftButton)

    def close_when_it_runs():
        if dock.controller.job.status.done >= 2:
            timer.stop()
            close(viewer)

    timer = QTimer()
    timer.timeout.connect(close_when_it_runs)
    timer.start(20)
    napari.run()
"""


def test_closing_the_window_mid_training_ends_the_process_and_the_run_is_whole(
    cohort_files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run.asmil"
    left = leave(CLOSING, tmp_path / "noted", *cohort_files, out)
    assert left.status == 0, left.stderr
    assert left.cpu_seconds < 2
    assert left.wall_seconds < 10  # on a machine that does other things too; the training itself takes minutes
    run = open_run(out)
    assert run.n_epochs >= 3
    for epoch in range(run.n_epochs):
        assert np.isfinite(run.attention(epoch, "s8")).all()


def test_further_changes_are_those_of_the_command_line_and_a_wrong_one_starts_nothing(
    ready: TrainDock, qtbot: Any
) -> None:
    ready.form.further.setText("heads=4, temperature=0.5, clip=1")
    recipe = ready.form.recipe()
    assert (recipe.settings["heads"], recipe.clip) == (4, 1)
    ready.form.further.setText("colour=blue")
    click(qtbot, ready.start_button)
    until(qtbot, ready, State.FAILED)
    assert "has no setting colour" in ready.panel.message.text()
    assert not ready.out.path.exists()
