"""The sample: the demo's cohort, pictures of two of its slides, and one short training to look at."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_asmil.bags import Bag, Cohort
from napari_asmil.events import Event

EPOCHS = 6
VARIANT = "abmil"
"""Trained without an anchor: its attention is seen to collapse, which is what the anchors are for."""


def sample_folder() -> Path:
    """A new folder for one opening of the sample; it goes when the process ends, as a window may show it till then."""
    folder = Path(tempfile.mkdtemp(prefix="napari-asmil-sample-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_cohort(folder: Path) -> Cohort:
    """The demo's cohort; the pictured slides know their picture and contours in `folder`."""
    from napari_asmil.demo.cohort import drawn_slides
    from napari_asmil.demo.pictures import write_contours, write_slide
    from napari_asmil.demo.world import make_world

    world = make_world(0)
    files: dict[str, tuple[Path, Path | None]] = {}
    several_foci, *_, none = drawn_slides(world)
    for name in (several_foci, none):
        place = world.places[name]
        slide, contours = folder / f"{name}.ome.tif", folder / f"{name}.geojson"
        write_slide(slide, place, np.random.default_rng(0))
        if place.foci:
            write_contours(contours, place)
        files[name] = slide, contours if place.foci else None
    return replace(world.cohort, bags=tuple(_pictured(bag, files) for bag in world.cohort.bags))


def _pictured(bag: Bag, files: dict[str, tuple[Path, Path | None]]) -> Bag:
    if bag.slide_id not in files:
        return bag
    slide, contours = files[bag.slide_id]
    return replace(bag, slide_path=slide, contours_path=contours)


def train(cohort: Cohort, run: Path) -> Iterator[Event]:
    """Train a small model; about two seconds of one core."""
    from napari_asmil.training import fit, preset

    pictured = tuple(bag.slide_id for bag in cohort.bags if bag.slide_path is not None)
    return fit(cohort, preset("demo", VARIANT, epochs=EPOCHS, record=pictured, watch=pictured), run, device="cpu")
