"""The demo: a cohort with known truth, four trainings, and what they show, in numbers and pictures."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_asmil.annotations import read_annotations
from napari_asmil.bags import Cohort
from napari_asmil.demo.cohort import claim, drawn_slides, read_back, write_cohort
from napari_asmil.demo.world import ENCODER, make_world
from napari_asmil.events import EpochDone, Event, Finished
from napari_asmil.files import json_text, write_text
from napari_asmil.render import export_overlay, figure, film
from napari_asmil.runs import MapView, Run, open_run
from napari_asmil.slides import open_slide
from napari_asmil.training import fit, preset
from napari_asmil.training.floors import pooled_floors, with_truth

METHODS = ("abmil", "abmil_nsf", "asmil_no_anchor", "asmil")
"""Variants trained, in this order."""


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    stop: threading.Event | None = None,
    cpu_before: float | None = None,
) -> Iterator[Event]:
    """Make the cohort, train the four methods and write ``summary.json``.

    Runs go to ``OUT/runs/METHOD.asmil``. A demo that was stopped goes on where it was when it is started again
    with the same folder and seed.

    Parameters
    ----------
    out : path-like
        The demo's folder.
    seed : int
        Decides the cohort and the trainings.
    device : str
        As `fit`.
    stop : threading.Event, optional
        Looked at after every batch.
    cpu_before : float, optional
        CPU seconds of the process that do not count; by default all until now. The command line gives 0.

    Returns
    -------
    iterator of Event
        Those of the four trainings one after the other; `Finished` comes once, last.

    Raises
    ------
    InputError
        When the folder holds something else or cannot be written.
    """
    out, wall = Path(out), time.perf_counter()
    cpu_before = cpu_seconds() if cpu_before is None else cpu_before
    stop = stop or threading.Event()
    claim(out, seed)
    world = make_world(seed)
    yield from write_cohort(out, world, seed)
    cohort, drawn = read_back(out), drawn_slides(world)
    spent: dict[str, float] = {}
    epochs = 0
    for method in METHODS:
        begun = cpu_seconds()
        recipe = preset("demo", method, seed=seed, watch=drawn)
        for event in fit(cohort, recipe, run_path(out, method), device=device, stop=stop):
            epochs += isinstance(event, EpochDone)
            if not isinstance(event, Finished):
                yield event
            elif event.why != "done":
                yield Finished(out, event.why, f"{event.message} Start the demo again to go on.")
                return
        spent[method] = cpu_seconds() - begun
    runs = {method: open_run(run_path(out, method)) for method in METHODS}
    told = {method: {**summarize(run), "cpu_seconds": spent[method]} for method, run in runs.items()}
    floors = trivial(cohort)
    pictures = draw(out, list(runs.values()), drawn[0], remarks(told, floors))
    summary = {
        "seed": seed,
        "epochs_trained": epochs,
        "features": ENCODER,
        "slide": drawn[0],
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": cpu_seconds() - cpu_before,
        "methods": told,
        "floors": floors,
    }
    write_text(out / "summary.json", json_text(summary, indent=2))
    yield Finished(out, "done", f"Wrote {', '.join(p.name for p in pictures)} and summary.json.")


def summarize(run: Run) -> dict[str, float]:
    """What the last epoch of a run is worth, and how much its maps moved.

    Returns
    -------
    dict
        ``auc, macro_f1`` of the test slides; ``jsd_mean_bits`` over the recorded slides and all intervals from
        epoch 0; ``entropy_final`` (0 to 1) and ``effective_share`` (effective tiles / M) over the recorded slides;
        ``tumour_mass, topk_recall, tile_auc, dice`` over the recorded test slides with tumour tiles.
    """
    curves = run.curves()
    recorded = {name: run.scalars(name) for name in run.scalar_names}
    ill = [s.index for s in run.slides if s.split == "test" and np.isfinite(recorded["topk_recall"][-1, s.index])]
    values = {
        "auc": curves["test_auc"][-1],
        "macro_f1": curves["test_macro_f1"][-1],
        "jsd_mean_bits": recorded["jsd"][1:].mean(),
        "entropy_final": recorded["normalized_entropy"][-1].mean(),
        "effective_share": recorded["effective_share"][-1].mean(),
    }
    values |= {name: recorded[name][-1, ill].mean() for name in ("tumour_mass", "topk_recall", "tile_auc", "dice")}
    return {name: float(value) for name, value in values.items()}


def trivial(cohort: Cohort) -> dict[str, dict[str, float]]:
    """What the same numbers are without any model of bags.

    Returns
    -------
    dict
        ``pooled``: the best test ``auc`` of a logistic regression on pooled features, picked among the poolings with
        the test slides in hand. ``blind``: a map that looks at all tiles alike, on the test slides with tumour tiles;
        its recall is what a random order of tiles gives.
    """
    (best,) = (max(aucs) for aucs in zip(*pooled_floors([cohort]).values(), strict=True))
    tumour = float(np.mean([truth.mean() for _, truth in with_truth(cohort.select("test"))]))
    blind = {"jsd_mean_bits": 0.0, "entropy_final": 1.0, "effective_share": 1.0, "tile_auc": 0.5}
    return {"pooled": {"auc": best}, "blind": {**blind, "tumour_mass": tumour, "topk_recall": tumour}}


def remarks(told: Mapping[str, Mapping[str, float]], floors: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What the figure, which shows one slide, has to say of the cohort."""
    aucs = ", ".join(f"{method} {values['auc']:.3f}" for method, values in told.items())
    return [
        f"AUC of whole slides (all test slides): {aucs}; a logistic regression on pooled features reaches"
        f" {floors['pooled']['auc']:.3f} without looking at any tile by itself.",
        "The learning rate falls to 0 over the epochs, so the JSD of the last ones is small for every method.",
    ]


def draw(out: Path, runs: Sequence[Run], slide_id: str, said: Sequence[str]) -> list[Path]:
    """Write the figure, the film and the overlay of the last run on one slide; returns the files."""
    shown = runs[-1].slide(slide_id)
    assert shown.slide_path is not None and shown.contours_path is not None
    contours = read_annotations(shown.contours_path)
    views = [MapView(run, slide_id, transform="log10") for run in runs]
    overlay = out / f"{slide_id}-{runs[-1].name}.png"
    with open_slide(shown.slide_path) as slide:
        figure(out / "figure.png", runs, slide_id, slide=slide, contours=contours, remarks=said)
        film(out / "film.gif", views, slide=slide, contours=contours)
        export_overlay(overlay, views[-1], runs[-1].n_epochs - 1, slide=slide, contours=contours)
    return [out / "figure.png", out / "film.gif", overlay]


def run_path(out: Path, method: str) -> Path:
    """Where the run of a method lies."""
    return out / "runs" / f"{method}.asmil"


def cpu_seconds() -> float:
    """CPU seconds of this process and its children so far."""
    return sum(os.times()[:4])
