"""Methods x seeds x folds under one honest protocol: the same folds and seeds for all, the last epoch, no choice by
the test bags; trivial floors and differences with confidence intervals beside every number.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag

import numpy as np

from napari_asmil.bags import Cohort
from napari_asmil.bags.cohort import Split
from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Event, Finished, Started
from napari_asmil.files import json_text, write_text
from napari_asmil.training.benchmark_table import Trial, as_text, summarise
from napari_asmil.training.device import pick_device
from napari_asmil.training.epoch import sizes_of
from napari_asmil.training.floors import pooled_floors
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.state import check_method
from napari_asmil.training.trial import trial

PERMUTED = "permuted labels"


@dataclass(frozen=True)
class Dataset:
    """Where trials come from.

    Attributes
    ----------
    name : str
        Also the folder of its results.
    folds : callable
        Takes a seed and gives cohorts, each with the splits "train" and "test".
    independent : bool
        Whether different seeds give different bags; folds of one cohort share most of their training bags.
    """

    name: str
    folds: Callable[[int], Sequence[Cohort]]
    independent: bool = False


@dataclass(frozen=True)
class _Job:
    dataset: Dataset
    method: str
    recipe: Recipe
    seed: int
    fold: int
    cohort: Cohort
    digest: str
    path: Path


def benchmark(
    datasets: Sequence[Dataset],
    recipes: Mapping[str, Recipe],
    out: str | Path,
    *,
    seeds: Sequence[int] = (0,),
    device: str = "auto",
    stop: Flag | None = None,
) -> Iterator[Event]:
    """Train every recipe on every fold of every seed of every dataset, and compare.

    Results lie at ``out/DATASET/METHOD/seedS-foldK.json``; what is there is not trained again. The comparison is
    ``out/report.json`` and ``out/report.txt``.

    Parameters
    ----------
    datasets : sequence of Dataset
    recipes : mapping of str to Recipe
        By method; the first is also trained on permuted labels: on the folds of the first seed, or at every seed
        where datasets are independent.
    out : path-like
    seeds : sequence of int
        Each deals the folds anew and starts every method anew.
    device, stop
        As in `fit`.

    Yields
    ------
    Event
        `Started` (in trainings), every `BatchDone`, an `EpochDone` for each finished training, `Finished`.

    Raises
    ------
    InputError
        When a recipe cannot be trained, two datasets have one name, or a result of another recipe, of other bags,
        labels or splits is in the way.
    """
    names = [dataset.name for dataset in datasets]
    if len(set(names)) < len(names):
        raise InputError(
            f"More than one dataset is called {max(names, key=names.count)}.",
            remedy="Rename one: its results lie in a folder of its name.",
        )
    out, chosen, stop = Path(out), pick_device(device), stop or Flag()
    jobs = [job for dataset in datasets for job in _jobs(dataset, recipes, out, seeds)]
    for job in jobs:
        _finished(job)
    yield Started(out, len(jobs), unit="trainings")
    for done, job in enumerate(jobs, 1):
        began, found = time.monotonic(), _finished(job)
        if found is None:
            found = {}
            where = f"{job.dataset.name} {job.method} seed {job.seed} fold {job.fold}"
            for event in trial(job.cohort, job.recipe, chosen, stop, found, job.path):
                yield replace(event, phase=f"{where} epoch {event.epoch}")
            if not found:
                yield Finished(out, "stopped", f"Stopped in {where}. Start again to go on.")
                return
            job.path.parent.mkdir(parents=True, exist_ok=True)
            stored = {"recipe": job.recipe.as_json(), "data": job.digest, "numbers": found}
            write_text(job.path, json_text(stored, indent=1))
        yield EpochDone(job.path, done, len(jobs), time.monotonic() - began)
    _report(datasets, jobs, recipes, out, seeds)
    yield Finished(out, "done", f"{len(jobs)} trainings, and what they show in report.txt and report.json.")


def _jobs(dataset: Dataset, recipes: Mapping[str, Recipe], out: Path, seeds: Sequence[int]) -> Iterator[_Job]:
    for seed in seeds:
        folds = dataset.folds(seed)
        for k, fold in enumerate(folds):
            fold.check()
            started = {name: recipe.changed(seed=seed * len(folds) + k) for name, recipe in recipes.items()}
            for recipe in started.values():
                check_method(recipe, sizes_of(fold))
            names = [*recipes, PERMUTED] if dataset.independent or seed == seeds[0] else list(recipes)
            for name in names:
                permuted = name == PERMUTED
                recipe = next(iter(started.values())) if permuted else started[name]
                cohort = _permuted(fold, seed, k) if permuted else fold
                path = out / dataset.name / re.sub(r"[^\w.=,-]", "-", name) / f"seed{seed}-fold{k}.json"
                yield _Job(dataset, name, recipe, seed, k, cohort, _digest(cohort), path)


def _permuted(fold: Cohort, *seed: int) -> Cohort:
    """The fold with labels dealt out anew among its training bags, and among its test bags: no class gets rarer."""
    rng, labels = np.random.default_rng(seed), dict(fold.labels)
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        ids = [bag.slide_id for bag in fold.select(split)]
        labels |= zip(ids, rng.permutation([fold.labels[one] for one in ids]).tolist(), strict=True)
    return replace(fold, labels=labels)


def _digest(cohort: Cohort) -> str:
    """SHA-256 (hex) of what a training is given: bags in their order, tile labels, labels and splits."""
    whole = hashlib.sha256(json_text(cohort.class_names).encode())
    for bag in cohort.bags:
        truth = b"" if bag.tile_labels is None else np.ascontiguousarray(bag.tile_labels, dtype="<f4").tobytes()
        known = (bag.content_hash(), hashlib.sha256(truth).hexdigest(), cohort.splits[bag.slide_id])
        whole.update(json_text([bag.slide_id, *known, int(cohort.labels[bag.slide_id])]).encode())
    return whole.hexdigest()


def _finished(job: _Job) -> dict[str, float] | None:
    if not job.path.is_file():
        return None
    stored = json.loads(job.path.read_text(encoding="utf-8"))
    if Recipe.make(stored["recipe"]) != job.recipe:
        raise InputError("This result is of another recipe.", remedy="Choose another folder.", path=job.path)
    if stored.get("data") != job.digest:
        raise InputError(
            "This result is of other bags, labels or splits, or does not say of which.",
            remedy="Choose another folder.",
            path=job.path,
        )
    return {name: float("nan") if value is None else value for name, value in stored["numbers"].items()}


def _report(
    datasets: Sequence[Dataset], jobs: Sequence[_Job], recipes: Mapping[str, Recipe], out: Path, seeds: Sequence[int]
) -> None:
    results = []
    for dataset in datasets:
        trials = [
            Trial(
                job.method, job.seed, job.fold, len(job.cohort.select("train")), len(job.cohort.select("test")), found
            )
            for job in jobs
            if job.dataset is dataset and (found := _finished(job)) is not None
        ]
        floors: dict[str, list[float]] = {}
        for seed in seeds:
            for name, aucs in pooled_floors(dataset.folds(seed)).items():
                floors.setdefault(name, []).extend(aucs)
        results.append(summarise(dataset.name, trials, recipes, floors, independent=dataset.independent))
    write_text(out / "report.json", json_text([result.as_dict() for result in results], indent=1) + "\n")
    write_text(out / "report.txt", "\n\n".join(as_text(result) for result in results) + "\n")
