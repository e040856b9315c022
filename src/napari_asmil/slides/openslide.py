"""What tifffile cannot open, through OpenSlide: MRXS, DICOM, Ventana, Philips and others."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.slides import resolution
from napari_asmil.slides.backend import Level, Opened, Unreadable

BLOCK = 512


def sniff(path: Path) -> bool:
    """Whether OpenSlide recognises the file."""
    return openslide.OpenSlide.detect_format(str(path)) is not None


def open(path: Path) -> Opened:  # noqa: A001 (every backend offers `sniff` and `open`)
    """Open a slide with OpenSlide; what was not scanned is white.

    Raises
    ------
    Unreadable
        When OpenSlide refuses it, with its reason.
    """
    try:
        slide = openslide.OpenSlide(str(path))
    except openslide.OpenSlideError as error:
        raise Unreadable(
            f"OpenSlide cannot open it ({error}).",
            remedy="It is probably incomplete; copy it again, with its companion files.",
            path=path,
        ) from error
    levels = [
        Level((height, width), (BLOCK, BLOCK), partial(_region, slide, index))
        for index, (width, height) in enumerate(slide.level_dimensions)
    ]
    properties = slide.properties
    mpp = [
        float(properties.get(name, "nan")) for name in (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    ]
    claim = resolution.settle(mpp[0], mpp[1], "OpenSlide (vendor's properties)")
    if np.isnan(mpp).any():
        claim = None, "unknown: the file does not say"
    bounds = [
        int(properties.get(name, 0)) for name in (openslide.PROPERTY_NAME_BOUNDS_X, openslide.PROPERTY_NAME_BOUNDS_Y)
    ]
    facts = [f"slide, {properties[openslide.PROPERTY_NAME_VENDOR]}, read by OpenSlide"]
    return Opened(levels, *claim, facts, slide.close, (bounds[0], bounds[1]))


def _region(slide: openslide.OpenSlide, level: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
    down = slide.level_downsamples[level]
    picture = slide.read_region((round(x0 * down), round(y0 * down)), level, (x1 - x0, y1 - y0))
    white = Image.new("RGBA", picture.size, "white")
    return np.array(Image.alpha_composite(white, picture).convert("RGB"), dtype=np.uint8)
