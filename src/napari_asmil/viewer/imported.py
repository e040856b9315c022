"""Opening a file of attention scores in the window: as a run of one epoch that goes when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_asmil.bags import Given
from napari_asmil.maps import read_map, write_maps
from napari_asmil.maps.scoremap import slide_of
from napari_asmil.viewer.layers import slide_name

if TYPE_CHECKING:
    from napari_asmil.bags import Bag
    from napari_asmil.runs import Run
    from napari_asmil.viewer.controller import Controller


def open_map(
    controller: Controller,
    path: str | Path,
    *,
    slide: str | Path | None = None,
    features: str | Path | Bag | None = None,
    values: str | None = None,
    column: str = "",
    tile_size: float | None = None,
    mpp: float | None = None,
    contours: str | Path | None = None,
) -> tuple[Run, list[str]]:
    """Open a file of scores, show it, and say what was derived.

    Parameters
    ----------
    controller : Controller
    path : path-like
        As `maps.import_map`, and so are `values`, `column` and `contours`.
    slide : path-like, optional
        The slide's file; by default the slide that is open, where the file of scores is named after it.
    features : path-like or Bag, optional
        By default the bag of that slide, where one is open.
    tile_size, mpp : float, optional
        As `bags.Given`.

    Returns
    -------
    (Run, list of str)
        The run, in a folder that goes when the process ends (``napari-asmil map`` writes one to keep), and lines for a
        person.

    Raises
    ------
    InputError
        Before anything is shown, when the file cannot be used.
    """
    path = Path(path)
    if slide is None and controller.slide is not None and slide_name(controller.slide.path) == slide_of(path):
        slide = controller.slide.path
    name = slide_of(path) if slide is None else slide_name(Path(slide))
    bags = () if controller.cohort is None else controller.cohort.bags
    if features is None:
        features = next((bag for bag in bags if bag.slide_id == name), None)
    given = Given.of(slide, mpp=mpp, tile_size=tile_size)
    scores = read_map(path, values=values, given=given, features=features, column=column)
    folder = Path(tempfile.mkdtemp(prefix="napari-asmil-map-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = write_maps([scores], folder / f"{path.stem}.asmil", contours=contours)
    run = controller.add_run(run.path)
    controller.show_map(run, scores.bag.slide_id)
    return run, [f"MAP {path.name}", *scores.describe(), run.no_attention or f"shown as {run.map_words}"]
