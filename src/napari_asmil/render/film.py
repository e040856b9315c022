"""The epochs of one or more maps as a GIF: every frame with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor

from napari_asmil.analysis.dynamics import verdict
from napari_asmil.errors import InputError
from napari_asmil.files import complete
from napari_asmil.render.comparison import Comparison
from napari_asmil.render.compositor import Limits
from napari_asmil.render.facts import (
    SOFTWARE,
    concentration,
    epoch_text,
    jsd_text,
    map_text,
    origin,
    shown_slide,
    whole_map,
)
from napari_asmil.render.files import check_ending
from napari_asmil.render.sheet import INK, RULE, SOFT, WARNING, Sheet, line_height

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs.view import MapView
    from napari_asmil.slides.slide import Slide

MAX_FRAMES = 60
MAX_VIEWS = 4
PALETTE_CELL = 8
"""Pillow finds colours of a palette by cells of this width, so a near one could stand in for white."""
HOLD_LAST = 4
"""The last frame stays this many times as long, so that an end can be seen."""


def film(
    path: str | Path,
    views: Sequence[MapView],
    *,
    slide: Slide | None = None,
    contours: Contours | None = None,
    epochs: Sequence[int] | None = None,
    panel_px: int = 360,
    limits: Limits | None = None,
    colormap: str = "viridis",
    opacity: float = 0.6,
    seconds: float = 0.3,
) -> Path:
    """Write a GIF of the epochs, one panel a map; every frame says epoch, JSD and effective tiles.

    Parameters
    ----------
    path : path-like
        Ends in ``.gif``; it appears whole or not at all.
    views : sequence of MapView
        One to four maps of one slide through one transform.
    slide, contours, colormap, opacity
        As `overlay_image`.
    epochs : sequence of int, optional
        Which to show; by default all, thinned evenly to at most `MAX_FRAMES`, first and last kept.
    panel_px : int
        Longer side of the tissue in each panel, px.
    limits : (float, float), optional
        Colour limits; by default locked over all maps and epochs.
    seconds : float
        How long a frame stays.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When the maps do not belong together, an epoch is not there, or the file cannot be written.
    """
    check_ending(Path(path), ".gif")
    if len(views) > MAX_VIEWS:
        raise InputError(f"A film shows at most {MAX_VIEWS} maps side by side, not {len(views)}.")
    reel = _Reel(Comparison.of(views, slide, contours, panel_px, limits, colormap, opacity))
    shown = reel.maps.epochs(epochs, MAX_FRAMES)
    palette = reel.palette([reel.frame(epoch) for epoch in shown[:: max(1, len(shown) // 3)]])
    frames = (reel.frame(epoch).quantize(palette=palette, dither=Image.Dither.NONE) for epoch in shown)
    durations = [round(1000 * seconds)] * (len(shown) - 1) + [round(1000 * seconds * HOLD_LAST)]
    comment = "; ".join([*(view.label for view in views), *reel.maps.words(), SOFTWARE]).encode()
    with complete(Path(path)) as partial:
        first = next(frames)
        first.save(
            partial, format="GIF", save_all=True, append_images=frames, duration=durations, loop=0, comment=comment
        )
    return Path(path)


@dataclass(frozen=True)
class _Reel:
    """How one frame is drawn; all frames have one size, as all that changes has its place."""

    maps: Comparison
    size: int = 14
    gap: int = 16

    @property
    def column(self) -> int:
        return max(self.maps.scene.placement.shape[1], 19 * self.size)

    def frame(self, epoch: int) -> Image.Image:
        line, count = line_height(self.size), len(self.maps.views)
        width = self.gap + count * (self.column + self.gap)
        below = self.gap + 11 * line + self.maps.scene.placement.shape[0]
        sheet = Sheet(width, below + round((5 + 14 / count) * line))
        top = self._head(sheet, width, epoch)
        for index in range(count):
            self._panel(sheet, self.gap + index * (self.column + self.gap), top, index, epoch)
        inner = width - 2 * self.gap
        y = self.maps.draw_scales(sheet, (self.gap, below, inner), min(320, round(inner * 0.6)), self.size)
        sheet.text(self.gap, y, SOFTWARE, self.size - 1, fill=SOFT)
        return sheet.picture.crop((0, 0, width, round(y + line + self.gap / 2)))

    def palette(self, frames: Sequence[Image.Image]) -> Image.Image:
        """256 colours for all frames: those of the bar and the letters, and the rest from some of them."""
        table = self.maps.table[::8]
        over_white = np.rint(255 + self.maps.opacity * (table - 255.0)).astype(np.uint8)
        letters = [ImageColor.getrgb(c)[:3] for c in ("#ffffff", INK, SOFT, RULE, WARNING)]
        fixed = np.concatenate([table, over_white, np.array(letters, dtype=np.uint8)])
        joined = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames]))
        drawn = joined.quantize(256 - len(fixed), method=Image.Quantize.MEDIANCUT).getpalette() or []
        others = np.array(drawn, dtype=np.int64).reshape(-1, 3)
        apart = np.abs(others[:, None] - fixed).max(axis=2).min(axis=1) >= PALETTE_CELL
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.concatenate([fixed, others[apart]]).astype(np.uint8).tobytes())
        return palette

    def _head(self, sheet: Sheet, width: int, epoch: int) -> int:
        big, view, y = round(self.size * 1.4), self.maps.views[0], self.gap / 2
        title = epoch_text(view, epoch)
        sheet.text(self.gap, y, title if view.run.applied else f"epoch {title}", big, bold=True)
        said = " · ".join(word for word in (shown_slide(view), origin(view)) if word)
        sheet.text(self.gap, y + line_height(big), said, self.size)
        y += line_height(big) + line_height(self.size) + 4
        done = (width - 2 * self.gap) * epoch / max(1, self.maps.last_epoch)
        sheet.pen.rectangle((self.gap, y, width - self.gap, y + 5), fill="#e6e6e6")
        sheet.pen.rectangle((self.gap, y, self.gap + done, y + 5), fill=RULE)
        return round(y) + self.gap

    def _panel(self, sheet: Sheet, x: int, y: int, index: int, epoch: int) -> None:
        view, size, line = self.maps.views[index], self.size, line_height(self.size)
        p = whole_map(view, epoch)
        sheet.text(x, y, view.run.label, round(size * 1.15), bold=True)
        sheet.paragraph(x, y + 1.3 * line, self.column, f"{view.run.name}: {map_text(view)}", size, fill=SOFT)
        picture = self.maps.picture(index, p)
        sheet.picture.paste(picture, (x, y + 4 * line))
        y += 4 * line + picture.height + size // 3
        sheet.text(x, y, f"JSD {jsd_text(view, epoch, p)}", size)
        sheet.text(x, y + line, f"effective tiles {concentration(p)}", size)
        word = verdict(p)
        sheet.text(x, y + 2 * line, f"{word.upper()} MAP" if word else "", size, fill=WARNING, bold=True)
