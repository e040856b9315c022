"""Cross-validation: one run a fold and method, the floors beside them, and a report read back from the runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.files import json_text, write_text
from napari_asmil.training.floors import floors_of
from napari_asmil.training.folds import make_folds, permute_labels
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.report import Report, summarise
from napari_asmil.training.tables import as_text
from napari_asmil.training.trainer import fit

PERMUTED = "permuted_labels"
"""Folder of the control: the first method, trained on labels dealt out anew."""


def run_path(out: str | Path, method: str, fold: int) -> Path:
    """Where the run of a method's fold lies."""
    return Path(out) / method / f"fold{fold}.asmil"


def cross_validate(
    cohort: Cohort,
    recipes: Mapping[str, Recipe],
    out: str | Path,
    *,
    n_folds: int = 5,
    seed: int = 0,
    floors: bool = True,
    device: str = "auto",
    stop: Flag | None = None,
) -> Iterator[Event]:
    """Train every recipe on every fold, to its last epoch: nothing is chosen by the test bags.

    Runs lie at ``out/METHOD/foldK.asmil``; all methods share the folds and, within a fold, the seed. What is
    finished is not trained again, so that an interrupted cross-validation goes on where it was. The result is
    ``out/report.json`` and ``out/report.txt``.

    Parameters
    ----------
    cohort : Cohort
        Bags with labels; its own splits are not used.
    recipes : mapping of str to Recipe
        By the name of the method's folder.
    out : path-like
        Folder of the runs and the report.
    n_folds, seed : int
        See `make_folds`; fold k trains with the recipe's seed plus k.
    floors : bool
        Whether to train the control on permuted labels and to compute what trivial methods reach.
    device, stop
        As in `fit`.

    Yields
    ------
    Event
        `Started` (in runs), every `BatchDone` with its run as the phase, an `EpochDone` for each finished run,
        `Finished`.

    Raises
    ------
    InputError
        When the cohort, a recipe or the folder cannot be used.
    """
    out = Path(out)
    if not recipes or PERMUTED in recipes:
        raise InputError(f"Cross-validation needs at least one method, and none may be called {PERMUTED!r}.")
    folds = make_folds(cohort, n_folds, seed)
    jobs = [(name, recipe, number, fold) for number, fold in enumerate(folds) for name, recipe in recipes.items()]
    if floors:
        shuffled = make_folds(permute_labels(cohort, seed), n_folds, seed)
        jobs += [(PERMUTED, next(iter(recipes.values())), number, fold) for number, fold in enumerate(shuffled)]
    yield Started(out, len(jobs), unit="runs")
    for done, (name, recipe, number, fold) in enumerate(jobs, 1):
        path, began = run_path(out, name, number), time.monotonic()
        for event in fit(fold, recipe.changed(seed=recipe.seed + number), path, device=device, stop=stop):
            if isinstance(event, BatchDone):
                yield replace(event, phase=f"{name} fold {number} epoch {event.epoch}")
            elif isinstance(event, Finished) and event.why == "stopped":
                yield Finished(out, "stopped", f"Stopped in {name}, fold {number}. Start again to go on.")
                return
        yield EpochDone(path, done, len(jobs), time.monotonic() - began)
    report = summarise(
        {name: [run_path(out, name, number) for number in range(n_folds)] for name in recipes},
        floors_of(folds) if floors else None,
        [run_path(out, PERMUTED, number) for number in range(n_folds)] if floors else (),
        patient_disjoint=cohort.patients is not None,
    )
    write_report(report, out)
    yield Finished(out, "done", f"{len(jobs)} runs, and what they show in report.txt and report.json.")


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` (null where a number is not known) and ``report.txt``, each whole or not at all."""
    numbers = json_text(report.as_dict(), indent=1)
    for name, text in (("report.json", numbers), ("report.txt", as_text(report))):
        write_text(folder / name, text + "\n")
