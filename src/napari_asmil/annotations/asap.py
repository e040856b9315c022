"""ASAP XML, the annotations of CAMELYON: polygons in level-0 px, each part of a group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from napari_asmil.annotations.contours import Contour, Contours
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame

WITH_AREA = ("Polygon", "Spline", "Rectangle")


def sniff(path: Path) -> bool:
    """Whether the file is XML with ASAP's annotations."""
    with path.open("rb") as file:
        start = file.read(4096)
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<Annotation" in start and b"<svg" not in start


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read polygons, splines and rectangles; dots and measures have no area and are left out by name.

    Raises
    ------
    InputError
        When the XML is broken or uses entities.
    """
    try:
        root = ElementTree.parse(path).getroot()
        contours: list[Contour] = []
        left_out: list[str] = []
        splines = 0
        for element in root.iter("Annotation"):
            kind = element.get("Type", "Polygon")
            splines += kind == "Spline"
            outline = _outline(element)
            if kind in WITH_AREA and len(outline) >= 3:
                contours.append(Contour(element.get("Name", ""), element.get("PartOfGroup", ""), outline))
            else:
                left_out.append(kind)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, TypeError) as error:
        raise InputError(
            f"It is not valid ASAP XML ({error}).", remedy="Save it again from ASAP.", path=path
        ) from error
    notes = [f"left out: {left_out.count(kind)} {kind} without area" for kind in dict.fromkeys(left_out)]
    if splines:
        notes.append(f"{splines} Spline read as the polygon of its points")
    return Contours(contours, path, notes)


def _outline(element: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    corners = sorted(element.iter("Coordinate"), key=lambda corner: int(float(corner.get("Order", 0))))
    points = np.array([(float(corner.get("X")), float(corner.get("Y"))) for corner in corners], dtype=np.float64)
    outline = points.reshape(-1, 2)
    if not np.isfinite(outline).all():
        raise ValueError("a coordinate is not a finite number")
    return outline[:-1] if len(outline) > 1 and (outline[0] == outline[-1]).all() else outline
