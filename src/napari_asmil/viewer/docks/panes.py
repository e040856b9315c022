"""The list of maps that are compared, and the buttons around it."""

from __future__ import annotations

from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileRaster
from napari_asmil.runs import When
from napari_asmil.viewer.compare import MAX_CELLS, cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.between import Between
from napari_asmil.viewer.layers import entry
from napari_asmil.viewer.legend import map_facts
from napari_asmil.viewer.swipe import NO_COLUMNS

SWIPE = "Show A and B in one place, left and right of a line that can be dragged"
LINES = 4
SLIDER, EARLIER, FIXED = "epoch of the slider", "epochs earlier", "always epoch"
MOST_EPOCHS = 99999


class Panes(QGroupBox):
    """Collect 2 to 6 maps (run, normaliser, row, epoch), show them at once, and set two against each other."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Compare")
        self._controller = controller
        self.list = QListWidget()
        self.when, self.number = QComboBox(), QSpinBox()
        self.add = QPushButton("Add this map")
        self.remove = QPushButton("Remove")
        self.toggle, self.swipe = QPushButton(), QPushButton()
        self.shared = QCheckBox("Same limits in all panes")
        self.hint = QLabel()
        self.between = Between(controller)
        self._lay_out()
        self.add.clicked.connect(self._add)
        self.remove.clicked.connect(self._remove)
        self.toggle.clicked.connect(self._toggle)
        self.swipe.clicked.connect(self._swipe)
        self.shared.clicked.connect(controller.comparison.share)
        self.when.currentIndexChanged.connect(self._on_when)
        self.list.itemSelectionChanged.connect(self._on_row)
        controller.viewer.layers.selection.events.active.connect(self._on_layer)
        controller.runs_changed.connect(self.write)
        self.write()

    def _lay_out(self) -> None:
        self.list.setToolTip("Maps that are compared, each with its effective tiles while they are shown")
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.list.setFixedHeight(LINES * 2 * self.fontMetrics().height())
        self.when.addItems([SLIDER, EARLIER, FIXED])
        self.when.setToolTip("At which epoch the next map on the list is: that of the slider, some earlier, or one")
        self.when.setAccessibleName("Epoch of the map")
        self.number.setRange(0, MOST_EPOCHS)
        self.number.setToolTip("How many epochs earlier, or which epoch")
        self.number.setAccessibleName("Number of epochs")
        self.number.hide()
        self.add.setToolTip("Put the map that is shown now (run, normaliser, row) on the list")
        self.remove.setToolTip("Take the selected map off the list")
        self.toggle.setToolTip("Show the maps of the list in linked panes, each with slide, map and contours")
        self.shared.setToolTip("One colour is one number in all maps; otherwise each has its own limits")
        self.hint.setWordWrap(True)
        column = QVBoxLayout(self)
        column.addWidget(self.list)
        for pair in ((self.when, self.number), (self.add, self.remove)):
            row = QHBoxLayout()
            for part in pair:
                row.addWidget(part)
            column.addLayout(row)
        column.addWidget(self.shared)
        ways = QHBoxLayout()
        ways.addWidget(self.toggle)
        ways.addWidget(self.swipe)
        column.addLayout(ways)
        column.addWidget(self.hint)
        column.addWidget(self.between)

    def write(self) -> None:
        """Write the list, and the numbers that keep each map honest while they are shown."""
        comparison, epoch = self._controller.comparison, self._controller.epoch
        lines = [f"{at + 1}  {cell.label}" for at, cell in enumerate(comparison.picked)]
        for layer in comparison.maps:
            facts = map_facts(layer, epoch)
            concentration = f"effective tiles {facts['effective tiles']}" if "effective tiles" in facts else ""
            lines[entry(layer)["cell"]] += "\n" + "  ".join(filter(None, [concentration, facts.get("verdict", "")]))
        if [self.list.item(i).text() for i in range(self.list.count())] != lines:
            chosen = max(self.list.currentRow(), 0 if comparison.active else -1)
            with QSignalBlocker(self.list):
                self.list.clear()
                self.list.addItems(lines)
                self.list.setCurrentRow(chosen)
        self.shared.setChecked(comparison.shared)
        self._enable()
        self.between.setVisible(comparison.active)
        self.between.write()

    def _on_row(self) -> None:
        """The map that is chosen is the layer that is selected: the legend tells of it."""
        row = self.list.currentRow()
        layer = next((la for la in self._controller.comparison.maps if entry(la)["cell"] == row), None)
        if layer is not None:
            self._controller.viewer.layers.selection.active = layer
        self._enable()

    def _on_layer(self) -> None:
        active = self._controller.viewer.layers.selection.active
        cell = None if active is None else entry(active).get("cell")
        if cell is not None and cell < self.list.count():
            self.list.setCurrentRow(cell)

    def _on_when(self) -> None:
        kind = self.when.currentText()
        self.number.setVisible(kind != SLIDER)
        self.number.setMinimum(1 if kind == EARLIER else 0)
        self.number.setValue(self._controller.epoch if kind == FIXED else 1)

    def _enable(self) -> None:
        comparison = self._controller.comparison
        picked, active = comparison.picked, comparison.active
        self.add.setEnabled(self._controller.map is not None and not active and len(picked) < MAX_CELLS)
        for field in (self.when, self.number):
            field.setEnabled(self.add.isEnabled())
        self.remove.setEnabled(self.list.currentRow() >= 0 and not active)
        self.toggle.setEnabled(active or len(picked) >= 2)
        self.toggle.setText("Leave the comparison" if active else "Compare side by side")
        view = self._controller.map
        divisible = view is None or isinstance(view.drawing, TileRaster)
        self.swipe.setEnabled(divisible and (active or len(picked) >= 2))
        self.swipe.setToolTip(SWIPE if divisible else f"{SWIPE}. Not here: {NO_COLUMNS}")
        self.swipe.setText("Side by side" if active and comparison.swiping else "Swipe")
        self.hint.setVisible(not active and len(picked) < 2)
        self.hint.setText(f"Add 2 to {MAX_CELLS} maps: other runs, normalisers, rows or epochs.")

    def _add(self) -> None:
        view = self._controller.map
        if view is not None:
            kind, number = self.when.currentText(), self.number.value()
            when = When() if kind == SLIDER else When(number) if kind == EARLIER else When(fixed=number)
            cell = cell_of(view, when)
            if cell not in self._controller.comparison.picked:
                self._controller.comparison.picked.append(cell)
        self.write()

    def _remove(self) -> None:
        del self._controller.comparison.picked[self.list.currentRow()]
        self.write()

    def _toggle(self) -> None:
        comparison = self._controller.comparison
        if comparison.active:
            comparison.leave()
        else:
            self._enter(swiping=False)
        self.write()

    def _swipe(self) -> None:
        comparison = self._controller.comparison
        if comparison.active:
            try:
                comparison.choose(comparison.pair, comparison.difference, swiping=not comparison.swiping)
            except InputError as error:
                show_error(str(error))
        else:
            self._enter(swiping=True)
        self.write()

    def _enter(self, *, swiping: bool) -> None:
        comparison, view = self._controller.comparison, self._controller.map
        if view is not None:
            comparison.swiping = swiping
            try:
                comparison.enter(comparison.picked, view.slide.slide_id, view.transform_name)
            except InputError as error:
                comparison.swiping = False
                show_error(str(error))
