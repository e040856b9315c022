"""The list of maps that are compared, and the buttons around it."""

from __future__ import annotations

from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QGroupBox, QHBoxLayout, QLabel, QListWidget, QPushButton, QVBoxLayout

from napari_asmil.errors import InputError
from napari_asmil.viewer.compare import MAX_CELLS, cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.layers import entry
from napari_asmil.viewer.legend import map_facts

LINES = 4


class Panes(QGroupBox):
    """Collect 2 to 4 (run, normaliser) pairs and show them side by side."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Compare")
        self._controller = controller
        self.list = QListWidget()
        self.add = QPushButton("Add this map")
        self.remove = QPushButton("Remove")
        self.toggle = QPushButton()
        self.shared = QCheckBox("Same limits in all panes")
        self.hint = QLabel()
        self._lay_out()
        self.add.clicked.connect(self._add)
        self.remove.clicked.connect(self._remove)
        self.toggle.clicked.connect(self._toggle)
        self.shared.clicked.connect(controller.comparison.share)
        self.list.itemSelectionChanged.connect(self._on_row)
        controller.viewer.layers.selection.events.active.connect(self._on_layer)
        self.write()

    def _lay_out(self) -> None:
        self.list.setToolTip("Maps that are compared, each with its effective tiles while panes are shown")
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.list.setFixedHeight(LINES * 2 * self.fontMetrics().height())
        self.add.setToolTip("Put the map that is shown now (run, normaliser, row) on the list")
        self.remove.setToolTip("Take the selected map off the list")
        self.toggle.setToolTip("Show the maps of the list in linked panes, each with slide, map and contours")
        self.shared.setToolTip("One colour is one number in all panes; otherwise each pane has its own limits")
        self.hint.setWordWrap(True)
        pair = QHBoxLayout()
        pair.addWidget(self.add)
        pair.addWidget(self.remove)
        column = QVBoxLayout(self)
        column.addWidget(self.list)
        column.addLayout(pair)
        column.addWidget(self.shared)
        column.addWidget(self.toggle)
        column.addWidget(self.hint)

    def write(self) -> None:
        """Write the list, and the numbers that keep each pane honest while they are shown."""
        comparison, epoch = self._controller.comparison, self._controller.epoch
        lines = [f"{at + 1}  {cell.label}" for at, cell in enumerate(comparison.picked)]
        if comparison.active and len(comparison.maps) == len(lines):
            for at, layer in enumerate(comparison.maps):
                facts = map_facts(layer, epoch)
                lines[at] += f"\neffective tiles {facts.get('effective tiles', '–')}  {facts.get('verdict', '')}"
        if [self.list.item(i).text() for i in range(self.list.count())] != lines:
            chosen = max(self.list.currentRow(), 0 if comparison.active else -1)
            with QSignalBlocker(self.list):
                self.list.clear()
                self.list.addItems(lines)
                self.list.setCurrentRow(chosen)
        self.shared.setChecked(comparison.shared)
        self._enable()

    def _on_row(self) -> None:
        """The pane that is chosen is the layer that is selected: the legend tells of it."""
        row, maps = self.list.currentRow(), self._controller.comparison.maps
        if 0 <= row < len(maps):
            self._controller.viewer.layers.selection.active = maps[row]
        self._enable()

    def _on_layer(self) -> None:
        active = self._controller.viewer.layers.selection.active
        cell = None if active is None else entry(active).get("cell")
        if cell is not None and cell < self.list.count():
            self.list.setCurrentRow(cell)

    def _enable(self) -> None:
        comparison = self._controller.comparison
        picked, active = comparison.picked, comparison.active
        self.add.setEnabled(self._controller.map is not None and not active and len(picked) < MAX_CELLS)
        self.remove.setEnabled(self.list.currentRow() >= 0 and not active)
        self.toggle.setEnabled(active or len(picked) >= 2)
        self.toggle.setText("Leave the comparison" if active else "Compare side by side")
        self.hint.setVisible(not active and len(picked) < 2)
        self.hint.setText(f"Add 2 to {MAX_CELLS} maps: other runs, or other normalisers of one run.")

    def _add(self) -> None:
        view = self._controller.map
        if view is not None:
            cell = cell_of(view)
            if cell not in self._controller.comparison.picked:
                self._controller.comparison.picked.append(cell)
        self.write()

    def _remove(self) -> None:
        del self._controller.comparison.picked[self.list.currentRow()]
        self.write()

    def _toggle(self) -> None:
        comparison, view = self._controller.comparison, self._controller.map
        if comparison.active:
            comparison.leave()
        elif view is not None:
            try:
                comparison.enter(comparison.picked, view.slide.slide_id, view.transform_name)
            except InputError as error:
                show_error(str(error))
        self.write()
