"""Masks: pictures of a slide, smaller by any factor, that are 0 where nothing is and above 0 on tumour.

PNG, BMP and TIFF of one channel (or three equal ones, or a palette, whose indices count); of a pyramid the largest
level of at most `MOST_PIXELS`. CAMELYON writes 1, its evaluation 255: any value above 0 is tumour, and where there are
several values each is a group that can be given another role. A picture says nothing of where it lies, so the slide's
size is needed. As any slide could be taken for one, masks are read only where an annotation is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.annotations.contours import Contour, Contours
from napari_asmil.annotations.roles import Role
from napari_asmil.annotations.trace import trace
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame

MOST_PIXELS, MOST_PIXEL_BYTES = 2**26, 2**28
"""Of the picture that is traced."""
MOST_VALUES = 16
"""A mask with more values above 0 is read as one group."""
REMEDY = "Save the mask as PNG or TIFF of one channel, 0 outside and above 0 inside."

_PICTURES = (b"\x89PNG", b"BM", b"\xff\xd8\xff")
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def sniff(path: Path) -> bool:
    """Whether the file is a picture of a kind that masks are saved as."""
    with path.open("rb") as file:
        return file.read(4).startswith((*_PICTURES, *_TIFF))


def fits(path: Path, frame: Frame) -> bool:
    """Whether a picture has a mask's few values and the shape of this slide: dropped on it, it is its mask."""
    try:
        if not sniff(path):
            return False
        values, _ = _pixels(path)
        _scale(path, values.shape, frame)
    except (InputError, OSError):
        return False
    return len(np.unique(values)) <= MOST_VALUES + 1


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Trace the parts that are above 0, exactly along the pixels' edges, and scale them to level-0 px.

    Raises
    ------
    InputError
        When the slide is not known, the mask is not of its shape, or the picture is none of a mask.
    """
    values, notes = _pixels(path)
    if frame is None:
        raise InputError(
            f"A mask of {values.shape[1]} x {values.shape[0]} px does not say where on a slide it lies.",
            remedy="Open the slide with it.",
            path=path,
        )
    scale = _scale(path, values.shape, frame)
    found = np.unique(values[values > 0])
    several = 1 < len(found) <= MOST_VALUES
    if len(found) > MOST_VALUES:
        notes.append(f"it has {len(found)} values above 0, as after smoothing: read as one group")
    groups = {f"{value:g}": value for value in found} if several else {"above 0": None}
    contours: list[Contour] = []
    try:
        for group, value in groups.items():
            for outside, holes in trace(values > 0 if value is None else values == value):
                contours.append(Contour("", group, outside * scale, [hole * scale for hole in holes]))
    except ValueError as error:
        raise InputError(f"It cannot be traced: {error}.", remedy=REMEDY, path=path) from error
    notes.append(
        f"mask of {values.shape[1]} x {values.shape[0]} px; 1 px is {scale[0]:.6g} x {scale[1]:.6g} level-0 px,"
        " from the slide's size; any value above 0 is tumour"
    )
    share = float((values > 0).mean())
    if share > 0.5:
        notes.append(f"{share:.0%} of the mask is above 0: where tumour should be 0, it is inverted")
    known: dict[str, Role] = dict.fromkeys(groups, "tumour") if contours else {}
    return Contours(contours, path, notes, known=known)


def _scale(path: Path, shape: tuple[int, ...], frame: Frame) -> NDArray[np.float64]:
    """Level-0 px per px of the mask, (x, y)."""
    height, width = shape
    wide, high = frame.size
    fits = abs(high * width / wide - height) <= 1 or abs(wide * height / high - width) <= 1
    if not fits:
        raise InputError(
            f"The mask is {width} x {height} px, the slide {wide} x {high}: for that width a mask of the whole slide"
            f" has {high * width / wide:.0f} rows.",
            remedy="It belongs to another slide, or shows a part of this one.",
            path=path,
        )
    return np.array([wide / width, high / height])


def _pixels(path: Path) -> tuple[NDArray[Any], list[str]]:
    """The values of the mask (rows, columns), and notes on how they were had."""
    with path.open("rb") as file:
        start = file.read(4)
    try:
        values, notes = _tiff(path) if start.startswith(_TIFF) else (_picture(path), [])
    except InputError:
        raise
    except Exception as error:  # whatever a damaged picture makes a decoder say
        why = " ".join(str(error).split())[:200]
        raise InputError(f"The mask cannot be decoded ({why}).", remedy=REMEDY, path=path) from error
    if values.size == 0:
        raise InputError("The mask holds no pixels.", remedy=REMEDY, path=path)
    if values.ndim > 2:
        values = values.reshape([side for side in values.shape if side > 1])
    if values.ndim == 3 and values.shape[2] in (3, 4) and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "buif":
        what = "a colour picture" if values.ndim == 3 else f"an array of {values.ndim} dimensions"
        raise InputError(f"It is {what}, not a mask.", remedy=REMEDY, path=path)
    return values, notes


def _picture(path: Path) -> NDArray[Any]:
    with Image.open(path, formats=("PNG", "BMP", "JPEG")) as picture:
        if picture.format == "JPEG":
            raise InputError("A JPEG has no sharp zeros, so it is no mask.", remedy=REMEDY, path=path)
        _check_size(path, picture.size[0] * picture.size[1], 4)
        return np.asarray(picture)


def _tiff(path: Path) -> tuple[NDArray[Any], list[str]]:
    with _quiet(), tifffile.TiffFile(path) as file:
        levels = file.series[0].levels
        fitting = [level for level in levels if level.size <= MOST_PIXELS and level.nbytes <= MOST_PIXEL_BYTES]
        if not fitting:
            _check_size(path, min(level.size for level in levels), 8)
        level = fitting[0]
        at = levels.index(level)
        return level.asarray(), [f"level {at} of the mask's {len(levels)} was traced"] if at else []


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what tifffile says of a damaged file off the screen: it is refused in a sentence, or read."""
    silent, logger = logging.NullHandler(), logging.getLogger("tifffile")
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)


def _check_size(path: Path, pixels: int, each: int) -> None:
    if pixels > MOST_PIXELS or pixels * each > MOST_PIXEL_BYTES:
        raise InputError(
            f"The mask has {pixels / 1e6:.0f} million pixels; up to {MOST_PIXELS / 1e6:.0f} million are traced.",
            remedy="Save it smaller by a whole factor, or as a pyramid.",
            path=path,
        )
