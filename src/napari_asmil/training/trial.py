"""One training that keeps no run, and what it showed on the test bags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event as Flag

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from napari_asmil.analysis.dynamics import jsd
from napari_asmil.analysis.metrics import bag_metrics
from napari_asmil.bags import Bag, Cohort
from napari_asmil.events import BatchDone
from napari_asmil.runs.schema import SCALARS, probabilities, scalars_of
from napari_asmil.training.device import torch_threads
from napari_asmil.training.epoch import fresh_state, train_epoch
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.recording import look
from napari_asmil.training.state import State
from napari_asmil.training.survey import Survey, survey

PROBES = 12
"""Slides whose map is looked at after every epoch, for the JSD: half of them for training, half for testing."""
CONCENTRATION = ("normalized_entropy", "effective_share")
LOCALISATION = ("tile_auc", "topk_recall", "dice", "tumour_mass")


def trial(
    cohort: Cohort, recipe: Recipe, device: torch.device, stop: Flag, found: dict[str, float], path: Path
) -> Iterator[BatchDone]:
    """Train on the split "train" to the last epoch, and put the numbers of the split "test" into `found`.

    Bag metrics; means over test bags of entropy and localisation (where tiles have truth), of the joined map; mean
    over probes and epochs of `rows_jsd`, of the rows and of their mean map. `found` stays empty when `stop` was set.
    """
    surveyed, train = Survey(), {bag.slide_id for bag in cohort.select("train")}
    largest = max(bag.n_tiles for bag in cohort.bags) * cohort.bags[0].n_features
    with torch_threads(largest):
        yield from survey(cohort.bags, train, surveyed)
        state = fresh_state(cohort, recipe, surveyed, device)
        probes = _spread(cohort.select("train"), PROBES // 2) + _spread(cohort.select("test"), PROBES // 2)
        maps, moved = [_rows(state, recipe, bag, device) for bag in probes], []
        for epoch in range(1, recipe.epochs + 1):
            for event in train_epoch(state, recipe, cohort, device, epoch, {}, path):
                yield event
                if stop.is_set():
                    return
            now = [_rows(state, recipe, bag, device) for bag in probes]
            moved += [(rows_jsd(a, b), rows_jsd(_joined(a), _joined(b))) for a, b in zip(maps, now, strict=True)]
            maps = now
        found |= _on_test_bags(state, recipe, cohort, device)
        if moved:
            found["jsd_rows_bits"], found["jsd_bits"] = np.mean(moved, axis=0).tolist()


def _spread(bags: Sequence[Bag], count: int) -> list[Bag]:
    return [bags[i] for i in np.linspace(0, len(bags) - 1, min(count, len(bags))).astype(int)]


def rows_jsd(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """JSD in bits of each row of log maps (K, M), mean over rows.

    That of the joined map is no measure of movement where the map is the row of the predicted class: it jumps when
    the prediction does, whether or not a row has moved.
    """
    return float(np.mean([jsd(probabilities(a), probabilities(b)) for a, b in zip(before, now, strict=True)]))


def _joined(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The log of the mean of the rows (1, M)."""
    joined: NDArray[np.float32] = logsumexp(rows, axis=0, keepdims=True) - np.float32(np.log(len(rows)))
    return joined


@torch.no_grad()
def _rows(state: State, recipe: Recipe, bag: Bag, device: torch.device) -> NDArray[np.float32]:
    """The log maps (K, M) that the model uses, in evaluation mode."""
    model = state.model.eval()
    prepared = model.prepare(torch.tensor(bag.features(), device=device))
    return np.asarray(model.attend(prepared, recipe.normalizer).log_rows.float().cpu().numpy())


def _on_test_bags(state: State, recipe: Recipe, cohort: Cohort, device: torch.device) -> dict[str, float]:
    bags = cohort.select("test")
    records = [look(state, recipe, bag, device, watched=False) for bag in bags]
    labels = [cohort.labels[bag.slide_id] for bag in bags]
    scalars = np.stack(
        [scalars_of(r.online, None, None, bag.tile_labels) for r, bag in zip(records, bags, strict=True)]
    )
    found = bag_metrics(np.stack([record.logits for record in records]), labels)
    for name in (*CONCENTRATION, *LOCALISATION):
        values = scalars[:, SCALARS.index(name)]
        if np.isfinite(values).any():
            found[name] = float(np.nanmean(values))
    return found
