"""Cross-validation: one run a fold and method, the floors beside them, and a report read back from the runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.files import json_text, write_text
from napari_asmil.runs import open_run
from napari_asmil.training.floors import floors_of
from napari_asmil.training.folds import make_folds, permute_labels
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.report import Report, summarise
from napari_asmil.training.tables import as_text
from napari_asmil.training.trainer import fit
from napari_asmil.words import counted

PERMUTED = "permuted_labels"
"""Folder of the control: a method, in a folder of its name, trained on labels dealt out anew."""


def run_path(out: str | Path, method: str, fold: int) -> Path:
    """Where the run of a method's fold lies; the control's method is ``permuted_labels/METHOD``."""
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
    finished is not trained again, so that an interrupted cross-validation goes on where it was, and one more method
    can be added later. The result is ``out/report.json`` and ``out/report.txt``: of these methods and of all others
    that are finished there.

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

    Returns
    -------
    iterator of Event
        `Started` (in runs), every `BatchDone` with its run as the phase, an `EpochDone` for each finished run,
        `Finished`. What can be checked without reading features is checked before it, for all runs.

    Raises
    ------
    InputError
        When the cohort, a recipe or the folder cannot be used, or runs in it are of other folds, labels or recipes.
    """
    out = Path(out)
    if not recipes or PERMUTED in recipes:
        raise InputError(f"Cross-validation needs at least one method, and none may be called {PERMUTED!r}.")
    cohort.check()
    stop, folds = stop or Flag(), make_folds(cohort, n_folds, seed)
    beside = _finished_before(out, recipes, folds)
    jobs = [(name, name, number, fold) for number, fold in enumerate(folds) for name in recipes]
    control = ""
    if floors:
        shuffled = make_folds(permute_labels(cohort, seed), n_folds, seed)
        control = _control(out, recipes, shuffled)
        if control in recipes:
            jobs += [(f"{PERMUTED}/{control}", control, number, fold) for number, fold in enumerate(shuffled)]
    trainings = []
    for name, method, number, fold in jobs:
        recipe = recipes[method].changed(seed=recipes[method].seed + number)
        path = run_path(out, name, number)
        trainings.append((name, number, path, fit(fold, recipe, path, device=device, stop=stop)))

    def events() -> Iterator[Event]:
        yield Started(out, len(trainings), unit="runs")
        for done, (name, number, path, training) in enumerate(trainings, 1):
            began = time.monotonic()
            for event in training:
                if isinstance(event, BatchDone):
                    yield replace(event, phase=f"{name} fold {number} epoch {event.epoch}")
                elif isinstance(event, Finished) and event.why == "stopped":
                    yield Finished(out, "stopped", f"Stopped in {name}, fold {number}. Start again to go on.")
                    return
            yield EpochDone(path, done, len(trainings), time.monotonic() - began)
        report = summarise(
            {name: _runs(out, name, n_folds) for name in (*recipes, *beside)},
            floors_of(folds) if floors else None,
            _runs(out, f"{PERMUTED}/{control}", n_folds) if floors else (),
            patient_disjoint=cohort.patients is not None,
        )
        write_report(report, out)
        yield Finished(out, "done", _said(len(recipes), beside, n_folds, control))

    return events()


def _runs(out: Path, name: str, n_folds: int) -> list[Path]:
    return [run_path(out, name, number) for number in range(n_folds)]


def _finished_before(out: Path, recipes: Mapping[str, Recipe], folds: Sequence[Cohort]) -> list[str]:
    """Methods other than these that are finished in the folder."""
    others = [name for name in _subfolders(out) if name not in (*recipes, PERMUTED)]
    return [name for name in others if _is_finished(out, name, folds)]


def _is_finished(out: Path, name: str, folds: Sequence[Cohort]) -> bool:
    """Whether a method has a finished run of each fold.

    Raises
    ------
    InputError
        When one is of other folds or labels, so that it cannot stand beside these.
    """
    finished = True
    for number, fold in enumerate(folds):
        path = run_path(out, name, number)
        if not path.is_dir():
            return False
        run = open_run(path)
        names = {slide: fold.class_names[label] for slide, label in fold.labels.items()}
        if (run.attrs.get("splits"), run.attrs.get("labels")) != (dict(fold.splits), names):
            raise InputError(
                "This run is of other folds or labels, so its method cannot stand beside others in one report.",
                remedy="Choose another folder (--out), or remove the method's.",
                path=path,
            )
        finished &= run.n_epochs > run.planned_epochs
    return finished


def _subfolders(folder: Path) -> list[str]:
    return sorted(inner.name for inner in folder.iterdir() if inner.is_dir()) if folder.is_dir() else []


def _control(out: Path, recipes: Mapping[str, Recipe], shuffled: Sequence[Cohort]) -> str:
    """The method of the control: the one there is of these methods, or a finished one, or the first of these."""
    there = _subfolders(out / PERMUTED)
    known = [name for name in there if name in recipes]
    finished = [name for name in there if name not in recipes and _is_finished(out / PERMUTED, name, shuffled)]
    return next(iter([*known, *finished, *recipes]))


def _said(methods: int, beside: Sequence[str], n_folds: int, control: str) -> str:
    runs = f"{counted(methods * n_folds, 'run')} of {counted(methods, 'method')}"
    before = f"; from before: {', '.join(beside)}" if beside else ""
    dealt = f"; {n_folds} of the control ({control} on permuted labels)" if control else ""
    return f"{runs}{before}{dealt}; what they show is in report.txt and report.json."


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` (null where a number is not known) and ``report.txt``, each whole or not at all."""
    numbers = json_text(report.as_dict(), indent=1)
    for name, text in (("report.json", numbers), ("report.txt", as_text(report))):
        write_text(folder / name, text + "\n")
