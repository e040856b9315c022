"""What is shown in place of attention, and what its colours mean."""

from __future__ import annotations

from html import escape

from napari.utils.notifications import show_error, show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QShowEvent, QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLabel, QListWidget, QListWidgetItem, QSpinBox

from napari_asmil.errors import InputError
from napari_asmil.viewer import limits
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row
from napari_asmil.viewer.docks.choose import refill
from napari_asmil.viewer.instead import WAYS
from napari_asmil.viewer.instead_words import told
from napari_asmil.viewer.layers import view_of
from napari_asmil.viewer.legend import ColorBar

MOST_EPOCHS = 50
LINES = 4


class InsteadForm(QGroupBox):
    """Choose another map of the same tiles, and read what it says."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("In place of attention")
        self._controller = controller
        self._filling = False
        self.what, self.window, self.runs = QComboBox(), QSpinBox(), QListWidget()
        self.class_name = QComboBox()
        self.bar, self.words, self.reasons = ColorBar(), QLabel(), QLabel()
        self._lay_out()
        self.what.currentIndexChanged.connect(self._on_what)
        self.window.valueChanged.connect(self._on_window)
        self.runs.itemChanged.connect(self._on_runs)
        self.class_name.currentIndexChanged.connect(self._on_class)
        controller.map_changed.connect(self.write)
        controller.runs_changed.connect(self.write)
        self.write()

    def _lay_out(self) -> None:
        form = self._form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.what.addItem("not shown", None)
        for what, title in WAYS.items():
            self.what.addItem(title, what)
        tip = "Show, in place of the map, how far several maps lie apart on each tile; scores; or tiles judged alone"
        add_row(form, "Show", self.what, tip)
        self.window.setRange(2, MOST_EPOCHS)
        self.window.setKeyboardTracking(False)
        add_row(form, "Epochs", self.window, "How many epochs, the slider's being the last")
        self.runs.setFixedHeight(LINES * 2 * self.fontMetrics().height())
        self.runs.setWordWrap(True)
        self.runs.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        add_row(form, "Runs", self.runs, "Whose maps: open runs that have this map on the same tiles")
        add_row(form, "Class", self.class_name, "Whose probability is shown of each tile judged alone")
        for label in (self.words, self.reasons):
            label.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setToolTip("What these colours mean")
        self.reasons.setToolTip("What cannot be shown, and why")
        for part in (self.bar, self.words, self.reasons):
            form.addRow(part)

    def _on_what(self) -> None:
        what = self.what.currentData()
        if not self._filling:
            if what == "runs":
                instead = self._controller.instead
                if len(instead.taken()) < 2:  # none differ by seed alone: all are offered, and can be left out
                    instead.chosen = instead.candidates()
            self._show(what)

    def _on_window(self, window: int) -> None:
        self._controller.instead.window = window
        if not self._filling:
            self._show(self.what.currentData())

    def _on_class(self) -> None:
        if not self._filling:
            self._controller.instead.class_name = self.class_name.currentText()
            self._show(self.what.currentData())

    def _on_runs(self) -> None:
        if not self._filling:
            rows = [self.runs.item(at) for at in range(self.runs.count())]
            picked = [row.data(Qt.ItemDataRole.UserRole) for row in rows if row.checkState() == Qt.CheckState.Checked]
            if len(picked) < 2:
                show_info("A spread over runs needs two of them.")
                self.write()
            else:
                self._controller.instead.chosen = picked
                self._show("runs")

    def _show(self, what: str | None) -> None:
        instead = self._controller.instead
        try:
            if what is None:
                instead.hide()
            else:
                instead.show(what)  # type: ignore[arg-type]
        except InputError as error:
            instead.hide()
            show_error(str(error))
        self.write()

    # ---- what is shown ------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        """Say what has changed while nobody looked."""
        super().showEvent(event)
        self.write()

    def write(self) -> None:
        """Say what is shown, and why the rest cannot be."""
        if self._controller.viewer is None or not self.isVisible():
            return
        self._filling = True
        try:
            self._write()
        finally:
            self._filling = False

    def _write(self) -> None:
        instead = self._controller.instead
        what = instead.what
        self.what.setCurrentIndex(self.what.findData(what))
        reasons = {way: instead.reason(way) for way in WAYS}
        items = self.what.model()
        assert isinstance(items, QStandardItemModel)
        for at, reason in enumerate(reasons.values(), start=1):
            items.item(at).setEnabled(not reason)
            items.item(at).setToolTip(reason)
        said = [
            f"Not here: {', '.join(WAYS[way] for way in WAYS if reasons[way] == reason)}. {reason}"
            for reason in dict.fromkeys(filter(None, reasons.values()))
        ]
        self.reasons.setText("\n".join(said))
        self.reasons.setVisible(bool(said))
        self.what.setEnabled(not all(reasons.values()))
        self.window.setValue(instead.window)
        self._form.setRowVisible(self.window, what == "epochs")
        self._form.setRowVisible(self.runs, what == "runs")
        self._form.setRowVisible(self.class_name, what == "alone")
        if what == "runs":
            self._write_runs()
        if what == "alone" and instead.layer is not None:
            view = view_of(instead.layer)
            refill(self.class_name, [(name, name) for name in view.run.class_names], view.class_name)
        self.write_words()

    def _write_runs(self) -> None:
        instead = self._controller.instead
        runs, taken = instead.candidates(), instead.taken()
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
        layer, epoch = self._controller.instead.layer, self._controller.epoch
        for part in (self.bar, self.words):
            part.setVisible(layer is not None)
        if layer is None:
            return
        low, high = layer.contrast_limits
        self.bar.show_colours(layer.colormap, f"{low:.3g}", f"{high:.3g}")
        view = view_of(layer)
        try:
            said = [*told(view, view.epoch_at(epoch)), f"limits {low:.3g} to {high:.3g}, {limits.words(layer)}."]
            words = f"<b>{escape(view.quantity)}</b> ({escape(view.unit)})<br>" + escape("; ".join(said))
        except InputError as error:
            colour = get_theme(self._controller.viewer.theme).warning.as_hex()
            words = f"<span style='color:{colour}'>⚠ {escape(str(error))}</span>"
        self.words.setText(words)
