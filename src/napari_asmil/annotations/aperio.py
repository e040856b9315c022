"""Aperio ImageScope XML: layers of regions in level-0 px; HALO's ``.annotations`` are the same with other words.

``Annotations / Annotation (a layer) / Regions / Region / Vertices / Vertex (X, Y)``. A region with ``NegativeROA="1"``
is cut out of its layer. Rectangles and ellipses may be given by two opposite corners. Types of ImageScope are numbers
(0 freehand, 1 rectangle, 2 ellipse, 3 arrow, 4 ruler, 5 counter), those of HALO words.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_asmil.annotations.contours import Contour, Contours, Mark
from napari_asmil.annotations.reading import (
    ellipse,
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
from napari_asmil.frame import Frame
from napari_asmil.words import counted

LINES, POINTS = ("3", "4", "arrow", "ruler"), ("5", "pin", "counter")
RECTANGLES, ELLIPSES = ("1", "rectangle"), ("2", "ellipse")
ALIKE = 0.05
"""Pixel sizes that differ by less are the same."""


def sniff(path: Path) -> bool:
    """Whether the file is XML with layers of regions."""
    start = head(path)
    return root_tag(start) in ("Annotations", "Annotation") and ("<Region" in start or "MicronsPerPixel=" in start)


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read the regions of every layer; a layer is a group.

    Raises
    ------
    InputError
        When the XML is broken or uses entities.
    """
    contours: list[Contour] = []
    marks: list[Mark] = []
    without: list[str] = []
    cuts = 0
    with speaking(path, "Aperio XML", "Save it again from ImageScope."):
        root = read_xml(path)
        for index, layer in enumerate(root.iter("Annotation")):
            group = layer.get("Name") or _described(layer) or f"layer {layer.get('Id', index + 1)}"
            areas: list[Contour] = []
            holes: list[NDArray[np.float64]] = []
            for region in layer.iter("Region"):
                name, kind = region.get("Text", ""), region.get("Type", "0").lower()
                corners = [(number(v.get("X")), number(v.get("Y"))) for v in region.iter() if v.tag in ("Vertex", "V")]
                if kind in LINES or kind in POINTS:
                    marks.append(Mark(name, group, places(corners), line=kind in LINES))
                    continue
                outline = _outline(kind, ring(corners))
                if len(outline) < 3:
                    without.append("region of fewer than 3 corners")
                elif region.get("NegativeROA", "0").lower() in ("1", "true"):
                    holes.append(outline)
                else:
                    areas.append(Contour(name, group, outline))
            cuts += len(holes)
            contours += _cut(areas, holes) if holes else areas
        notes = left_out(without)
        if cuts:
            notes.append(f"{counted(cuts, 'negative region')} cut out of the other regions of the same layer")
        notes += _doubt(root, frame)
    return Contours(contours, path, notes, marks)


def _described(layer: Element) -> str:
    """What the layer's own attribute says it is."""
    found = layer.find("Attributes/Attribute")
    return "" if found is None else found.get("Value") or found.get("Name") or ""


def _outline(kind: str, outline: NDArray[np.float64]) -> NDArray[np.float64]:
    if kind in ELLIPSES and len(outline) in (2, 4):
        low, high = outline.min(axis=0), outline.max(axis=0)
        return ellipse((low + high) / 2, (high - low) / 2)
    return rectangle(outline) if kind in RECTANGLES else outline


def _cut(areas: list[Contour], holes: list[NDArray[np.float64]]) -> list[Contour]:
    """Regions of a layer less its negative ones."""
    negative = shapely.STRtree([_valid(hole) for hole in holes])
    return [part for area in areas for part in _less(area, negative)]


def _less(area: Contour, negative: shapely.STRtree) -> list[Contour]:
    whole = _valid(area.exterior)
    touching = negative.query(whole, predicate="intersects")
    if not len(touching):
        return [area]
    left = shapely.difference(whole, shapely.union_all(negative.geometries[touching]))
    return [
        Contour(area.name, area.group, ring(_corners(part.exterior)), [ring(_corners(r)) for r in part.interiors])
        for part in shapely.get_parts(left)
        if isinstance(part, shapely.Polygon)
    ]


def _valid(outline: NDArray[np.float64]) -> BaseGeometry:
    return shapely.make_valid(shapely.Polygon(outline))


def _corners(line: BaseGeometry) -> NDArray[np.float64]:
    return np.array(line.coords, dtype=np.float64)


def _doubt(root: Element, frame: Frame | None) -> list[str]:
    """A note where the file was drawn on pixels of another size."""
    said = root.get("MicronsPerPixel")
    if not said or frame is None or not frame.mpp:
        return []
    mpp = number(said)
    if mpp <= 0 or abs(mpp / frame.mpp - 1) <= ALIKE:
        return []
    return [f"drawn at {mpp:g} µm per px, while the slide has {frame.mpp:g}: it may belong to another slide or level"]
