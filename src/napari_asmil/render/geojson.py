"""A map as tiles that QuPath opens, with its numbers as measurements."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_asmil.analysis.display import TRANSFORMS
from napari_asmil.files import complete, json_text
from napari_asmil.render.facts import check_epoch, epoch_name, facts_of, mass_of
from napari_asmil.render.files import check_ending
from napari_asmil.render.scene import tiles_of

if TYPE_CHECKING:
    from napari_asmil.runs.view import MapView

MEASURED = ("probability", "m_alpha", "percentile")
"""Transforms that every tile carries: no one of them is chosen for the reader."""


def export_tiles(path: str | Path, view: MapView, epoch: int, *, bounds: tuple[int, int] = (0, 0)) -> Path:
    """Write one epoch of a map as a GeoJSON FeatureCollection of QuPath tiles.

    A measurement's name says run, epoch and normaliser, so files of several epochs can be opened together. The facts
    of the map are a member ``napari_asmil`` of the collection, which QuPath passes over.

    Parameters
    ----------
    path : path-like
        Ends in ``.geojson``; it appears whole or not at all.
    view : MapView
        Run, slide, normaliser and row; its transform plays no part.
    epoch : int
        A committed epoch.
    bounds : (int, int)
        `Slide.bounds`, x and y: QuPath counts from there when it crops a slide to its scanned area.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When the epoch is not there, the bag has no coordinates, or the file cannot be written.
    """
    check_ending(Path(path), ".geojson")
    check_epoch(view, epoch)
    said = facts_of(view, epoch, mass_of(view, epoch))
    facts = {name: text for name, text in said.items() if text and name not in ("shown", "caution")}
    with complete(Path(path)) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", "napari_asmil": {json_text(facts)}, "features": [\n')
        file.write(",\n".join(map(json_text, _features(view, epoch, bounds))))
        file.write("\n]}\n")
    return Path(path)


def _features(view: MapView, epoch: int, bounds: tuple[int, int]) -> Iterator[dict[str, Any]]:
    tiles, p = tiles_of(view.slide), mass_of(view, epoch)
    which = f"{view.run.name} {epoch_name(view, epoch)}, {view.source_label}"
    if p is None:
        columns = {f"{view.quantity} ({view.unit}): {which}": view.values(epoch).astype(np.float64)}
    else:
        columns = {f"{TRANSFORMS[n].label} ({TRANSFORMS[n].unit}): {which}": TRANSFORMS[n].values(p) for n in MEASURED}
    if view.slide.tile_labels is not None:
        columns["tumour share of the tile"] = np.asarray(view.slide.tile_labels, dtype=np.float64)
    for index, (x, y) in enumerate((tiles.xy - bounds).tolist()):
        right, bottom = x + tiles.size, y + tiles.size
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{view.run.name} {view.slide.slide_id} tile {index}")),
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]],
            },
            "properties": {
                "objectType": "tile",
                "name": f"tile {index}",
                "measurements": {name: float(values[index]) for name, values in columns.items()},
            },
        }
