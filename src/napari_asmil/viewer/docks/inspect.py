"""Inspect tiles: how scores and attention spread over them, which they are, and one of them closely."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_asmil.analysis.places import inside
from napari_asmil.errors import InputError
from napari_asmil.render.facts import share
from napari_asmil.viewer.docks.base import Dock, waiting
from napari_asmil.viewer.docks.gallery import Gallery
from napari_asmil.viewer.docks.histogram import Distribution
from napari_asmil.viewer.docks.pinned import Pinned
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.viewer.marks import beside
from napari_asmil.viewer.picking import Picker, Place
from napari_asmil.viewer.theme import palette_of
from napari_asmil.viewer.tile_facts import tile_facts

WORDS_MS = 40
"""While the slider is dragged, words about tiles are written at most this often."""
LINES = 5
"""Of words about the tile under the pointer, for which there is always room."""
NOWHERE = "Move the pointer over a tile of the map."
NOTHING = "Nothing is selected: drag in a histogram, or draw a lasso round tiles on the slide."


class InspectDock(Dock):
    """What is under the pointer, what is selected, histograms, the pinned tile and galleries."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        controller = self.controller
        self.inspected = Inspected(controller)
        self.picker = Picker(controller.viewer)
        self._place: Place | None = None
        self.of, self.pointer, self.selected = QLabel(), QLabel(NOWHERE), QLabel(NOTHING)
        self.lasso, self.clear = QPushButton("Lasso"), QPushButton("Clear selection")
        self.distribution = Distribution(controller, self.inspected)
        self.pinned = Pinned(controller, self.inspected)
        self.gallery = Gallery(controller, self.inspected)
        self.tabs = QTabWidget()
        self._soon = waiting(self, WORDS_MS, self._write)
        self._lay_out()
        self._connect()
        self._on_theme()

    def _lay_out(self) -> None:
        self.of.setToolTip(
            "All that is said here is of this map; while maps are compared, of the pane that is selected"
        )
        self.pointer.setToolTip("The tile under the pointer")
        self.selected.setToolTip("Selected tiles are outlined on the slide, and are the second colour of a histogram")
        self.lasso.setCheckable(True)
        self.lasso.setToolTip(
            "While on, dragging on the slide draws a path, and tiles whose centre lies in it are selected"
        )
        self.clear.setToolTip("Select no tile")
        self.pointer.setMinimumHeight(LINES * self.fontMetrics().lineSpacing())
        self.pointer.setAlignment(Qt.AlignmentFlag.AlignTop)
        buttons = QHBoxLayout()
        buttons.addWidget(self.lasso)
        buttons.addWidget(self.clear)
        for label in (self.of, self.pointer, self.selected):
            label.setWordWrap(True)
            self.body.addWidget(label)
        self.body.addLayout(buttons)
        tiles = QWidget()
        column = QVBoxLayout(tiles)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.pinned)
        column.addWidget(self.gallery)
        column.addStretch()
        self.tabs.addTab(self.distribution, "Histograms")
        self.tabs.addTab(tiles, "Tile and galleries")
        self.body.addWidget(self.tabs)

    def _connect(self) -> None:
        controller = self.controller
        for signal in (controller.map_changed, controller.current_changed, controller.slide_changed):
            signal.connect(self._on_map)
        controller.epoch_changed.connect(self._on_epoch)
        controller.run_grew.connect(self._on_runs)
        controller.runs_changed.connect(self._on_runs)
        controller.selection.changed.connect(self._on_selection)
        controller.selection.pin_changed.connect(self._on_pin)
        controller.viewer.layers.selection.events.active.connect(self._on_layer)
        controller.viewer.events.theme.connect(self._on_theme)
        self.picker.hovered.connect(self._on_hover)
        self.picker.clicked.connect(self._on_click)
        self.picker.drawn.connect(controller.marks.draw_path)
        self.picker.closed.connect(self._on_lasso)
        self.lasso.toggled.connect(self.picker.set_lasso)
        self.clear.clicked.connect(self._on_clear)
        self.distribution.told.connect(self._write_selection)

    def showEvent(self, event: QShowEvent) -> None:
        """Listen to the pointer, and show what changed meanwhile."""
        super().showEvent(event)
        self.picker.listen()
        self.distribution.awake = True
        self._on_map()

    def hideEvent(self, event: QHideEvent) -> None:
        """Hidden or closed, leave the canvas as it was, and do nothing."""
        super().hideEvent(event)
        self.lasso.setChecked(False)
        self.picker.ignore()
        self.distribution.awake = False
        self.distribution.stop()

    # ---- what changed -------------------------------------------------------------------------

    def _on_map(self) -> None:
        if self.isVisible():
            self.lasso.setEnabled(self.inspected.view is not None)
            if self.inspected.view is None:
                self.lasso.setChecked(False)
            self.distribution.refresh()
            self.pinned.refresh()
            self.gallery.refresh_soon()
            self._write()

    def _on_epoch(self) -> None:
        if self.isVisible():
            self.distribution.refresh()
            self.pinned.refresh()
            self.gallery.refresh_soon()
            if not self._soon.isActive():
                self._soon.start()

    def _on_runs(self) -> None:
        self.distribution.grow()
        self.pinned.follow()

    def _on_layer(self) -> None:
        """While maps are compared, another pane may be meant."""
        if self.controller.comparison.active:
            self._on_map()

    def _on_selection(self) -> None:
        if self.isVisible():
            self._write_selection()

    def _on_pin(self) -> None:
        self.pinned.refresh()

    def _on_theme(self) -> None:
        palette = palette_of(self.controller.viewer.theme)
        self.distribution.set_palette(palette)
        self.pinned.set_palette(palette)

    # ---- the pointer --------------------------------------------------------------------------

    def _on_hover(self, place: Place | None) -> None:
        self._place = place
        self._write_pointer()

    def _on_click(self, y: float, x: float) -> None:
        tile = None if self.inspected.view is None else self.inspected.tile_at(y, x)
        if tile is not None and not self.inspected.other_tiles:
            self.controller.selection.pin(tile)
            self.tabs.setCurrentIndex(1)

    def _on_lasso(self, path: list[Place]) -> None:
        view, selection = self.inspected.view, self.controller.selection
        if view is not None and view.slide.tiles is not None and not self.inspected.other_tiles:
            tiles = inside(view.slide.tiles.centres, np.array(path))
            self.distribution.drop_interval()
            selection.select(tiles, "centre inside the lasso")
        self.controller.marks.draw()  # the path goes, whatever was in it

    def _on_clear(self) -> None:
        self.distribution.drop_interval()
        self.controller.selection.select(None)
        self._write_selection()

    # ---- words --------------------------------------------------------------------------------

    def _write(self) -> None:
        if self.controller.viewer is not None:
            self._write_of()
            self._write_pointer()
            self._write_selection()

    def _write_of(self) -> None:
        view, pane = self.inspected.view, self.inspected.pane
        if view is None:
            self.of.setText("No map is shown.")
            return
        marks = " Marks are drawn on a single map: leave the comparison to see them." if beside(self.controller) else ""
        if why := self.inspected.other_tiles:
            marks = f" Nothing can be selected here: {why}."
        self.of.setText(
            f"Of {pane + ', ' if pane else ''}{view.run.name}, {view.slide.slide_id}: {view.source_label}.{marks}"
        )

    def _write_pointer(self) -> None:
        tile = None
        try:
            if self._place is not None and self.inspected.view is not None:
                tile = self.inspected.tile_at(*self._place)
            said = NOWHERE if tile is None else "\n".join(tile_facts(self.inspected, tile))
        except InputError as error:
            said = str(error).removeprefix(f"{error.path}: ")
        self.pointer.setText(said)

    def _write_selection(self) -> None:
        """Say which tiles are selected, and how much attention they hold at the epoch at hand."""
        selection, sought = self.controller.selection, self.distribution.words
        self.clear.setEnabled(selection.tiles is not None or bool(sought))
        if selection.tiles is None or self.inspected.chosen is None:
            self.selected.setText(f"No tile has {sought}." if sought else NOTHING)
            return
        count, of = int(selection.tiles.sum()), len(selection.tiles)
        words = f"{count} of {of} tiles" + (f" with {selection.words}" if selection.words else " selected")
        try:
            held = float(self.inspected.p()[self.inspected.chosen].sum())
            when = f" at epoch {self.inspected.epoch()}"
            words += f". They hold {share(held)} of the attention" + ("" if words.endswith(when) else when)
        except InputError:
            pass
        self.selected.setText(f"{words}.")
