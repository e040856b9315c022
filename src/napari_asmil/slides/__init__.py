"""Whole-slide images: pyramid levels read lazily, and how large a pixel is.

A backend is a module with ``sniff(path) -> bool`` (by content) and ``open(path) -> Opened``; adding a format
is one such module and its name in `BACKENDS`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.slides import image, omezarr, openslide, tiff
from napari_asmil.slides.backend import Opened, Unreadable
from napari_asmil.slides.resolution import POSSIBLE
from napari_asmil.slides.slide import TILE_CACHE, Slide

__all__ = ["Slide", "open_slide", "slide_name"]

BACKENDS = (tiff, image, openslide)
"""For files, in the order in which they are asked; a folder is asked of `omezarr`."""

_KNOWN = {
    b"SIS\0": "a part (.ets) of an Olympus VSI slide",
    b"\x70\0\0\0": "a Leica LIF",
    b"iSyntax": "a Philips iSyntax",
}
"""How files begin that are slides and cannot be read."""


def slide_name(path: str | Path) -> str:
    """How a slide file is called: without its suffix, and without the ``.ome`` before it, in either case."""
    stem = Path(path).stem
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


def sniff(path: Path) -> bool:
    """Whether any backend recognises the file or folder."""
    if path.is_dir():
        return omezarr.sniff(path)
    return any(backend.sniff(path) for backend in BACKENDS) or _known(path) is not None


def open_slide(path: str | Path, *, mpp: float | None = None, cache: ArrayCache = TILE_CACHE) -> Slide:
    """Open a whole-slide image; no pixels are read.

    Parameters
    ----------
    path : path-like
        SVS, NDPI, SCN, Philips, OME-TIFF, pyramidal or plain TIFF, PNG, JPEG, WebP, an OME-Zarr folder, or anything
        OpenSlide reads.
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
    if mpp is not None and not POSSIBLE[0] <= mpp <= POSSIBLE[1]:
        raise InputError(f"{mpp} µm is no size of a pixel.", remedy="Give micrometres per level-0 px.", path=path)
    opened: Opened = omezarr.open(path) if omezarr.sniff(path) else _open_file(path)
    try:
        return Slide(path, opened, mpp=mpp, cache=cache)
    except BaseException:
        opened.close()
        raise


def _open_file(path: Path) -> Opened:
    """What the first backend finds that can open it; OpenSlide's instead where it doubts that and OpenSlide can."""
    if not path.is_file():
        what = "This is a folder, not a slide file." if path.is_dir() else "There is no such file."
        raise InputError(what, remedy="Check the path.", path=path)
    doubtful: Opened | None = None
    refusals: list[Unreadable] = []
    for backend in BACKENDS:
        if not backend.sniff(path):
            continue
        try:
            opened: Opened = backend.open(path)
        except Unreadable as error:
            refusals.append(error)
            continue
        if doubtful is not None:
            doubtful.close()
            return replace(opened, facts=[*opened.facts, f"not read by tifffile: {doubtful.doubt}"])
        if not opened.doubt:
            return opened
        doubtful = opened
    if doubtful is not None:
        return doubtful
    if refusals:
        raise refusals[0]
    known = _known(path)
    if known:
        raise InputError(
            f"This is {known}, which neither tifffile nor OpenSlide reads.",
            remedy="Convert it to a pyramidal OME-TIFF (for example with bfconvert or QuPath).",
            path=path,
        )
    raise InputError(
        "This is no slide or image that can be read (SVS, NDPI, TIFF, PNG, JPEG, WebP, or a format of OpenSlide).",
        remedy="Convert it to a pyramidal TIFF.",
        path=path,
    )


def _known(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(16)
    return next((name for start, name in _KNOWN.items() if head.startswith(start)), None)
