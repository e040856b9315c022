"""Maps of one slide shown alike: one place, one transform, one pair of colour limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.errors import InputError
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.render.compositor import Limits, TilePainter
from napari_asmil.render.facts import caution, chosen_limits, colour_text, files_of, limits_text, note, shown_text
from napari_asmil.render.legend import NOTE_LENGTH
from napari_asmil.render.scene import Scene
from napari_asmil.render.sheet import SOFT, Sheet, line_height

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs.view import MapView
    from napari_asmil.slides.slide import Slide


@dataclass(frozen=True, eq=False)
class Comparison:
    """Views of one slide and everything their pictures share; make one with `of`."""

    views: Sequence[MapView]
    painters: Sequence[TilePainter]
    scene: Scene
    limits: Limits
    why: str
    colormap: str
    table: NDArray[np.uint8]
    opacity: float
    files: dict[str, str]

    @classmethod
    def of(
        cls,
        views: Sequence[MapView],
        slide: Slide | None,
        contours: Contours | None,
        max_px: int,
        limits: Limits | None,
        colormap: str,
        opacity: float,
    ) -> Comparison:
        """Lay out the scene and choose the limits: given, or locked over all views and epochs.

        Raises
        ------
        InputError
            When the views are of different slides or transforms, or the slide does not fit the tiles.
        """
        _check_alike(views)
        scene = Scene(views[0].slide, slide, contours, max_px)
        bounds, why = _locked(views) if limits is None and len(views) > 1 else chosen_limits(views[0], 0, limits)
        return cls(
            views=views,
            painters=[scene.painter(view) for view in views],
            scene=scene,
            limits=bounds,
            why=why,
            colormap=colormap,
            table=lookup_table(colormap),
            opacity=opacity if slide is not None else 1.0,
            files=files_of(slide, contours),
        )

    @property
    def last_epoch(self) -> int:
        """The last epoch that all views have."""
        return min(len(view) for view in self.views) - 1

    def epochs(self, wanted: Sequence[int] | None, count: int) -> list[int]:
        """The epochs wanted, or at most `count` evenly spread ones, the first and the last among them.

        Raises
        ------
        InputError
            When a view has not committed one of them.
        """
        if wanted is None:
            return sorted({round(self.last_epoch * i / (count - 1)) for i in range(count)})
        if not wanted or min(wanted) < 0 or max(wanted) > self.last_epoch:
            raise InputError(f"Epochs {list(wanted)} were asked for; epochs 0 to {self.last_epoch} are there.")
        return list(wanted)

    def picture(self, index: int, p: NDArray[np.float64]) -> Image.Image:
        """Map `p` of the view of this number, over tissue and under contours."""
        values = self.views[index].transform.values(p)
        return self.scene.show(self.painters[index], values, self.limits, self.table, self.opacity)

    def words(self) -> list[str]:
        """Limits, colours, files, and what the runs note."""
        given = [limits_text(self.limits, self.why), colour_text(self.colormap, self.opacity)]
        notes = {shorten(note(v).partition("; ")[2], NOTE_LENGTH, placeholder=" …") for v in self.views} - {""}
        return [*given, *(f"{name}: {file}" for name, file in self.files.items()), *sorted(notes)]

    def draw_scales(self, sheet: Sheet, box: tuple[float, float, float], bar: int, size: int) -> float:
        """Scale bar, colour bar and their words from `box` (x, y, width); returns the y below them."""
        x, y, width = box
        step, right = self.scene.placement.step, x + width
        sheet.text(x, y, shown_text(self.views[0]), size, bold=True)
        top = y + line_height(size)
        y = sheet.colour_bar(x, top, bar, self.table, self.limits, self.opacity, size)
        beside, longest = x + bar + 2 * size, self.scene.placement.shape[1] * 0.6
        if right - beside < 16 * size:
            y = sheet.scale_bar(x, y + size / 3, min(width, longest), step, self.scene.mpp, size)
        else:
            sheet.scale_bar(beside, top, min(right - beside, longest), step, self.scene.mpp, size)
        y = sheet.paragraph(x, y, width, "; ".join(self.words()), size - 1, fill=SOFT)
        warning = caution(self.views[0])
        return sheet.warning(x, y + size / 2, min(width, 48 * size), warning, size) if warning else y


def _check_alike(views: Sequence[MapView]) -> None:
    if not views:
        raise InputError("There is no map to show.")
    for what, found in (
        ("slides", {view.slide.slide_id for view in views}),
        ("transforms", {view.transform_name for view in views}),
    ):
        if len(found) > 1:
            raise InputError(f"Maps of different {what} ({', '.join(sorted(found))}) have no common place and scale.")


def _locked(views: Sequence[MapView]) -> tuple[Limits, str]:
    if views[0].transform.limits is not None:
        return chosen_limits(views[0], 0, None)
    each = [view.limits() for view in views]
    return (min(low for low, _ in each), max(high for _, high in each)), "locked over all maps and epochs"
