"""Plain pictures (PNG, JPEG, WebP, BMP) as slides of one level, through Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_asmil.errors import InputError
from napari_asmil.slides.backend import Level, Opened, Unreadable
from napari_asmil.slides.companions import beside_mrxs
from napari_asmil.slides.pixels import Depth, Meaning, Samples, on_white

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")

ORIENTATION = 0x0112
"""The EXIF tag."""

LARGEST = 100_000_000
"""Pixels; these formats can only be decoded whole."""


def sniff(path: Path) -> bool:
    """Whether the file is a picture of one of `FORMATS`, be it cut off."""
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff")) or (head[:4] == b"RIFF" and head[8:] == b"WEBP"):
        return True
    try:
        with _opened(path):
            return True
    except (UnidentifiedImageError, OSError, ValueError):
        return False


def open(path: Path) -> Opened:  # noqa: A001 (every backend offers `sniff` and `open`)
    """Open a picture; it is decoded whole when a pixel is asked for, and no file handle is kept.

    Raises
    ------
    Unreadable
        When it is cut off, or the index of a slide that lies elsewhere.
    InputError
        When it is too large to be decoded whole.
    """
    beside = beside_mrxs(path)
    try:
        with _opened(path) as image:
            kind, (width, height), mode = image.format, image.size, image.mode
            transparent = image.has_transparency_data
            turned = image.getexif().get(ORIENTATION, 1) if kind in ("JPEG", "WEBP") else 1
    except (OSError, ValueError) as error:
        reason = "its header is not whole" if isinstance(error, UnidentifiedImageError) else error
        raise Unreadable(
            f"The picture cannot be opened ({reason}).",
            remedy="It is probably cut off or damaged; copy it again from where it came from.",
            path=path,
        ) from error
    if width * height > LARGEST:
        raise InputError(
            f"It is a {kind} of {width} x {height} px, which can only be decoded whole.",
            remedy="Convert it to a tiled pyramidal TIFF (for example: vips tiffsave IN OUT.tif --tile --pyramid).",
            path=path,
        )

    deep = mode.startswith("I")
    depth = Depth(None if deep else 8)
    depth.look_at((height, width), lambda: int(_samples(path).max()))

    def region(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        if deep:
            return Meaning(depth).rgb(_samples(path)[y0:y1, x0:x1])
        with _opened(path) as image:
            shown = on_white(image) if transparent else np.array(image.convert("RGB"), dtype=np.uint8)
        return shown[y0:y1, x0:x1]

    level = Level(shape=(height, width), block=(height, width), region=region)
    facts = [f"picture, {kind}, read by Pillow", *depth.facts]
    if transparent and not deep:
        facts.append("what is transparent is shown on white")
    if turned not in (0, 1):
        facts.append(f"the file asks to be turned (orientation {turned}); shown as stored, not turned")
    return Opened([level], None, f"unknown: a {kind} does not say", [*facts, *beside], lambda: None)


def _samples(path: Path) -> Samples:
    """The grey values of a PNG of 16 bits, uint16 (y, x, 1)."""
    with _opened(path) as image:
        found: Samples = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
    return found[..., None]


def _opened(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from error
