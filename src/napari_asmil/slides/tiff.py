"""The TIFF family through tifffile: SVS, NDPI, SCN, BIF, Philips, OME-TIFF and generic pyramids.

tifffile reads the directories and says which page is what; pixels are read by `Plane`. Described in TIFF 6.0, BigTIFF,
OME-TIFF (docs.openmicroscopy.org) and, for the vendors, https://openslide.org/formats.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import tifffile

from napari_asmil.errors import InputError
from napari_asmil.slides import tiff_scale
from napari_asmil.slides.backend import Associated, Level, Opened, Unreadable
from napari_asmil.slides.companions import beside_vsi
from napari_asmil.slides.tiff_claims import is_bounded
from napari_asmil.slides.tiff_levels import Picture, ladder, pictures_beside
from napari_asmil.slides.tiff_tiles import SharedFile

LARGEST_HOLE = 8
"""A pyramid whose next level is this many times smaller has probably lost one in reading."""

_BROKEN = re.compile(r"invalid .*offset.*|corrupted tag list.*|invalid circular reference.*")
"""What tifffile logs, and goes on from, when the directory is not whole."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_XML_KINDS = ("ome", "scn", "philips", "indica", "qpi")
"""Kinds whose directory tifffile reads with a parser that expands entities."""


def sniff(path: Path) -> bool:
    """Whether the file begins like a TIFF or BigTIFF."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def open(path: Path) -> Opened:  # noqa: A001 (every backend offers `sniff` and `open`)
    """Open a TIFF file; reads its directories and no pixels.

    Raises
    ------
    Unreadable
        When tifffile does not know this kind of slide.
    InputError
        When the file is cut off, its directory is damaged, it is the index of a slide that lies elsewhere, or its
        pixels are neither 8- nor 16-bit colour or grey.
    """
    beside = beside_vsi(path)
    with _Complaints() as said, _read_directory(path, said) as tiff:
        try:
            opened = _opened(path, tiff)
            return replace(opened, facts=[*opened.facts, *beside])
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"Its directory of images does not hold together ({error}).",
                remedy="It is probably damaged; copy it again from where it came from.",
                path=path,
            ) from error


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


def _read_directory(path: Path, said: list[str]) -> Any:
    """The open tifffile file, whose series have been found; other files of an OME set are not opened."""
    tiff, why = None, "it holds none"
    try:
        tiff = tifffile.TiffFile(path, _multifile=False)
        first = tiff.pages.first
        if not is_bounded(first.description, first.imagewidth * first.imagelength):
            tiff.close()
            tiff = tifffile.TiffFile(path, **{f"is_{kind}": False for kind in _XML_KINDS})
        found = bool(tiff.series)
    except NotImplementedError as error:
        raise Unreadable(f"tifffile does not know this kind of slide ({error}).", path=path) from error
    except Exception as error:  # noqa: BLE001 (tifffile raises whatever a strange directory leads to)
        found, why = False, str(error)
    broken = [match[0] for match in map(_BROKEN.search, said) if match]
    if tiff is not None and found and not broken:
        return tiff
    if tiff is not None:
        tiff.close()
    if broken:
        raise InputError(
            f"The file is cut off (its directory of images is not whole: {', '.join(broken[:3])}).",
            remedy="Copy it again from where it came from.",
            path=path,
        )
    raise InputError(
        f"It begins like a TIFF file, but no image is found in it ({why}).",
        remedy="It is probably damaged; copy it again from where it came from.",
        path=path,
    )


def _opened(path: Path, tiff: Any) -> Opened:
    file = SharedFile(path)
    try:
        return _with(file, path, tiff)
    except BaseException:
        file.close()
        raise


def _with(file: SharedFile, path: Path, tiff: Any) -> Opened:
    main = _largest(tiff.series)
    steps = ladder(tiff, main)
    metadata = tiff_scale.read(tiff, steps[0].keyframe)
    levels = _levels(file, steps, metadata.bits, path)
    for level in levels:
        level.check(file.size, path)
    beside = pictures_beside(tiff, main, steps, file)
    doubt = _doubt(tiff, main, levels)
    facts = [
        f"slide, {_kind(main)}, {levels[0].storage}, read by tifffile",
        *levels[0].facts,
        *levels[0].depth.facts,
        *_not_shown(tiff, main),
        *_turned(steps[0].keyframe),
        *([doubt] if doubt else []),
    ]
    return Opened(
        [Level(level.shape, level.block, level.region) for level in levels],
        *metadata.mpp,
        facts,
        file.close,
        centre_nm=tiff_scale.centre_nm(steps[0].keyframe),
        associated={name: Associated(picture.shape, picture.whole) for name, picture in beside},
        doubt=doubt,
    )


def _levels(file: SharedFile, steps: list[Any], bits: int | None, path: Path) -> list[Picture]:
    try:
        first = Picture(file, steps[0], bits)
        levels = [first, *(Picture(file, step, depth=first.depth) for step in steps[1:])]
    except Exception as error:
        raise InputError(
            f"Its pixels cannot be shown ({error}); a slide must be 8-bit RGB or grey, or 16-bit.",
            remedy="Export it as an 8-bit RGB pyramid (for example with bfconvert or QuPath).",
            path=path,
        ) from error
    first.depth.look_at(levels[-1].shape, levels[-1].greatest)
    return levels


def _area(series: Any) -> int:
    return int(series.keyframe.imagewidth) * int(series.keyframe.imagelength)


def _largest(series: list[Any]) -> Any:
    """Of equals the first, as OME-TIFF counts them."""
    return max(series, key=_area)


def _kind(series: Any) -> str:
    names = {"": "TIFF", "generic": "TIFF", "uniform": "TIFF", "shaped": "TIFF"}
    return names.get(series.kind) or str(series.kind).upper()


def _not_shown(tiff: Any, main: Any) -> list[str]:
    """Other images of the file that are about as large as the one shown: scanned areas, series."""
    others = [one for one in tiff.series if one is not main and 4 * _area(one) > _area(main)]
    notes = [
        f"the file holds {len(tiff.series)} images; the largest is shown, not"
        f" {one.name or 'another'} of {one.keyframe.imagewidth} x {one.keyframe.imagelength} px"
        for one in others[:3]
    ]
    if tiff.is_ome and "<UUID" in tiff.ome_metadata and "FileName=" in tiff.ome_metadata:
        names = set(re.findall(r'FileName="([^"]*)"', tiff.ome_metadata)) - {tiff.filename}
        if names:
            notes.append(f"its OME metadata names {len(names)} other file(s) of a set, which are not read")
    return notes


def _turned(page: Any) -> list[str]:
    orientation = int(page.tags.valueof("Orientation", default=1))
    return [f"the file asks to be turned (orientation {orientation}); shown as stored, not turned"] * (orientation != 1)


def _doubt(tiff: Any, main: Any, levels: list[Picture]) -> str:
    if tiff.is_bif:
        return "tiles of a Ventana scan may overlap, and are shown side by side as stored"
    if str(tiff.pages.first.software).startswith("MedScan"):
        return "tiles of a Trestle scan may overlap, and are shown side by side as stored"
    steps = [finer.shape[0] / coarser.shape[0] for finer, coarser in pairwise(levels)]
    if main.kind == "svs" and max(steps, default=1) > LARGEST_HOLE:
        return f"a level is {max(steps):.3g} times smaller than the one before it, so one may be missing"
    return ""
