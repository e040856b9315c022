"""What tifffile cannot open, through OpenSlide: MRXS, DICOM, Ventana, Trestle, Sakura and others (openslide.org)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from napari_asmil.slides import resolution
from napari_asmil.slides.backend import Associated, Level, Opened, Unreadable
from napari_asmil.slides.pixels import on_white
from napari_asmil.slides.readers import Readers

BLOCK = 512

_OFFSETS = ("hamamatsu.XOffsetFromSlideCentre", "hamamatsu.YOffsetFromSlideCentre")


def sniff(path: Path) -> bool:
    """Whether OpenSlide recognises the file."""
    try:
        return openslide.OpenSlide.detect_format(str(path)) is not None
    except openslide.OpenSlideError:
        return True


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
    readers = Readers(slide.close)
    try:
        return _opened(path, slide, readers)
    except BaseException:
        readers.close()
        raise


def _opened(path: Path, slide: openslide.OpenSlide, readers: Readers) -> Opened:
    levels = [
        Level((height, width), (BLOCK, BLOCK), partial(_region, slide, readers, index))
        for index, (width, height) in enumerate(slide.level_dimensions)
    ]
    shapes = [level.shape for level in levels]
    if any(finer[axis] < coarser[axis] for finer, coarser in pairwise(shapes) for axis in (0, 1)):
        raise Unreadable(
            f"Its levels do not become smaller ({', '.join(f'{wide} x {high}' for high, wide in shapes)} px).",
            remedy="The file is probably damaged; copy it again from where it came from.",
            path=path,
        )
    left, top = (_number(slide, name) for name in (openslide.PROPERTY_NAME_BOUNDS_X, openslide.PROPERTY_NAME_BOUNDS_Y))
    offsets = [_number(slide, name) for name in _OFFSETS]
    return Opened(
        levels,
        *_mpp(slide),
        [f"slide, {slide.properties[openslide.PROPERTY_NAME_VENDOR]}, read by OpenSlide"],
        readers.close,
        bounds=(int(left or 0), int(top or 0)),
        centre_nm=None if offsets[0] is None or offsets[1] is None else (offsets[0], offsets[1]),
        associated=_associated(slide, readers),
    )


def _associated(slide: openslide.OpenSlide, readers: Readers) -> dict[str, Associated]:
    found = {}
    for name in slide.associated_images:
        high, wide = (_number(slide, f"openslide.associated.{name}.{side}") for side in ("height", "width"))
        if high and wide:
            found[name] = Associated((int(high), int(wide)), partial(_beside, slide, readers, name))
    return found


def _mpp(slide: openslide.OpenSlide) -> resolution.Claim:
    x, y = (_number(slide, name) for name in (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y))
    power = _number(slide, openslide.PROPERTY_NAME_OBJECTIVE_POWER)
    return resolution.first_believed(
        [
            None if x is None or y is None else resolution.settle(x, y, "OpenSlide (vendor's properties)"),
            None if power is None else resolution.from_objective(power),
        ]
    )


def _number(slide: openslide.OpenSlide, name: str) -> float | None:
    try:
        return float(slide.properties[name])
    except (KeyError, ValueError):
        return None


def _region(
    slide: openslide.OpenSlide, readers: Readers, level: int, y0: int, y1: int, x0: int, x1: int
) -> NDArray[np.uint8]:
    with readers:
        down = slide.level_downsamples[level]
        return on_white(slide.read_region((round(x0 * down), round(y0 * down)), level, (x1 - x0, y1 - y0)))


def _beside(slide: openslide.OpenSlide, readers: Readers, name: str) -> NDArray[np.uint8]:
    with readers:
        return on_white(slide.associated_images[name])
