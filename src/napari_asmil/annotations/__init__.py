"""Contours that people drew on slides.

A dialect is a module with ``sniff(path) -> bool`` (by content) and ``read(path, frame) -> Contours``; adding one is
one such module and its name in `DIALECTS`. `Frame` is the slide's, or None when no slide is known.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_asmil.annotations import aperio, asap, geojson, mask, ncrf, ndpa
from napari_asmil.annotations.contours import Contour, Contours, Mark
from napari_asmil.annotations.geojson import write_geojson
from napari_asmil.annotations.roles import ROLES, Role, parse_roles
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame

__all__ = ["ROLES", "Contour", "Contours", "Mark", "Role", "parse_roles", "read_annotations", "write_geojson"]

DIALECTS = (geojson, ncrf, asap, aperio, ndpa)
KNOWN = "QuPath GeoJSON, ASAP XML, Aperio XML, Hamamatsu NDPA, NCRF JSON, or a mask as PNG or TIFF"


def sniff(path: Path) -> bool:
    """Whether the file is an annotation file that `read_annotations` reads; a mask is told by nobody but its owner."""
    return any(dialect.sniff(path) for dialect in DIALECTS)


def read_annotations(path: str | Path, frame: Frame | None = None, *, cropped: bool = False) -> Contours:
    """Read the contours of one slide.

    Parameters
    ----------
    path : path-like
        QuPath GeoJSON, ASAP XML, Aperio XML, Hamamatsu NDPA, NCRF JSON, or a mask; told apart by content.
    frame : Frame, optional
        Of the slide (`Slide.frame`), for dialects that count in something else than level-0 px.
    cropped : bool
        The file counts from the corner of the scanned area, as QuPath does with slides that have one
        (``frame.bounds``), unless they were opened with ``--no-crop``. The file does not say which.

    Returns
    -------
    Contours
        Coordinates in level-0 px of the whole slide, x then y.

    Raises
    ------
    InputError
        When the file is missing, broken, or in no known dialect, or the slide is needed and does not say enough.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("There is no such annotation file.", remedy="Check the path.", path=path)
    for dialect in (*DIALECTS, mask):
        if dialect.sniff(path):
            contours: Contours = dialect.read(path, frame)
            return _placed(contours, frame, cropped=cropped, quiet=dialect is not geojson)
    raise InputError(
        f"This is no annotation file that can be read ({KNOWN}).",
        remedy="Export the annotations from QuPath as GeoJSON.",
        path=path,
    )


def _placed(contours: Contours, frame: Frame | None, *, cropped: bool, quiet: bool) -> Contours:
    """Contours where they belong on the whole slide, with a note where that was taken for granted."""
    bounds = (0, 0) if frame is None else frame.bounds
    if cropped and not any(bounds):
        raise InputError(
            "The scanned area of the slide begins at its corner, or is not known: nothing was cropped off.",
            remedy="Leave 'cropped' out.",
            path=contours.path,
        )
    if cropped:
        return contours.counted_from(bounds)
    if quiet or not any(bounds) or not (contours.polygons or contours.marks):
        return contours
    x, y = bounds
    said = f"the scanned area begins at x = {x}, y = {y}; coordinates are taken to count from the corner of the slide"
    blank = sum(bool((c.exterior < bounds).any()) for c in contours.polygons)
    doubt = f", yet {blank} of {len(contours.polygons)} contours reach out of that area" if blank else ""
    note = f"{said}{doubt}: where QuPath opened it without --no-crop they count from there ('cropped')"
    return replace(contours, notes=[*contours.notes, note])
