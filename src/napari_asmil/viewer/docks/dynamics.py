"""Read dynamics: how the maps of the open runs move over epochs, never without how concentrated they are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel

from napari_asmil.viewer.docks.base import Dock, add_row
from napari_asmil.viewer.plots.curves import CurvePanel, Series
from napari_asmil.viewer.plots.stack import CurveStack
from napari_asmil.viewer.quantities import CONCENTRATION, JSD, Quantity, losses, metrics, values, warning
from napari_asmil.viewer.theme import palette_of

DRAW_MS = 250
"""Curves of a run that grows are drawn at most this often."""
WORDS_MS = 60
"""While the slider is dragged the words about the map are written at most this often."""
ONE, MEDIAN = "the slide shown", "median of recorded slides"


class ChosenPanel(CurvePanel):
    """A panel whose quantity is chosen in its title."""

    def __init__(self, what: str) -> None:
        super().__init__("", "")
        self.choice = QComboBox()
        self.choice.setToolTip(f"{what} to draw")
        self.choice.setAccessibleName(what)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(16)
        self.column.replaceWidget(self.title, self.choice)
        self.title.hide()

    @property
    def quantity(self) -> Quantity | None:
        """What is chosen."""
        chosen: Quantity | None = self.choice.currentData()
        return chosen

    def offer(self, quantities: Sequence[Quantity]) -> None:
        """Offer these, keeping the choice where it is still there."""
        known = [self.choice.itemData(i) for i in range(self.choice.count())]
        if known == list(quantities):
            return
        before = self.quantity
        with QSignalBlocker(self.choice):
            self.choice.clear()
            for quantity in quantities:
                self.choice.addItem(quantity.title, quantity)
            if before is not None and before in quantities:
                self.choice.setCurrentIndex(list(quantities).index(before))


class DynamicsDock(Dock):
    """JSD with concentration under it, losses and metrics by epoch, and one cursor that is the slider."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.scope, self.log = QComboBox(), QCheckBox("Logarithmic JSD")
        self.about, self.warning = QLabel(), QLabel()
        self.jsd = CurvePanel(JSD.title, JSD.unit, JSD.tip)
        self.concentration = ChosenPanel("Measure of concentration")
        self.loss, self.metric = ChosenPanel("Loss"), ChosenPanel("Metric")
        self.stack = CurveStack([self.jsd, self.concentration, self.loss, self.metric])
        self._draw_soon, self._words_soon = self._timer(DRAW_MS, self.draw), self._timer(WORDS_MS, self._write)
        self._stale = True
        self._lay_out()
        self._connect()
        self._on_theme()
        self._on_epoch()

    def _timer(self, ms: int, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(ms)
        timer.timeout.connect(slot)
        return timer

    def _lay_out(self) -> None:
        form = self.add_group("Maps as each run stored them")
        self.scope.addItems([ONE, MEDIAN])
        add_row(form, "Of", self.scope, "Curves of the slide under the map, or the median over every recorded slide")
        self.log.setToolTip("Draw JSD on a logarithmic axis; a JSD of 0 leaves a gap")
        form.addRow(self.log)
        form.addRow(self.about)
        for label in (self.about, self.warning):
            label.setWordWrap(True)
        self.warning.setToolTip("A flat map does not move and a collapsed one hardly can: read their JSD with care")
        self.stack.column.insertWidget(1, self.warning)
        self.body.addWidget(self.stack)
        self.concentration.offer(CONCENTRATION)

    def _connect(self) -> None:
        controller = self.controller
        controller.runs_changed.connect(self._on_change)
        controller.current_changed.connect(self._on_change)
        controller.run_grew.connect(self._on_change)
        controller.epoch_changed.connect(self._on_epoch)
        controller.viewer.events.theme.connect(self._on_theme)
        self.stack.picked.connect(controller.set_epoch)
        self.scope.currentIndexChanged.connect(self.draw)
        self.log.toggled.connect(self.jsd.set_log)
        for panel in (self.concentration, self.loss, self.metric):
            panel.choice.currentIndexChanged.connect(self.draw)

    @property
    def slide_id(self) -> str | None:
        """The slide the curves are of; None for the median."""
        if self.scope.currentText() == MEDIAN:
            return None
        if self.controller.current is not None:
            return self.controller.current[1]
        return next((slide.slide_id for run in self.controller.runs for slide in run.slides), None)

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
        runs, slide_id = list(self.controller.runs), self.slide_id
        self.loss.offer(losses(runs))
        self.metric.offer(metrics(runs))
        self.stack.set_names([f"{run.name} ({run.label})" for run in runs])
        self._draw_panel(self.jsd, JSD)
        for panel in (self.concentration, self.loss, self.metric):
            panel.setVisible(panel.quantity is not None)
            if panel.quantity is not None:
                panel.set_title(panel.quantity.title, panel.quantity.unit, panel.quantity.tip)
                self._draw_panel(panel, panel.quantity)
        count = max((len(run.slides) for run in runs), default=0)
        which = f"Slide {slide_id}" if slide_id is not None else f"Median of {count} recorded slides"
        self.about.setText(f"{which}; losses and bag metrics are of the whole run." if runs else "No run is open.")
        self.stack.setVisible(bool(runs))
        self._write()

    def _draw_panel(self, panel: CurvePanel, quantity: Quantity) -> None:
        runs = self.controller.runs
        panel.set_series([Series(r.name, values(r, quantity, self.slide_id), i) for i, r in enumerate(runs)])

    def _write(self) -> None:
        """Say which maps at this epoch look better than they are."""
        if self.controller.viewer is None:
            return
        runs, epoch, slide_id = self.controller.runs, self.controller.epoch, self.slide_id
        said = {run.name: warning(run, epoch, slide_id) for run in runs}
        lines = [f"⚠ <b>{escape(name)}</b>, epoch {epoch}: {escape(words)}" for name, words in said.items() if words]
        self.warning.setText("<br>".join(lines))
        self.warning.setVisible(bool(lines))

    def _on_change(self) -> None:
        if not self._draw_soon.isActive():
            self._draw_soon.start()

    def _on_epoch(self) -> None:
        self.stack.set_epoch(self.controller.epoch)
        if not self._words_soon.isActive():
            self._words_soon.start()

    def _on_theme(self) -> None:
        self.stack.set_palette(palette_of(self.controller.viewer.theme))
