"""The TIFF family through tifffile: SVS, NDPI, OME-TIFF and generic pyramids (uint8, RGB or grey)."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.slides import resolution
from napari_asmil.slides.backend import Level, Opened, Unreadable

BLOCK = 256
"""Smaller tiles and thin strips are read and kept in groups of about this many px a side."""

_BROKEN = re.compile(r"invalid .*offset.*|corrupted tag list.*")
"""What tifffile logs, and goes on from, when parts of the directory lie beyond the end of the file."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def sniff(path: Path) -> bool:
    """Whether the file begins like a TIFF or BigTIFF."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def open(path: Path) -> Opened:  # noqa: A001 (every backend offers `sniff` and `open`)
    """Open a TIFF file; reads its directories and no pixels.

    Raises
    ------
    Unreadable
        When tifffile finds no image in it.
    InputError
        When the file is cut off, or its pixels are not 8-bit RGB or grey.
    """
    tiff, series = _largest_series(path)
    try:
        _check(series, tiff.filehandle.size, path)
        levels = [_level(series, index) for index in range(len(series.levels))]
    except Exception:
        tiff.close()
        raise
    mpp, source = _mpp(tiff, series.keyframe)
    kind = {"": "TIFF", "generic": "TIFF", "uniform": "TIFF", "shaped": "TIFF"}.get(series.kind, series.kind.upper())
    facts = [f"slide, {kind}, {_compression(series.keyframe)}, read by tifffile"]
    return Opened(levels, mpp, source, facts, tiff.close)


class _Complaints(logging.Handler):
    """What tifffile logs in this thread meanwhile, kept instead of printed."""

    def __enter__(self) -> list[str]:
        self._thread, self._said = threading.get_ident(), list[str]()
        logging.getLogger("tifffile").addHandler(self)
        return self._said

    def __exit__(self, *_: object) -> None:
        logging.getLogger("tifffile").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._said.append(record.getMessage())


def _largest_series(path: Path) -> tuple[Any, Any]:
    tiff, series, why = None, [], "it holds none"
    with _Complaints() as said:
        try:
            tiff = tifffile.TiffFile(path)
            series = sorted(tiff.series, key=lambda one: one.keyframe.imagewidth * one.keyframe.imagelength)
        except Exception as error:  # noqa: BLE001 (tifffile raises whatever a strange directory leads to)
            why = str(error)
    broken = [found[0] for found in map(_BROKEN.search, said) if found]
    if tiff is not None and series and not broken:
        return tiff, series[-1]
    if tiff is not None:
        tiff.close()
    if broken:
        raise _cut_off(f"its directory of images is not whole: {', '.join(broken)}", path)
    raise Unreadable(
        f"It begins like a TIFF file, but no image is found in it ({why}).",
        remedy="It is probably damaged; copy it again from where it came from.",
        path=path,
    )


def _cut_off(why: str, path: Path) -> InputError:
    return InputError(f"The file is cut off ({why}).", remedy="Copy it again from where it came from.", path=path)


def _sizes(series: Any) -> dict[str, int]:
    """Length of each axis that matters; whether others, of length 1, are listed depends on the version of tifffile."""
    return {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if n > 1 or axis in "YX"}


def _check(series: Any, size: int, path: Path) -> None:
    sizes = _sizes(series)
    photometric = getattr(series.keyframe.photometric, "name", "")
    if (
        series.dtype != np.uint8
        or "".join(sizes) not in ("YXS", "SYX", "YX")
        or sizes.get("S", 3) not in (3, 4)
        or photometric not in ("RGB", "YCBCR", "MINISBLACK")
    ):
        axes = " x ".join(f"{length} ({axis})" for axis, length in sizes.items())
        raise InputError(
            f"Its pixels are {series.dtype} {photometric}, {axes}; a slide must be 8-bit RGB or grey.",
            remedy="Export it as an 8-bit RGB pyramid (for example with bfconvert or QuPath).",
            path=path,
        )
    for level in series.levels:
        for page in filter(None, level.pages):
            ends = [at + length for at, length in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if max(ends, default=0) > size:
                raise _cut_off(f"it ends at byte {size:,}, its pixels reach to byte {max(ends):,}", path)


def _level(series: Any, index: int) -> Level:
    level = series.levels[index]
    axes = "".join(_sizes(level))
    array = zarr.open_array(series.aszarr(level=index), mode="r")
    y, x = level.axes.index("Y"), level.axes.index("X")
    block = tuple(max(1, BLOCK // array.chunks[i]) * array.chunks[i] for i in (y, x))

    def region(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        box = {"Y": slice(y0, y1), "X": slice(x0, x1), "S": slice(None)}
        pixels = np.asarray(array[tuple(box[axis] if axis in axes else 0 for axis in level.axes)])
        if axes == "YX":
            return np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray((np.moveaxis(pixels, 0, 2) if axes == "SYX" else pixels)[..., :3])

    return Level((array.shape[y], array.shape[x]), (block[0], block[1]), region)


def _mpp(tiff: Any, page: Any) -> resolution.Claim:
    try:
        claim = _declared_mpp(tiff, page)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        return None, f"unknown: the file's metadata cannot be read ({error})"
    if claim is not None:
        return claim
    x, y = (page.tags.valueof(name) for name in ("XResolution", "YResolution"))
    return resolution.from_tags(x, y, page.tags.valueof("ResolutionUnit", default=2))


def _declared_mpp(tiff: Any, page: Any) -> resolution.Claim | None:
    claim = None
    if tiff.is_ome:
        root = ElementTree.fromstring(tiff.ome_metadata)
        size = {"SizeX": str(page.imagewidth), "SizeY": str(page.imagelength)}  # a label or overview may come first
        found = (element for element in root.iter() if element.tag.endswith("}Pixels"))
        pixels = next((one for one in found if size.items() <= one.attrib.items()), None)
        claim = None if pixels is None else resolution.from_ome(pixels.attrib)
    if claim is None and tiff.is_svs:
        claim = resolution.from_aperio(page.description)
    return claim


def _compression(page: Any) -> str:
    storage = f"{page.tilewidth} x {page.tilelength} px tiles" if page.is_tiled else "strips"
    return f"{page.compression.name} in {storage}"
