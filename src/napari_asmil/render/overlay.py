"""One map over its tissue, with a legend that says all of what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from napari_asmil.errors import InputError
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.render.compositor import Limits
from napari_asmil.render.facts import (
    SOFTWARE,
    beyond_text,
    check_epoch,
    chosen_limits,
    colour_text,
    facts_of,
    files_of,
    limits_text,
    mass_of,
)
from napari_asmil.render.files import write_png
from napari_asmil.render.legend import draw_legend
from napari_asmil.render.scene import Scene, letter_height

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs.view import MapView
    from napari_asmil.slides.slide import Slide


def overlay_image(
    view: MapView,
    epoch: int,
    *,
    slide: Slide | None = None,
    contours: Contours | None = None,
    max_px: int = 2000,
    limits: Limits | str | None = None,
    colormap: str = "viridis",
    opacity: float = 0.6,
    legend: bool = True,
) -> Image.Image:
    """One epoch of a map over its tissue, as a picture.

    The tissue fills the picture from its top left corner; the legend stands to the right of it, so picture pixel
    (row, column) lies at ``level-0 = origin + step * (row, column)`` with or without a legend. Each pixel takes the
    value of the tile its centre lies in (the mean of overlapping tiles); where there is no tile the tissue is bare.

    Parameters
    ----------
    view : MapView
        Run, slide, normaliser, row and transform.
    epoch : int
        A committed epoch; 0 is the initialisation.
    slide : Slide, optional
        The tissue; without it the map lies on white at full opacity.
    contours : Contours, optional
        Drawn on top, holes included.
    max_px : int
        Longer side of the tissue in the picture; a slide is never magnified, unless it is tiny.
    limits : (float, float) or "epoch", optional
        Colour limits in the transform's unit; None locks them over all committed epochs.
    colormap : str
        One of `COLORMAPS`.
    opacity : float
        Of the map over the tissue, 0 to 1.
    legend : bool
        Whether the legend is drawn.

    Returns
    -------
    PIL.Image.Image
        RGB; its ``info`` holds what the legend says, by name, and the placement.

    Raises
    ------
    InputError
        When the slide does not fit the tiles, or an argument is out of range.
    """
    _check(view, epoch, opacity)
    scene = Scene(view.slide, slide, contours, max_px)
    opacity = opacity if slide is not None else 1.0
    table = lookup_table(colormap)
    bounds, why = chosen_limits(view, epoch, limits)
    p = mass_of(view, epoch)
    values = view.values(epoch) if p is None else view.transform.values(p)
    picture = scene.show(scene.painter(view), values, bounds, table, opacity)
    facts = facts_of(view, epoch, p) | files_of(slide, contours)
    facts["limits"] = limits_text(bounds, why) + beyond_text(bounds, values)
    facts["colour map"] = colour_text(colormap, opacity)
    facts["placement"] = scene.placement.label
    facts["software"] = SOFTWARE
    if legend:
        column = draw_legend(
            facts, table, bounds, opacity, scene.placement.step, scene.mpp, letter_height(picture.size)
        )
        picture = _beside(picture, column)
    picture.info.update(facts)
    return picture


def export_overlay(path: str | Path, view: MapView, epoch: int, **options: Any) -> Path:
    """Write `overlay_image` as PNG, whole or not at all; what the legend says is in its text chunks too.

    `options` are those of `overlay_image`.

    Raises
    ------
    InputError
        As `overlay_image`, and when the file cannot be written.
    """
    picture = overlay_image(view, epoch, **options)
    write_png(Path(path), picture, {str(name): text for name, text in picture.info.items()})
    return Path(path)


def _check(view: MapView, epoch: int, opacity: float) -> None:
    check_epoch(view, epoch)
    if not 0 <= opacity <= 1:
        raise InputError(f"The opacity must be 0 to 1, not {opacity}.")


def _beside(picture: Image.Image, column: Image.Image) -> Image.Image:
    """The picture at the top left, the column to its right."""
    size = (picture.width + column.width, max(picture.height, column.height))
    joined = Image.new("RGB", size, "#ffffff")
    joined.paste(picture, (0, 0))
    joined.paste(column, (picture.width, 0))
    return joined
