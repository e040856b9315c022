"""Runs: raw attention per epoch on disk, written once and read at every moment."""

from __future__ import annotations

from napari_asmil.runs.lazy import LazyMaps
from napari_asmil.runs.reader import Run, open_run
from napari_asmil.runs.recorded import RunSlide
from napari_asmil.runs.records import EpochRecord, RunHeader, SlideHeader, SlideRecord
from napari_asmil.runs.schema import SCALARS, SCHEMA
from napari_asmil.runs.view import MapView, Source, When, sources
from napari_asmil.runs.writer import RunWriter

__all__ = [
    "SCALARS",
    "SCHEMA",
    "EpochRecord",
    "LazyMaps",
    "MapView",
    "Run",
    "RunHeader",
    "RunSlide",
    "RunWriter",
    "SlideHeader",
    "SlideRecord",
    "Source",
    "When",
    "open_run",
    "sources",
]
