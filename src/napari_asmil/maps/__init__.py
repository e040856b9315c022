"""Attention of someone's own model, read from a file of scores, as a run of one epoch.

A layout is a module with ``sniff(path) -> bool`` (by content) and ``read(path, known) -> Found``; adding one is one
such module and its name in `LAYOUTS`. What the numbers are (raw scores, probabilities, percentiles) is told by them
or asked for, see `values`; it decides what a run can derive from them.
"""

from __future__ import annotations

from napari_asmil.maps.importing import import_map, write_maps
from napari_asmil.maps.reading import LAYOUTS, folders_with_any, in_any, in_folder, read_map, sniff
from napari_asmil.maps.scoremap import ScoreMap
from napari_asmil.maps.values import MEANINGS

__all__ = [
    "LAYOUTS",
    "MEANINGS",
    "ScoreMap",
    "folders_with_any",
    "import_map",
    "in_any",
    "in_folder",
    "read_map",
    "sniff",
    "write_maps",
]
