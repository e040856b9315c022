"""Galleries: the tiles with the most and the least attention, and those that changed most between two epochs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Qt
from qtpy.QtGui import QHideEvent, QIcon, QPixmap, QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_asmil.analysis.display import m_alpha
from napari_asmil.analysis.histogram import highest, standing, ties_at_the_end
from napari_asmil.errors import InputError
from napari_asmil.render.facts import verdict, whole_map
from napari_asmil.render.tiles_csv import export_ranked
from napari_asmil.runs import MapView
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row, waiting
from napari_asmil.viewer.export import Export
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.viewer.tile_pictures import pixmap, read_tile

if TYPE_CHECKING:
    from napari_asmil.runs import RunSlide

K, COLUMNS = 12, 4
SIDE = 62
"""Of a picture in px."""
REST_MS = 200
"""So long the slider must rest before the gallery follows: an epoch step reads no slide."""
LOADING = "pictures of a gallery"
"""Work for idle moments."""
KEPT = 500
"""Pictures that are kept."""
ACROSS = 8
"""A tile that the camera goes to is this part of the canvas."""
TOP, BOTTOM, CHANGED = "Highest M·α", "Lowest M·α", "Changed most"


class Gallery(QWidget):
    """Twelve tiles in order; a click goes there. Hidden, it does nothing."""

    def __init__(self, controller: Controller, inspected: Inspected) -> None:
        super().__init__()
        self._controller, self._inspected = controller, inspected
        self._pictures: dict[Hashable, QPixmap] = {}
        self._of: RunSlide | None = None
        self.tiles: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self.order, self.since = QComboBox(), QSpinBox()
        self.buttons = [QToolButton() for _ in range(K)]
        self.about, self.export_button = QLabel(), QPushButton("Export CSV…")
        self.export: Export | None = None
        self._form = QFormLayout()
        self._rest = waiting(self, REST_MS, self.refresh)
        self._lay_out()
        self.order.currentIndexChanged.connect(self.refresh)
        self.since.valueChanged.connect(self.refresh)
        self.export_button.clicked.connect(self._ask_and_export)
        for at, button in enumerate(self.buttons):
            button.clicked.connect(partial(self._on_click, at))

    def _lay_out(self) -> None:
        self.order.addItems([TOP, BOTTOM, CHANGED])
        self.since.setRange(-1, -1)
        self.since.setSpecialValueText("the epoch before")
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        add_row(self._form, "Gallery", self.order, "Which tiles of the map at this epoch are shown, in which order")
        add_row(self._form, "Since", self.since, "Changed most in M·α, up or down, since this epoch")
        grid, column = QGridLayout(), QVBoxLayout(self)
        grid.setSpacing(2)
        for at, button in enumerate(self.buttons):
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(SIDE, SIDE))
            button.setAutoRaise(True)
            button.setMinimumWidth(SIDE + 4)
            grid.addWidget(button, at // COLUMNS, at % COLUMNS)
        self.about.setWordWrap(True)
        self.export_button.setToolTip("Write all tiles in this order with rank, place, M·α and tumour share as CSV")
        column.setContentsMargins(0, 4, 0, 0)
        column.addLayout(self._form)
        column.addLayout(grid)
        column.addWidget(self.about)
        column.addWidget(self.export_button)

    def refresh_soon(self) -> None:
        """Follow the slider once it rests; until then tiles of another slide, or of another run, are no choice."""
        self._controller.idle.drop(LOADING)
        view = self._inspected.view
        for button in self.buttons:
            button.setEnabled(view is not None and view.slide is self._of)
        if self.isVisible():
            self._rest.start()

    def refresh(self) -> None:
        """Show the tiles of the map at hand."""
        self._controller.idle.drop(LOADING)
        self._rest.stop()
        if not self.isVisible():
            return
        changed, view = self.order.currentText() == CHANGED, self._inspected.view
        with QSignalBlocker(self.since):
            self.since.setMaximum(-1 if view is None else view.n_epochs - 1)
        self.since.setVisible(changed)
        self._form.labelForField(self.since).setVisible(changed)
        self.export_button.setEnabled(view is not None)
        self._of = None if view is None else view.slide
        try:
            if view is None:
                raise InputError("No map is shown.")
            self.tiles, captions, said = self._chosen(view)
        except InputError as error:
            self.tiles, captions, said = np.empty(0, np.intp), [], str(error).removeprefix(f"{error.path}: ")
        if len(self.tiles) and self._controller.slide is None:
            said = f"No pictures: the slide file is not open. {said}"
        self.about.setText(said)
        self._show(captions)

    def stop(self) -> None:
        """Do nothing more."""
        self._rest.stop()
        self._controller.idle.drop(LOADING)

    def showEvent(self, event: QShowEvent) -> None:
        """Show what changed while another tab was in front."""
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        """Read nothing that nobody sees."""
        super().hideEvent(event)
        self.stop()

    # ---- which tiles --------------------------------------------------------------------------

    def compared_epoch(self) -> int | None:
        """The epoch that changes are counted from; None where the gallery is of one epoch.

        Raises
        ------
        InputError
            When there is no epoch before.
        """
        if self.order.currentText() != CHANGED:
            return None
        epoch = self._inspected.epoch()
        since = epoch - 1 if self.since.value() < 0 else self.since.value()
        if since < 0:
            raise InputError("There is no epoch before the first to have changed since.")
        if since == epoch:
            raise InputError(f"Epoch {since} is the one that is shown: nothing has changed since.")
        return since

    def _chosen(self, view: MapView) -> tuple[NDArray[np.intp], list[str], str]:
        """Which tiles, what stands under each, and what must be said of the choice."""
        p, since = self._inspected.p(), self.compared_epoch()
        now, epoch = m_alpha(p), self._inspected.epoch()
        if since is None:
            by = now if self.order.currentText() == TOP else -now
            tiles = highest(by, K)
            captions = [f"{now[t]:.3g}\n#{standing(p, t).rank}" for t in tiles.tolist()]
            said = f"M·α (× uniform) and rank among {len(p)} tiles, epoch {epoch}: {view.source_label}."
        else:
            before = m_alpha(whole_map(view, since))
            by = np.abs(now - before)
            tiles = highest(by, K)
            captions = [f"{now[t]:.3g}\n({now[t] - before[t]:+.3g})\n#{standing(p, t).rank}" for t in tiles.tolist()]
            said = (
                f"M·α at epoch {epoch} (× uniform), its change since epoch {since}, and rank at epoch {epoch}:"
                f" {view.source_label}."
            )
        ties = ties_at_the_end(by, tiles)
        if ties:
            said += f" {ties} more tie with the last one; which are shown is their order in the bag alone."
        return tiles, captions, " ".join(filter(None, (said, verdict(p))))

    # ---- pictures -----------------------------------------------------------------------------

    def _show(self, captions: list[str]) -> None:
        for at, button in enumerate(self.buttons):
            button.setVisible(at < len(captions))
            button.setEnabled(True)
            if at < len(captions):
                button.setText(captions[at])
                tile = int(self.tiles[at])
                button.setToolTip(f"Tile {tile}: click to go there and pin it")
                button.setAccessibleName(f"Tile {tile}: {captions[at]}")
                button.setIcon(QIcon(self._pictures.get(self._name(tile), QPixmap())))
        slide = self._controller.slide
        if slide is not None and any(self._name(t) not in self._pictures for t in self.tiles.tolist()):
            self._controller.idle.do(LOADING, self._loading())

    def _name(self, tile: int) -> Hashable:
        """What a picture is kept under; a slide that is closed has another name than any that is opened later."""
        view, slide = self._inspected.view, self._controller.slide
        return None if slide is None else ref(slide), "" if view is None else view.slide.bag_hash, tile

    def _loading(self) -> Iterator[None]:
        slide, view = self._controller.slide, self._inspected.view
        ratio = self.devicePixelRatioF()
        yield
        for at, tile in enumerate(self.tiles.tolist()):
            if slide is None or view is None or view.slide.tiles is None or slide is not self._controller.slide:
                return
            name = self._name(tile)
            if name not in self._pictures:
                try:
                    pixels, _ = read_tile(slide, view.slide.tiles, tile, SIDE * ratio)
                except InputError as error:
                    self.about.setText(f"No pictures: {error.sentence} {self.about.text()}")
                    return
                self._pictures[name] = pixmap(pixels, SIDE, ratio)
                while len(self._pictures) > KEPT:
                    del self._pictures[next(iter(self._pictures))]
            self.buttons[at].setIcon(QIcon(self._pictures[name]))
            yield

    # ---- what a person does -------------------------------------------------------------------

    def _on_click(self, at: int) -> None:
        tile, view, viewer = int(self.tiles[at]), self._inspected.view, self._controller.viewer
        if view is None or view.slide.tiles is None:
            return
        grid, canvas = viewer.canvas.grid, np.array(viewer.canvas.size, dtype=float)
        if grid.enabled:
            canvas /= grid.actual_shape(viewer.layers)
        camera = viewer.scene.camera
        camera.center = tuple(view.slide.tiles.centres[tile].tolist())
        camera.zoom = float(canvas.min()) / ACROSS / view.slide.tiles.size
        if not self._inspected.other_tiles:
            self._controller.selection.pin(tile)

    def export_to(self, path: Path) -> None:
        """Write all tiles in the order of the gallery; a notification says how it ended."""
        view = self._inspected.view
        try:
            if view is not None:
                copy = MapView(view.run, view.slide.slide_id, view.source)
                write = partial(export_ranked, path, copy, self._inspected.epoch(), self.compared_epoch())
                self.export = Export(write)
        except InputError as error:
            show_error(str(error))

    def _ask_and_export(self) -> None:
        view = self._inspected.view
        if view is None:
            return
        name = f"{view.run.name}_{view.slide.slide_id}_epoch{self._controller.epoch:03d}_tiles.csv"
        chosen, _ = QFileDialog.getSaveFileName(self, "Export tiles in order", name, "CSV (*.csv)")
        if chosen:
            self.export_to(Path(chosen))
