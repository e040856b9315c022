"""Whole-slide images: pyramid levels read lazily, and how large a pixel is.

A backend is a module with ``sniff(path) -> bool`` (by content) and ``open(path) -> Opened``; adding a format
is one such module and its name in `BACKENDS`.
"""

from __future__ import annotations

from pathlib import Path

from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.slides import image, openslide, tiff
from napari_asmil.slides.backend import Unreadable
from napari_asmil.slides.slide import TILE_CACHE, Slide

__all__ = ["Slide", "open_slide"]

BACKENDS = (tiff, image, openslide)
"""In the order in which they are asked."""


def sniff(path: Path) -> bool:
    """Whether any backend recognises the file."""
    return any(backend.sniff(path) for backend in BACKENDS)


def open_slide(path: str | Path, *, mpp: float | None = None, cache: ArrayCache = TILE_CACHE) -> Slide:
    """Open a whole-slide image; no pixels are read.

    Parameters
    ----------
    path : path-like
        SVS, NDPI, OME-TIFF, pyramidal or plain TIFF, PNG, JPEG, WebP, or anything OpenSlide reads.
    mpp : float, optional
        Micrometres per level-0 px; replaces what the file says.
    cache : ArrayCache, optional
        Where decoded tiles are kept; by default one cache of 512 MB that all slides share.

    Returns
    -------
    Slide
        Also a context manager; `Slide.close` lets go of the file.

    Raises
    ------
    InputError
        When the file is missing, cut off, or not an image any backend can read.
    """
    path = Path(path)
    if mpp is not None and not mpp > 0:
        raise InputError(f"{mpp} µm is no size of a pixel.", remedy="Give micrometres per level-0 px.", path=path)
    if not path.is_file():
        what = "This is a folder, not a slide file." if path.is_dir() else "There is no such file."
        raise InputError(what, remedy="Check the path.", path=path)
    refusals: list[Unreadable] = []
    for backend in BACKENDS:
        if backend.sniff(path):
            try:
                return Slide(path, backend.open(path), mpp=mpp, cache=cache)
            except Unreadable as error:
                refusals.append(error)
    if refusals:
        raise refusals[0]
    raise InputError(
        "This is no slide or image that can be read (SVS, NDPI, TIFF, PNG, JPEG, WebP, or a format of OpenSlide).",
        remedy="Convert it to a pyramidal TIFF.",
        path=path,
    )
