"""Read dynamics: how the maps of the open runs move over epochs, never without how concentrated they are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QHBoxLayout, QLabel, QMenu, QPushButton

from napari_asmil.errors import InputError
from napari_asmil.render.facts import SOFTWARE
from napari_asmil.viewer.docks.base import Dock, waiting
from napari_asmil.viewer.docks.choices import ChosenPanel
from napari_asmil.viewer.filling import Filling
from napari_asmil.viewer.plots.save import Saved, Sheet, save
from napari_asmil.viewer.plots.stack import CurveStack
from napari_asmil.viewer.quantities import CONCENTRATION, OVERLAP, SCORES, divergences, losses, metrics, warning
from napari_asmil.viewer.scope_words import maps_words, slides_words, unfinished, words
from napari_asmil.viewer.scopes import CLASS, EVERY, SCOPES, Group, draw, group_runs, key_rows
from napari_asmil.viewer.steps import go_to_slide
from napari_asmil.viewer.theme import palette_of

DRAW_MS = 250
"""Curves of a run that grows, or that are being computed, are drawn at most this often."""
WORDS_MS = 60
"""While the slider is dragged the words about the map are written at most this often."""
MOST_NAMED = 3
"""Runs in the name of a file; of more, how many they are."""
FILES = "Table (*.csv);;Vector picture (*.svg);;Picture (*.png)"


class DynamicsDock(Dock):
    """JSD with concentration under it, losses and metrics by epoch, and one cursor that is the slider."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.scope, self.seeds = QComboBox(), QCheckBox("Group seeds")
        self.save_button = QPushButton("Save…")
        self.about, self.warning = QLabel(), QLabel()
        self.jsd = ChosenPanel("Divergence", log=True)
        self.concentration = ChosenPanel("Measure of concentration")
        self.loss, self.metric = ChosenPanel("Loss", log=True), ChosenPanel("Metric")
        self.scores, self.overlap = ChosenPanel("Scores"), ChosenPanel("Overlap")
        self.panels = (self.jsd, self.concentration, self.loss, self.metric, self.scores, self.overlap)
        self.stack = CurveStack(self.panels)
        self.groups: list[Group] = []
        self._filling = Filling(self)
        self._draw_soon = waiting(self, DRAW_MS, self._draw_due)
        self._words_soon = waiting(self, WORDS_MS, self._write)
        self._stale = self._changed = True
        self._due: set[ChosenPanel] = set()
        self._lay_out()
        self._connect()
        self._on_theme()
        self._on_epoch()

    def _lay_out(self) -> None:
        form = self.add_group("Curves")
        self.scope.addItems(SCOPES)
        tip = (
            "The slide under the map; every recorded slide as a thin curve, with median and quartiles; the median of"
            " the slides of each class; or each row (head, token, class) of the slide under the map"
        )
        row = QHBoxLayout()
        row.addWidget(self.scope, 1)
        row.addWidget(self.save_button)
        self.scope.setToolTip(tip)
        self.scope.setAccessibleName("Curves of")
        self.seeds.setToolTip("Draw runs that differ in nothing but the seed as one curve, their median, with a band")
        self.save_button.setToolTip("Save what is drawn as a table (CSV) or as a picture (SVG, PNG)")
        self.save_button.setMenu(self._save_menu())
        for part in (row, self.seeds, self.about):
            form.addRow(part)
        for label in (self.about, self.warning):
            label.setWordWrap(True)
        self.warning.setToolTip("A flat map does not move and a collapsed one hardly can: read their JSD with care")
        self.stack.column.insertWidget(1, self.warning)
        self.body.addWidget(self.stack)
        self.concentration.offer(CONCENTRATION)
        self.scores.offer(SCORES)
        self.overlap.offer(OVERLAP)

    def _save_menu(self) -> QMenu:
        menu = QMenu(self.save_button)
        # a JSD is not saved without what keeps it honest
        menu.addAction("JSD with concentration…", lambda: self._ask_and_save(self.panels[:2]))
        for panel in self.panels[2:]:
            menu.addAction(f"{panel.what}…", lambda panel=panel: self._ask_and_save([panel]))
        menu.addAction("All of them…", lambda: self._ask_and_save(self.panels))
        return menu

    def _connect(self) -> None:
        controller = self.controller
        controller.runs_changed.connect(self._on_change)
        controller.current_changed.connect(self._on_change)
        controller.run_grew.connect(self._on_change)
        controller.epoch_changed.connect(self._on_epoch)
        controller.viewer.events.theme.connect(self._on_theme)
        self.stack.picked.connect(controller.set_epoch)
        self.stack.thread_picked.connect(self._on_thread)
        self.scope.currentIndexChanged.connect(self.draw)
        self.seeds.toggled.connect(self.draw)
        for panel in self.panels:
            panel.choice.currentIndexChanged.connect(self.draw)

    @property
    def slide_id(self) -> str | None:
        """The slide that is looked at, whatever the scope."""
        if self.controller.current is not None:
            return self.controller.current[1]
        return next((slide.slide_id for run in self.controller.runs for slide in run.slides), None)

    @property
    def _of_many(self) -> bool:
        return self.scope.currentText() in (EVERY, CLASS)

    # ---- drawing ------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what changed while the dock was hidden."""
        super().showEvent(event)
        if self._stale:
            self.draw()

    def draw(self) -> None:
        """Draw every curve anew."""
        self._stale = not self.isVisible()
        if self._stale:
            return
        self._changed, self._due = False, set()
        runs, scope = list(self.controller.runs), self.scope.currentText()
        self.groups = group_runs(runs, seeds=self.seeds.isChecked())
        self.jsd.offer(divergences(runs))
        self.loss.offer(losses(runs))
        self.metric.offer(metrics(runs))
        self.stack.set_key(key_rows(self.groups, scope))
        for panel in self.panels:
            self._draw_panel(panel, scope)
        which = slides_words(runs) if self._of_many else f"Slide {self.slide_id}."
        self.about.setText(f"{which} {maps_words(runs)}".strip() if runs else "No run is open.")
        self.seeds.setVisible(len(group_runs(runs, seeds=True)) < len(runs))
        self.stack.setVisible(bool(runs))
        self.save_button.setEnabled(bool(runs))
        self._write()

    def _draw_panel(self, panel: ChosenPanel, scope: str) -> None:
        quantity = panel.quantity
        panel.setVisible(quantity is not None)
        if quantity is None:
            self._filling.stop(panel)
            return
        drawn = draw(quantity, scope, self.slide_id, self.groups)
        panel.wants = drawn.wants
        panel.set_title(quantity.title, quantity.unit, quantity.tip)
        panel.set_series(drawn.series, drawn.threads)
        panel.set_words(words(quantity, scope, self.slide_id, self.groups, drawn))
        self._filling.fill(panel, drawn.wants)

    def draw_soon(self, panel: ChosenPanel) -> bool:
        """Draw a panel again within `DRAW_MS`; says whether the dock is visible: if not, it is drawn when it is."""
        self._due.add(panel)
        self._start()
        return not self._stale

    def _start(self) -> None:
        if not self.isVisible():
            self._stale = True
        elif not self._draw_soon.isActive():
            self._draw_soon.start()

    def _draw_due(self) -> None:
        """Draw everything anew if runs or slide have changed, otherwise what was computed meanwhile."""
        if self._changed:
            self.draw()
            return
        due, self._due = self._due, set()
        for panel in due:
            self._draw_panel(panel, self.scope.currentText())

    def _write(self) -> None:
        """Say which maps at this epoch look better than they are."""
        if self.controller.viewer is None:
            return
        runs, epoch, slide_id = self.controller.runs, self.controller.epoch, None if self._of_many else self.slide_id
        said = {run.name: warning(run, epoch, slide_id) for run in runs}
        lines = [f"⚠ <b>{escape(name)}</b>, epoch {epoch}: {escape(text)}" for name, text in said.items() if text]
        self.warning.setText("<br>".join(lines))
        self.warning.setVisible(bool(lines))

    # ---- what a person does -------------------------------------------------------------------

    def _on_thread(self, key: Any, epoch: int) -> None:
        """Go to the slide of a thin curve, and to the epoch that was clicked."""
        run, slide_id = key
        try:
            go_to_slide(self.controller, slide_id, run)
        except InputError as error:
            show_error(str(error))
        self.controller.set_epoch(epoch)

    def save_to(self, path: Path, panels: Sequence[ChosenPanel]) -> None:
        """Save the curves of some panels as they are drawn.

        Raises
        ------
        InputError
            When they are still being computed, or as `plots.save.save`.
        """
        _check_whole(panels)
        drawn = [panel for panel in panels if panel.quantity is not None]
        save(path, Sheet([_saved(panel) for panel in drawn], self.stack.key.rows, self._facts()))

    def _facts(self) -> list[str]:
        """Where the curves are from, in sentences, without the places of files."""
        runs = [run for group in self.groups for run in group.runs]
        files = ", ".join(f"{run.path.name} ({run.label}, {run.n_epochs} epochs)" for run in runs)
        which = slides_words(runs).rstrip(".") if self._of_many else self.slide_id
        scope = f"{self.scope.currentText()}: {which}"
        maps = [maps_words(runs)] if maps_words(runs) else []
        return [f"Runs: {files}", *maps, f"Drawn: {scope}", f"Software: {SOFTWARE}"]

    def _ask_and_save(self, panels: Sequence[ChosenPanel]) -> None:
        try:
            _check_whole(panels)
        except InputError as error:
            show_error(str(error))
            return
        names = [run.name for run in self.controller.runs]
        what = "dynamics" if len(panels) == len(self.panels) else panels[0].what.lower()
        name = "_".join([*(names if len(names) <= MOST_NAMED else [f"{len(names)}-runs"]), what])
        chosen, kind = QFileDialog.getSaveFileName(self, "Save curves", f"{name}.csv", FILES)
        if not chosen:
            return
        path = Path(chosen)
        if not path.suffix:
            path = path.with_name(path.name + kind.rpartition("*")[2].rstrip(")"))
        try:
            self.save_to(path, panels)
        except InputError as error:
            show_error(str(error))
        else:
            show_info(f"Saved {path}")

    def _on_change(self) -> None:
        self._changed = True
        self._start()

    def _on_epoch(self) -> None:
        self.stack.set_epoch(self.controller.epoch)
        if not self._words_soon.isActive():
            self._words_soon.start()

    def _on_theme(self) -> None:
        self.stack.set_palette(palette_of(self.controller.viewer.theme))


def _check_whole(panels: Sequence[ChosenPanel]) -> None:
    """Refuse curves that are still being computed."""
    if left := " ".join(text for panel in panels if (text := unfinished(panel.wants))):
        raise InputError(f"These curves are not whole yet. {left}", remedy="Save them when they are.")


def _saved(panel: ChosenPanel) -> Saved:
    assert panel.quantity is not None
    quantity = panel.quantity
    return Saved(quantity.title, quantity.unit, panel.words.text(), panel.series, panel.threads, panel.is_log)
