"""Curves over epochs, drawn on a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from napari_asmil.render.colormaps import OKABE_ITO
from napari_asmil.render.sheet import INK, RULE, SOFT, Sheet, line_height, ticks

_FINE = 3
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 2), (9, 3, 2, 3))
"""Lengths of strokes and gaps, in line widths; none is a whole line."""


@dataclass(frozen=True)
class Axes:
    """One small plot: what its y axis is, from 0 to `top`, and lines that mark a bound of a word."""

    title: str
    top: float
    marks: dict[str, float] = field(default_factory=dict)


def style(index: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes of the curve of this number: told apart without colour too."""
    return OKABE_ITO[index % len(OKABE_ITO)], _DASHES[index % len(_DASHES)]


def round_up(value: float) -> float:
    """An end of an axis that holds `value`."""
    step = ticks(0.0, value, 4)[1]
    return float(np.ceil(value / step - 1e-9) * step)


def draw_plot(
    sheet: Sheet,
    box: tuple[int, int, int, int],
    axes: Axes,
    curves: Sequence[NDArray[np.float64]],
    size: int,
) -> None:
    """Curves (E,) over epochs 0 to E - 1 inside `box` (x0, y0, x1, y1), labels included; NaN leaves a gap."""
    x0, y0, x1, y1 = box
    left, top = x0 + 3 * size, y0 + round(1.6 * line_height(size))
    right, bottom = x1 - size, y1 - round(2.3 * line_height(size))
    last = max(1, max(len(c) for c in curves) - 1)
    sheet.text(x0, y0, axes.title, size, bold=True)
    for value in ticks(0.0, axes.top, 4):
        y = bottom - value / axes.top * (bottom - top)
        sheet.pen.line((left, y, right, y), fill="#e6e6e6")
        sheet.text(left - size / 3, y, f"{value:.3g}", size, fill=SOFT, anchor="rm")
    for epoch in [t for t in ticks(0, last) if t == round(t)]:
        x = left + epoch / last * (right - left)
        sheet.pen.line((x, bottom, x, bottom + size / 3), fill=INK)
        sheet.text(x, bottom + size / 2, f"{epoch:g}", size, fill=SOFT, anchor="ma")
    sheet.text((left + right) / 2, bottom + size / 2 + line_height(size), "epoch", size, fill=SOFT, anchor="ma")
    for name, value in axes.marks.items():
        y = bottom - value / axes.top * (bottom - top)
        sheet.pen.line((left, y, right, y), fill=RULE, width=max(1, size // 8))
        if value > axes.top / 2:
            sheet.text(right, y + size / 6, name, size - 1, fill=SOFT, anchor="ra")
        else:
            sheet.text(left + size / 3, y - size / 6, name, size - 1, fill=SOFT, anchor="lb")
    sheet.pen.line((left, top, left, bottom, right, bottom), fill=INK)
    _lines(sheet, (left, top, right, bottom), axes.top, last, curves, size)


def sample(sheet: Sheet, x: float, y: float, width: float, index: int, size: int) -> None:
    """A short piece of the curve of this number, for keys."""
    ends = np.array([[x, y], [x + width, y]])
    _paint(sheet, (round(x), round(y - size), round(x + width), round(y + size)), [(index, ends)], size)


def _lines(
    sheet: Sheet,
    box: tuple[int, int, int, int],
    top_value: float,
    last: int,
    curves: Sequence[NDArray[np.float64]],
    size: int,
) -> None:
    left, top, right, bottom = box
    pieces = []
    for index, curve in enumerate(curves):
        x = left + np.arange(len(curve)) / last * (right - left)
        y = bottom - curve / top_value * (bottom - top)
        there = np.isfinite(y)
        pieces.append((index, np.stack([x, y], axis=1)[there]))
    _paint(sheet, (left - size, top - size, right + size, bottom + size), pieces, size)


def _paint(
    sheet: Sheet, box: tuple[int, int, int, int], pieces: Sequence[tuple[int, NDArray[np.float64]]], size: int
) -> None:
    """Smooth lines: drawn larger as a mask, then reduced."""
    width = max(2.0, size / 6)
    for index, points in pieces:
        colour, dashes = style(index)
        mask = Image.new("L", ((box[2] - box[0]) * _FINE, (box[3] - box[1]) * _FINE))
        pen = ImageDraw.Draw(mask)
        for stretch in _dashed((points - box[:2]) * _FINE, [d * width * _FINE for d in dashes]):
            pen.line([(float(x), float(y)) for x, y in stretch], fill=255, width=round(width * _FINE), joint="curve")
        if len(points) == 1:
            pen.circle(tuple(((points[0] - box[:2]) * _FINE).tolist()), 1.5 * width * _FINE, fill=255)
        sheet.picture.paste(ImageColor.getrgb(colour), box[:2], mask.reduce(_FINE))


def _dashed(points: NDArray[np.float64], dashes: Sequence[float]) -> list[NDArray[np.float64]]:
    """The strokes of a line (N, 2) cut by dashes: lengths of strokes and gaps in turn."""
    if not dashes or len(points) < 2:
        return [points] if len(points) > 1 else []
    along = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    edges = np.append(0.0, np.cumsum(np.resize(dashes, int(len(dashes) * (along[-1] // sum(dashes) + 1)))))
    strokes = []
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        at = np.concatenate([[start], along[(along > start) & (along < end)], [min(end, along[-1])]])
        if start < along[-1]:
            strokes.append(np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1))
    return strokes
