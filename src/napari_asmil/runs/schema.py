"""The run on disk, schema 1: names, layout, and the numbers derived from each stored row.

``NAME.asmil/`` is a zarr (format 3) group::

    zarr.json            attributes under "napari_asmil": what was trained, on what, how (`records.RunHeader`)
    tiles/xy             (sum M, 2) int64, top-left level-0 px; -1 where a bag has no places
    tiles/labels         (sum M,) float32, share of the tile inside the tumour, NaN unknown
    attention/online     (E, sum M) float32, log of the map the model itself uses, recorded slides side by side
    attention/anchor     the same for the anchor's own normaliser, where there is an anchor
    scores               (E, K, sum M of watched slides) float32, raw z
    evidence             (E, C, sum M of watched slides) float32, logits of each tile alone, if asked for
    values               (E, sum M) float32, where the run is from a file of percentiles or the like: as stored there,
                         and the maps and the scalars are NaN
    scalars              (E, S, F) float64, F = `SCALARS`
    logits, bags         (E, S, C), (E, S, D) float32
    epochs/000012.json   the commit, written last and atomically: an epoch exists when this file does
    checkpoints/000012/  model.safetensors and checkpoint.json, named by the commit that refers to them
    writer.lock          held by the one process that writes

Epoch 0 is the initialisation. One array for all slides, one shard per epoch: 21 files where an array per
slide needs 1261, and each file is written once.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from napari_asmil.analysis import dynamics, localisation
from napari_asmil.errors import InputError

SCHEMA = 1
KEY = "napari_asmil"
LOCK = "writer.lock"
INNER_CHUNK = 65536

SCALARS = (
    "jsd",
    "entropy",
    "normalized_entropy",
    "effective_tiles",
    "effective_share",
    "top1_mass",
    "top2_overlap",
    "p_min",
    "p_max",
    "jsd_anchor",
    "tumour_mass",
    "tile_auc",
    "topk_recall",
    "dice",
)
"""Per epoch and slide, float64: JSD to the epoch before and JSD online vs anchor in bits, entropy in nats."""


def run_name(run: Path) -> str:
    """Folder name without its suffix; a fold's follows that of its method, since all methods have the same folds."""
    name = run.name.removesuffix(".asmil")
    return f"{run.absolute().parent.name}-{name}" if re.fullmatch(r"fold\d+", name) else name


def commit_path(run: Path, epoch: int) -> Path:
    """Where the commit of `epoch` lies."""
    return run / "epochs" / f"{epoch:06d}.json"


def checkpoint_path(run: Path, name: str) -> Path:
    """Folder of a checkpoint.

    Raises
    ------
    InputError
        When the name, which a commit may have from anyone, is not that of a folder of this run.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"Its checkpoint is named {name!r}, which is no folder of this run.", path=run)
    return run / "checkpoints" / name


def probabilities(log_row: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (M,) of a stored log row, renormalised in float64 (float32 logs sum to 1 within 1e-6)."""
    row = np.asarray(log_row, dtype=np.float64)
    return np.asarray(np.exp(row - logsumexp(row)))


def scalars_of(
    online: NDArray[np.float32],
    previous: NDArray[np.float32] | None,
    anchor: NDArray[np.float32] | None,
    labels: NDArray[np.float32] | None,
) -> NDArray[np.float64]:
    """The `SCALARS` of one slide at one epoch, float64 (F,), from log rows (M,) exactly as stored."""
    if np.isnan(online).any():
        return np.full(len(SCALARS), np.nan)
    p = probabilities(online)
    values = {
        "entropy": float(dynamics.entropy(p)),
        "normalized_entropy": float(dynamics.normalized_entropy(p)),
        "effective_tiles": float(dynamics.effective_tiles(p)),
        "effective_share": float(dynamics.effective_tiles(p)) / len(p),
        "top1_mass": float(dynamics.top_mass(p)),
        "p_min": float(p.min()),
        "p_max": float(p.max()),
    }
    if previous is not None:
        before = probabilities(previous)
        values["jsd"] = float(dynamics.jsd(before, p))
        values["top2_overlap"] = dynamics.top_overlap(before, p)
    if anchor is not None:
        values["jsd_anchor"] = float(dynamics.jsd(probabilities(anchor), p))
    if labels is not None and np.isfinite(labels).all():
        values["tumour_mass"] = localisation.tumour_mass(p, labels)
        values["tile_auc"] = localisation.tile_auc(p, labels)
        if localisation.is_tumour(labels).any():
            values["topk_recall"] = localisation.topk_recall(p, labels)
            values["dice"] = localisation.dice(p, labels)
    return np.array([values.get(name, np.nan) for name in SCALARS])
