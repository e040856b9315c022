"""ASAP XML, the annotations of CAMELYON: shapes in level-0 px, each part of a group, groups part of groups.

https://computationalpathologygroup.github.io/ASAP/. Older files lack the root element.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from napari_asmil.annotations.contours import Contour, Contours, Mark
from napari_asmil.annotations.reading import (
    head,
    left_out,
    number,
    places,
    read_xml,
    rectangle,
    ring,
    root_tag,
    speaking,
)
from napari_asmil.annotations.roles import UNGROUPED, Role, role_of_name
from napari_asmil.frame import Frame

WITH_AREA = ("Polygon", "Spline", "Rectangle")
POINTS = ("Dot", "PointSet")
MEASURE = "Measurement"


def sniff(path: Path) -> bool:
    """Whether the file is XML with ASAP's annotations."""
    start = head(path)
    root = root_tag(start)
    return root == "ASAP_Annotations" or (
        root in ("Annotations", "Annotation") and ("<Coordinate" in start or "PartOfGroup=" in start)
    )


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read polygons, splines and rectangles, and dots, point sets and measures, which have no area.

    A group whose name says nothing is what the group is that it is part of.

    Raises
    ------
    InputError
        When the XML is broken or uses entities.
    """
    contours: list[Contour] = []
    marks: list[Mark] = []
    without: list[str] = []
    splines = 0
    with speaking(path, "ASAP XML", "Save it again from ASAP."):
        root = read_xml(path)
        for element in root.iter("Annotation"):
            kind, name, group = element.get("Type", "Polygon"), element.get("Name", ""), element.get("PartOfGroup", "")
            corners = _corners(element)
            if kind in POINTS or kind == MEASURE:
                marks.append(Mark(name, group, places(corners), line=kind == MEASURE))
                continue
            outline = rectangle(ring(corners)) if kind == "Rectangle" else ring(corners)
            if kind not in WITH_AREA:
                without.append(kind)
            elif len(outline) < 3:
                without.append(f"{kind} of fewer than 3 corners")
            else:
                splines += kind == "Spline"
                contours.append(Contour(name, group, outline))
        known = _inherited(root)
    notes = left_out(without)
    if splines:
        notes.append(f"{splines} Spline read as the polygon of its points")
    return Contours(contours, path, notes, marks, known)


def _corners(element: Element) -> NDArray[np.float64]:
    corners = sorted(element.iter("Coordinate"), key=lambda corner: number(corner.get("Order", "0")))
    found: NDArray[Any] = np.array([(number(c.get("X")), number(c.get("Y"))) for c in corners], dtype=np.float64)
    return found.reshape(-1, 2)


def _inherited(root: Element) -> dict[str, Role]:
    """What groups are whose own names say nothing, by the groups they are part of."""
    above = {group.get("Name", ""): group.get("PartOfGroup", "") for group in root.iter("Group")}
    found: dict[str, Role | None] = {}
    for name in above:
        up, walked = name, dict[str, None]()
        while up in above and up not in found and up not in walked and role_of_name(up) is None:
            walked[up] = None
            up = above[up]
        role = found[up] if up in found else None if up.lower() == UNGROUPED else role_of_name(up)
        found.update(dict.fromkeys(walked, role))
    return {name: role for name, role in found.items() if role is not None}
