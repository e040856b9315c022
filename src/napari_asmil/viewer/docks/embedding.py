"""Slides as points: their bag vectors in the plane at the epoch under the slider."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_asmil.analysis.embedding import perplexity
from napari_asmil.render.facts import share
from napari_asmil.runs import Run
from napari_asmil.runs.table import UNKNOWN, SlideNumbers, SlideTable
from napari_asmil.viewer.docks.base import add_row, waiting
from napari_asmil.viewer.embedder import PCA, TSNE, Course, Embedder, Found, Places
from napari_asmil.viewer.plots.scatter import Group, ScatterPanel
from napari_asmil.viewer.plots.style import Palette

GROW_MS, DRAW_MS = 500, 60
"""New epochs of a run are computed together at most this often, and found ones drawn."""
CLASS, PREDICTION, ERROR, SPLIT = "class", "prediction", "error", "split"


class EmbeddingPanel(QWidget):
    """A scatter of slides by t-SNE or principal components, computed while it is in sight."""

    opened = Signal(str)
    """A person clicked on the point of this slide."""

    def __init__(self) -> None:
        super().__init__()
        self.method, self.colour = QComboBox(), QComboBox()
        self.about, self.epoch_words = QLabel(), QLabel()
        self.scatter, self.progress, self.button = ScatterPanel(), QProgressBar(), QPushButton()
        self._table: SlideTable | None = None
        self._numbers: SlideNumbers | None = None
        self._epoch = 0
        self._shown: str | None = None
        self._courses: WeakKeyDictionary[Run, dict[str, Course]] = WeakKeyDictionary()
        self._embedder: Embedder | None = None
        self._left: list[Embedder] = []
        self._grow_soon, self._draw_soon = waiting(self, GROW_MS, self._go_on), waiting(self, DRAW_MS, self.draw)
        self._lay_out()
        self.method.currentIndexChanged.connect(self._on_method)
        self.colour.currentIndexChanged.connect(self.draw)
        self.button.clicked.connect(self._on_button)
        self.scatter.picked.connect(self._on_picked)
        self.scatter.describe = self.describe

    def _lay_out(self) -> None:
        self.method.addItems([PCA, TSNE])
        self.colour.addItems([CLASS, PREDICTION, ERROR, SPLIT])
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        add_row(
            form,
            "Drawn by",
            self.method,
            "PCA: instant, axes fixed for all epochs. t-SNE (Euclidean distances): neighbourhoods alone mean something;"
            " it takes a while, and each epoch starts from the one before, so that points move and do not jump",
        )
        add_row(form, "Coloured by", self.colour, "What colour and shape of a point tell; prediction and error move")
        self.button.setToolTip("Stop after the epoch at hand, or go on")
        self.progress.setToolTip("Epochs that are drawn")
        self.progress.setFormat("%v of %m epochs")
        for label in (self.about, self.epoch_words):
            label.setWordWrap(True)
        self.about.setToolTip("How the points were placed, and what their distances mean")
        self.epoch_words.setToolTip("Which epoch is drawn, where that is not the one under the slider")
        row = QHBoxLayout()
        row.addWidget(self.progress, 1)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 6, 4, 4)
        column.addLayout(form)
        column.addWidget(self.about)
        column.addLayout(row)
        column.addWidget(self.epoch_words)
        column.addWidget(self.scatter, 1)

    # ---- what the dock tells -----------------------------------------------------------------

    def show_epoch(self, table: SlideTable | None, epoch: int, numbers: SlideNumbers | None) -> None:
        """Show the slides of a run at an epoch; `numbers` colour them."""
        other = table is not self._table
        self._table, self._epoch, self._numbers = table, epoch, numbers
        if other:
            self._stop()
            self._go_on()
        self.draw()

    def set_shown(self, slide_id: str | None) -> None:
        """Ring the slide in the window."""
        self._shown = slide_id
        ids = () if self._table is None else self._table.slide_ids
        self.scatter.set_ring(ids.index(slide_id) if slide_id in ids else None)

    def grow(self) -> None:
        """The run has more epochs."""
        if not self._grow_soon.isActive():
            self._grow_soon.start()

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self.scatter.set_palette(palette)

    # ---- computing ---------------------------------------------------------------------------

    @property
    def course(self) -> Course | None:
        """What is known of the run by the chosen method."""
        if self._table is None:
            return None
        return self._courses.setdefault(self._table.run, {}).setdefault(self.method.currentText(), Course())

    @property
    def computing(self) -> bool:
        """Whether epochs are being computed."""
        return self._embedder is not None

    def showEvent(self, event: QShowEvent) -> None:
        """Go on where it was left."""
        super().showEvent(event)
        self._go_on()
        self.draw()

    def hideEvent(self, event: QHideEvent) -> None:
        """Compute nothing that is not in sight."""
        super().hideEvent(event)
        self._stop()

    def _go_on(self) -> None:
        """Compute the epochs that are missing, where that is wanted."""
        course, table = self.course, self._table
        if course is not None and table is not None and self.isVisible() and not (self.computing or course.halted):
            old = course.is_old(table.run)
            if old or len(course.epochs) < table.run.n_epochs:
                self._start(Embedder(table.run, self.method.currentText(), Course() if old else course))
        self._tell_progress()

    def _start(self, embedder: Embedder) -> None:
        self._embedder = embedder
        embedder.found.connect(self._on_found)
        embedder.ended.connect(self._on_ended)
        embedder.start()

    def _stop(self) -> None:
        """Compute no more; what is still found of the epoch at hand is not heard."""
        self._left = [embedder for embedder in self._left if embedder.running]
        if self._embedder is not None:
            self._embedder.stop()
            self._left.append(self._embedder)
            self._embedder = None
        self._tell_progress()

    def _on_found(self, embedder: Embedder, found: Found) -> None:
        course = self.course
        if embedder is self._embedder and course is not None:
            course.add(found)
            if not self._draw_soon.isActive():
                self._draw_soon.start()

    def _on_ended(self, embedder: Embedder, why: str) -> None:
        course = self.course
        if embedder is self._embedder and course is not None:
            self._embedder = None
            course.halted, course.why = bool(why), why
            self._go_on()
            self.draw()

    def _on_method(self) -> None:
        self._stop()
        self._go_on()
        self.draw()

    def _on_button(self) -> None:
        course = self.course
        if course is not None:
            course.halted, course.why = self.computing, ""
            self._stop()
            self._go_on()

    def _tell_progress(self) -> None:
        course = self.course
        total = 0 if self._table is None else self._table.run.n_epochs
        done = 0 if course is None else len(course.epochs)
        unfinished = course is not None and done < total
        self.progress.setVisible(unfinished)
        self.button.setVisible(unfinished)
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)
        self.button.setText("Stop" if self.computing else "Go on")

    # ---- drawing -----------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the newest epoch that is known up to the one under the slider."""
        course, table = self.course, self._table
        if not self.isVisible():
            return
        if course is None or table is None:
            self.about.setText("No run is open.")
            self.epoch_words.setText("")
            self.scatter.set_points(np.empty((0, 2)), ())
            return
        self._tell_progress()
        at = min(self._epoch, len(course.epochs) - 1)
        places = course.epochs[at] if at >= 0 else ""
        self.about.setText(course.why or self._how(at, course, table))
        words = self._which(at, places, table)
        self.epoch_words.setText(words)
        self.epoch_words.setVisible(bool(words))
        self.scatter.set_axes(*self._axes(course))
        self.scatter.set_extent(course.extent)
        if isinstance(places, str):
            self.scatter.set_points(np.empty((0, 2)), ())
        else:
            self.scatter.set_points(places, groups_of(table, self._numbers, self.colour.currentText()))
        self.set_shown(self._shown)

    def describe(self, index: int) -> str:
        """A slide in words: its name, label and prediction."""
        table, numbers = self._table, self._numbers
        if table is None:
            return ""
        names, label = table.run.class_names, int(table.labels[index])
        said = table.slide_ids[index] + (f" · {names[label]}" if label != UNKNOWN else "")
        if numbers is None or numbers.predicted[index] == UNKNOWN:
            return said
        wrong = " (wrong)" if numbers.wrong[index] else ""
        return f"{said}, predicted {names[numbers.predicted[index]]} {numbers.probability[index]:.3f}{wrong}"

    def _how(self, at: int, course: Course, table: SlideTable) -> str:
        slides = len(table)
        if self.method.currentText() == TSNE:
            return f"t-SNE, perplexity {perplexity(slides)}, {slides} slides: distances between clusters mean nothing."
        if course.axes is None or course.axes.plane is None:
            return f"Principal components of {slides} bag vectors."
        held = share(float(course.axes.plane.share.sum()))
        return (
            f"Principal components of {slides} bag vectors: axes of epoch {course.axes.epoch} ({held} of the variance"
            f" there), the same at every epoch; points of epoch {at}."
        )

    def _which(self, at: int, places: Places | str, table: SlideTable) -> str:
        """What must be said of the epoch that is drawn; "" where it is that under the slider."""
        last = table.run.n_epochs - 1
        if at < 0:
            return "No epoch is drawn yet."
        if isinstance(places, str):
            return f"Epoch {at}: {places}"
        if self._epoch > last:
            return f"This is epoch {at}: the run has none after {last}."
        return f"This is epoch {at}: epoch {self._epoch} is still to come." if at < self._epoch else ""

    def _axes(self, course: Course) -> tuple[str, str]:
        plane = None if course.axes is None else course.axes.plane
        if plane is None:
            return "first axis (no unit)", "second axis (no unit)"
        first, second = (f"component {at} ({share(float(part))})" for at, part in enumerate(plane.share, start=1))
        return first, second

    def _on_picked(self, index: int) -> None:
        if self._table is not None:
            self.opened.emit(self._table.slide_ids[index])


def groups_of(table: SlideTable, numbers: SlideNumbers | None, by: str) -> list[Group]:
    """Slides that look alike, by class, prediction, error or split; a group that no slide is in is left out."""
    classes = list(table.run.class_names)
    if by == SPLIT:
        names = sorted(set(table.splits))
        codes = np.array([names.index(split) for split in table.splits])
        names = [name or "no split" for name in names]
    elif by == ERROR:
        names = ["correct", "wrong", "not judged"]
        codes = np.full(len(table), 2) if numbers is None else np.where(numbers.judged, numbers.wrong.astype(int), 2)
    else:
        names = [*classes, "no label" if by == CLASS else "no prediction"]
        given = table.labels if by == CLASS else np.full(len(table), UNKNOWN) if numbers is None else numbers.predicted
        codes = np.where(given == UNKNOWN, len(classes), given)
    found = [Group(name, np.flatnonzero(codes == at), at) for at, name in enumerate(names)]
    return [group for group in found if len(group.members)]
