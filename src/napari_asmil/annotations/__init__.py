"""Contours that people drew on slides.

A dialect is a module with ``sniff(path) -> bool`` (by content) and ``read(path, frame) -> Contours``; adding one is
one such module and its name in `DIALECTS`. `Frame` is the slide's, or None when no slide is known.
"""

from __future__ import annotations

from pathlib import Path

from napari_asmil.annotations import asap, geojson
from napari_asmil.annotations.contours import Contour, Contours
from napari_asmil.annotations.geojson import write_geojson
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame

__all__ = ["Contour", "Contours", "read_annotations", "write_geojson"]

DIALECTS = (geojson, asap)


def sniff(path: Path) -> bool:
    """Whether the file is an annotation file that `read_annotations` reads."""
    return any(dialect.sniff(path) for dialect in DIALECTS)


def read_annotations(path: str | Path, frame: Frame | None = None) -> Contours:
    """Read the contours of one slide.

    Parameters
    ----------
    path : path-like
        QuPath GeoJSON or ASAP XML; told apart by content.
    frame : Frame, optional
        Of the slide (`Slide.frame`), for dialects that count in something else than level-0 px.

    Returns
    -------
    Contours
        Coordinates in level-0 px, x then y.

    Raises
    ------
    InputError
        When the file is missing, broken, or in no known dialect.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("There is no such annotation file.", remedy="Check the path.", path=path)
    for dialect in DIALECTS:
        if dialect.sniff(path):
            contours: Contours = dialect.read(path, frame)
            return contours
    raise InputError(
        "This is no annotation file that can be read (QuPath GeoJSON or ASAP XML).",
        remedy="Export the annotations from QuPath as GeoJSON.",
        path=path,
    )
