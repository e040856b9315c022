"""Survey the cohort: the slides of a run as a table and as points, at the epoch under the slider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent, QSignalBlocker
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTabWidget,
)

from napari_asmil.errors import InputError
from napari_asmil.files import write_text
from napari_asmil.render.facts import SOFTWARE, share
from napari_asmil.render.files import check_ending
from napari_asmil.runs import Run
from napari_asmil.runs.table import SlideNumbers, SlideTable, csv_text
from napari_asmil.viewer.docks.base import Dock, add_row, waiting
from napari_asmil.viewer.docks.cohort_table import CohortView
from napari_asmil.viewer.docks.embedding import EmbeddingPanel
from napari_asmil.viewer.slide_columns import Filter
from napari_asmil.viewer.steps import go_to_slide, neighbour
from napari_asmil.viewer.theme import palette_of
from napari_asmil.words import counted

WORDS_MS, GROW_MS = 60, 250
"""While the slider is dragged the summary is written at most this often; so are new epochs of a run taken up."""
SHOWN_RUN = "the run shown"
ALL = "all"


class SurveyDock(Dock):
    """Find the slides worth a look, and go from one to the next."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.run_choice, self.text = QComboBox(), QLineEdit()
        self.split, self.label = QComboBox(), QComboBox()
        self.wrong, self.flattered = QCheckBox("Wrong only"), QCheckBox("Flat or collapsed only")
        self.summary = QLabel()
        self.view, self.embedding = CohortView(self.controller.idle), EmbeddingPanel()
        self.tabs = QTabWidget()
        self.before, self.next = QPushButton("‹ Slide before"), QPushButton("Next slide ›")
        self.save = QPushButton("Save CSV…")
        self.table: SlideTable | None = None
        self._problem = ""
        self._stale = True
        self._words_soon, self._grow_soon = waiting(self, WORDS_MS, self._write), waiting(self, GROW_MS, self.refresh)
        self._lay_out()
        self._connect()
        self._on_theme()
        self._on_runs()

    def _lay_out(self) -> None:
        form = self.add_group("Slides that a run recorded")
        add_row(form, "Of", self.run_choice, "The run whose slides are listed; a click on a slide shows this run's map")
        self.text.setPlaceholderText("part of a name")
        self.text.setClearButtonEnabled(True)
        add_row(form, "Named", self.text, "Slides alone whose name contains this")
        pair = QHBoxLayout()
        for name, choice, tip in (
            ("Split", self.split, "Slides of this split alone"),
            ("Label", self.label, "Slides of this class alone"),
        ):
            choice.setToolTip(tip)
            choice.setAccessibleName(name)
            choice.setMinimumContentsLength(4)
            choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            pair.addWidget(QLabel(name))
            pair.addWidget(choice, 1)
        form.addRow(pair)
        self.wrong.setToolTip("Slides alone whose prediction at this epoch is not their label")
        self.flattered.setToolTip("Slides alone whose map at this epoch is flat or collapsed: their JSD says nothing")
        checks = QHBoxLayout()
        checks.addWidget(self.wrong)
        checks.addWidget(self.flattered)
        form.addRow(checks)
        self.summary.setWordWrap(True)
        self.summary.setToolTip("Of the slides in the table: metrics of those in the split named test, medians of all")
        self.body.addWidget(self.summary)
        self.tabs.addTab(self.view, "Table")
        self.tabs.addTab(self.embedding, "Embedding")
        self.tabs.setTabToolTip(0, "A row a slide: click a heading to sort, a row to open the slide at this epoch")
        self.tabs.setTabToolTip(1, "A point a slide: bag vectors in the plane")
        self.view.setMinimumHeight(180)
        self.body.addWidget(self.tabs, 1)
        self.before.setToolTip("Open the slide above, in the order of the table; the key [ does so too")
        self.next.setToolTip("Open the slide below, in the order of the table; the key ] does so too")
        self.save.setToolTip("Write the table as it is sorted and filtered, with where it is from above it")
        buttons = QHBoxLayout()
        for button in (self.before, self.next, self.save):
            buttons.addWidget(button)
        self.body.addLayout(buttons)

    def _connect(self) -> None:
        controller, model = self.controller, self.view.cohort
        controller.runs_changed.connect(self._on_runs)
        controller.current_changed.connect(self._on_current)
        controller.run_grew.connect(self._on_grew)
        controller.epoch_changed.connect(self._on_epoch)
        controller.viewer.events.theme.connect(self._on_theme)
        self.run_choice.currentIndexChanged.connect(self.refresh)
        self.text.textChanged.connect(self._on_filter)
        for choice in (self.split, self.label):
            choice.currentIndexChanged.connect(self._on_filter)
        for check in (self.wrong, self.flattered):
            check.toggled.connect(self._on_filter)
        model.arranged.connect(self._on_arranged)
        self.view.opened.connect(self._on_row)
        self.view.stepped.connect(self.step)
        self.embedding.opened.connect(self.open)
        self.before.clicked.connect(self._on_before)
        self.next.clicked.connect(self._on_next)
        self.save.clicked.connect(self._ask_and_save)

    # ---- which run, which epoch ---------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """The run whose slides are listed."""
        chosen: Run | None = self.run_choice.currentData()
        if chosen is not None:
            return chosen
        if self.controller.current is not None:
            return self.controller.current[0]
        return next(iter(self.controller.runs), None)

    @property
    def numbers(self) -> SlideNumbers | None:
        """The numbers that are shown."""
        return self.view.cohort.numbers

    def refresh(self) -> None:
        """Show everything anew: run, epoch, slide."""
        self._stale = not self.isVisible()
        if self._stale or self.controller.viewer is None:
            return
        run = self.run
        if run is None or self.table is None or self.table.run is not run:
            self.table = None if run is None else SlideTable(run)
            self._offer_filters()
        numbers = self._read()
        self.view.cohort.show(self.table, numbers)
        self.embedding.show_epoch(self.table, self.controller.epoch, numbers)
        self._mark()
        self._write()

    def _read(self) -> SlideNumbers | None:
        """The numbers of the epoch at hand, or why there are none in `_problem`."""
        self._problem = ""
        if self.table is None:
            return None
        run, epoch = self.table.run, self.controller.epoch
        if epoch >= run.n_epochs:
            self._problem = f"Epoch {epoch} is beyond the last of {run.name} ({run.n_epochs - 1})."
            return None
        try:
            return self.table.at(epoch)
        except InputError as error:
            self._problem = str(error)
            return None

    def showEvent(self, event: QShowEvent) -> None:
        """Show what changed while the dock was hidden."""
        super().showEvent(event)
        if self._stale:
            self.refresh()

    def event(self, event: QEvent) -> bool:
        """A dock that is closed takes its order from the keys."""
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self.controller.slide_order = None
        taken: bool = super().event(event)
        return taken

    def _on_runs(self) -> None:
        runs = list(self.controller.runs)
        chosen = self.run_choice.currentData()
        with QSignalBlocker(self.run_choice):
            self.run_choice.clear()
            self.run_choice.addItem(SHOWN_RUN, None)
            for run in runs:
                self.run_choice.addItem(f"{run.name} ({run.label})", run)
            self.run_choice.setCurrentIndex(runs.index(chosen) + 1 if chosen in runs else 0)
        self.refresh()

    def _on_current(self) -> None:
        if self._stale or self.run is not (None if self.table is None else self.table.run):
            self.refresh()
        else:
            self._mark()

    def _on_grew(self, run: Run) -> None:
        if self.table is not None and run is self.table.run and not self._grow_soon.isActive():
            self._grow_soon.start()
            self.embedding.grow()

    def _on_epoch(self) -> None:
        if not self.isVisible():
            self._stale = True
            return
        numbers = self._read()
        self.view.cohort.show_numbers(numbers)
        self.embedding.show_epoch(self.table, self.controller.epoch, numbers)
        self._write_soon()

    def _on_theme(self) -> None:
        self.embedding.set_palette(palette_of(self.controller.viewer.theme))

    # ---- which slides, in which order ----------------------------------------------------------

    def _offer_filters(self) -> None:
        """Offer the splits and classes of the run, keeping what is chosen where it is still there."""
        table = self.table
        splits = [] if table is None else sorted(set(table.splits))
        classes = () if table is None else table.run.class_names
        for choice, offered in (
            (self.split, [(split or "none", split) for split in splits]),
            (self.label, [(name, at) for at, name in enumerate(classes)]),
        ):
            before = choice.currentText()
            with QSignalBlocker(choice):
                choice.clear()
                choice.addItem(ALL, None)
                for name, value in offered:
                    choice.addItem(name, value)
                choice.setCurrentIndex(max(0, choice.findText(before)))
        self._on_filter()

    def _on_filter(self) -> None:
        chosen = Filter(
            self.text.text().strip(),
            self.split.currentData(),
            self.label.currentData(),
            self.wrong.isChecked(),
            self.flattered.isChecked(),
        )
        self.view.cohort.set_filter(chosen)
        self._write_soon()

    def _on_arranged(self) -> None:
        """The keys for slides follow the table, as long as it is in an order of its own."""
        model = self.view.cohort
        own = model.sorted_by is not None or model.filter != Filter()
        self.controller.slide_order = model.order if own else None
        self._mark(bring=False)
        self._write_soon()

    def _mark(self, *, bring: bool = True) -> None:
        current = self.controller.current
        shown = None if current is None else current[1]
        self.view.mark(shown, bring=bring)
        self.embedding.set_shown(shown)

    def open(self, slide_id: str) -> None:
        """Show a slide of the table's run at the epoch at hand; place and settings stay."""
        if self.table is None:
            return
        epoch = self.controller.epoch
        try:
            go_to_slide(self.controller, slide_id, self.table.run)
        except InputError as error:
            show_error(str(error))
        else:
            self.controller.set_epoch(epoch)

    def step(self, by: int) -> None:
        """Open the slide so many rows on in the table; after the last comes the first."""
        if self.table is not None:
            current = self.controller.current
            found = neighbour(self.table.run, self.view.cohort.order, None if current is None else current[1], by)
            if found is not None:
                self.open(found)

    def _on_before(self) -> None:
        self.step(-1)

    def _on_next(self) -> None:
        self.step(1)

    def _on_row(self, row: int) -> None:
        self.open(self.view.cohort.order[row])

    # ---- in words, and in a file ---------------------------------------------------------------

    def _write_soon(self) -> None:
        if not self._words_soon.isActive():
            self._words_soon.start()

    def _write(self) -> None:
        """Say what the slides in the table have in common."""
        self.summary.setText(self._summed_up())
        some = self.table is not None and len(self.view.cohort.rows) > 0
        self.before.setEnabled(some)
        self.next.setEnabled(some)
        self.save.setEnabled(some and self.numbers is not None)

    def _summed_up(self) -> str:
        table, numbers, rows = self.table, self.numbers, self.view.cohort.rows
        if table is None:
            return "No run is open."
        said = [f"{len(rows)} of {counted(len(table), 'slide')} shown."]
        if numbers is None:
            return " ".join([*said, self._problem])
        found = table.summary(numbers, rows)
        if self.view.cohort.filter.wrong:
            said.append("No accuracy: these slides were picked because they are wrong.")
        elif found.tested:
            metrics = (("accuracy", found.accuracy), ("macro F1", found.macro_f1), ("AUC", found.auc))
            listed = ", ".join(f"{name} {value:.3f}" if np.isfinite(value) else f"{name} –" for name, value in metrics)
            said.append(f"Test slides (n = {found.tested}): {listed}.")
        else:
            said.append("No test slide with a label among them, so no accuracy.")
        if np.isfinite(found.effective_share):
            jsd = f"JSD {found.jsd:.3g} bits, " if np.isfinite(found.jsd) else ""
            said.append(f"Median {jsd}effective tiles / M {share(found.effective_share)}.")
        flat, collapsed = int(numbers.flat[rows].sum()), int(numbers.collapsed[rows].sum())
        if flat or collapsed:
            said.append(f"⚠ {flat} flat, {collapsed} collapsed.")
        return " ".join(said)

    def save_to(self, path: Path) -> None:
        """Write the table as shown.

        Raises
        ------
        InputError
            When its name does not end in .csv, or it cannot be written.
        """
        check_ending(path, ".csv")
        assert self.table is not None and self.numbers is not None
        write_text(path, csv_text(self.table, self.numbers, self.view.cohort.rows, self._facts()))

    def _facts(self) -> dict[str, str]:
        """Where the table is from."""
        assert self.table is not None
        model, run = self.view.cohort, self.table.run
        by = model.sorted_by
        return {
            "run": f"{run.name} ({run.label})",
            "epoch": run.applied or f"{self.controller.epoch} of {run.planned_epochs}",
            "maps": f"as stored, by {run.map_words}",
            "units": "cross_entropy in nats, jsd and jsd_anchor in bits",
            "slides": f"{len(model.rows)} of {len(self.table)}: {model.filter.describe(self.table) or 'all'}",
            "order": "of the run" if by is None else f"{by[0].title}, {'falling' if by[1] else 'rising'}",
            "software": SOFTWARE,
        }

    def _ask_and_save(self) -> None:
        if self.table is None or self.numbers is None:
            return
        name = f"{self.table.run.name}-epoch{self.controller.epoch}-slides.csv"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the table", name, "CSV (*.csv)")
        if chosen:
            try:
                self.save_to(Path(chosen))
                show_info(f"Saved {chosen}")
            except InputError as error:
                show_error(str(error))
