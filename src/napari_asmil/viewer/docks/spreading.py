"""Which maps the uncertainty on the slide is of, and what its colours mean."""

from __future__ import annotations

from html import escape

from napari.utils.notifications import show_error, show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLabel, QListWidget, QListWidgetItem, QSpinBox

from napari_asmil.analysis.dynamics import is_flat
from napari_asmil.errors import InputError
from napari_asmil.render.facts import share
from napari_asmil.viewer import limits
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row
from napari_asmil.viewer.legend import ColorBar
from napari_asmil.viewer.uncertainty import WAYS

MOST_EPOCHS = 50
LINES = 4


class Spreading(QGroupBox):
    """Choose over what the map is varied, and read how far it moves on each tile."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Uncertainty")
        self._controller = controller
        self._filling = False
        self.over, self.window, self.runs = QComboBox(), QSpinBox(), QListWidget()
        self.bar, self.words, self.reasons = ColorBar(), QLabel(), QLabel()
        self._lay_out()
        self.over.currentIndexChanged.connect(self._on_over)
        self.window.valueChanged.connect(self._on_window)
        self.runs.itemChanged.connect(self._on_runs)
        controller.map_changed.connect(self.write)
        controller.runs_changed.connect(self.write)
        self.write()

    def _lay_out(self) -> None:
        form = self._form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.over.addItem("not shown", None)
        for over, title in WAYS.items():
            self.over.addItem(title, over)
        add_row(form, "Spread over", self.over, "Show, in place of the map, how far these maps lie apart on each tile")
        self.window.setRange(2, MOST_EPOCHS)
        self.window.setKeyboardTracking(False)
        add_row(form, "Epochs", self.window, "How many epochs, the slider's being the last")
        self.runs.setFixedHeight(LINES * 2 * self.fontMetrics().height())
        self.runs.setWordWrap(True)
        self.runs.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        add_row(form, "Runs", self.runs, "Whose maps: open runs that have this map on the same tiles")
        for label in (self.words, self.reasons):
            label.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setToolTip("What the colours of the spread mean")
        self.reasons.setToolTip("What cannot be shown, and why")
        for part in (self.bar, self.words, self.reasons):
            form.addRow(part)

    def _on_over(self) -> None:
        over = self.over.currentData()
        if not self._filling:
            if over == "runs":
                uncertainty = self._controller.uncertainty
                if len(uncertainty.taken()) < 2:  # none differ by seed alone: all are offered, and can be left out
                    uncertainty.chosen = uncertainty.candidates()
            self._show(over)

    def _on_window(self, window: int) -> None:
        self._controller.uncertainty.window = window
        if not self._filling:
            self._show(self.over.currentData())

    def _on_runs(self) -> None:
        if not self._filling:
            rows = [self.runs.item(at) for at in range(self.runs.count())]
            picked = [row.data(Qt.ItemDataRole.UserRole) for row in rows if row.checkState() == Qt.CheckState.Checked]
            if len(picked) < 2:
                show_info("A spread over runs needs two of them.")
                self.write()
            else:
                self._controller.uncertainty.chosen = picked
                self._show("runs")

    def _show(self, over: str | None) -> None:
        uncertainty = self._controller.uncertainty
        try:
            if over is None:
                uncertainty.hide()
            else:
                uncertainty.show(over)  # type: ignore[arg-type]
        except InputError as error:
            uncertainty.hide()
            show_error(str(error))
        self.write()

    # ---- what is shown ------------------------------------------------------------------------

    def write(self) -> None:
        """Say what is shown, and why the rest cannot be."""
        if self._controller.viewer is None:
            return
        self._filling = True
        try:
            self._write()
        finally:
            self._filling = False

    def _write(self) -> None:
        uncertainty = self._controller.uncertainty
        over = uncertainty.over
        self.over.setCurrentIndex(self.over.findData(over))
        reasons = {way: uncertainty.reason(way) for way in WAYS}
        items = self.over.model()
        assert isinstance(items, QStandardItemModel)
        for at, reason in enumerate(reasons.values(), start=1):
            items.item(at).setEnabled(not reason)
            items.item(at).setToolTip(reason)
        said = [
            f"Not over {', '.join(WAYS[way] for way in WAYS if reasons[way] == reason)}: {reason}"
            for reason in dict.fromkeys(filter(None, reasons.values()))
        ]
        self.reasons.setText("\n".join(said))
        self.reasons.setVisible(bool(said))
        self.over.setEnabled(not all(reasons.values()))
        self.window.setValue(uncertainty.window)
        self._form.setRowVisible(self.window, over == "epochs")
        self._form.setRowVisible(self.runs, over == "runs")
        if over == "runs":
            self._write_runs()
        self.write_words()

    def _write_runs(self) -> None:
        uncertainty = self._controller.uncertainty
        runs, taken = uncertainty.candidates(), uncertainty.taken()
        with QSignalBlocker(self.runs):
            self.runs.clear()
            for run in runs:
                seed = run.recipe.get("seed")
                item = QListWidgetItem(f"{run.name} · {run.label}" + ("" if seed is None else f", seed {seed}"))
                item.setData(Qt.ItemDataRole.UserRole, run)
                item.setCheckState(Qt.CheckState.Checked if run in taken else Qt.CheckState.Unchecked)
                self.runs.addItem(item)

    def write_words(self) -> None:
        """Say what the colours mean at the epoch at hand."""
        layer, epoch = self._controller.uncertainty.layer, self._controller.epoch
        for part in (self.bar, self.words):
            part.setVisible(layer is not None)
        if layer is None:
            return
        low, high = layer.contrast_limits
        self.bar.show_colours(layer.colormap, f"{low:.3g}", f"{high:.3g}")
        spread = layer.data
        try:
            effective, tiles = spread.effective(spread.epoch_at(epoch)), spread.slide.n_tiles
            concentrated = f"{effective:.4g} of {tiles} ({share(effective / tiles)})"
            flat = " That is flat: maps that say nothing cannot disagree." if is_flat(effective / tiles, tiles) else ""
            said = [
                f"over {spread.varied(epoch)}",
                f"of {spread.subject}",
                f"limits {low:.3g} to {high:.3g}, {limits.words(layer)}",
                f"effective tiles of their mean: {concentrated}.{flat}",
            ]
            words = f"<b>{escape(spread.quantity)}</b> ({escape(spread.unit)})<br>" + escape("; ".join(said))
        except InputError as error:
            colour = get_theme(self._controller.viewer.theme).warning.as_hex()
            words = f"<span style='color:{colour}'>⚠ {escape(str(error))}</span>"
        self.words.setText(words)
