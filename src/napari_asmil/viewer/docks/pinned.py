"""The pinned tile: its picture, what is known of it, and its M·α over the epochs of every run with the same tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_asmil.errors import InputError
from napari_asmil.runs.trajectory import trajectory, why_other_tiles
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import waiting
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.viewer.plots.curves import CurvePanel, Series
from napari_asmil.viewer.plots.stack import CurveStack
from napari_asmil.viewer.plots.style import Palette
from napari_asmil.viewer.tile_facts import tile_facts
from napari_asmil.viewer.tile_pictures import pixmap, read_tile

if TYPE_CHECKING:
    from napari_asmil.runs import Run
    from napari_asmil.slides import Slide

SIDE = 128
"""Of the picture in px."""
DRAW_MS = 200
"""While a trajectory is derived it is drawn at most this often."""
READING, FOLLOWING = "picture of the pinned tile", "trajectory of the pinned tile"
"""Work for idle moments."""
NONE = "Click a tile on the slide, or in a gallery, to pin it."


class Pinned(QWidget):
    """One tile, looked at closely; hidden, it does nothing."""

    def __init__(self, controller: Controller, inspected: Inspected) -> None:
        super().__init__()
        self._controller, self._inspected = controller, inspected
        self._known: WeakKeyDictionary[Run, list[float]] = WeakKeyDictionary()
        self._of: tuple[str, str, int] | None = None
        self._shown: tuple[ref[Slide] | None, int] | None = None
        self.picture, self.facts, self.about, self.others = QLabel(), QLabel(NONE), QLabel(), QLabel()
        self.unpin = QPushButton("Unpin")
        self.panel = CurvePanel("M·α of the tile", "× uniform", "Of the maps as each run stored them; 1 is uniform")
        self.panel.set_log(True)
        self.stack = CurveStack([self.panel])
        self._draw_soon = waiting(self, DRAW_MS, self._draw)
        self._lay_out()
        self.unpin.clicked.connect(self._on_unpin)
        self.stack.picked.connect(controller.set_epoch)

    def _lay_out(self) -> None:
        self.picture.setFixedSize(SIDE, SIDE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.picture.setToolTip("The tile as the slide file has it, at the resolution said under it")
        self.unpin.setToolTip("Look at no tile closely; its box on the slide goes")
        self.others.setToolTip(
            "A tile is followed only where slide, number, size and places of tiles are the very same"
        )
        for label in (self.facts, self.about, self.others):
            label.setWordWrap(True)
        words, pair, column = QVBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        words.addWidget(self.facts)
        words.addWidget(self.unpin, alignment=Qt.AlignmentFlag.AlignLeft)
        words.addStretch()
        pair.addWidget(self.picture, alignment=Qt.AlignmentFlag.AlignTop)
        pair.addLayout(words, 1)
        column.setContentsMargins(0, 4, 0, 0)
        column.addLayout(pair)
        for part in (self.about, self.stack, self.others):
            column.addWidget(part)

    def refresh(self) -> None:
        """Show the pinned tile, at the epoch at hand."""
        if not self.isVisible():
            return
        tile, view = self._inspected.pinned, self._inspected.view
        pinned = tile is not None and view is not None
        for part in (self.unpin, self.stack, self.others):
            part.setVisible(pinned)
        self.stack.set_epoch(self._controller.epoch)
        if tile is None or view is None:
            self._of = None
            self.picture.hide()
            self.about.hide()
            self.facts.setText(NONE)
            self.stop()
            return
        self.facts.setText(self._facts(tile))
        self._show_picture(tile)
        of = view.slide.slide_id, view.slide.bag_hash, tile
        if of != self._of:
            self._of = of
            self._known.clear()
            self.follow()

    def follow(self) -> None:
        """Take up runs and epochs that the trajectory does not have yet."""
        view, tile = self._inspected.view, self._inspected.pinned
        if not self.isVisible() or view is None or tile is None:
            return
        reasons = {run: why_other_tiles(run, view.slide) for run in self._controller.runs}
        self.others.setText("\n".join(f"{run.name}: no curve, {why}." for run, why in reasons.items() if why))
        self.others.setVisible(any(reasons.values()))
        same = [run for run, why in reasons.items() if not why]
        if any(len(self._known.get(run, ())) < run.n_epochs for run in same):
            self._controller.idle.do(FOLLOWING, self._following(same, view.slide.slide_id, tile))
        self._draw()

    def stop(self) -> None:
        """Do nothing more; a picture that may be half read is read anew."""
        self._shown = None
        self._draw_soon.stop()
        for work in (READING, FOLLOWING):
            self._controller.idle.drop(work)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self.stack.set_palette(palette)

    def showEvent(self, event: QShowEvent) -> None:
        """Show what changed while another tab was in front."""
        super().showEvent(event)
        self.refresh()
        self.follow()

    def hideEvent(self, event: QHideEvent) -> None:
        """Read and follow nothing that nobody sees."""
        super().hideEvent(event)
        self.stop()

    def _on_unpin(self) -> None:
        self._controller.selection.pin(None)

    def _facts(self, tile: int) -> str:
        try:
            return "\n".join(tile_facts(self._inspected, tile))
        except InputError as error:
            return str(error).removeprefix(f"{error.path}: ")

    def _show_picture(self, tile: int) -> None:
        """Read the picture where it is another, in an idle moment; an epoch step reads nothing."""
        slide, view = self._controller.slide, self._inspected.view
        assert view is not None
        shown = (None if slide is None else ref(slide), tile)
        if shown == self._shown:
            return
        self._shown = shown
        self._controller.idle.drop(READING)
        self.picture.setVisible(slide is not None)
        self.picture.clear()
        self.about.show()
        if slide is None:
            path = view.slide.slide_path
            gone = "" if path is None else f" {path.name} is not where the run says it is."
            self.about.setText(f"No picture: the slide file is not open.{gone} Open it in Open slide and bags.")
        else:
            self.about.setText("Reading …")
            self._controller.idle.do(READING, self._reading(tile))

    def _reading(self, tile: int) -> Iterator[None]:
        slide, view = self._controller.slide, self._inspected.view
        yield
        if slide is None or view is None or view.slide.tiles is None:
            return
        ratio = self.devicePixelRatioF()
        try:
            pixels, level = read_tile(slide, view.slide.tiles, tile, SIDE * ratio)
        except InputError as error:
            self.about.setText(f"No picture: {error.sentence}")
            return
        self.picture.setPixmap(pixmap(pixels, SIDE, ratio))
        down = max(slide.downsamples[level])
        microns = f" ({view.slide.tiles.size * view.slide.mpp:.4g} µm)" if view.slide.mpp else ""
        self.about.setText(
            f"{view.slide.tiles.size:g} level-0 px{microns} a side; picture from level {level},"
            f" {pixels.shape[1]} x {pixels.shape[0]} px (downsample {down:.4g})."
        )

    def _following(self, runs: list[Run], slide_id: str, tile: int) -> Iterator[None]:
        for run in runs:
            known = self._known.setdefault(run, [])
            for value in trajectory(run, slide_id, tile, len(known)):
                known.append(value)
                if not self._draw_soon.isActive():
                    self._draw_soon.start()
                yield
        self._draw()

    def _draw(self) -> None:
        """Draw what is known; the style of a run is that of every panel, its place among the open runs."""
        runs = list(self._controller.runs)
        self.stack.set_names([f"{run.name} ({run.label})" for run in runs])
        given = [np.array(self._known.get(run, []), dtype=np.float64) for run in runs]
        self.panel.set_series([Series(run.name, y, i) for i, (run, y) in enumerate(zip(runs, given, strict=True))])
