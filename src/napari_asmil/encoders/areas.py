"""Where tiles may lie: tissue as contours that can be edited, and contours instead of tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.annotations import Contour, Contours, read_annotations
from napari_asmil.annotations.coverage import covered
from napari_asmil.annotations.trace import trace
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import Slide
from napari_asmil.slides.tissue import DEFAULT_RULE, Share, TissueRule, tissue_mask

TISSUE = "tissue"
"""The group of contours around tissue."""


def tissue_contours(slide: Slide, rule: TissueRule = DEFAULT_RULE) -> Contours:
    """Outlines of the tissue, exactly along the edges of the mask's pixels, largest piece first.

    Tiles laid within them are those laid on the mask itself.

    Raises
    ------
    InputError
        When there is none, or it is in so many pieces that it is noise.
    """
    mask, (dy, dx) = tissue_mask(slide, rule)
    try:
        pieces = trace(mask)
    except ValueError as error:
        raise InputError(
            f"The tissue cannot be outlined: {error}.", remedy="Smooth more, or drop small pieces.", path=slide.path
        ) from error
    if not pieces:
        raise InputError(
            f"No tissue was found ({rule.words(slide)}).", remedy="Give a lower threshold.", path=slide.path
        )
    edge = np.array(slide.shape[::-1], dtype=np.float64)
    scaled = [[np.minimum(ring * (dx, dy), edge) for ring in (outside, *holes)] for outside, holes in pieces]
    scaled.sort(key=lambda rings: -_area(rings[0]))
    return Contours([Contour(f"tissue {k}", TISSUE, rings[0], rings[1:]) for k, rings in enumerate(scaled, 1)])


def within(path: str | Path, slide: Slide, *, cropped: bool = False) -> Share:
    """Share of tiles that lies inside the contours of a file, whatever they are of, less those that are excluded.

    Raises
    ------
    InputError
        When the file cannot be used, or holds no area on this slide.
    """
    drawn = read_annotations(path, slide.frame, cropped=cropped)
    drawn.check_on(slide.frame.size)
    area = drawn.with_roles({name: "tumour" for name, role in drawn.roles.items() if role != "exclude"}).tumour()
    if area.is_empty:
        raise InputError("It holds no area to lay tiles in.", remedy="Draw contours around the tissue.", path=path)

    def share(grid: TileGrid) -> NDArray[np.float64]:
        return covered(area, grid)

    return share


def _area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2))
