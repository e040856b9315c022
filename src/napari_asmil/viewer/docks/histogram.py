"""Histograms of raw scores and of M·α at the epoch under the slider, and the range of values that is picked there."""

from __future__ import annotations

import math
from collections.abc import Generator
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_asmil.analysis.display import m_alpha
from napari_asmil.analysis.dynamics import verdict_of
from napari_asmil.analysis.histogram import Bins, Interval
from napari_asmil.errors import InputError
from napari_asmil.render.facts import share, verdict
from napari_asmil.runs import MapView, Source, sources
from napari_asmil.runs.distribution import Ends, EpochNumbers, deriving, laid_beside, locking
from napari_asmil.runs.view import MEAN
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row, waiting
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.viewer.plots.histogram import STYLES, Bars, HistogramPanel
from napari_asmil.viewer.plots.style import Palette, line_sample

SCORES, MAPS = "z", "M·α"
AT_ONCE = 400_000
"""Scores that are spread out at once, within some 20 ms; more wait for idle moments, row by row."""
PICK_MS = 40
"""While a range is dragged, tiles are selected at most this often."""
MOST_MAPS = 4
SAMPLE = QSize(26, 12)
"""Of a line in the key, in px."""
DRAWING, LOCKING = "histograms", "axes of histograms"
"""Work for idle moments."""

Steps = Generator[None, None, None]


class Distribution(QWidget):
    """Two panels: raw scores, and M·α as stored, by softmax and by NSF over each other.

    Attributes
    ----------
    interval : (str, Interval) or None
        The range that is picked, in z or M·α; it is evaluated anew at each epoch.
    awake : bool
        Whether the dock is visible; otherwise nothing is done.
    """

    told = Signal()
    """Something was drawn: what a range selects, and how many tiles that are, may be other."""

    def __init__(self, controller: Controller, inspected: Inspected) -> None:
        super().__init__()
        self._controller, self._inspected = controller, inspected
        self._palette = Palette()
        self._sources: list[Source] = []
        self._key: Any = None
        self._epoch = 0
        self._ends, self._tops = Ends(), {SCORES: 0.0, MAPS: 0.0}
        self._locked = 0
        self.numbers: EpochNumbers | None = None
        self.interval: tuple[str, Interval] | None = None
        self.awake = False
        self._own = False
        self.rows, self.filled, self.log = QComboBox(), QComboBox(), QCheckBox("Logarithmic counts")
        self.scores = HistogramPanel("raw score z", "before any normaliser", "How the scores spread over the tiles")
        self.maps = HistogramPanel(
            MAPS, "× uniform", "How attention spreads over the tiles", decades=True, mark=(0.0, "uniform")
        )
        self.missing, self.warning, self.axes = QLabel(), QLabel(), QLabel()
        self._lines = [(QLabel(), QLabel()) for _ in range(MOST_MAPS)]
        self._lay_out()
        self._pick_soon = waiting(self, PICK_MS, self._on_pick)
        self._connect()

    def _lay_out(self) -> None:
        form, key, column = QFormLayout(), QGridLayout(), QVBoxLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        add_row(form, "Rows", self.rows, "Whose scores: of all rows together, or of some; maps by softmax and NSF too")
        add_row(form, "Filled", self.filled, "The map whose bars are filled, and which a range is picked from")
        for field in (self.rows, self.filled):
            field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.setMinimumContentsLength(12)
        self.log.setChecked(True)
        self.log.setToolTip("Count tiles on a logarithmic axis, so that the few in a long tail are seen")
        self.warning.setToolTip("Said of the filled map: a flat or collapsed one looks better than it is")
        self.axes.setToolTip("Axes stay as they are while the slider moves, so that a bar that moves has moved")
        key.setColumnStretch(1, 1)
        key.setVerticalSpacing(1)
        for at, (sample, words) in enumerate(self._lines):
            words.setWordWrap(True)
            words.setToolTip("Effective tiles, exp(entropy): a uniform map over so many tiles is as wide")
            key.addWidget(sample, at, 0)
            key.addWidget(words, at, 1)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        column.addLayout(form)
        for part in (self.scores, self.missing, self.maps):
            column.addWidget(part)
        column.addLayout(key)
        for part in (self.warning, self.log, self.axes):
            column.addWidget(part)
        for label in (self.missing, self.warning, self.axes):
            label.setWordWrap(True)
        column.addStretch()

    def _connect(self) -> None:
        self.scores.picked.connect(self._on_scores)
        self.maps.picked.connect(self._on_maps)
        for panel in (self.scores, self.maps):
            panel.dropped.connect(self._on_dropped)
        self.rows.currentIndexChanged.connect(self.refresh)
        self.filled.currentIndexChanged.connect(self._on_pick)
        self.log.toggled.connect(self._on_log)
        self._controller.selection.changed.connect(self._on_selection)

    # ---- what is drawn ------------------------------------------------------------------------

    def refresh(self) -> None:
        """Draw the epoch and the map at hand; select the tiles of a range anew, in sight or not."""
        view = self._inspected.view
        if not self.awake or not (self.isVisible() or self.interval is not None):
            return
        if view is None:
            self._key = None
            self._say("No map is shown.")
            return
        self._offer(view)
        self._do(self._deriving(view))

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what changed while another tab was in front."""
        super().showEvent(event)
        self.refresh()

    def stop(self) -> None:
        """Do nothing more in idle moments."""
        for work in (DRAWING, LOCKING):
            self._controller.idle.drop(work)
        self._key = None

    def grow(self) -> None:
        """A run may have more epochs: the axes are to reach these too."""
        view = self._inspected.view
        if self.awake and self.isVisible() and self._key is not None and view is not None:
            self._lock(view)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self._palette = palette
        for panel in (self.scores, self.maps):
            panel.set_palette(palette)
        self._write_key()

    def _do(self, work: Steps) -> None:
        """Do it now where that is quick, else in idle moments."""
        view = self._inspected.view
        if view is not None and view.cost > AT_ONCE:
            self._controller.idle.do(DRAWING, work)
        else:
            for _ in work:
                pass

    def _offer(self, view: MapView) -> None:
        """Offer the rows of a map and what is laid beside it; another map begins its axes anew."""
        shown = (view.run, view.slide.slide_id, view.source)
        another = self._key is None or self._key[:3] != shown
        if self._key is not None and self._key[1] != shown[1]:
            self.drop_interval()
        rows = list(dict.fromkeys(s.row for s in sources(view.run, view.slide.slide_id)[0]))
        with QSignalBlocker(self.rows):
            if [self.rows.itemData(i) for i in range(self.rows.count())] != rows:
                self.rows.clear()
                for row in rows:
                    self.rows.addItem(all_rows(len(view.run.row_names)) if row == MEAN else row, row)
            if another and view.source.row in rows:
                self.rows.setCurrentIndex(rows.index(view.source.row))
        self.rows.setEnabled(len(rows) > 1)
        key = (*shown, self.rows.currentData())
        if key == self._key:
            self._lock(view)
            return
        self._locked = 0
        self._key, self._ends, self._tops = key, Ends(), dict.fromkeys(self._tops, 0.0)
        self._sources = laid_beside(view, self.rows.currentData())
        with QSignalBlocker(self.filled):
            self.filled.clear()
            self.filled.addItems([_name(view, source) for source in self._sources])
            self.filled.setCurrentIndex(self._sources.index(view.source))
        self._lock(view)

    def _lock(self, view: MapView) -> None:
        """Lock the axes over the epochs that the run has now, where that is not done or under way."""
        if view.run.n_epochs > self._locked:
            self._locked = view.run.n_epochs
            self._controller.idle.do(LOCKING, self._locking(view))

    def _deriving(self, view: MapView) -> Steps:
        """Derive the epoch, and draw it."""
        try:
            epoch, known = self._inspected.epoch(), {view.source: self._inspected.p()}
        except InputError as error:
            self._say(str(error).removeprefix(f"{error.path}: "))
            return
        row = self.rows.currentData()
        self._epoch = epoch
        self.numbers = yield from deriving(view.run, view.slide.slide_id, epoch, self._sources, row, known)
        self._ends.widen(self.numbers)
        several = self.numbers.z is not None and len(self.numbers.z) > 1
        self.scores.set_counted("scores of tiles" if several else "tiles")
        self.missing.setText(self.numbers.why)
        self.missing.setVisible(bool(self.numbers.why))
        self.scores.setVisible(self.numbers.z is not None)
        self.maps.show()
        self._select()
        yield from self._drawing()

    def _locking(self, view: MapView) -> Steps:
        """Lock the axes over epochs."""
        seen = len(self._ends.epochs)
        self.axes.setText(f"Axes of {f'{seen} epochs' if seen else 'this epoch'}; others are looked at …")
        of = yield from locking(view, self._sources, self.rows.currentData(), self._ends)
        self.axes.setText(f"Axes locked over {of} epochs; one that reaches farther widens them.")
        yield from self._drawing()

    def _say(self, why: str) -> None:
        """Draw nothing, and say why."""
        self.numbers = None
        self.missing.setText(why)
        self.missing.show()
        self.scores.hide()
        self.maps.hide()
        self._write_key()
        self.told.emit()

    def _drawing(self) -> Steps:
        """Count and draw; the selected part is of what is selected now."""
        numbers, chosen = self.numbers, self._inspected.chosen
        if numbers is None:
            return
        of_scores, of_maps = self._ends.bins
        if numbers.z is not None and of_scores is not None:
            counts, part = np.zeros((2, of_scores.count), np.intp)
            for row in numbers.z:
                counts += of_scores.counts(row)
                part += 0 if chosen is None else of_scores.counts(row[chosen])
                yield
            self._show(SCORES, of_scores, [Bars(counts)], None if chosen is None else part, numbers.z.size)
        logs, at = numbers.logs, self.filled.currentIndex()
        own = logs.get(self._sources[at])
        if of_maps is not None:
            drawn = [(i, source) for i, source in enumerate(self._sources) if source in logs]
            bars = [Bars(of_maps.counts(logs[source]), self._style(i), i == at) for i, source in drawn]
            picked = None if chosen is None or own is None else of_maps.counts(own[chosen])
            self._show(MAPS, of_maps, bars, picked, len(next(iter(logs.values()))))
        self._write_key()
        self.told.emit()

    def _show(self, what: str, bins: Bins, bars: list[Bars], part: NDArray[np.intp] | None, most: int) -> None:
        panel = self.scores if what == SCORES else self.maps
        self._tops[what] = max(self._tops[what], *(float(one.counts.max()) for one in bars))
        panel.set_axis(bins, most if self.log.isChecked() else self._tops[what])
        panel.set_bars(bars, part)

    def _write_key(self) -> None:
        """Write which line is which, with the effective tiles of each, and a warning of the filled one."""
        said = ""
        for index, labels in enumerate(self._lines):
            p, words = self._p(index), ""
            for label in labels:
                label.setVisible(p is not None)
            if p is not None and self.numbers is not None:
                sample = line_sample(self._style(index), self._palette, SAMPLE, self.devicePixelRatioF())
                labels[0].setPixmap(sample)
                words = _key_words(self.numbers.effective[self._sources[index]], len(p))
                labels[1].setText(f"{escape(self.filled.itemText(index))}: {words}")
            if index == self.filled.currentIndex():
                said = verdict(p) if p is not None and WARNING in words else ""
        self.warning.setText(f"{WARNING} {said}")
        self.warning.setVisible(bool(said))

    def _style(self, index: int) -> int:
        """Of a line: the filled one has the first style, the others follow in their order."""
        filled = self.filled.currentIndex()
        return STYLES[0 if index == filled else index + (index < filled)]

    def _p(self, index: int) -> NDArray[np.float64] | None:
        """The map at a place of the key; None where there is none."""
        if self.numbers is None or not 0 <= index < len(self._sources):
            return None
        return self.numbers.maps.get(self._sources[index])

    # ---- what is picked -----------------------------------------------------------------------

    @property
    def words(self) -> str:
        """The range that is picked, in words; "" where none is."""
        if self.interval is None:
            return ""
        what, interval = self.interval
        by = self.filled.currentText().removesuffix(SHOWN) if what == MAPS else ""
        if what == SCORES and self.rows.count() > 1:
            by = f"any of {self.rows.currentText()}"
        unit = " × uniform" * (what == MAPS)
        return f"{what}{by and f' ({by})'} {range_words(interval, unit)} at epoch {self._epoch}"

    def drop_interval(self) -> None:
        """Pick no range; what is selected stays."""
        self.interval = None
        for panel in (self.scores, self.maps):
            panel.drop_range()

    def _on_scores(self, low: float, high: float) -> None:
        self._pick(SCORES, low, high)

    def _on_maps(self, low: float, high: float) -> None:
        self._pick(MAPS, *(end if math.isinf(end) else 10.0**end for end in (low, high)))

    def _pick(self, what: str, low: float, high: float) -> None:
        """Take up a range in the three digits that are told of it."""
        (self.maps if what == SCORES else self.scores).drop_range()
        rounded = float(f"{low:.3g}"), float(f"{high:.3g}")
        self.interval = what, Interval(*(rounded if rounded[0] < rounded[1] else (low, high)))
        if not self._pick_soon.isActive():
            self._pick_soon.start()

    def _select(self) -> None:
        """Select the tiles of the range, at the epoch that is drawn."""
        if self.interval is None or self.numbers is None or self._inspected.other_tiles:
            return
        what, interval = self.interval
        p = self._p(self.filled.currentIndex())
        values = self.numbers.z if what == SCORES else None if p is None else m_alpha(p)
        self._own = True
        try:
            self._controller.selection.select(None if values is None else interval.holds(values), self.words)
        finally:
            self._own = False

    def _on_pick(self) -> None:
        self._select()
        self._do(self._drawing())

    def _on_dropped(self) -> None:
        self.interval = None
        self._controller.selection.select(None)
        self._do(self._drawing())

    def _on_selection(self) -> None:
        """Others selected something."""
        if not self._own:
            self.drop_interval()
            if self.awake:
                self._do(self._drawing())

    def _on_log(self, log: bool) -> None:
        for panel in (self.scores, self.maps):
            panel.set_log(log)
        self._do(self._drawing())


SHOWN, WARNING = " (shown)", "⚠"


def _name(view: MapView, source: Source) -> str:
    """How a map is called in the key."""
    label = MapView(view.run, view.slide.slide_id, source).source_label
    return label + SHOWN if source == view.source else label


def all_rows(count: int) -> str:
    """All rows of a run, in words."""
    return "one row" if count == 1 else f"all {count} rows"


def _key_words(effective: float, count: int) -> str:
    """Effective tiles of a map of so many, and a word where it is flat or collapsed."""
    words = f"effective tiles {effective:.4g} of {count} ({share(effective / count)})"
    found = verdict_of(effective, count)
    return f"{words} {WARNING} {found}" if found else words


def range_words(interval: Interval, unit: str) -> str:
    """A range in words, as exact as it is used, with its unit (" × uniform") where there is one."""
    low, high = f"{interval.low:.6g}", f"{interval.high:.6g}{unit}"
    if math.isinf(interval.low) and math.isinf(interval.high):
        return "of any value"
    if math.isinf(interval.low):
        return f"up to {high}"
    return f"from {low}{unit}" if math.isinf(interval.high) else f"from {low} to {high}"
