"""Taking up whatever a person drops on the window: told by its content, opened with what is open already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_asmil.annotations import mask
from napari_asmil.bags import holds_many
from napari_asmil.errors import InputError
from napari_asmil.info import kind_of
from napari_asmil.viewer.opening import Request, open_request

if TYPE_CHECKING:
    from napari_asmil.viewer.controller import Controller


def take(controller: Controller, path: Path) -> None:
    """Open a slide, features, annotation, label table, run or attention map; what is refused is said in the window."""
    asked = Request()
    try:
        kind = kind_of(path)
        if kind == "slide" and controller.slide is not None and mask.fits(path, controller.slide.frame):
            kind = "annotation"
        if kind == "run":
            take_run(controller, path)
            return
        asked = _request(controller, kind, path)
        open_request(controller, asked)
    except InputError as error:
        controller.refuse(error, asked)


def _request(controller: Controller, kind: str, path: Path) -> Request:
    if kind == "slide":
        return Request(slide=path)
    if kind == "features":
        return Request(features=path)
    if kind == "annotation":
        return Request(annotation=path)
    if kind == "map":
        return Request(scores=path)
    if kind == "table":
        return _with_labels(controller, path)
    raise InputError(
        "This is no slide, feature file, annotation, table of labels, attention file or run that can be read.",
        remedy="`napari-asmil info` says more of a file.",
        path=path,
    )


def take_run(controller: Controller, path: Path) -> None:
    """Open a run, show its first slide and say what it holds.

    Raises
    ------
    InputError
        When it is none, or has no slide with places.
    """
    from napari_asmil.viewer.window import open_runs

    runs = open_runs(controller, [path])
    controller.tell([line for run in runs for line in (f"RUN {run.name}", *run.describe())])


def _with_labels(controller: Controller, path: Path) -> Request:
    features = controller.opened.features
    if features is None or (features.is_file() and not holds_many(features)):
        raise InputError(
            "It is a table, and no folder of features is open of which it could be the labels.",
            remedy="Open the folder of features first, then the table.",
            path=path,
        )
    return replace(controller.opened, slide=None, annotation=None, labels=path)


def file_of(layer: Any) -> Path:
    """The file of a picture that another plugin opened.

    Raises
    ------
    InputError
        When the layer does not say, or the file is not there.
    """
    given = None if layer is None else layer.source.path
    if given is None or not Path(given).exists():
        name = "No layer is selected" if layer is None else f"The layer {layer.name!r} does not say which file it is of"
        raise InputError(f"{name}, so it cannot be taken as the slide.", remedy="Choose the slide's file instead.")
    return Path(given)
