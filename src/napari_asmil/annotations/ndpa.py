"""Hamamatsu NDPA, the annotations of NDP.view: XML in nanometres from the middle of the glass.

``annotations / ndpviewstate (title) / annotation (type)``: freehand outlines and rectangles (``pointlist``, and
``closed`` unless 0), circles (``x, y, radius``), pins (``x, y``), rulers and pointers (``x1, y1, x2, y2``). x grows to
the right, y downwards. The slide says how far the middle of its image lies from that of the glass
(``hamamatsu.XOffsetFromSlideCentre``), so ``px = (nm - offset) / (1000 mpp) + size / 2``.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from napari_asmil.annotations.contours import Contour, Contours, Mark
from napari_asmil.annotations.reading import (
    ellipse,
    head,
    left_out,
    number,
    places,
    read_xml,
    ring,
    root_tag,
    speaking,
)
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame


def sniff(path: Path) -> bool:
    """Whether the file is XML with the views of NDP.view."""
    start = head(path)
    empty = re.search(r"<annotations\s*(/>|>\s*</annotations>)", start) is not None
    return root_tag(start) in ("annotations", "ndpviewstate") and ("<ndpviewstate" in start or empty)


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read the annotation of every view; its title, or else its colour, is the group.

    Raises
    ------
    InputError
        When the slide or what it must say is not known, or the XML is broken, uses entities or other units.
    """
    contours: list[Contour] = []
    marks: list[Mark] = []
    without: list[str] = []
    with speaking(path, "NDPA", "Save it again from NDP.view."):
        root = read_xml(path)
        views = list(root.iter("ndpviewstate"))
        if not views:
            return Contours([], path)
        nm_per_px, middle, offset = _plane(path, frame)
        for view in views:
            unit = view.findtext("coordformat", "nanometers").strip()
            if unit != "nanometers":
                raise ValueError(f"coordinates are in {unit!r}, not nanometers")
            title = view.findtext("title", "").strip()
            for drawn in view.iter("annotation"):
                group = title or drawn.get("color", "")
                kind = drawn.get("type", "")
                points, radius = _drawn(drawn)
                xy = (places(points) - offset) / nm_per_px + middle
                closed = drawn.findtext("closed", "1").strip() != "0"
                if radius:
                    contours.append(Contour("", group, ellipse(xy[0], np.full(2, radius / nm_per_px))))
                elif kind == "freehand" and closed and len(ring(xy)) >= 3:
                    contours.append(Contour("", group, ring(xy)))
                elif len(xy):
                    marks.append(Mark("", group, places(xy), line=len(xy) > 1))
                else:
                    without.append(kind or "annotation without type")
        width, height = (2 * middle).tolist()
    said = f"from nm about the middle of the glass: {nm_per_px:.6g} nm per level-0 px, the image's middle at"
    place = f"{offset[0]:.0f}, {offset[1]:.0f} nm and {width / 2:g}, {height / 2:g} px"
    return Contours(contours, path, [*left_out(without), f"{said} {place}"], marks)


def _plane(path: Path, frame: Frame | None) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Nanometres per px, the middle of the image in px and in nm."""
    missing = "the slide" if frame is None else ""
    if frame is not None:
        lacks = (("its pixel size", not frame.mpp), ("where the middle of the glass is", frame.centre_nm is None))
        missing = " and ".join(name for name, lacking in lacks if lacking)
    if frame is None or frame.mpp is None or frame.centre_nm is None or missing:
        raise InputError(
            "Its coordinates are nanometres from the middle of the glass;"
            f" {'the slide is needed to place them' if frame is None else f'the slide does not say {missing}'}.",
            remedy="Open the NDPI slide it was drawn on with it, or convert it to GeoJSON in QuPath.",
            path=path,
        )
    return 1000 * frame.mpp, np.array(frame.size) / 2, np.array(frame.centre_nm, dtype=np.float64)


def _drawn(element: Element) -> tuple[list[tuple[float, float]], float]:
    """Points of an annotation in nm; a circle has one and its radius, others have the radius 0."""
    if element.find("pointlist") is not None:
        points = [(number(p.findtext("x")), number(p.findtext("y"))) for p in element.iterfind("pointlist/point")]
        return points, 0.0
    if element.find("x1") is not None:
        return [(number(element.findtext(f"x{i}")), number(element.findtext(f"y{i}"))) for i in (1, 2)], 0.0
    if element.find("x") is not None:
        radius = number(element.findtext("radius", "0"))
        return [(number(element.findtext("x")), number(element.findtext("y")))], radius
    return [], 0.0
