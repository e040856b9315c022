"""The job at work: how far it is, what it says, and the buttons that hold or stop it."""

from __future__ import annotations

from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout

from napari_asmil.events import EpochDone, Event
from napari_asmil.viewer.job import Job
from napari_asmil.viewer.status import State, allowed

STEPS = 1000
"""Of the progress bar, which moves with every batch."""
WORDS = {
    State.IDLE: "No job is at work",
    State.PREPARING: "Preparing",
    State.RUNNING: "Running",
    State.PAUSED: "Paused; memory is kept",
    State.STOPPING: "Stopping after this batch",
    State.DONE: "Done",
    State.FAILED: "Failed",
}
_CURVES = {"loss_ce": "cross-entropy", "loss_as": "KL to anchor", "val_auc": "validation AUC", "test_auc": "test AUC"}


class JobPanel(QGroupBox):
    """A view of the one job of this viewer, whatever it is doing."""

    def __init__(self, job: Job) -> None:
        super().__init__("Job")
        self._job = job
        self.state, self.detail, self.losses, self.message = (QLabel() for _ in range(4))
        self.bar = QProgressBar()
        self.pause_button, self.stop_button = QPushButton("Pause"), QPushButton("Stop")
        self._lay_out()
        self.pause_button.clicked.connect(self._pause_or_resume)
        self.stop_button.clicked.connect(self._stop)
        events = job.status.events
        events.state.connect(self._on_state)
        for field in (events.title, events.done, events.total, events.unit, events.fraction, events.seconds_left):
            field.connect(self._on_progress)
        events.detail.connect(self._on_detail)
        events.loss.connect(self._on_detail)
        events.message.connect(self._on_message)
        job.event.connect(self._on_event)
        self._on_state()
        self._on_progress()
        self._on_detail()
        self._on_message()

    def _lay_out(self) -> None:
        self.bar.setRange(0, STEPS)
        self.bar.setAccessibleName("Progress of the job")
        self.bar.setToolTip("Share of the work that is done")
        self.pause_button.setToolTip("Hold the job after the batch at hand, or let it go on; it keeps its memory")
        self.stop_button.setToolTip(
            "End the job after the batch at hand; committed epochs are kept, and can be resumed"
        )
        buttons = QHBoxLayout()
        for button in (self.pause_button, self.stop_button):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(3)
        column.addWidget(self.state)
        column.addWidget(self.bar)
        for label in (self.detail, self.losses, self.message):
            column.addWidget(label)
        for label in (self.state, self.losses, self.message):
            label.setWordWrap(True)
        self.detail.setMinimumWidth(1)
        self.losses.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        column.addLayout(buttons)

    def refuse(self, why: str) -> None:
        """Say why a job was not started."""
        self.message.setText(f"Not started. {why}")
        self.message.setVisible(True)

    def _on_state(self) -> None:
        status = self._job.status
        can = allowed(status.state)
        self.pause_button.setEnabled(bool(can & {"pause", "resume"}))
        self.pause_button.setText("Resume" if "resume" in can else "Pause")
        self.stop_button.setEnabled("stop" in can)
        if status.state is State.PREPARING:
            self.losses.clear()
        for label in (self.detail, self.losses):
            label.setVisible("stop" in can or status.state is State.STOPPING)
        self._on_progress()

    def _on_progress(self) -> None:
        status = self._job.status
        words = WORDS[status.state]
        self.state.setText(f"<b>{status.title}</b><br>{words}" if status.title else words)
        busy = status.state is State.PREPARING
        self.bar.setRange(0, 0 if busy else STEPS)
        self.bar.setValue(round(status.fraction * STEPS))
        left = "" if status.seconds_left is None else f" · {duration(status.seconds_left)} left"
        self.bar.setFormat(f"{status.done} of {status.total} {status.unit}{left}" if status.total else "")

    def _on_detail(self) -> None:
        status = self._job.status
        loss = "" if status.loss is None else f" · loss {status.loss:.3g}"
        self.detail.setText(status.detail + loss)

    def _on_message(self) -> None:
        self.message.setText(self._job.status.message)
        self.message.setVisible(bool(self._job.status.message))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            said = [f"{words} {event.curves[name]:.3g}" for name, words in _CURVES.items() if name in event.curves]
            self.losses.setText(f"After epoch {event.epoch}: {', '.join(said)}" if said else "")

    def _pause_or_resume(self) -> None:
        if "resume" in allowed(self._job.status.state):
            self._job.resume()
        else:
            self._job.pause()

    def _stop(self) -> None:
        self._job.stop()


def duration(seconds: float) -> str:
    """Say a duration as a person would."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
