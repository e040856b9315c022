"""Two of the compared maps against each other: their difference, the line between them, how much they agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from html import escape
from typing import Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_asmil.analysis import dynamics
from napari_asmil.analysis.agreement import SHARES, Agreement
from napari_asmil.render.facts import share
from napari_asmil.runs.contrast import KINDS, Course
from napari_asmil.viewer import limits
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row, waiting
from napari_asmil.viewer.layers import view_of
from napari_asmil.viewer.legend import ColorBar
from napari_asmil.viewer.plots.curves import CurvePanel, Series
from napari_asmil.viewer.theme import palette_of, warning_colour

DRAW_MS = 250
"""Curves whose values are still being found are drawn at most this often."""
MEASURES = {
    "jsd": ("JSD of A and B", "bits", "0: the same map, 1: disjoint ones. Read it with the effective tiles below"),
    "rank": ("Rank correlation of A and B", "Spearman", "1: the same order of tiles, 0: unrelated"),
    "top1": ("Overlap of the top 1 % of tiles", "Jaccard", "1: the same tiles on top, 0: none shared"),
    "top2": ("Overlap of the top 2 % of tiles", "Jaccard", "1: the same tiles on top, 0: none shared"),
}


class Between(QWidget):
    """A and B: which they are, their difference or the line between them, numbers now and over epochs."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.course: Course | None = None
        self._seeking: tuple[Course, int] | None = None
        self.a, self.b, self.difference = QComboBox(), QComboBox(), QComboBox()
        self.border = QSlider(Qt.Orientation.Horizontal)
        self.bar, self.bar_words, self.numbers, self.measure = ColorBar(), QLabel(), QLabel(), QComboBox()
        self.curve = CurvePanel("", "")
        self.concentration = CurvePanel(
            "Effective tiles / M of A and B", "share", "exp(entropy) / M: a flat map (1) moves little and says little"
        )
        self._draw_soon = waiting(self, DRAW_MS, self.draw)
        self._lay_out()
        self._connect()
        self._on_theme()

    def _lay_out(self) -> None:
        form = self._form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        add_row(form, "A", self.a, "The first of the two maps")
        add_row(form, "B", self.b, "The second of the two maps")
        add_row(form, "Difference", self.difference, "A pane more that shows on which tiles A and B differ")
        add_row(
            form, "Border", self.border, "Left of the line is A, right of it B; it can be dragged on the slide, too"
        )
        for field in (self.a, self.b, self.difference, self.measure):
            field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.setMinimumContentsLength(12)
        self.measure.setToolTip("Which number to draw over epochs")
        self.measure.setAccessibleName("Number over epochs")
        self.difference.addItem("not shown", None)
        for kind, (quantity, unit) in KINDS.items():
            self.difference.addItem(quantity, kind)
            self.difference.setItemData(self.difference.count() - 1, unit, Qt.ItemDataRole.ToolTipRole)
        for name, (title, _, tip) in MEASURES.items():
            self.measure.addItem(title, name)
            self.measure.setItemData(self.measure.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.numbers.setToolTip("How much A and B agree at the epoch of the slider, and how concentrated both are")
        for label in (self.bar_words, self.numbers):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar_words.setToolTip("What the colours of the difference mean")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        for part in (self.bar, self.bar_words, self.numbers, self.measure, self.curve, self.concentration):
            column.addWidget(part)

    def _connect(self) -> None:
        controller = self._controller
        self.a.activated.connect(self._on_a)
        self.b.activated.connect(self._on_b)
        self.difference.activated.connect(self._choose)
        self.measure.currentIndexChanged.connect(self.draw)
        self.border.valueChanged.connect(self._on_slider)
        for panel in (self.curve, self.concentration):
            panel.picked.connect(controller.set_epoch)
        controller.epoch_changed.connect(self._on_epoch)
        controller.run_grew.connect(self._on_growth)
        controller.viewer.events.theme.connect(self._on_theme)

    # ---- what is chosen -----------------------------------------------------------------------

    def _on_a(self) -> None:
        self._swap_if_same(self.a, self.b, self._controller.comparison.pair[0])

    def _on_b(self) -> None:
        self._swap_if_same(self.b, self.a, self._controller.comparison.pair[1])

    def _swap_if_same(self, chosen: QComboBox, other: QComboBox, before: int) -> None:
        """A map cannot be set off against itself: the other takes the one that was here."""
        if chosen.currentIndex() == other.currentIndex():
            other.setCurrentIndex(before)
        self._choose()

    def _choose(self) -> None:
        self._controller.comparison.choose(
            (self.a.currentIndex(), self.b.currentIndex()), self.difference.currentData()
        )
        self.write()

    def _on_slider(self, value: int) -> None:
        border = self._controller.comparison.border
        if border is not None:
            border.move(border.low + (border.high - border.low) * value / border.steps)

    def _on_border(self, x: float) -> None:
        border = self._controller.comparison.border
        if border is not None:
            with QSignalBlocker(self.border):
                self.border.setValue(round((x - border.low) / (border.high - border.low) * border.steps))

    # ---- what is shown ------------------------------------------------------------------------

    def write(self) -> None:
        """Show what is chosen, and the numbers at the epoch at hand."""
        comparison = self._controller.comparison
        if not comparison.active:
            self._follow(None)
            return
        titles = [f"{at + 1}  {cell.label}" for at, cell in enumerate(comparison.cells)]
        for field, chosen in zip((self.a, self.b), comparison.pair, strict=True):
            if [field.itemText(i) for i in range(field.count())] != titles:
                field.clear()
                field.addItems(titles)
            field.setCurrentIndex(chosen)
            field.setToolTip(titles[chosen])
        self.difference.setCurrentIndex(self.difference.findData(comparison.difference))
        self.difference.setEnabled(not comparison.refusal)
        border = comparison.border
        self._form.setRowVisible(self.difference, border is None)
        self._form.setRowVisible(self.border, border is not None)
        if border is not None:
            border.moved.connect(self._on_border, unique=True)
            with QSignalBlocker(self.border):
                self.border.setRange(0, border.steps)
            self._on_border(border.x)
        self._write_colours()
        self._follow(comparison.views)
        self._write_numbers()

    def _write_colours(self) -> None:
        layer = self._controller.comparison.difference_layer
        for part in (self.bar, self.bar_words):
            part.setVisible(layer is not None)
        if layer is not None:
            low, high = layer.contrast_limits
            self.bar.show_colours(layer.colormap, f"{low:.3g}", f"{high:.3g}")
            view = view_of(layer)
            means = "0 alike, 1 twice as much in A" if view.kind == "log2" else "1 is what a uniform map gives a tile"
            self.bar_words.setText(f"{view.quantity} ({view.unit}: {means}); limits {limits.words(layer)}")

    def _follow(self, views: tuple[Any, Any] | None) -> None:
        """Find the agreement of these two maps from now on."""
        for part in (self.measure, self.curve, self.concentration):
            part.setVisible(views is not None)
        course = self.course
        if views is None or course is None or (course.a, course.b) != views:
            self.course = None if views is None else Course(*views)
            self.draw()
        self._find()

    def _find(self) -> None:
        """Go on finding while it can be seen, the epoch at hand first."""
        course, epoch = self.course, self._controller.epoch
        if course is None or not self.isVisible():
            self._stop()
        elif course.done:
            self._seeking = None
        elif (
            self._seeking is None
            or self._seeking[0] is not course
            or not (epoch == self._seeking[1] or epoch in course.found or epoch in course.missing)
        ):
            self._seeking = course, epoch
            self._controller.idle.do(("between", id(self)), _finding(course, epoch, ref(self)))

    def _stop(self) -> None:
        self._seeking = None
        self._controller.idle.drop(("between", id(self)))

    def on_found(self, step: int) -> None:
        """Show what has been found."""
        if step == self._controller.epoch:
            self._write_numbers()
        if not self._draw_soon.isActive():
            self._draw_soon.start()

    def draw(self) -> None:
        """Draw the curves anew."""
        title, unit, tip = MEASURES[self.measure.currentData()]
        self.curve.set_title(title, unit, tip)
        if self.course is None:
            return
        self.curve.set_series([Series("A and B", self.course.values(self.measure.currentData()), 2)])
        tiles = self.course.a.slide.n_tiles
        both = [self.course.values(name) / tiles for name in ("effective_a", "effective_b")]
        self.concentration.set_series(
            [Series(name, y, at) for at, (name, y) in enumerate(zip("AB", both, strict=True))]
        )

    def _write_numbers(self) -> None:
        comparison, epoch, course = self._controller.comparison, self._controller.epoch, self.course
        colour = warning_colour(self._controller.viewer.theme)
        if course is None:
            refused = f"No difference and no JSD of A and B: {comparison.refusal}"
            self.numbers.setText(
                f"<span style='color:{colour}'>⚠ {escape(refused)}</span>" if comparison.refusal else ""
            )
        elif epoch in course.missing:
            self.numbers.setText(f"Epoch {epoch}: {escape(course.missing[epoch])}")
        elif epoch in course.found:
            tiles = course.a.slide.n_tiles
            self.numbers.setText(told(course.found[epoch], epoch, tiles, colour))
        else:
            self.numbers.setText(f"Epoch {epoch}: …" if epoch < course.steps else f"There is no epoch {epoch} here.")

    def _on_epoch(self, epoch: int) -> None:
        for panel in (self.curve, self.concentration):
            panel.set_epoch(epoch)
        if self.course is not None and self.isVisible():
            self._find()
            self._write_numbers()

    def _on_growth(self) -> None:
        if self.course is not None:
            self.course.look_again()
            self._seeking = None
            self._find()

    def _on_theme(self) -> None:
        for panel in (self.curve, self.concentration):
            panel.set_palette(palette_of(self._controller.viewer.theme))

    def showEvent(self, event: QShowEvent) -> None:
        """Find what was left while it was hidden."""
        super().showEvent(event)
        self._on_epoch(self._controller.epoch)
        self._find()

    def hideEvent(self, event: QHideEvent) -> None:
        """Find nothing that nobody sees."""
        super().hideEvent(event)
        self._stop()


def _finding(course: Course, first: int, owner: ref[Between]) -> Iterator[None]:
    """Find bit by bit, and tell; it does not hold the widget."""
    for step in course.find(first):
        there = owner()
        if step in course.found or step in course.missing:
            with suppress(RuntimeError):  # Qt's side of it is gone
                if there is None or there.course is not course:
                    return
                there.on_found(step)
        del there
        yield


def told(agreed: Agreement, epoch: int, tiles: int, colour: str) -> str:
    """The agreement of two maps of so many tiles as a table, with what keeps it honest; `colour` is for warnings."""
    counts = [dynamics.top_count(tiles, each) for each in SHARES]
    rows = {
        "JSD": f"{agreed.jsd:.3g} bits",
        "effective tiles A": _effective(agreed.effective_a, tiles),
        "effective tiles B": _effective(agreed.effective_b, tiles),
        "rank correlation": _or(agreed.rank, " (Spearman)", "none: a map is constant"),
        f"top 1 % ({counts[0]})": _or(agreed.top1, " shared (Jaccard)", "none: ties"),
        f"top 2 % ({counts[1]})": _or(agreed.top2, " shared (Jaccard)", "none: ties"),
    }
    table = "".join(
        f"<tr><td style='padding-right:6px'><i>{escape(name)}</i></td><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    warned = [
        f"<br><span style='color:{colour}'>⚠ {letter} is {verdict}: a number of A and B says little here.</span>"
        for letter, effective in (("A", agreed.effective_a), ("B", agreed.effective_b))
        if (verdict := dynamics.verdict_of(effective, tiles))
    ]
    return f"<b>A and B at epoch {epoch}</b><table>{table}</table>{''.join(warned)}"


def _effective(effective: float, tiles: int) -> str:
    return f"{effective:.4g} of {tiles} ({share(effective / tiles)})"


def _or(value: float, unit: str, else_: str) -> str:
    return f"{value:.3f}{unit}" if np.isfinite(value) else else_
