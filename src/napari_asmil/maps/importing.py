"""Scores of someone's own model as a run of one epoch, which everything here can open."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.display import AS_STORED
from napari_asmil.analysis.normalizers import log_softmax
from napari_asmil.annotations import Contours, read_annotations
from napari_asmil.bags import Bag, Given
from napari_asmil.errors import InputError
from napari_asmil.maps.reading import read_map
from napari_asmil.maps.scoremap import ScoreMap
from napari_asmil.runs import EpochRecord, Run, RunHeader, RunWriter, SlideHeader, SlideRecord, open_run
from napari_asmil.words import counted, listed

LABELS = {
    "logits": "attention scores from elsewhere",
    "probabilities": "attention from elsewhere",
    "percentiles": "percentiles from elsewhere",
    "scaled": "values from elsewhere",
}
"""How legends name the method of such a run, by what its file holds."""


def import_map(
    path: str | Path,
    out: str | Path,
    *,
    values: str | None = None,
    given: Given | None = None,
    features: str | Path | Bag | None = None,
    column: str = "",
    contours: str | Path | Contours | None = None,
) -> Run:
    """Write the scores of one slide to a new run of one epoch.

    Parameters
    ----------
    path : path-like
        A file of scores in any layout of docs/formats.md; told by content.
    out : path-like
        The run's folder.
    values : {"logits", "probabilities", "percentiles", "scaled"}, optional
        What the scores are; needed where their numbers do not tell.
    given : Given, optional
        The slide, its mpp and the tile edge, as far as they are known.
    features : path-like or Bag, optional
        The features that the model looked at, for scores without places.
    column : str
        Which column or array of the file is meant, where it has several.
    contours : path-like or Contours, optional
        Annotation of the slide, for numbers of how well the map finds the tumour.

    Returns
    -------
    Run
        Logits are kept as raw scores, of which every normaliser can be derived, and the map as stored is their softmax;
        probabilities are the map as stored; percentiles and scaled values are kept as they are, without any map.

    Raises
    ------
    InputError
        When the file cannot be read, it is not clear what its numbers are, or its tiles do not lie on the slide.
    """
    scores = read_map(path, values=values, given=given, features=features, column=column)
    return write_maps([scores], out, contours=contours)


def contours_on(contours: str | Path, maps: Sequence[ScoreMap]) -> Contours:
    """The annotation of the slide of a map.

    Raises
    ------
    InputError
        When there are several maps, it cannot be read, or none of its contours lies on the slide.
    """
    if len(maps) != 1:
        raise InputError(f"Contours go with one file of scores, not {len(maps)}.", path=contours)
    frame = maps[0].given.frame
    drawn = read_annotations(contours, frame)
    size = maps[0].bag.slide_size if frame is None else frame.size
    if size is not None:
        drawn.check_on(size)
    return drawn


def write_maps(maps: Sequence[ScoreMap], out: str | Path, *, contours: str | Path | Contours | None = None) -> Run:
    """Write maps of several slides, as `read_map` gives them, to a new run of one epoch.

    Raises
    ------
    InputError
        When there is none, two are of one slide, they do not hold the same kind and number of rows, or contours are
        given with more than one.
    """
    begun, out = time.perf_counter(), Path(out)
    _check_alike(maps)
    drawn = contours if contours is None or isinstance(contours, Contours) else contours_on(contours, maps)
    if out.exists():
        raise InputError("This folder exists already.", remedy="Choose another name or remove it.", path=out)
    first, kind = maps[0], maps[0].values
    headers = [_slide_header(each, out, drawn) for each in maps]
    rows = len(first.scores)
    header = RunHeader(
        method="imported",
        label=LABELS[kind],
        recipe={},
        class_names=("unknown",),
        row_names=tuple(f"row {row}" for row in range(rows)) if rows > 1 else (first.name or "score",),
        slides=tuple(headers),
        planned_epochs=0,
        bag_size=1,
        map_words=_map_words(first),
        notes=_notes(maps),
        applied=f"as in {first.path.name if len(maps) == 1 else counted(len(maps), 'file')}",
        imported=kind,
    )
    records = {m.bag.slide_id: _record(m) for m in maps}
    with RunWriter.create(out, header) as writer:
        writer.write(EpochRecord(records, seconds=time.perf_counter() - begun))
    return open_run(out)


def _record(scores: ScoreMap) -> SlideRecord:
    tiles = scores.scores.shape[1]
    unknown = np.full(1, np.nan, dtype=np.float32)
    if scores.values in AS_STORED:
        nothing = np.full(tiles, np.nan, dtype=np.float32)
        return SlideRecord(nothing, unknown, unknown, values=scores.scores[0].astype(np.float32))
    if scores.values == "probabilities":
        with np.errstate(divide="ignore"):
            return SlideRecord(np.log(scores.scores[0]).astype(np.float32), unknown, unknown)
    z = scores.scores.astype(np.float32)
    return SlideRecord(_joined(z), unknown, unknown, z=z)


def _joined(z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log of the mean over rows of their softmax, (M,)."""
    logs = log_softmax(z)
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - np.log(len(logs)), dtype=np.float32)


def _map_words(scores: ScoreMap) -> str:
    what = {"logits": "softmax T=1 of the scores", "scaled": "values"}.get(scores.values, scores.values)
    return f"{what} in the file" + (f" ({scores.name})" if scores.name else "")


def _notes(maps: Sequence[ScoreMap]) -> str:
    encoders = sorted({m.bag.encoder for m in maps if m.digest and m.bag.encoder})
    told = [f"features: {', '.join(encoders) or 'unknown'}"]
    for scores in maps:
        named = f"{scores.bag.slide_id}: " if len(maps) > 1 else ""
        told += [f"{named}{fact}" for fact in scores.facts]
    return "; ".join(told)


def _slide_header(scores: ScoreMap, out: Path, contours: Contours | None) -> SlideHeader:
    bag, annotated = scores.bag, None if contours is None else contours.path
    labels = bag.tile_labels
    if contours is not None:
        labels = contours.tile_share(scores.tiles).astype(np.float32)
    return SlideHeader(
        slide_id=bag.slide_id,
        n_tiles=bag.n_tiles,
        xy=scores.tiles.xy,
        tile_size=scores.tiles.size,
        labels=labels,
        mpp=bag.mpp,
        slide_size=bag.slide_size,
        slide_path=_relative(bag.slide_path, out),
        contours_path=_relative(annotated or bag.contours_path, out),
        bag_hash=scores.digest,
        watched=scores.values == "logits",
    )


def _relative(path: Path | None, run: Path) -> str:
    if path is None:
        return ""
    try:
        return os.path.relpath(path.resolve(), run.resolve())
    except ValueError:  # another drive
        return str(path.resolve())


def _of_slide(scores: ScoreMap, maps: Sequence[ScoreMap]) -> str:
    return listed(other.path.name for other in maps if other.bag.slide_id == scores.bag.slide_id)


def _check_alike(maps: Sequence[ScoreMap]) -> None:
    if not maps:
        raise InputError("No file of scores was given.")
    seen: set[str] = set()
    for scores in maps:
        if scores.bag.slide_id in seen:
            raise InputError(
                f"There is more than one file of slide {scores.bag.slide_id}: {_of_slide(scores, maps)}.",
                remedy="Name the one that is meant.",
                path=scores.path.parent,
            )
        seen.add(scores.bag.slide_id)
        if scores.values != maps[0].values:
            raise InputError(
                f"It holds {scores.values}, but {maps[0].path.name} holds {maps[0].values}.",
                remedy="Make a run of each.",
                path=scores.path,
            )
        if len(scores.scores) != len(maps[0].scores):
            raise InputError(
                f"It holds {counted(len(scores.scores), 'row')} of scores, but {maps[0].path.name}"
                f" {len(maps[0].scores)}.",
                remedy="Make a run of each.",
                path=scores.path,
            )
