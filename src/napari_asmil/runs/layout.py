"""A new run on disk, before its first epoch."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import zarr

from napari_asmil.analysis.display import AS_STORED
from napari_asmil.runs import schema
from napari_asmil.runs.records import RunHeader


def lay_out(path: Path, header: RunHeader) -> None:
    """Write a run without epochs: its attributes, its tiles, and arrays with room for the planned epochs."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    offset = score_offset = 0
    slides = []
    for s in header.slides:
        entry = {k: v for k, v in asdict(s).items() if k not in ("xy", "labels", "watched")}
        entry |= {"offset": offset, "score_offset": score_offset if s.watched else None}
        slides.append(entry)
        offset += s.n_tiles
        score_offset += s.n_tiles if s.watched else 0
    xy = [np.full((s.n_tiles, 2), -1) if s.xy is None else s.xy for s in header.slides]
    labels = [np.full(s.n_tiles, np.nan) if s.labels is None else s.labels for s in header.slides]
    group.create_array("tiles/xy", data=np.concatenate(xy).astype(np.int64))
    group.create_array("tiles/labels", data=np.concatenate(labels).astype(np.float32))
    rows, count = header.planned_epochs + 1, len(slides)
    _rowwise(group, "attention/online", (rows, offset))
    if header.anchor_normalizer is not None:
        _rowwise(group, "attention/anchor", (rows, offset))
    if header.imported in AS_STORED:
        _rowwise(group, "values", (rows, offset))
    if score_offset:
        _rowwise(group, "scores", (rows, len(header.row_names), score_offset))
        if header.evidence:
            _rowwise(group, "evidence", (rows, len(header.class_names), score_offset))
    _rowwise(group, "scalars", (rows, count, len(schema.SCALARS)), "float64")
    _rowwise(group, "logits", (rows, count, len(header.class_names)))
    _rowwise(group, "bags", (rows, count, header.bag_size))
    (path / "epochs").mkdir()
    (path / "checkpoints").mkdir()
    anchor = header.anchor_normalizer
    group.attrs[schema.KEY] = {
        "schema": schema.SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": _software(),
        "method": header.method,
        "label": header.label,
        "recipe": dict(header.recipe),
        "class_names": list(header.class_names),
        "row_names": list(header.row_names),
        "row_join": header.row_join,
        "map_words": header.map_words,
        "normalizer": header.normalizer.as_dict(),
        "anchor_normalizer": None if anchor is None else anchor.as_dict(),
        "planned_epochs": header.planned_epochs,
        "seed": header.seed,
        "device": header.device,
        "bag_hashes": dict(header.bag_hashes),
        "labels": dict(header.labels),
        "splits": dict(header.splits),
        "notes": header.notes,
        "applied": header.applied,
        "imported": header.imported,
        "scalar_names": list(schema.SCALARS),
        "slides": slides,
    }


def _rowwise(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: str = "float32") -> None:
    """One file an epoch; a long last axis is cut into inner chunks so that one slide can be read alone."""
    last = shape[-1]
    chunk = (1, *shape[1:-1], min(last, schema.INNER_CHUNK))
    whole = -(-last // chunk[-1]) * chunk[-1]
    shard = (*chunk[:-1], whole) if whole > chunk[-1] else None
    group.create_array(name, shape=shape, chunks=chunk, shards=shard, dtype=dtype, fill_value=np.nan)


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("napari-asmil", "torch", "numpy", "zarr"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
