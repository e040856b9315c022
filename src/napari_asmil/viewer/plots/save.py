"""What panels of curves draw, as a table (CSV) or as a picture (SVG, PNG). Knows nothing of napari."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QBuffer, QByteArray, QIODevice, QRectF, QSize
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QGraphicsLineItem, QGraphicsTextItem

from napari_asmil.errors import InputError
from napari_asmil.files import comments, complete, write_text
from napari_asmil.viewer.plots.canvas import Box, EpochAxis, Ink, ValueAxis, dress, prepare
from napari_asmil.viewer.plots.lines import Floats, Series, Threads, greatest
from napari_asmil.viewer.plots.stack import Named
from napari_asmil.viewer.plots.style import PAPER, line_pen

WIDTH, PLOT = 680, 210
"""Of a picture, and the height of each of its plots, in px."""
PNG_SCALE = 2
MARGIN, GAP, SAMPLE, LINE = 12, 6, 40, 15
"""Around all, over a title, of a line in the key, and the height of a line of words, in px."""


@dataclass(frozen=True)
class Saved:
    """One panel as it is drawn."""

    title: str
    unit: str
    words: str
    series: Sequence[Series]
    threads: Sequence[Threads]
    log: bool = False


@dataclass(frozen=True)
class Sheet:
    """Panels under each other, with the key of their curves and sentences that say where they are from."""

    panels: Sequence[Saved]
    key: Sequence[Sequence[Named]]
    facts: Sequence[str]


def save(path: Path, sheet: Sheet) -> None:
    """Write a table or a picture, as the suffix of `path` says; whole or not at all.

    Raises
    ------
    InputError
        When the suffix is none of ours, there is nothing to write, or it cannot be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(
            f"Curves are not saved as {path.suffix or 'a file without a suffix'}.",
            remedy=f"End the name in {', '.join(_WRITERS)}.",
            path=path,
        )
    if not any(panel.series for panel in sheet.panels):
        raise InputError("There are no curves to save.", remedy="Open a run first.", path=path)
    write(path, sheet)


# ---- table ----------------------------------------------------------------------------------------


def _write_csv(path: Path, sheet: Sheet) -> None:
    """Lines that start with # tell what it is; then the epochs, and a column for each curve and end of a band."""
    columns = [column for panel in sheet.panels for column in _columns(panel)]
    epochs = max((len(y) for _, y in columns), default=0)
    text = io.StringIO()
    text.write(comments(_told(sheet)))
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["epoch", *(name for name, _ in columns)])
    for epoch in range(epochs):
        table.writerow([epoch, *(_cell(y, epoch) for _, y in columns)])
    write_text(path, text.getvalue())


def _told(sheet: Sheet) -> Iterator[str]:
    yield from sheet.facts
    for panel in sheet.panels:
        yield f"{_titled(panel)}: {panel.words}"


def _titled(panel: Saved) -> str:
    return f"{panel.title} ({panel.unit})" if panel.unit else panel.title


def _columns(panel: Saved) -> Iterator[tuple[str, Floats]]:
    for curve in panel.series:
        yield f"{_titled(panel)}: {curve.name}", curve.y
        for end, y in zip(("lower", "upper"), curve.band or (), strict=False):
            yield f"{_titled(panel)}: {curve.name}, {end} end of the band", y
    for threads in panel.threads:
        for name, y in zip(threads.names, threads.y, strict=True):
            yield f"{_titled(panel)}: {name}", y


def _cell(y: Floats, epoch: int) -> str:
    return repr(float(y[epoch])) if epoch < len(y) and np.isfinite(y[epoch]) else ""


# ---- picture --------------------------------------------------------------------------------------


def _write_svg(path: Path, sheet: Sheet) -> None:
    picture, height = _picture(sheet)
    size = QSize(WIDTH, height)
    generator, buffer = QSvgGenerator(), _buffer()
    generator.setOutputDevice(buffer)
    generator.setResolution(picture.logicalDpiX())  # in which the axes are recorded, whatever is drawn on
    generator.setSize(size)
    generator.setViewBox(QRectF(0, 0, WIDTH, height))
    generator.setTitle(", ".join(panel.title for panel in sheet.panels))
    generator.setDescription(" ".join(_told(sheet)))
    _paint(picture, generator, height)
    _write_bytes(path, buffer)


def _write_png(path: Path, sheet: Sheet) -> None:
    picture, height = _picture(sheet)
    image = QImage(WIDTH * PNG_SCALE, height * PNG_SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(PNG_SCALE)
    for at, line in enumerate(_told(sheet)):
        image.setText(f"Description {at + 1}", line)
    _paint(picture, image, height)
    buffer = _buffer()
    image.save(buffer, "PNG")
    _write_bytes(path, buffer)


def _buffer() -> QBuffer:
    buffer = QBuffer()
    buffer.setData(QByteArray())
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    return buffer


def _write_bytes(path: Path, buffer: QBuffer) -> None:
    with complete(path) as partial:
        partial.write_bytes(bytes(buffer.data()))


def _paint(view: pg.GraphicsView, device: QSvgGenerator | QImage, height: int) -> None:
    whole = QRectF(0, 0, WIDTH, height)
    painter = QPainter(device)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(whole, QColor(PAPER.background))
    view.scene().render(painter, whole, whole)
    painter.end()
    view.close()


def _picture(sheet: Sheet) -> tuple[pg.GraphicsView, int]:
    """The panels on paper, never shown, and how high they are."""
    view = pg.GraphicsView(background=PAPER.background)
    down = float(MARGIN)
    down = _place_key(view, sheet.key, down)
    for panel in sheet.panels:
        down = _place_text(view, f"<b>{escape(_titled(panel))}</b>", down + GAP)
        if panel.words:
            down = _place_text(view, escape(panel.words), down)
        down = _place_plot(view, panel, down)
    for line in sheet.facts:
        down = _place_text(view, escape(line), down)
    height = int(np.ceil(down + MARGIN))
    view.resize(WIDTH, height)
    view.setRange(QRectF(0, 0, WIDTH, height), padding=0)
    return view, height


def _text(html: str) -> QGraphicsTextItem:
    text = QGraphicsTextItem()
    text.setHtml(f"<span style='color:{PAPER.text}'>{html}</span>")
    text.document().setDocumentMargin(0)
    return text


def _place_text(view: pg.GraphicsView, html: str, down: float, left: float = MARGIN) -> float:
    text = _text(html)
    text.setTextWidth(WIDTH - MARGIN - left)
    text.setPos(left, down)
    view.scene().addItem(text)
    return down + float(text.boundingRect().height())


def _place_key(view: pg.GraphicsView, rows: Sequence[Sequence[Named]], down: float) -> float:
    """Each row in a line, in columns; where those do not fit, its first on a line and the others in lines under it."""
    lines: Sequence[Sequence[Named]] = rows
    if not _fits(lines):
        members = [row[1:] for row in lines]
        most = max(len(row) for row in members)
        wide = next((count for count in range(most, 1, -1) if _fits(_broken(members, count))), 1)
        lines = [line for row in lines for line in (row[:1], *_broken([row[1:]], wide))]
    widths = _widths([line for line in lines if len(line) > 1])
    for line in lines:
        left, below = float(MARGIN), down
        for at, (style, name) in enumerate(line):
            below = max(below, _place_text(view, escape(name), down, left + SAMPLE + GAP))
            sample = QGraphicsLineItem(left, down + LINE / 2, left + SAMPLE, down + LINE / 2)
            sample.setPen(line_pen(style, PAPER, 2))
            view.scene().addItem(sample)
            left += widths[at] if at < len(widths) else 0
        down = below
    return down


def _broken(rows: Sequence[Sequence[Named]], count: int) -> list[Sequence[Named]]:
    """Rows in lines of so many."""
    return [row[at : at + count] for row in rows for at in range(0, len(row), count)]


def _widths(lines: Sequence[Sequence[Named]]) -> list[float]:
    """Of columns, each as wide as the widest in it."""
    words = [[float(_text(escape(name)).boundingRect().width()) for _, name in line] for line in lines]
    return [SAMPLE + 3 * GAP + max(column) for column in zip_longest(*words, fillvalue=0.0)]


def _fits(lines: Sequence[Sequence[Named]]) -> bool:
    return sum(_widths(lines)) <= WIDTH - 2 * MARGIN or all(len(line) <= 1 for line in lines)


def _place_plot(view: pg.GraphicsView, panel: Saved, down: float) -> float:
    plot = pg.PlotItem(viewBox=Box(), axisItems={"bottom": EpochAxis("bottom"), "left": ValueAxis("left")})
    prepare(plot)
    dress(plot, PAPER)
    plot.setLabel("left", panel.unit)
    plot.getAxis("left").setLogMode(False, panel.log)
    view.scene().addItem(plot)
    plot.setGeometry(QRectF(MARGIN, down, WIDTH - 2 * MARGIN, PLOT))
    Ink(plot).draw(panel.series, panel.threads, PAPER, panel.log, greatest(panel.unit), cached=False)
    return down + PLOT


_WRITERS: dict[str, Callable[[Path, Sheet], None]] = {".csv": _write_csv, ".svg": _write_svg, ".png": _write_png}
