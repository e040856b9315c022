"""Explore attention: which map is shown and how, its legend, panes side by side, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QPushButton

from napari_asmil.viewer.docks.base import Dock
from napari_asmil.viewer.docks.choose import Chooser
from napari_asmil.viewer.docks.instead import InsteadForm
from napari_asmil.viewer.docks.panes import Panes
from napari_asmil.viewer.export import Export, ask_and_export, export_shown
from napari_asmil.viewer.layers import entry, maps_of
from napari_asmil.viewer.legend import Legend

EXPORT = "Write this map with slide, contours, legend and scale bar as PNG"
EXPORT_HIDDEN = "The map is hidden by what is shown in place of attention: show attention again to export it"
LEGEND_MS = 60
"""While the slider is dragged the legend is written at most this often."""


class ExploreDock(Dock):
    """Choose a map, read its legend, compare it with others, export it."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.chooser = Chooser(self.controller)
        self.legend = Legend()
        self.panes, self.instead = Panes(self.controller), InsteadForm(self.controller)
        self.export_button = QPushButton("Export annotated overlay…")
        self.export_button.clicked.connect(self._ask_and_export)
        self.body.addWidget(self.chooser)
        self.body.addWidget(self.legend)
        self.body.addWidget(self.instead)
        self.body.addWidget(self.export_button)
        self.body.addWidget(self.panes)
        self.export: Export | None = None
        self._heard: WeakSet[Any] = WeakSet()
        self._stale = True
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(LEGEND_MS)
        self._late.timeout.connect(self.write_legend)
        self.panes.list.currentRowChanged.connect(self._on_epoch)
        self.controller.map_changed.connect(self._on_map)
        self.controller.epoch_changed.connect(self._on_epoch)
        self.controller.run_grew.connect(self._on_epoch)
        self.controller.viewer.events.theme.connect(self._on_map)
        self._on_map()

    def export_to(self, path: Path) -> None:
        """Export what is shown to `path`; a notification says how it ended."""
        self.export = export_shown(self.controller, path, self._described())

    def _ask_and_export(self) -> None:
        self.export = ask_and_export(self.controller, self._described())

    def showEvent(self, event: QShowEvent) -> None:
        """Write what changed while the dock was hidden."""
        super().showEvent(event)
        if self._stale:
            self._on_map()

    def _on_map(self) -> None:
        controller = self.controller
        taken = controller.instead.layer is not None and not controller.comparison.active
        free = controller.map is not None and not taken
        self.export_button.setEnabled(free)
        hidden = controller.map is not None and not free
        self.export_button.setToolTip(EXPORT_HIDDEN if hidden else EXPORT)
        self.write_legend()

    def _hear(self) -> None:
        """Write anew when a person changes the looks of a map in its own layer controls."""
        for layer in maps_of(self.controller.viewer):
            if layer not in self._heard:
                self._heard.add(layer)
                for name in ("contrast_limits", "colormap", "interpolation2d"):
                    if hasattr(layer, name):
                        getattr(layer.events, name).connect(self._on_epoch)

    def _on_epoch(self) -> None:
        if not self._late.isActive():
            self._late.start()

    def write_legend(self) -> None:
        """Write legend and panes for the epoch at hand, once anyone looks."""
        controller = self.controller
        self._stale = not self.isVisible()
        if controller.viewer is not None and not self._stale:
            self._hear()
            self.panes.write()
            self.instead.write_words()
            self.legend.setVisible(controller.instead.layer is None or controller.comparison.active)
            self.legend.show_map(self._described(), controller.epoch, controller.viewer.theme)

    def _described(self) -> Any | None:
        """The layer the legend is about: the chosen pane while maps are compared."""
        panes, row = self.controller.comparison.maps, self.panes.list.currentRow()
        chosen = next((layer for layer in panes if entry(layer)["cell"] == row), panes[0] if panes else None)
        return self.controller.map_layer if chosen is None else chosen
