"""One look at every slide that is watched: the same forward gives the prediction and the map."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_asmil.bags import Bag, Cohort
from napari_asmil.errors import InputError
from napari_asmil.mil.base import join_rows
from napari_asmil.runs import RunHeader, SlideHeader, SlideRecord
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.state import State


def recorded_ids(cohort: Cohort, recipe: Recipe) -> tuple[str, ...]:
    """Which slides the recipe records, in the cohort's order.

    Raises
    ------
    InputError
        When the recipe names a slide the cohort does not have.
    """
    ids = [b.slide_id for b in cohort.bags]
    if isinstance(recipe.record, tuple):
        chosen = set(recipe.record)
        if missing := chosen - set(ids):
            raise InputError(f"The recipe records {sorted(missing)[0]!r}, which is not in the cohort.")
        return tuple(i for i in ids if i in chosen)
    held_out = {i for i in ids if cohort.splits.get(i) != "train"}
    if recipe.record == "all" or not held_out:
        return tuple(ids)
    train = [i for i in ids if i not in held_out]
    some = {train[i] for i in np.linspace(0, len(train) - 1, min(recipe.record_train, len(train))).astype(int)}
    return tuple(i for i in ids if i in held_out or i in some)


def slide_header(bag: Bag, run: Path, *, label: int | None, split: str, watched: bool, digest: str) -> SlideHeader:
    """What a run says of a bag; paths are relative to the run."""

    def relative(path: Path | None) -> str:
        return "" if path is None else os.path.relpath(path.resolve(), run.resolve())

    return SlideHeader(
        slide_id=bag.slide_id,
        n_tiles=bag.n_tiles,
        label=label,
        split=split,
        xy=None if bag.tiles is None else bag.tiles.xy,
        tile_size=None if bag.tiles is None else bag.tiles.size,
        labels=bag.tile_labels,
        mpp=bag.mpp,
        slide_size=bag.slide_size,
        slide_path=relative(bag.slide_path),
        contours_path=relative(bag.contours_path),
        bag_hash=digest,
        watched=watched,
    )


def run_header(
    state: State,
    recipe: Recipe,
    slides: Sequence[SlideHeader],
    class_names: Sequence[str],
    device: torch.device,
    *,
    notes: str = "",
    applied: str = "",
) -> RunHeader:
    """The run's account of itself."""
    return RunHeader(
        method=recipe.method,
        label=recipe.label,
        recipe=recipe.as_json(),
        class_names=tuple(class_names),
        row_names=state.model.scorer.row_names,
        slides=tuple(slides),
        planned_epochs=recipe.epochs,
        bag_size=state.model.bag_size,
        normalizer=recipe.normalizer,
        row_join=state.model.row_join,
        map_words=state.model.map_words,
        anchor_normalizer=None if recipe.anchor is None else recipe.anchor.normalizer,
        seed=recipe.seed,
        device=str(device),
        notes=notes,
        applied=applied,
        evidence=recipe.evidence,
    )


@torch.no_grad()
def look(state: State, recipe: Recipe, bag: Bag, device: torch.device, *, watched: bool) -> SlideRecord:
    """Prediction, maps and, if watched, raw scores (and evidence) of one bag, in evaluation mode on all tiles."""
    state.model.eval()
    prepared = state.model.prepare(torch.tensor(bag.features(), device=device))
    out = state.model.attend(prepared, recipe.normalizer)
    weights = state.model.row_weights(out.logits)
    anchor = None
    if state.anchor is not None:
        anchor = _numpy(join_rows(state.anchor.log_alpha(prepared, out.scored), weights))
    return SlideRecord(
        online=_numpy(join_rows(out.log_rows, weights)),
        logits=_numpy(out.logits),
        bag=_numpy(out.bag),
        anchor=anchor,
        z=_numpy(out.z) if watched else None,
        evidence=_numpy(state.model.evidence(prepared).T) if watched and recipe.evidence else None,
    )


def _numpy(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return tensor.float().cpu().numpy()
