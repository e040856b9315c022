"""What the manifest names besides the docks: the reader, the sample, the export command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.utils import progress
from napari.viewer import Viewer

from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone
from napari_asmil.frame import Frame
from napari_asmil.info import is_run, kind_of
from napari_asmil.runs import MapView, Run, open_run
from napari_asmil.viewer import layers, sample
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.export import ask_and_export
from napari_asmil.viewer.follow import first_slide
from napari_asmil.viewer.taking import take
from napari_asmil.viewer.window import EXPLORE, OPEN, open_docks


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Any]] | None:
    """A reader for what is there; it tells by content what it is, and says why where it is nothing of ours."""
    return read if all(Path(one).exists() for one in ([path] if isinstance(path, str) else path)) else None


def read(path: str | list[str]) -> list[Any]:
    """Open runs, slides, features, annotations and tables in the current window, with what is open there.

    What is refused is said in the window: napari would put words of its own in place of an error's. Without a window
    slides, annotations and runs are layers, and a refusal is raised.
    """
    paths = [Path(one) for one in ([path] if isinstance(path, str) else path)]
    viewer = napari.current_viewer()
    if viewer is None:
        return [layer for one in paths for layer in _layers_alone(one)]
    controller = Controller.of(viewer)
    if all(map(is_run, paths)):
        try:
            return read_runs(paths)
        except InputError as error:
            controller.refuse(error)
    else:
        for one in paths:
            take(controller, one)
    open_docks(viewer, *((OPEN,) if controller.map is None else (OPEN, EXPLORE)))
    return [(None,)]


def _layers_alone(path: Path) -> list[layers.LayerData]:
    """Layers of a run, a slide or an annotation."""
    from napari_asmil.annotations import read_annotations
    from napari_asmil.slides import open_slide

    kind = kind_of(path)
    if kind == "run":
        return read_runs([path])
    if kind == "slide":
        return [layers.slide_data(open_slide(path))]
    if kind == "annotation":
        return [layers.contours_data(read_annotations(path, _frame_shown()))]
    raise InputError("It is opened with a slide, in a window of napari.", path=path)


def read_runs(paths: list[Path]) -> list[layers.LayerData]:
    """Layers of the first run's first slide: picture, map and contours; further runs are opened beside it."""
    runs = [open_run(path) for path in paths]
    controller = _make_room()
    if controller is not None:
        for run in runs[1:]:
            controller.add_run(run.path)
    return layers_of(runs[0])


def open_demo() -> list[layers.LayerData]:
    """A drawn slide with tumour foci, and a small model's attention on it after each epoch; bags to train on."""
    folder = sample.sample_folder()
    cohort = sample.make_cohort(folder)
    run = folder / "runs" / f"{sample.VARIANT}.asmil"
    with progress(total=sample.EPOCHS, desc="Training the sample") as bar:
        for event in sample.train(cohort, run):
            bar.update(int(isinstance(event, EpochDone)))
    controller = _make_room()
    if controller is not None:
        controller.set_cohort(cohort)
    return layers_of(open_run(run))


def _make_room() -> Controller | None:
    """Take our layers away and open the dock that holds the legend; None where there is no window."""
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    controller = Controller.of(viewer)
    controller.clear()
    open_docks(viewer, EXPLORE)
    return controller


def layers_of(run: Run) -> list[layers.LayerData]:
    """Picture, map and contours of the slide of a run to show first, as far as they are there."""
    from napari_asmil.annotations import read_annotations
    from napari_asmil.slides import open_slide

    layers.check_has_epochs(run)
    slide = first_slide(run)
    found, frame = [], slide.frame
    if slide.slide_path is not None and slide.slide_path.exists():
        picture = open_slide(slide.slide_path)
        found.append(layers.slide_data(picture))
        frame = picture.frame
    found.append(layers.map_data(MapView(run, slide.slide_id)))
    if slide.contours_path is not None and slide.contours_path.exists():
        found.append(layers.contours_data(read_annotations(slide.contours_path, frame)))
    return found


def _frame_shown() -> Frame | None:
    """Of the slide that is shown, where one is."""
    viewer = napari.current_viewer()
    slide = None if viewer is None else Controller.of(viewer).slide
    return None if slide is None else slide.frame


def export_annotated_overlay(viewer: Viewer) -> None:
    """Ask for a file and write the map that is shown with slide, contours and legend."""
    ask_and_export(Controller.of(viewer))
