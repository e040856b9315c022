"""Attention scores of someone's own model in the window: a run of one epoch that goes when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_asmil.bags import Bag, Cohort, Given
from napari_asmil.maps import read_map, write_maps
from napari_asmil.maps.scoremap import slide_of
from napari_asmil.viewer.layers import slide_name

if TYPE_CHECKING:
    from napari_asmil.runs import Run
    from napari_asmil.viewer.controller import Controller

NOT_LAID = "not laid on {}, whose name is another: choose both in the fields and open them, if they belong so"
GOES = "this run goes when napari is closed; `napari-asmil map` writes one to keep"


@dataclass(frozen=True)
class Made:
    """A run made of a file of scores, not shown yet, and what is said of it."""

    run: Path
    slide_id: str
    lines: list[str]


def prepare(
    controller: Controller,
    path: Path,
    *,
    slide: Path | None = None,
    features: str | Path | Bag | None = None,
    cohort: Cohort | None = None,
    values: str | None = None,
    column: str = "",
    tile_size: float | None = None,
    mpp: float | None = None,
    contours: Path | None = None,
) -> Made:
    """Read, check and write what `show` shows: a run in a folder that goes when the process ends.

    Parameters
    ----------
    controller : Controller
    path : Path
        As `maps.import_map`, and so are `values`, `column` and `contours`.
    slide : Path, optional
        The slide's file; by default the slide that is open, where the file of scores is named after it.
    features : path-like or Bag, optional
        By default the bag of that slide in `cohort`, which stands for the open one, where it will be.
    tile_size, mpp : float, optional
        As `bags.Given`.

    Raises
    ------
    InputError
        When the file cannot be used.
    """
    shown, cohort, lines = controller.slide, cohort or controller.cohort, []
    if slide is None and shown is not None and slide_name(shown.path) == slide_of(path):
        slide, mpp = shown.path, mpp or shown.mpp
        contours = contours or (None if controller.contours is None else controller.contours.path)
    elif slide is None and shown is not None:
        lines = [NOT_LAID.format(shown.path.name)]
    if features is None and cohort is not None:
        name = slide_of(path) if slide is None else slide_name(slide)
        features = next((bag for bag in cohort.bags if bag.slide_id == name), None)
    given = Given.of(slide, mpp=mpp, tile_size=tile_size)
    scores = read_map(path, values=values, given=given, features=features, column=column)
    folder = Path(tempfile.mkdtemp(prefix="napari-asmil-map-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = write_maps([scores], folder / f"{path.stem}.asmil", contours=contours)
    said = run.no_attention or f"shown as {run.map_words}"
    return Made(run.path, scores.bag.slide_id, [f"ATTENTION {path.name}", *scores.describe(), said, GOES, *lines])


def show(controller: Controller, made: Made) -> Run:
    """Open the run that `prepare` made, and show it."""
    run = controller.add_run(made.run)
    controller.show_map(run, made.slide_id)
    return run
