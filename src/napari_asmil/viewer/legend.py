"""What the map on the canvas shows, in words, beside its colours."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_asmil.analysis.dynamics import top_mass
from napari_asmil.errors import InputError
from napari_asmil.render.facts import facts_of, mass_of, share
from napari_asmil.runs.imported import NO_NUMBER
from napari_asmil.viewer import limits
from napari_asmil.viewer.layers import entry, smoothing, view_of
from napari_asmil.viewer.theme import warning_colour

if TYPE_CHECKING:
    from napari_asmil.runs import MapView

BAR_HEIGHT = 14
STOPS = 64
MIXED = "Tiles overlap densely: there their colours mix and are no number; all numbers are of single tiles."
SMOOTHED = "SMOOTHED for display ({}): between tiles the colours are made up, and the map's border is drawn narrower."


def map_facts(layer: Any, epoch: int) -> dict[str, str]:
    """Everything said of a map layer at a step of the slider, by name; where there is no epoch, that alone."""
    view: MapView = view_of(layer)
    try:
        epoch = view.epoch_at(epoch)
    except InputError as error:
        return {"run": view.run.name, "verdict": str(error)}
    try:
        p = mass_of(view, epoch)
    except InputError as error:
        return {"run": view.run.name, "verdict": f"NO MAP: {str(error).removeprefix(f'{error.path}: ')}"}
    facts = facts_of(view, epoch, p)
    facts["epoch"] += f", {view.when.label}" if view.when.label else ""
    low, high = layer.contrast_limits
    facts["limits"] = f"{low:.3g} to {high:.3g} {view.transform.unit}, {limits.words(layer)}"
    facts["top 1 %"] = NO_NUMBER if p is None else f"{share(float(top_mass(p)))} of the attention"
    return facts


def short(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts in the few rows that a dock has room for."""
    if "epoch" not in facts:
        return {"run": facts["run"]}
    truth = [f"{name} {facts[name]}" for name in ("label", "prediction") if name in facts]
    note = {"note": facts["note"]} if facts.get("note") else {}
    entropy = facts["normalised entropy"]
    return {
        "run": f"{facts['run']} · {facts['method']}",
        "slide": "; ".join([facts["slide"], *truth]),
        "tiles": facts["tiles"],
        "epoch": facts["epoch"],
        "attention": facts["normaliser"],
        **({"anchor": facts["anchor"]} if "anchor" in facts else {}),
        "limits": facts["limits"],
        "effective tiles": facts["effective tiles"],
        "entropy": entropy if entropy == NO_NUMBER else f"{entropy} of 1 (normalised)",
        "top 1 %": facts["top 1 %"],
        "JSD": facts["JSD"],
        **note,
    }


class ColorBar(QWidget):
    """The colours of a map from its low to its high limit."""

    def __init__(self) -> None:
        super().__init__()
        self._stops: list[QColor] = []
        self._ends = ("", "")
        self.setFixedHeight(BAR_HEIGHT + self.fontMetrics().height() + 2)

    def show_colours(self, colormap: Any, low: str, high: str) -> None:
        """Take colours and the numbers at both ends."""
        self._stops = [QColor.fromRgbF(*map(float, rgba)) for rgba in colormap.map(np.linspace(0, 1, STOPS))]
        self._ends = (low, high)
        self.setAccessibleName(f"Colour bar from {low} to {high}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar, and the numbers under its ends."""
        gradient = QLinearGradient(0, 0, self.width(), 0)
        for at, colour in enumerate(self._stops):
            gradient.setColorAt(at / (STOPS - 1), colour)
        painter = QPainter(self)
        painter.fillRect(0, 0, self.width(), BAR_HEIGHT, gradient)
        below = self.rect().adjusted(0, BAR_HEIGHT + 2, 0, 0)
        painter.setPen(self.palette().windowText().color())
        for text, side in zip(self._ends, (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight), strict=True):
            painter.drawText(below, side, text)


class Legend(QWidget):
    """A colour bar with its unit, the facts of the map, and warnings where the picture could mislead."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.facts, self.warnings = QLabel(), QLabel(), QLabel()
        self.bar = ColorBar()
        for label in (self.title, self.facts, self.warnings):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        for part in (self.title, self.bar, self.warnings, self.facts):
            column.addWidget(part)
        self.setToolTip("What the colours mean: run, normaliser, transform, limits and how concentrated the map is")

    def show_map(self, layer: Any | None, epoch: int, theme: str) -> None:
        """Describe a map layer at an epoch, or nothing."""
        self.bar.setVisible(layer is not None)
        if layer is None:
            self.title.setText("No map is shown.")
            self.facts.clear()
            self.warnings.clear()
            return
        facts = map_facts(layer, epoch)
        cell, shown = entry(layer).get("cell"), view_of(layer).transform
        pane = "" if cell is None else f"Pane {cell + 1}: "
        if not layer.visible:
            pane += "Hidden: "
        self.title.setText(f"{pane}<b>{escape(shown.label)}</b> ({escape(shown.unit)})")
        low, high = layer.contrast_limits
        self.bar.show_colours(layer.colormap, f"{low:.3g}", f"{high:.3g}")
        self.facts.setText(_table(short(facts)))
        words = [facts[name] for name in ("verdict", "caution") if facts.get(name)]
        if drawn := smoothing(layer):
            words.append(SMOOTHED.format(drawn))
        if getattr(view_of(layer).drawing, "mixed", False):
            words.append(MIXED)
        colour = warning_colour(theme)
        self.warnings.setVisible(bool(words))
        self.warnings.setText("<br>".join(f"<span style='color:{colour}'>⚠ {escape(w)}</span>" for w in words))


def _table(facts: Mapping[str, str]) -> str:
    """Names on the left, values on the right."""
    rows = "".join(
        f"<tr><td style='padding-right:6px; white-space:nowrap'><i>{escape(name)}</i></td><td>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{rows}</table>"
