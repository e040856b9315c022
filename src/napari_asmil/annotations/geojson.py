"""GeoJSON as QuPath writes it: a Feature, a list of them, or a FeatureCollection; coordinates in level-0 px.

A ``crs`` is ignored: where there is one (TRIDENT writes EPSG:3857), it is untrue.
"""

from __future__ import annotations

import colorsys
import json
import re
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_asmil.annotations.contours import Contour, Contours
from napari_asmil.errors import InputError
from napari_asmil.files import json_text, write_text
from napari_asmil.frame import Frame


def sniff(path: Path) -> bool:
    """Whether the file is JSON that speaks of features or geometries."""
    with path.open("rb") as file:
        start = file.read(65536).lstrip(b"\xef\xbb\xbf \t\r\n")
    return start == b"[]" or (
        start[:1] in (b"{", b"[") and re.search(rb'"(Feature|geometry|coordinates)', start) is not None
    )


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read polygons, multipolygons and their holes; other geometries have no area and are left out by name.

    Raises
    ------
    InputError
        When the file is no valid GeoJSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        contours: list[Contour] = []
        left_out: list[str] = []
        for feature in _features(content):
            properties = feature.get("properties") or {}
            name, group = properties.get("name") or "", _group(properties)
            for kind, rings in _polygons(feature.get("geometry") or {}):
                outlines = [_ring(ring) for ring in rings]
                if outlines and len(outlines[0]) >= 3:
                    contours.append(Contour(name, group, outlines[0], [h for h in outlines[1:] if len(h) >= 3]))
                else:
                    left_out.append(kind)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"It is not valid GeoJSON ({error}).", remedy="Export it again, from QuPath as GeoJSON.", path=path
        ) from error
    notes = [f"left out: {left_out.count(kind)} {kind} without area" for kind in dict.fromkeys(left_out)]
    return Contours(contours, path, notes)


def write_geojson(path: str | Path, contours: Contours) -> None:
    """Write contours so that QuPath opens them: annotations with a class, its colour and a lasting id.

    Parameters
    ----------
    path : path-like
        The file; it appears whole or not at all.
    contours : Contours
        What to write.
    """
    features = [_feature(index, contour) for index, contour in enumerate(contours.polygons)]
    write_text(Path(path), json_text({"type": "FeatureCollection", "features": features}))


def _features(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for one in content:
            yield from _features(one)
    elif content.get("type") == "FeatureCollection":
        yield from content["features"]
    elif content.get("type") == "Feature":
        yield content
    else:
        yield {"geometry": content}


def _group(properties: dict[str, Any]) -> str:
    given = properties.get("classification")
    if isinstance(given, dict):
        given = given.get("name") or ": ".join(given.get("names") or [])
    return str(given or "")


def _polygons(geometry: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """(kind, rings) of each polygon; no rings for a geometry without area."""
    kind = str(geometry.get("type", "feature without geometry"))
    if kind == "Polygon":
        yield kind, geometry["coordinates"]
    elif kind == "MultiPolygon":
        for rings in geometry["coordinates"]:
            yield kind, rings
    elif kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _polygons(part)
    else:
        yield kind, []


def _ring(points: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    ring = np.array([point[:2] for point in points], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise ValueError("a coordinate is not a finite number")
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def _feature(index: int, contour: Contour) -> dict[str, Any]:
    rings = [[*ring.tolist(), ring[0].tolist()] for ring in (contour.exterior, *contour.holes)]
    properties: dict[str, Any] = {"objectType": "annotation"}
    if contour.name:
        properties["name"] = contour.name
    if contour.group:
        properties["classification"] = {"name": contour.group, "color": _colour(contour.group)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{index} {contour.group} {rings}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": properties,
    }


def _colour(group: str) -> list[int]:
    """QuPath's red for tumour, else a colour that a group name always gets."""
    if group.lower() in ("tumor", "tumour"):
        return [200, 0, 0]
    hue = zlib.crc32(group.encode()) % 360 / 360
    return [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.7, 0.8)]
