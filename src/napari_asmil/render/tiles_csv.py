"""The tiles of a map in order, as a table that any program reads."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from napari_asmil.analysis.display import m_alpha
from napari_asmil.files import comments, complete
from napari_asmil.render.facts import SOFTWARE, check_epoch, facts_of, note, whole_map
from napari_asmil.render.files import check_ending
from napari_asmil.render.scene import tiles_of

if TYPE_CHECKING:
    from napari_asmil.runs.view import MapView

LEFT_OUT = ("shown", "caution", "verdict")
"""What is said of a picture alone; a verdict is said at once, if at all."""


def export_ranked(path: str | Path, view: MapView, epoch: int, since: int | None = None) -> Path:
    """Write every tile with its rank, place and M·α as CSV, the highest first.

    Lines that begin with ``#`` say what it is of. Tiles of the same M·α share the best of their ranks, and stand in
    the order of the features. With `since`, the tiles whose M·α has changed most since that epoch come first, and two
    more columns say what it was and the difference.

    Parameters
    ----------
    path : path-like
        Ends in ``.csv``; it appears whole or not at all.
    view : MapView
        Run, slide, normaliser and row; its transform plays no part.
    epoch : int
        A committed epoch.
    since : int, optional
        Another one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When an epoch is not there or lost, or the file cannot be written.
    """
    path = Path(path)
    check_ending(path, ".csv")
    for asked in (epoch,) if since is None else (epoch, since):
        check_epoch(view, asked)
    p = whole_map(view, epoch)
    columns = _columns(view, p, None if since is None else whole_map(view, since), since)
    said = {"software": SOFTWARE, "run folder": view.run.path.name, **facts_of(view, epoch, p)}
    said["features"] = said["features"].removeprefix("features: ")
    said["note"] = note(view).partition("; ")[2]  # its first part is that of the features
    order = np.argsort(-(p if since is None else np.abs(columns["change"])), kind="stable")
    with complete(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.write(comments(f"{name}: {text}" for name, text in said.items() if text and name not in LEFT_OUT))
        if since is not None:
            file.write(comments([f"order: by how much M·α has changed since epoch {since}"]))
        if said["verdict"]:
            file.write(comments([said["verdict"]]))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(values[order].tolist() for values in columns.values()), strict=True))
    return path


def _columns(
    view: MapView, p: NDArray[np.float64], before: NDArray[np.float64] | None, since: int | None
) -> dict[str, NDArray[Any]]:
    tiles = tiles_of(view.slide)
    columns: dict[str, NDArray[Any]] = {
        "rank": rankdata(-p, method="min").astype(int),
        "tile": np.arange(len(p)),
        "x (level-0 px)": tiles.xy[:, 0],
        "y (level-0 px)": tiles.xy[:, 1],
        "size (level-0 px)": np.full(len(p), tiles.size),
        "M·α (× uniform)": m_alpha(p),
    }
    if before is not None:
        columns[f"M·α at epoch {since}"] = m_alpha(before)
        columns["change"] = m_alpha(p) - m_alpha(before)
    if view.slide.tile_labels is not None:
        columns["tumour share"] = np.asarray(view.slide.tile_labels, dtype=np.float64)
    return columns
