"""A sheet of paper: text, lines and the small drawings that legends and figures are made of."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

INK, SOFT, RULE, WARNING, WARNING_GROUND = "#1a1a1a", "#595959", "#b8b8b8", "#8a2500", "#fdeee2"

_SPELLED = str.maketrans({"α": "alpha", "µ": "u", "μ": "u", "×": "x", "–": "-", "≥": ">=", "≤": "<="})


@cache
def _font_file(bold: bool) -> Path | None:
    """Open Sans, which comes with napari (through vispy) and knows Greek; None where it is not installed."""
    try:
        found = distribution("vispy").locate_file(f"vispy/util/fonts/data/OpenSans-{'Bold' if bold else 'Regular'}.ttf")
    except PackageNotFoundError:
        return None
    path = Path(str(found))
    return path if path.is_file() else None


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all pictures; Pillow's own where Open Sans is missing."""
    file = _font_file(bold)
    return ImageFont.load_default(size=size) if file is None else ImageFont.truetype(str(file), size)


def spelled(text: str) -> str:
    """The text as the font can show it: Pillow's own font knows little beyond ASCII."""
    if _font_file(False) is not None:
        return text
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    return "".join(c if c.isascii() or c == "·" else "?" for c in plain if not unicodedata.combining(c))


class Sheet:
    """A white picture to write on; all lengths are pixels, (x, y) from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("RGB", (width, height), "#ffffff")
        self.pen = ImageDraw.Draw(self.picture)

    def text(
        self, x: float, y: float, text: str, size: int, *, fill: str = INK, bold: bool = False, anchor: str = "la"
    ) -> None:
        """One line; `anchor` as in Pillow ("la": left end of the ascender)."""
        self.pen.text((x, y), spelled(text), fill=fill, font=font(size, bold), anchor=anchor)

    def paragraph(
        self, x: float, y: float, width: float, text: str, size: int, *, fill: str = INK, bold: bool = False
    ) -> float:
        """Text broken to `width`; returns the y below it."""
        for line in wrapped(text, width, size, bold):
            self.text(x, y, line, size, fill=fill, bold=bold)
            y += line_height(size)
        return y

    def warning(self, x: float, y: float, width: float, text: str, size: int) -> float:
        """A paragraph nobody overlooks; returns the y below it."""
        pad = size * 0.5
        lines = wrapped(text, width - 2 * pad, size, True)
        bottom = y + len(lines) * line_height(size) + 2 * pad
        self.pen.rectangle((x, y, x + width, bottom), fill=WARNING_GROUND)
        self.pen.rectangle((x, y, x + max(2, size // 5), bottom), fill=WARNING)
        self.paragraph(x + pad, y + pad, width - 2 * pad, text, size, fill=WARNING, bold=True)
        return bottom

    def table(self, x: float, y: float, rows: Sequence[Mapping[str, str]], size: int, *, warn: str = "") -> float:
        """Rows of equal columns under their names, the column `warn` in the colour of warnings; the y below them."""
        edges = x + table_edges(rows, size)
        for at, name in zip(edges, rows[0], strict=False):
            self.text(at, y, name, size, bold=True)
        y += line_height(size) + 2
        self.pen.line((x, y, edges[-1], y), fill=RULE)
        for row in rows:
            y += size / 4
            for at, (name, text) in zip(edges, row.items(), strict=False):
                self.text(at, y, text, size, fill=WARNING if name == warn else INK, bold=name == warn)
            y += line_height(size)
        return y

    def colour_bar(
        self,
        x: float,
        y: float,
        width: int,
        table: NDArray[np.uint8],
        limits: tuple[float, float],
        opacity: float,
        size: int,
    ) -> float:
        """A horizontal colour bar with both limits and round values between; returns the y below it.

        Its lower half shows the colours as they are over white at this opacity.
        """
        low, high = limits
        strip = table[np.rint(np.linspace(0, len(table) - 1, width)).astype(int)]
        seen = np.rint(255 + opacity * (strip - 255.0)).astype(np.uint8)
        bar = np.concatenate([np.repeat(row[None], size // 2 + 1, axis=0) for row in (strip, seen)])[:size]
        self.picture.paste(Image.fromarray(bar), (round(x), round(y)))
        self.pen.rectangle((x, y, x + width - 1, y + size - 1), outline=INK)
        ends = {low: "la", high: "ra"}
        reserved = [text_width(f"{v:.3g}", size) for v in limits]
        for value in [*limits, *_apart(low, high, width / size)]:
            at = x + (value - low) / (high - low) * (width - 1)
            half = text_width(f"{value:.3g}", size) / 2 + size / 2
            if value not in ends and not x + reserved[0] + half < at < x + width - reserved[1] - half:
                continue
            self.pen.line((at, y + size, at, y + size * 1.3), fill=INK)
            self.text(at, y + size * 1.4, f"{value:.3g}", size, anchor=ends.get(value, "ma"))
        return y + size * 1.4 + line_height(size)

    def scale_bar(self, x: float, y: float, width: float, step: float, mpp: float | None, size: int) -> float:
        """A bar of round length for a picture of `step` level-0 px a pixel; returns the y below it."""
        length, text = scale_length(width * step, mpp)
        end = x + length / step
        thick = max(3, size // 4)
        self.pen.rectangle((x, y, end, y + thick), fill=INK)
        self.text(x, y + thick + 2, text, size)
        return y + thick + 2 + line_height(size)


def table_edges(rows: Sequence[Mapping[str, str]], size: int) -> NDArray[np.float64]:
    """Where the columns of `Sheet.table` begin, and where the last one ends."""
    widths = [max(text_width(t, size, True) for t in (name, *(row[name] for row in rows))) for name in rows[0]]
    return np.append(0.0, np.cumsum([width + 1.6 * size for width in widths]))


def scale_length(longest: float, mpp: float | None) -> tuple[float, str]:
    """A round length of at most `longest` level-0 px: in level-0 px, and in words."""
    if mpp is None:
        pixels = _round_down(longest)
        return pixels, f"{pixels:g} level-0 px (mpp unknown)"
    microns = _round_down(longest * mpp)
    return microns / mpp, f"{microns / 1000:g} mm" if microns >= 1000 else f"{microns:g} µm"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from `low` to `high`, about `count` of them."""
    step = _round_down((high - low) / count * 1.0001)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _apart(low: float, high: float, letters: float) -> list[float]:
    """Round values whose numbers do not touch on a bar so many letters' heights wide."""
    for count in (5, 4, 3, 2):
        found = [value for value in ticks(low, high, count) if low < value < high]
        widest = max((text_width(f"{value:.3g}", 100) / 100 for value in found), default=0.0)
        if len(found) < 2 or (found[1] - found[0]) / (high - low) * letters > widest + 0.5:
            return found
    return []


def _round_down(value: float) -> float:
    """The greatest 1, 2 or 5 times a power of ten that is at most `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-9))


def line_height(size: int) -> int:
    """Distance from one line of text to the next."""
    return round(size * 1.4)


def text_width(text: str, size: int, bold: bool = False) -> float:
    """Width of one line."""
    return font(size, bold).getlength(spelled(text))


def wrapped(text: str, width: float, size: int, bold: bool = False) -> Sequence[str]:
    """The lines of a text broken at spaces, and inside words longer than a line."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if text_width(joined, size, bold) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size, bold) > width:
                lines.append("")
            lines[-1] += letter
    return lines if text.strip() else []
