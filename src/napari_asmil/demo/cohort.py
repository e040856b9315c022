"""The demo's cohort on disk: feature files of all slides, a label table, and pictures of a few."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_asmil.analysis.localisation import TUMOUR
from napari_asmil.bags import read_cohort, write_bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.demo.pictures import write_contours, write_slide
from napari_asmil.demo.world import World
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone
from napari_asmil.files import complete, json_text, write_text

MARK = "demo.json"
"""Says that a folder is a demo's, and of which seed."""

_FOCI_DRAWN = (2, 1, 3, 0, 0)
"""How many foci the drawn slides have; the first is shown first."""


def drawn_slides(world: World) -> tuple[str, ...]:
    """The test slides that have pictures, the one to show first in front: those with most tumour, and normal ones."""
    chosen: list[str] = []
    for foci in _FOCI_DRAWN:
        tests = [i for i, split in world.cohort.splits.items() if split == "test" and i not in chosen]
        fitting = [i for i in tests if len(world.places[i].foci) == foci]
        chosen.append(max(fitting, key=lambda i: int((world.places[i].tumour >= TUMOUR).sum())))
    return tuple(chosen)


def claim(out: Path, seed: int) -> None:
    """Make a folder the demo's of this seed: a new or an empty one, or one that is already.

    Raises
    ------
    InputError
        When it holds something else, and nothing was written.
    """
    mark = out / MARK
    if mark.is_file():
        there = json.loads(mark.read_text())["seed"]
        if there != seed:
            raise InputError(f"It holds the demo of seed {there}, not {seed}.", remedy="Choose another.", path=out)
    elif out.is_dir() and any(out.iterdir()):
        raise InputError("It is not empty, and no demo.", remedy="Choose a new folder for the demo.", path=out)
    else:
        with _writing(out):
            out.mkdir(parents=True, exist_ok=True)
            write_text(mark, json_text({"seed": seed}))


def write_cohort(out: Path, world: World, seed: int) -> Iterator[BatchDone]:
    """Write ``features/``, ``slides/``, ``annotations/`` and ``labels.csv`` to a folder, telling of every slide drawn.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    folders = {name: out / name for name in ("features", "slides", "annotations")}
    with _writing(out):
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        drawn = drawn_slides(world)
        files = {i: (folders["slides"] / f"{i}.ome.tif", folders["annotations"] / f"{i}.geojson") for i in drawn}
        for step, slide_id in enumerate(drawn, 1):
            slide, contours = files[slide_id]
            write_slide(slide, world.places[slide_id], np.random.default_rng([seed, step]))
            write_contours(contours, world.places[slide_id])
            yield BatchDone(epoch=0, step=step, steps=len(drawn), phase="draw slides")
        for bag in world.cohort.bags:
            slide_path, contours_path = files.get(bag.slide_id, (None, None))
            placed = replace(bag, slide_path=slide_path, contours_path=contours_path)
            write_bag(folders["features"] / f"{bag.slide_id}.h5", placed)
        _write_labels(out / "labels.csv", world.cohort, drawn)


def read_back(out: Path) -> Cohort:
    """The cohort that `write_cohort` wrote."""
    return read_cohort(out / "features", out / "labels.csv")


def _write_labels(path: Path, cohort: Cohort, drawn: tuple[str, ...]) -> None:
    with complete(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["slide_id", "label", "split", "slide_path", "contours_path"])
        for bag in cohort.bags:
            i = bag.slide_id
            where = (f"slides/{i}.ome.tif", f"annotations/{i}.geojson") if i in drawn else ("", "")
            table.writerow([i, cohort.class_names[cohort.labels[i]], cohort.splits[i], *where])


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The demo cannot be written there ({error.strerror or error}).",
            remedy="Choose a folder with room that you may write to.",
            path=out,
        ) from error
