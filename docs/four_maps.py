"""Train the four runs of `read-attention-honestly.md` and draw them: `python docs/four_maps.py DEMO [RUNS]`.

DEMO is a folder that `napari-asmil demo --no-window --out DEMO` has made; the runs go to RUNS, or to a folder that is
removed again. The table is printed as it stands on the page.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_asmil.annotations import read_annotations
from napari_asmil.bags import Cohort, read_cohort
from napari_asmil.render import figure
from napari_asmil.runs import Run, open_run
from napari_asmil.slides import open_slide
from napari_asmil.training import fit, preset

IMAGE = Path(__file__).resolve().parent / "images" / "four-maps.png"
RECIPES = {
    "healthy": "abmil_nsf",
    "flat": "asmil:beta=1",
    "collapsed": "abmil_softmax:temperature=0.3,momentum=0.9",
    "memorised": "abmil:epochs=40",
}
COLUMNS = {
    "jsd": "JSD, mean over epochs",
    "last_jsd": "JSD, last epoch",
    "effective_share": "effective tiles / M",
    "normalized_entropy": "normalised entropy",
    "loss_ce": "training cross-entropy",
    "test_auc": "test AUC",
    "tile_auc": "tile AUC",
    "topk_recall": "top-k recall",
}


def main(made: Path, runs: Path) -> None:
    """Train, draw, and print the table."""
    cohort = read_cohort(made / "features", made / "labels.csv")
    trained = [train(name, cohort, runs) for name in RECIPES]
    slide = json.loads((made / "summary.json").read_text())["slide"]
    with open_slide(made / "slides" / f"{slide}.ome.tif") as picture:
        contours = read_annotations(made / "annotations" / f"{slide}.geojson")
        figure(IMAGE, trained, slide, slide=picture, contours=contours, epochs=(1, 4, 12), panel_px=240)
    print("| run | " + " | ".join(COLUMNS.values()) + " |\n|---|" + "---|" * len(COLUMNS))
    for run in trained:
        print(f"| {run.name} | " + " | ".join(f"{value:.3g}" for value in numbers(run).values()) + " |")


def train(name: str, cohort: Cohort, runs: Path) -> Run:
    """One of the runs; one that is there is kept."""
    path = runs / f"{name}.asmil"
    recipe = preset("demo", RECIPES[name], seed=0)
    for _ in fit(permuted(cohort) if name == "memorised" else cohort, recipe, path):
        pass
    return open_run(path)


def permuted(cohort: Cohort) -> Cohort:
    """The same bags, with the labels of the training slides dealt out anew."""
    ids = [bag.slide_id for bag in cohort.select("train")]
    dealt = np.random.default_rng(0).permutation([cohort.labels[i] for i in ids]).tolist()
    return replace(cohort, labels={**cohort.labels, **dict(zip(ids, dealt, strict=True))})


def numbers(run: Run) -> dict[str, float]:
    """The table's row: means over the positive test slides, or of the whole run."""
    positive = [slide.index for slide in run.slides if slide.split == "test" and slide.label == 1]
    found = {"jsd": float(np.nanmean(run.scalars("jsd")[1:, positive]))}
    found["last_jsd"] = float(np.nanmean(run.scalars("jsd")[-1, positive]))
    for name in list(COLUMNS)[2:]:
        curve = run.curves().get(name)
        found[name] = float(np.nanmean(run.scalars(name)[-1, positive]) if curve is None else curve[-1])
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(sys.argv[1]).resolve(), Path(sys.argv[2] if len(sys.argv) > 2 else folder))
