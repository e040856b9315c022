"""What is drawn by epoch: which numbers of a run, under which name, in which unit. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.dynamics import is_collapsed, is_flat
from napari_asmil.errors import InputError
from napari_asmil.render.facts import verdict
from napari_asmil.runs import Run, RunSlide
from napari_asmil.runs.courses import FAMILY, LAST, OF_SCORES, Courses
from napari_asmil.runs.schema import probabilities

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """A number with a value for each epoch: of each slide, or of the whole run.

    Attributes
    ----------
    noun : str
        What it is in the middle of a sentence; by default its title.
    course : str
        The course (`runs.courses`) it is, where the run does not store it.
    rows : str
        The course of each row from which the same number of each row follows; "" where there is none.
    """

    name: str
    title: str
    unit: str
    tip: str = ""
    per_slide: bool = True
    noun: str = ""
    course: str = ""
    rows: str = ""

    @property
    def called(self) -> str:
        """What it is in the middle of a sentence."""
        return self.noun or (self.title if self.title[:2].isupper() else self.title[0].lower() + self.title[1:])

    @property
    def of_scores(self) -> bool:
        """Whether it is of the raw scores: of each row, and of a slide the mean over its rows."""
        return bool(self.course) and FAMILY[self.course] in OF_SCORES


JSD = Quantity(
    "jsd",
    "JSD to the epoch before",
    "bits",
    "How much the map moved: 0 not at all, 1 bit altogether",
    noun="JSD",
    rows="row_jsd",
)
JSD_LAST = Quantity(
    LAST, "JSD to the last epoch", "bits", "How far the map is from the one it ends with, as of now", course=LAST
)
JSD_ANCHOR = Quantity(
    "jsd_anchor", "JSD of the map to its anchor", "bits", "How far the model is from the map that pulls it"
)
CONCENTRATION = (
    Quantity(
        "effective_share",
        "Effective tiles / M",
        "share",
        "exp(entropy) / M: 1 is a flat map, which moves little because it says nothing",
        noun="effective share",
        rows="row_entropy",
    ),
    Quantity(
        "normalized_entropy",
        "Normalised entropy",
        "0 to 1",
        "Entropy / log M: 1 is flat, near 0 is collapsed",
        noun="normalised entropy",
        rows="row_entropy",
    ),
    Quantity(
        "effective_tiles",
        "Effective tiles",
        "tiles",
        "exp(entropy): a uniform map over so many tiles is as wide",
        noun="effective tiles",
        rows="row_entropy",
    ),
    Quantity(
        "top01_mass",
        "Attention on the top 0.1 % of tiles",
        "share",
        "Mass on the tiles with the most attention, at least one",
        course="top01_mass",
    ),
    Quantity("top1_mass", "Attention on the top 1 % of tiles", "share", "Mass on the tiles with the most attention"),
    Quantity(
        "top10_mass",
        "Attention on the top 10 % of tiles",
        "share",
        "Mass on the tiles with the most attention",
        course="top10_mass",
    ),
)
"""What keeps a JSD honest; one of these always stands under it."""
SCORES = tuple(
    Quantity(name, title, unit, tip, course=name, rows=name)
    for name, title, unit, tip in (
        ("z_mean", "Mean of the scores z", "score", "Mean over tiles: NSF feels it, softmax does not"),
        ("z_sd", "Standard deviation of the scores z", "score", "Over tiles: the wider, the sharper the map"),
        (
            "z_saturation",
            "Saturated scores",
            "share of tiles",
            "Tiles whose sigmoid(z) is above .99, where NSF gives all nearly the same weight, or below .01, where it"
            " gives hardly any",
        ),
    )
)
"""Of raw scores, so only of slides whose scores were recorded."""
OVERLAP = (
    Quantity("top2_overlap", "Top 2 % shared with epoch before", "Jaccard", "1: the same tiles on top"),
    Quantity(
        "rank_correlation",
        "Rank correlation to epoch before",
        "Spearman",
        "1: the same order of tiles; blind to how much attention each has",
        course="rank_correlation",
    ),
)
"""How alike the maps of two epochs are, beside their divergence."""
LOCALISATION = (
    Quantity("tile_auc", "Tile AUC in the tumour", "0 to 1", "How well attention ranks tumour tiles above the others"),
    Quantity(
        "topk_recall", "Top-k recall of tumour tiles", "share", "Tumour tiles among the k highest, k = true number"
    ),
    Quantity("tumour_mass", "Attention inside the tumour", "share", "Mass of the map on annotated tumour"),
    Quantity("dice", "Dice with the tumour", "0 to 1", "Reported only: a flat map can score best"),
)
_OF_TRAINING = "Mean over the training bags of the epoch"
_CURVES = {
    "loss_ce": ("Cross-entropy", "nats", _OF_TRAINING),
    "loss_own": ("The method's own loss", "nats", _OF_TRAINING),
    "loss_as": ("KL to the anchor", "nats", f"{_OF_TRAINING}, before its weight beta"),
    "loss_entropy": ("Negative entropy", "nats", f"{_OF_TRAINING}, before its weight"),
    "loss_ensemble": ("KL to the running mean map", "nats", f"{_OF_TRAINING}, before its weight beta"),
    "test_loss": ("Test cross-entropy", "nats", "Mean over the test bags"),
    "val_loss": ("Validation cross-entropy", "nats", "Mean over the validation bags"),
    "anchor_drift": (
        "Distance of model and anchor",
        "share",
        "Of the weights that make the scores, as a share of the model's own length, at the end of the epoch",
    ),
    "lr": ("Learning rate", "", "Mean over the steps of the epoch"),
}
_METRICS = {"auc": "AUC", "macro_f1": "macro F1", "accuracy": "accuracy"}
_SPLITS = {"test": "Test", "val": "Validation", "train": "Training"}


def divergences(runs: Iterable[Run]) -> list[Quantity]:
    """Return the divergences that any of the runs has."""
    return [JSD, JSD_LAST, *([JSD_ANCHOR] if any(run.has_anchor for run in runs) else [])]


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
    return bag_level + [q for q in LOCALISATION if any(np.isfinite(_stored(run, q.name)).any() for run in runs)]


def _bag_metric(name: str) -> Quantity:
    split, _, metric = name.partition("_")
    bags = f"all {_SPLITS[split].lower()} bags" if split in _SPLITS else "whole bags"
    title = f"{_SPLITS[split]} {_METRICS.get(metric, metric)}" if split in _SPLITS else name
    return Quantity(name, title, "0 to 1" if metric in _METRICS else "", f"Over {bags}", per_slide=False)


def of_run(run: Run, quantity: Quantity) -> Floats:
    """A number of the whole run by epoch, float64 (E,), NaN where there is none."""
    return run.curves().get(quantity.name, np.full(run.n_epochs, np.nan))


def of_slides(run: Run, quantity: Quantity, slides: Sequence[RunSlide]) -> Floats:
    """A number of recorded slides by epoch, float64 (E, S), NaN where there is none or it is not computed yet."""
    if not quantity.course:
        return _stored(run, quantity.name)[:, [slide.index for slide in slides]]
    known = [Courses.of(run).values(quantity.course, slide.slide_id) for slide in slides]
    of_each = [y.mean(axis=1) for y in known] if quantity.of_scores else known
    return np.stack(of_each, axis=1) if of_each else np.empty((run.n_epochs, 0))


def damage(run: Run) -> str:
    """Why numbers that the run stores are missing, or ""."""
    try:
        run.scalars(JSD.name)
    except InputError as error:
        return error.sentence
    return ""


def _stored(run: Run, name: str) -> Floats:
    """A number that the run stores, float64 (E, S), NaN where it is not defined or cannot be read."""
    try:
        return run.scalars(name)
    except InputError:
        found = np.full((run.n_epochs, len(run.slides)), np.nan)
        for epoch in range(run.n_epochs):
            with suppress(InputError):
                found[epoch] = run.scalars_at(epoch)[:, run.scalar_names.index(name)]
        return found


def of_rows(run: Run, quantity: Quantity, slide: RunSlide) -> Floats:
    """The same number of each row of a slide by epoch, float64 (E, K), NaN as in `of_slides`."""
    found, tiles = Courses.of(run).values(quantity.rows, slide.slide_id), slide.n_tiles
    if quantity.name == "normalized_entropy":
        return found / np.log(tiles) if tiles > 1 else found + 1
    if quantity.name in ("effective_tiles", "effective_share"):
        return np.exp(found) / (tiles if quantity.name == "effective_share" else 1)
    return found


def warning(run: Run, epoch: int, slide_id: str | None) -> str:
    """Say that the map as stored is flat or collapsed at an epoch, or on how many recorded slides it is; else ""."""
    if epoch >= run.n_epochs:
        return ""
    tiles = np.array([s.n_tiles for s in run.slides])
    try:
        known = dict(zip(run.scalar_names, run.scalars_at(epoch).T, strict=True))
    except InputError:
        return ""
    flat = is_flat(known["effective_share"], tiles)
    collapsed = is_collapsed(known["normalized_entropy"], tiles)
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
