"""The column beside a picture that says what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.render.compositor import Limits
from napari_asmil.render.sheet import INK, SOFT, Sheet, line_height

WIDTH = 26
"""Width of the column in letters' heights."""

NOTE_LENGTH = 300
"""A longer note is cut on the legend; the text of the file has all of it."""

_ABOVE = ("label", "prediction", "run", "epoch", "normaliser", "anchor")
_NUMBERS = ("effective tiles", "normalised entropy", "JSD")
_BELOW = ("tiles", "colour map", "slide file", "contours")


def draw_legend(
    facts: Mapping[str, str],
    table: NDArray[np.uint8],
    limits: Limits,
    opacity: float,
    step: float,
    mpp: float | None,
    size: int,
) -> Image.Image:
    """The legend of one map as a picture of its own, `size` the height of its letters in px.

    `step` is level-0 px per picture pixel, `mpp` micrometres per level-0 px.
    """
    width, gap, x = WIDTH * size, size * 0.8, float(size)
    inner = width - 2 * size
    sheet = Sheet(width, 150 * size)
    y = sheet.paragraph(x, gap, inner, facts["slide"], round(size * 1.3), bold=True)
    y = sheet.paragraph(x, y, inner, facts["features"], size)
    y = sheet.paragraph(x, y, inner, facts["method"], round(size * 1.15), bold=True) + gap / 2
    y = _pairs(sheet, x, y, inner, {k: facts[k] for k in _ABOVE if k in facts}, size) + gap
    y = sheet.paragraph(x, y, inner, facts["shown"], size, bold=True) + size * 0.2
    y = sheet.colour_bar(x, y, round(inner), table, limits, opacity, size)
    y = sheet.paragraph(x, y, inner, facts["limits"], size, fill=SOFT) + gap
    y = _pairs(sheet, x, y, inner, {k: facts[k] for k in _NUMBERS}, size) + gap
    for warning in (facts["verdict"], facts["caution"]):
        y = sheet.warning(x, y, inner, warning, size) + gap if warning else y
    y = sheet.scale_bar(x, y, inner * 0.6, step, mpp, size) + gap
    y = _pairs(sheet, x, y, inner, {k: facts[k] for k in _BELOW}, size)
    small = round(size * 0.85)
    further = shorten(facts["note"].partition("; ")[2], NOTE_LENGTH, placeholder=" …")
    y = sheet.paragraph(x, y + gap / 2, inner, further, small, fill=SOFT)
    sheet.text(x, y, facts["software"], small, fill=SOFT)
    return sheet.picture.crop((0, 0, width, round(y + line_height(size) + gap / 2)))


def _pairs(sheet: Sheet, x: float, y: float, width: float, facts: Mapping[str, str], size: int) -> float:
    """Names on the left, values on the right; returns the y below them."""
    indent = 9.6 * size
    for name, value in facts.items():
        sheet.text(x, y, name, size, fill=SOFT)
        y = sheet.paragraph(x + indent, y, width - indent, value, size, fill=INK)
    return y
