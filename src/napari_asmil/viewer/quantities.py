"""What is drawn by epoch: which numbers of a run, under which name, in which unit. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.dynamics import is_collapsed, is_flat, median_slide
from napari_asmil.errors import InputError
from napari_asmil.render.facts import verdict
from napari_asmil.runs import Run
from napari_asmil.runs.schema import probabilities


@dataclass(frozen=True)
class Quantity:
    """A number with a value for each epoch: a scalar of each slide, or a curve of the whole run."""

    name: str
    title: str
    unit: str
    tip: str = ""
    per_slide: bool = True


JSD = Quantity("jsd", "JSD to the epoch before", "bits", "How much the map moved: 0 not at all, 1 bit altogether")
CONCENTRATION = (
    Quantity(
        "effective_share",
        "Effective tiles / M",
        "share",
        "exp(entropy) / M: 1 is a flat map, which moves little because it says nothing",
    ),
    Quantity("normalized_entropy", "Normalised entropy", "0 to 1", "Entropy / log M: 1 is flat, near 0 is collapsed"),
    Quantity(
        "effective_tiles", "Effective tiles", "tiles", "exp(entropy): a uniform map over so many tiles is as wide"
    ),
    Quantity("top1_mass", "Attention on the top 1 % of tiles", "share", "Mass on the tiles with the most attention"),
)
"""What keeps a JSD honest; one of these always stands under it."""
_LOCALISATION = (
    Quantity("tile_auc", "Tile AUC in the tumour", "0 to 1", "How well attention ranks tumour tiles above the others"),
    Quantity(
        "topk_recall", "Top-k recall of tumour tiles", "share", "Tumour tiles among the k highest, k = true number"
    ),
    Quantity("tumour_mass", "Attention inside the tumour", "share", "Mass of the map on annotated tumour"),
    Quantity("dice", "Dice with the tumour", "0 to 1", "Reported only: a flat map can score best"),
    Quantity("top2_overlap", "Overlap of the top 2 % with the epoch before", "Jaccard", "1: the same tiles on top"),
    Quantity("jsd_anchor", "JSD of the map to its anchor", "bits", "How far the model is from the map that pulls it"),
)
_CURVES = {
    "loss_ce": ("Cross-entropy", "nats", "Mean over the training bags of the epoch"),
    "loss_as": ("KL to the anchor", "nats", "Mean over the training bags, before its weight beta"),
    "lr": ("Learning rate", "", "Mean over the epoch"),
}
_METRICS = {"auc": "AUC", "macro_f1": "macro F1", "accuracy": "accuracy"}
_SPLITS = {"test": "Test", "val": "Validation", "train": "Training"}


def losses(runs: Iterable[Run]) -> list[Quantity]:
    """Return the losses (and the learning rate) that any of the runs has."""
    names = {name for run in runs for name in run.curves()}
    return [Quantity(name, *_CURVES[name], per_slide=False) for name in _CURVES if name in names]


def metrics(runs: Iterable[Run]) -> list[Quantity]:
    """Return the metrics that any of the runs has: of held-out bags first, then of the maps."""
    runs = list(runs)
    names = {name for run in runs for name in run.curves()} - set(_CURVES)
    usual = [f"{split}_{metric}" for metric in _METRICS for split in _SPLITS]
    ordered = [name for name in usual if name in names] + sorted(names - set(usual))
    bag_level = [_bag_metric(name) for name in ordered]
    return bag_level + [q for q in _LOCALISATION if any(np.isfinite(run.scalars(q.name)).any() for run in runs)]


def _bag_metric(name: str) -> Quantity:
    split, _, metric = name.partition("_")
    title = f"{_SPLITS[split]} {_METRICS.get(metric, metric)}" if split in _SPLITS else name
    return Quantity(name, title, "0 to 1" if metric in _METRICS else "", "Of whole bags", per_slide=False)


def values(run: Run, quantity: Quantity, slide_id: str | None) -> NDArray[np.float64]:
    """Values by epoch, float64 (E,), NaN where there are none.

    Parameters
    ----------
    run : Run
    quantity : Quantity
    slide_id : str or None
        Of this slide, or the median over all recorded slides; all the same for a curve of the whole run.
    """
    nothing = np.full(run.n_epochs, np.nan)
    if not quantity.per_slide:
        return run.curves().get(quantity.name, nothing)
    each = run.scalars(quantity.name)
    if slide_id is None:
        return median_slide(each)
    index = next((s.index for s in run.slides if s.slide_id == slide_id), None)
    return nothing if index is None else each[:, index]


def warning(run: Run, epoch: int, slide_id: str | None) -> str:
    """Say that the map as stored is flat or collapsed at an epoch, or on how many recorded slides it is; else ""."""
    if epoch >= run.n_epochs:
        return ""
    tiles = np.array([s.n_tiles for s in run.slides])
    flat = is_flat(run.scalars("effective_share")[epoch], tiles)
    collapsed = is_collapsed(run.scalars("normalized_entropy")[epoch], tiles)
    if slide_id is not None:
        named = next((s.index for s in run.slides if s.slide_id == slide_id), None)
        if named is None or not (flat | collapsed)[named]:
            return ""
        with suppress(InputError):  # of a map that is lost the legend tells
            return verdict(probabilities(run.attention(epoch, slide_id)))
        return ""
    said = []
    if flat.any():
        said.append(f"FLAT MAPS on {flat.sum()} of {len(tiles)} recorded slides: a low JSD says nothing there.")
    if collapsed.any():
        said.append(f"COLLAPSED MAPS on {collapsed.sum()} of {len(tiles)} recorded slides.")
    return " ".join(said)
