"""GeoJSON as QuPath writes it: a Feature, a list of them, or a FeatureCollection; coordinates in level-0 px.

https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html. Where a slide has a scanned area,
QuPath counts from its corner unless the slide was opened with ``--no-crop``: see `read_annotations`. A ``crs`` is
ignored: where there is one (TRIDENT writes EPSG:3857), it is untrue.
"""

from __future__ import annotations

import colorsys
import re
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_asmil.annotations.contours import Contour, Contours, Mark
from napari_asmil.annotations.reading import head, left_out, places, read_json, ring, speaking
from napari_asmil.files import json_text, write_text
from napari_asmil.frame import Frame

NO_AREAS = {"tile": "tile", "tmacore": "TMA core", "root": "whole image", "detection": "detection", "cell": "cell"}
"""Kinds of QuPath's objects that nobody drew as an area; a cell that is classed Tumor is no tumour region."""


def sniff(path: Path) -> bool:
    """Whether the file is JSON that speaks of features or geometries."""
    start = head(path)
    return start.strip() == "[]" or (
        start[:1] in ("{", "[") and re.search(r'"(Feature|Geometry|geometr|coordinates)', start) is not None
    )


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read polygons, multipolygons and their holes, points and lines; what else there is, is left out by name.

    Raises
    ------
    InputError
        When the file is no valid GeoJSON.
    """
    contours: list[Contour] = []
    marks: list[Mark] = []
    without: list[str] = []
    with speaking(path, "GeoJSON", "Export it again, from QuPath as GeoJSON."):
        for feature in _features(read_json(path)):
            properties = feature.get("properties") or {}
            kind = _kind(feature, properties)
            if kind in NO_AREAS:
                without.append(NO_AREAS[kind])
                continue
            name, group = str(properties.get("name") or ""), _group(properties)
            for shape, parts in _shapes(feature.get("geometry") or {}):
                if shape == "Polygon":
                    outlines = [ring(part) for part in parts]
                    if outlines and len(outlines[0]) >= 3:
                        contours.append(Contour(name, group, outlines[0], [h for h in outlines[1:] if len(h) >= 3]))
                    else:
                        without.append("Polygon of fewer than 3 corners")
                elif shape in ("Point", "LineString"):
                    if parts:
                        marks.append(Mark(name, group, places(parts), line=shape == "LineString"))
                else:
                    without.append(shape)
    return Contours(contours, path, left_out(without), marks)


def write_geojson(path: str | Path, contours: Contours) -> None:
    """Write contours so that QuPath opens them: annotations with a class, its colour and a lasting id.

    Coordinates count from where the file of the contours did: what was read of a cropped slide is written for one.

    Parameters
    ----------
    path : path-like
        The file; it appears whole or not at all.
    contours : Contours
        What to write.
    """
    given = contours.counted_from((0.0, 0.0)) if any(contours.origin) else contours
    shapes = [(c.name, c.group, _polygon(c)) for c in given.polygons]
    shapes += [(m.name, m.group, _open(m)) for m in given.marks]
    features = [_feature(index, *shape) for index, shape in enumerate(shapes)]
    write_text(Path(path), json_text({"type": "FeatureCollection", "features": features}))


def _features(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for one in content:
            yield from _features(one)
    elif content.get("type") == "FeatureCollection":
        yield from _features(content["features"])
    elif content.get("type") == "Feature":
        yield content
        yield from _features((content.get("properties") or {}).get("childObjects") or [])
    else:
        yield {"geometry": content}


def _kind(feature: dict[str, Any], properties: dict[str, Any]) -> str:
    """What kind of object it is for QuPath, in lower case; "" where it is not said."""
    named = properties.get("objectType") or properties.get("object_type")
    legacy = re.fullmatch(r"Path(\w+)Object", str(feature.get("id") or ""))
    return str(named or (legacy[1] if legacy else "")).replace("_", "").lower()


def _group(properties: dict[str, Any]) -> str:
    given = properties.get("classification")
    if isinstance(given, dict):
        given = given.get("name") or ": ".join(given.get("names") or [])
    return str(given or "")


def _shapes(geometry: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Each part of a geometry: polygons with their rings, points and lines with their points, others without."""
    kind = str(geometry.get("type", "feature without geometry"))
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _shapes(part)
    elif kind == "Point":
        yield kind, [geometry["coordinates"]]
    elif kind == "MultiPoint":
        yield "Point", geometry["coordinates"]
    elif kind in ("Polygon", "LineString"):
        yield kind, geometry["coordinates"]
    elif kind in ("MultiPolygon", "MultiLineString"):
        for part in geometry["coordinates"]:
            yield kind.removeprefix("Multi"), part
    else:
        yield kind, []


def _polygon(contour: Contour) -> dict[str, Any]:
    rings = [[*ring.tolist(), ring[0].tolist()] for ring in (contour.exterior, *contour.holes)]
    return {"type": "Polygon", "coordinates": rings}


def _open(mark: Mark) -> dict[str, Any]:
    return {"type": "LineString" if mark.line else "MultiPoint", "coordinates": mark.xy.tolist()}


def _feature(index: int, name: str, group: str, geometry: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": "annotation"}
    if name:
        properties["name"] = name
    if group:
        properties["classification"] = {"name": group, "color": _colour(group)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{index} {group} {geometry['coordinates']}")),
        "geometry": geometry,
        "properties": properties,
    }


def _colour(group: str) -> list[int]:
    """QuPath's red for tumour, else a colour that a group name always gets."""
    if group.lower() in ("tumor", "tumour"):
        return [200, 0, 0]
    hue = zlib.crc32(group.encode()) % 360 / 360
    return [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.7, 0.8)]
