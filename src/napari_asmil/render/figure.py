"""Methods side by side on one page: maps at a few epochs, curves under them, a table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.analysis import dynamics
from napari_asmil.errors import InputError
from napari_asmil.files import json_text
from napari_asmil.render.comparison import Comparison
from napari_asmil.render.compositor import Limits
from napari_asmil.render.course import Course, blind_row, table_row
from napari_asmil.render.facts import (
    SOFTWARE,
    caution,
    colour_text,
    limits_text,
    map_text,
    note,
    origin,
    share,
    shown_slide,
    shown_text,
    whole_map,
)
from napari_asmil.render.files import write_png
from napari_asmil.render.plot import Axes, draw_plot, round_up, sample
from napari_asmil.render.sheet import SOFT, WARNING, Sheet, line_height, table_edges
from napari_asmil.runs.view import MapView, Source

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs import Run
    from napari_asmil.slides.slide import Slide

COLUMNS = 4
"""How many epochs have maps by default."""
MAX_RUNS = 7


def figure(
    path: str | Path,
    runs: Sequence[Run],
    slide_id: str,
    *,
    slide: Slide | None = None,
    contours: Contours | None = None,
    epochs: Sequence[int] | None = None,
    source: Source | None = None,
    transform: str = "log10",
    limits: Limits | None = None,
    colormap: str = "viridis",
    opacity: float = 0.6,
    panel_px: int = 300,
    remarks: Sequence[str] = (),
) -> Path:
    """Write a PNG page of one slide: a row of maps for each run, curves of all runs, and their numbers.

    Every map has the same colour limits. JSD stands beside effective tiles and entropy, always.

    Parameters
    ----------
    path : path-like
        Ends in ``.png``; it appears whole or not at all.
    runs : sequence of Run
        One to seven; a row each.
    slide_id : str
        Recorded in every run.
    slide, contours, colormap, opacity
        As `overlay_image`.
    epochs : sequence of int, optional
        Which have maps; by default `COLUMNS` of those all runs have, evenly spread, first and last among them.
    source : Source, optional
        Normaliser, row and branch, the same for all runs; by default each map as stored.
    transform : str
        One of `TRANSFORMS`.
    limits : (float, float), optional
        Colour limits; by default locked over all runs and epochs.
    panel_px : int
        Longer side of a map, px.
    remarks : sequence of str
        Paragraphs under the table: what these numbers of one slide do not say.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When a run lacks the slide or an epoch, the slide does not fit, or the file cannot be written.
    """
    if not 1 <= len(runs) <= MAX_RUNS:
        raise InputError(f"A figure shows 1 to {MAX_RUNS} runs, not {len(runs)}.")
    views = [MapView(run, slide_id, source, transform) for run in runs]
    maps = Comparison.of(views, slide, contours, panel_px, limits, colormap, opacity)
    has_ground = slide is not None or contours is not None
    page = _Page(maps, maps.epochs(epochs, COLUMNS), [Course.of(view) for view in views], int(has_ground), remarks)
    write_png(Path(path), page.draw(), page.facts())
    return Path(path)


@dataclass(frozen=True, eq=False)
class _Page:
    """All that stands on the page, and where; `ground` is 1 when the first column shows tissue or contours alone."""

    maps: Comparison
    epochs: Sequence[int]
    courses: Sequence[Course]
    ground: int
    remarks: Sequence[str] = ()
    size: int = 15
    gap: int = 18

    @cached_property
    def numbers(self) -> list[dict[str, str]]:
        """The rows of the table: every run, and the blind map; a column of verdicts where there is one."""
        rows = [table_row(v, c, self.epochs[-1]) for v, c in zip(self.maps.views, self.courses, strict=True)]
        rows.append(blind_row(self.maps.views[0]))
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name, "") for name in names} for row in rows]

    @cached_property
    def cell(self) -> tuple[int, int]:
        """Width and height of a map with the words under it."""
        height, width = self.maps.scene.placement.shape
        return max(width, 13 * self.size), height + round(3.5 * line_height(self.size))

    @cached_property
    def inner(self) -> int:
        """Width between the margins: of the maps or of the table."""
        table = 4 * self.size + float(table_edges(self.numbers, self.size)[-1])
        return max(self._x(self.ground + len(self.epochs)) - 2 * self.gap, round(table))

    def facts(self) -> dict[str, str]:
        """What the page says, for its text chunks."""
        view = self.maps.views[0]
        return {
            "slide": shown_slide(view),
            "shown": shown_text(view),
            "epochs": ", ".join(map(str, self.epochs)),
            **{f"run {i + 1}": v.label for i, v in enumerate(self.maps.views)},
            "limits": limits_text(self.maps.limits, self.maps.why),
            "colour map": colour_text(self.maps.colormap, self.maps.opacity),
            "caution": caution(view),
            "note": "; ".join(sorted({note(v) for v in self.maps.views} - {""})),
            "numbers": json_text(self.numbers),
            "remarks": " ".join(self.remarks),
            **self.maps.files,
            "software": SOFTWARE,
        }

    def draw(self) -> Image.Image:
        rows, line = len(self.maps.views), line_height(self.size)
        sheet = Sheet(self.inner + 2 * self.gap, rows * (self.cell[1] + self.gap + 2 * line) + 60 * line)
        y = self._head(sheet)
        for index in range(rows):
            y = self._row(sheet, y, index) + self.gap
        bar = min(26 * self.size, self.inner // 2)
        y = self.maps.draw_scales(sheet, (self.gap, y, self.inner), bar, self.size) + self.gap
        y = self._plots(sheet, y) + self.gap
        y = self._table(sheet, y) + self.gap / 2
        for remark in self.remarks:
            y = sheet.paragraph(self.gap, y, self.inner, remark, self.size) + self.gap / 4
        y = sheet.paragraph(self.gap, y, self.inner, self._foot(), self.size - 1, fill=SOFT)
        return sheet.picture.crop((0, 0, sheet.picture.width, round(y + self.gap)))

    def _x(self, column: int) -> int:
        return self.gap + 13 * self.size + column * (self.cell[0] + self.gap)

    def _head(self, sheet: Sheet) -> float:
        view = self.maps.views[0]
        y = sheet.paragraph(self.gap, self.gap, self.inner, shown_slide(view), round(1.6 * self.size), bold=True)
        for words in sorted({origin(v) for v in self.maps.views} - {""}):
            y = sheet.paragraph(self.gap, y, self.inner, words, round(1.15 * self.size))
        heads = [*["without a map"][: self.ground], *(f"epoch {e}" for e in self.epochs)]
        for column, text in enumerate(heads):
            sheet.text(self._x(column), y + self.gap / 2, text, self.size, bold=True)
        return y + self.gap / 2 + line_height(self.size) + 2

    def _row(self, sheet: Sheet, y: float, index: int) -> float:
        view, size, top = self.maps.views[index], self.size, round(y)
        sample(sheet, self.gap, top + size, 3.5 * size, index, size)
        inner = 12 * size
        below = sheet.paragraph(self.gap, top + 1.8 * size, inner, view.run.label, round(size * 1.15), bold=True)
        below = sheet.paragraph(self.gap, below, inner, f"run {view.run.name}", size)
        below = sheet.paragraph(self.gap, below, inner, map_text(view), size, fill=SOFT)
        if self.ground:
            sheet.picture.paste(self.maps.scene.bare(), (self._x(0), top))
        for column, epoch in enumerate(self.epochs, start=self.ground):
            p = whole_map(view, epoch)
            picture = self.maps.picture(index, p)
            sheet.picture.paste(picture, (self._x(column), top))
            self._words(sheet, self._x(column), top + picture.height + size / 4, index, epoch, p)
        return max(y + self.cell[1], below)

    def _words(self, sheet: Sheet, x: float, y: float, index: int, epoch: int, p: NDArray[np.float64]) -> None:
        size, line, word = self.size - 1, line_height(self.size - 1), dynamics.verdict(p)
        moved = f"{self.courses[index].jsd[epoch]:.3g} bits to epoch {epoch - 1}" if epoch else "– (first epoch)"
        sheet.text(x, y, f"effective tiles {share(float(self.courses[index].effective_share[epoch]))}", size)
        sheet.text(x, y + line, f"JSD {moved}", size)
        sheet.text(x, y + 2 * line, f"{word.upper()} MAP" if word else "", size, fill=WARNING, bold=True)

    def _plots(self, sheet: Sheet, y: float) -> float:
        highest = max((float(np.nanmax(c.jsd)) for c in self.courses if len(c.jsd) > 1), default=0.0)
        every = [
            (Axes("JSD to the epoch before (bits)", round_up(highest) if highest > 0 else 1.0), "jsd"),
            (Axes("effective tiles / M", 1.0, {f"flat from {dynamics.FLAT}": dynamics.FLAT}), "effective_share"),
            (Axes("normalised entropy", 1.0, {f"collapsed below {dynamics.COLLAPSED}": dynamics.COLLAPSED}), "entropy"),
        ]
        top, across, tall = round(y), (self.inner + self.gap) // 3, 17 * self.size
        for column, (axes, name) in enumerate(every):
            left = self.gap + column * across
            curves = [getattr(course, name) for course in self.courses]
            draw_plot(sheet, (left, top, left + across - self.gap, top + tall), axes, curves, self.size)
        return y + tall

    def _table(self, sheet: Sheet, y: float) -> float:
        below = sheet.table(self.gap + 4 * self.size, y, self.numbers, self.size, warn="verdict")
        each = round(1.25 * self.size) + line_height(self.size) - self.size
        for index in range(len(self.maps.views)):
            middle = below - (len(self.numbers) - index - 0.5) * each
            sample(sheet, self.gap, middle, 3 * self.size, index, self.size)
        return below

    def _foot(self) -> str:
        last, tiles = self.epochs[-1], self.maps.views[0].slide.n_tiles
        return (
            f"Numbers of this slide (M = {tiles} tiles) at epoch {last}; JSD mean over the {last} intervals from"
            f" epoch 0; top-k: k = true tumour tiles. {SOFTWARE}"
        )
