"""One long job at a time: its states, its worker, its progress and its end."""

import logging
import threading
import time
import warnings
import weakref
from pathlib import Path

import pytest

from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Finished, Started
from napari_asmil.viewer.job import Job
from napari_asmil.viewer.status import ACTIONS, TRANSITIONS, State, Status, Tracker, allowed
from tests.viewer.leaving import leave

RUN = Path("a.asmil")


class Model:
    """Stands for a model: something heavy that a stopped job must let go of."""


def training(stop, *, epochs=1000, steps=5, seen=None, wait=0.002, fail=None):
    """A trainer's events, from a model that `seen` gets to know."""
    model = Model()
    if seen is not None:
        seen.append(weakref.ref(model))
    yield Started(RUN, epochs)
    for epoch in range(1, epochs + 1):
        for step in range(1, steps + 1):
            if stop.is_set():
                yield Finished(RUN, "stopped", f"Stopped after epoch {epoch - 1}.")
                return
            if fail is not None and epoch == 2:
                raise fail
            time.sleep(wait)
            yield BatchDone(epoch, step, steps, loss=1 / epoch)
        yield EpochDone(RUN, epoch, epochs, 0.1)
    yield Finished(RUN, "done")


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def job(viewer, qtbot):
    job = Job()
    yield job
    job.close()
    qtbot.waitUntil(lambda: not job.active)


@pytest.fixture
def notes(viewer):
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()
    return notification_manager.records


def until(qtbot, job, *states):
    qtbot.waitUntil(lambda: job.status.state in states, timeout=10_000)


# ---- states ---------------------------------------------------------------------------------------


def test_every_state_offers_only_what_makes_sense_in_it():
    assert {state: set(allowed(state)) for state in State} == {
        State.IDLE: {"start"},
        State.PREPARING: {"stop"},
        State.RUNNING: {"pause", "stop"},
        State.PAUSED: {"resume", "stop"},
        State.STOPPING: set(),
        State.DONE: {"start"},
        State.FAILED: {"start"},
    }


def test_every_transition_leads_to_a_known_state_and_every_state_can_be_reached_and_left():
    reached, frontier = {State.IDLE}, [State.IDLE]
    while frontier:
        for following in TRANSITIONS[frontier.pop()].values():
            if following not in reached:
                reached.add(following)
                frontier.append(following)
    assert reached == set(State)
    assert all(TRANSITIONS[state] for state in State)


@pytest.mark.parametrize("state", State)
def test_a_job_does_what_is_allowed_in_a_state_and_refuses_the_rest(state):
    for action in ACTIONS - {"start"}:
        job = Job()
        job.status.state = state
        if action in allowed(state):
            getattr(job, action)()
            assert job.status.state is TRANSITIONS[state][action]
        else:
            with pytest.raises(RuntimeError, match=f"{state} cannot {action}"):
                getattr(job, action)()
            assert job.status.state is state


# ---- what is shown --------------------------------------------------------------------------------


def shown(*events, state=State.RUNNING):
    status = Status()
    tracker = Tracker(status, "A job", "epochs")
    status.state = state
    for event in events:
        tracker.hear(event)
    tracker.show()
    return status


def test_a_batch_is_a_share_of_its_epoch():
    status = shown(Started(RUN, 10), EpochDone(RUN, 0, 10, 1), EpochDone(RUN, 1, 10, 1), BatchDone(2, 3, 4, loss=0.5))
    assert (status.done, status.fraction, status.loss) == (1, 0.175, 0.5)
    assert status.detail == "epoch 2: bag 3 of 4"


def test_checking_and_recording_are_told_but_do_not_count_as_progress():
    before = shown(BatchDone(0, 5, 200, "check"), state=State.PREPARING)
    assert (before.fraction, before.detail) == (0, "checking bag 5 of 200")
    after = shown(Started(RUN, 10), EpochDone(RUN, 1, 10, 1), BatchDone(1, 40, 60, "record"))
    assert (after.fraction, after.detail) == (0.1, "epoch 1: recording slide 40 of 60")


def test_where_there_are_no_epochs_the_batches_are_the_units():
    status = shown(Started(RUN, 8, unit="slides"), BatchDone(0, 6, 8, "attend"), EpochDone(RUN, 0, 0, 1.0))
    assert (status.done, status.fraction, status.unit) == (6, 0.75, "slides")


# ---- the way through ------------------------------------------------------------------------------


def test_a_job_prepares_runs_and_is_done(job, qtbot):
    states, events = [], []
    job.status.events.state.connect(states.append)
    job.event.connect(events.append)
    job.start(lambda stop: training(stop, epochs=3), "Training ABMIL")
    until(qtbot, job, State.DONE)
    assert states == [State.PREPARING, State.RUNNING, State.DONE]
    assert isinstance(events[0], Started)
    assert [event.epoch for event in events if isinstance(event, EpochDone)] == [1, 2, 3]
    assert (job.status.done, job.status.total, job.status.fraction) == (3, 3, 1.0)
    assert job.status.message == "Done: 3 of 3 epochs."
    assert not job.active


def test_events_are_heard_in_the_main_thread_although_the_generator_runs_in_another(job, qtbot):
    threads = {}

    def events(stop):
        threads["made"] = threading.current_thread()
        yield from training(stop, epochs=1)

    job.event.connect(lambda event: threads.setdefault("heard", threading.current_thread()))
    job.start(events, "Training")
    until(qtbot, job, State.DONE)
    assert threads["heard"] is threading.main_thread()
    assert threads["made"] is not threading.main_thread()


def test_progress_counts_epochs_shows_the_last_loss_and_the_seconds_left(job, qtbot):
    job.start(lambda stop: training(stop, epochs=200), "Training")
    qtbot.waitUntil(lambda: job.status.done >= 2 and job.status.seconds_left is not None, timeout=10_000)
    assert 0 < job.status.fraction < 1
    assert job.status.seconds_left > 0
    assert job.status.loss == pytest.approx(1 / job.status.done, rel=0.6)


def test_a_resumed_run_is_timed_from_where_it_resumed(job, qtbot):
    def events(stop):
        yield Started(RUN, 100, done=90)
        for epoch in range(91, 101):
            time.sleep(0.05)
            yield EpochDone(RUN, epoch, 100, 0.05)

    estimates = []
    job.status.events.seconds_left.connect(lambda left: estimates.append(left))
    job.start(events, "Training")
    until(qtbot, job, State.DONE)
    told = [left for left in estimates if left is not None]
    assert told
    assert max(told) < 5


def test_a_second_job_is_refused_while_one_is_at_work(job, qtbot):
    job.start(training, "Training ABMIL")
    with pytest.raises(InputError, match="Training ABMIL is still at work"):
        job.start(training, "Extracting")
    until(qtbot, job, State.RUNNING)


def test_a_paused_job_does_nothing_until_it_is_resumed(job, qtbot):
    heard = []
    job.event.connect(heard.append)
    job.start(training, "Training")
    until(qtbot, job, State.RUNNING)
    job.pause()
    qtbot.wait(100)
    before = len(heard)
    qtbot.wait(150)
    assert len(heard) == before
    job.resume()
    qtbot.waitUntil(lambda: len(heard) > before)
    assert job.status.state is State.RUNNING


def test_a_job_neither_runs_ahead_of_a_busy_window_nor_waits_for_it_for_ever(job, qtbot):
    made = []

    def events(stop):
        for event in training(stop, wait=0.001):
            made.append(event)
            yield event

    job.start(events, "Training")
    until(qtbot, job, State.RUNNING)
    before = len(made)
    time.sleep(0.55)  # the window is busy: it hears nothing
    assert 3 <= len(made) - before <= 10


# ---- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_stop_ends_the_job_within_a_batch_and_lets_the_trainer_say_goodbye(job, qtbot, paused):
    job.start(training, "Training")
    until(qtbot, job, State.RUNNING)
    if paused:
        job.pause()
        qtbot.wait(50)
    job.stop()
    assert job.status.state is State.STOPPING
    asked = time.monotonic()
    until(qtbot, job, State.IDLE)
    assert time.monotonic() - asked < 0.3
    assert job.status.message.startswith("Stopped after epoch")


def test_the_model_is_freed_after_a_stop(job, qtbot):
    seen = []
    job.start(lambda stop: training(stop, seen=seen), "Training")
    until(qtbot, job, State.RUNNING)
    assert seen[0]() is not None
    job.stop()
    until(qtbot, job, State.IDLE)
    assert seen[0]() is None


def test_the_model_is_freed_after_an_error_although_napari_keeps_the_error(job, qtbot, notes):
    seen = []
    job.start(lambda stop: training(stop, seen=seen, fail=ValueError("no")), "Training")
    until(qtbot, job, State.FAILED)
    qtbot.waitUntil(lambda: seen[0]() is None)
    assert len(notes) == 1


def test_a_job_that_never_looks_at_stop_is_closed_between_batches(job, qtbot):
    closed = []

    def deaf(stop):
        yield Started(RUN, 10)
        try:
            for step in range(10**6):
                time.sleep(0.01)
                yield BatchDone(1, step, 10**6)
        finally:
            closed.append(True)

    job.start(deaf, "Training")
    until(qtbot, job, State.RUNNING)
    job.stop()
    until(qtbot, job, State.IDLE)
    assert closed == [True]
    assert job.status.message == "Stopped: 0 of 10 epochs."


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (ValueError("wrong shape"), "ValueError: wrong shape"),
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (InputError("holds NaN.", path="bag.h5"), "bag.h5: holds NaN."),
    ],
)
def test_an_error_gives_exactly_one_notification_and_a_sentence(job, qtbot, notes, caplog, fail, message):
    with caplog.at_level(logging.ERROR):
        job.start(lambda stop: training(stop, fail=fail), "Training")
        until(qtbot, job, State.FAILED)
        qtbot.wait(50)
    assert job.status.message == message
    assert len(notes) == 1
    assert str(fail) in notes[0].message
    assert "Training failed" in caplog.text
    assert not job.active


def test_a_job_that_says_it_failed_gives_one_notification_too(job, qtbot, notes):
    job.start(lambda stop: iter([Started(RUN, 2), Finished(RUN, "failed", "The disk is full.")]), "Training")
    until(qtbot, job, State.FAILED)
    assert [note.message for note in notes] == ["The disk is full."]


def test_after_a_failure_another_job_can_be_started(job, qtbot, notes):
    job.start(lambda stop: training(stop, fail=ValueError("no")), "Training")
    until(qtbot, job, State.FAILED)
    job.start(lambda stop: training(stop, epochs=1), "Training")
    until(qtbot, job, State.DONE)
    assert len(notes) == 1


def test_warnings_of_the_work_are_logged(job, qtbot, caplog):
    def events(stop):
        yield Started(RUN, 1)
        warnings.warn("the scheduler was called first", UserWarning, stacklevel=1)

    with caplog.at_level(logging.WARNING):
        job.start(events, "Training")
        until(qtbot, job, State.DONE)
    assert "the scheduler was called first" in caplog.text


def test_the_warnings_hook_is_put_back_even_when_an_overlapping_worker_left_its_own(job, qtbot):
    def overlap(state):
        if state is State.PREPARING:
            warnings.showwarning = lambda *_: None

    before = warnings.showwarning
    job.status.events.state.connect(overlap)
    job.start(lambda stop: training(stop, epochs=1), "Training")
    until(qtbot, job, State.DONE)
    assert warnings.showwarning is before


# ---- napari ---------------------------------------------------------------------------------------


def cancel_buttons(viewer):
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar

    bars = viewer.window._qt_window.findChildren(QtLabeledProgressBar)
    return [bar.cancel_button for bar in bars if bar.progress is not None and not bar.isHidden()]


def test_the_activity_bar_shows_the_job_and_its_cancel_button_stops_it(make_napari_viewer, qtbot):
    from qtpy.QtCore import Qt

    viewer = make_napari_viewer(show=True)
    job = Job()
    job.start(training, "Training ABMIL")
    until(qtbot, job, State.RUNNING)
    qtbot.waitUntil(lambda: len(cancel_buttons(viewer)) == 1)
    button = cancel_buttons(viewer)[0]
    viewer.window._status_bar._toggle_activity_dock(True)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    until(qtbot, job, State.IDLE)
    qtbot.waitUntil(lambda: not cancel_buttons(viewer))


def test_naparis_closing_dialog_can_name_the_job(viewer, job, qtbot):
    job.start(training, "Training ABMIL on 12 slides")
    until(qtbot, job, State.RUNNING)
    tasks = viewer.window._task_status_manager.get_status()
    assert any("Training ABMIL on 12 slides" in task for task in tasks)


def test_closing_the_window_stops_the_job_and_nothing_more_is_heard(make_napari_viewer, qtbot):
    viewer, job, heard = make_napari_viewer(), Job(), []
    job.start(training, "Training")
    until(qtbot, job, State.RUNNING)
    viewer.close()
    job.event.connect(heard.append)
    qtbot.waitUntil(lambda: not job.active)
    assert heard == []


CLOSING = """
    from pathlib import Path
    import napari
    from qtpy.QtCore import QEventLoop, QTimer
    from napari_asmil.events import BatchDone, Finished, Started
    from napari_asmil.viewer.job import Job

    out, how = Path(sys.argv[2]), sys.argv[3]

    def training(stop):
        yield Started(out, 1000)
        for step in range(10**6):
            if stop.is_set():
                break
            time.sleep(0.1)
            yield BatchDone(1, step, 10**6)
        (out / "intact").write_text("yes")

    def leave():
        if how == "paused":
            job.pause()
        close(viewer)

    job = Job()
    viewer = napari.Viewer(show=True)
    job.start(training, "Training")
    if how == "script":
        loop = QEventLoop()
        QTimer.singleShot(1000, loop.quit)
        loop.exec()
        leave()
    else:
        QTimer.singleShot(1000, leave)
        napari.run()
"""


@pytest.mark.parametrize("how", ["running", "paused", "script"])
def test_closing_the_window_mid_job_ends_the_process_with_the_run_intact(tmp_path, how):
    left = leave(CLOSING, tmp_path / "noted", tmp_path, how)
    assert left.status == 0, left.stderr
    assert (tmp_path / "intact").read_text() == "yes"
    assert left.cpu_seconds < 2
    assert left.wall_seconds < 10  # on a machine that does other things too; the job itself would take a day
