"""Taking up whatever a person drops on the window: told by its content, opened with what is open already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_asmil.bags import holds_many
from napari_asmil.errors import InputError
from napari_asmil.info import kind_of
from napari_asmil.viewer.opening import Request, open_request

if TYPE_CHECKING:
    from napari_asmil.viewer.controller import Controller


def take(controller: Controller, path: Path) -> list[str]:
    """Open a slide, features, annotation, label table, run or attention map; says what was found and derived.

    Raises
    ------
    InputError
        When it is nothing that can be opened, or does not fit what is.
    """
    kind = kind_of(path)
    if kind == "run":
        return take_run(controller, path)
    if kind == "table":
        return _take_labels(controller, path)
    if kind == "slide":
        return open_request(controller, Request(slide=path))
    if kind == "features":
        return open_request(controller, Request(features=path))
    if kind == "annotation":
        return open_request(controller, Request(annotation=path))
    if kind == "map":
        return open_request(controller, Request(scores=path))
    raise InputError(
        "This is no slide, feature file, annotation, table of labels, attention file or run that can be read.",
        remedy="`napari-asmil info` says more of a file.",
        path=path,
    )


def take_run(controller: Controller, path: Path) -> list[str]:
    """Open a run and show its first slide; says what it holds."""
    from napari_asmil.viewer.window import open_runs

    lines = [line for run in open_runs(controller, [path]) for line in (f"RUN {run.name}", *run.describe())]
    controller.tell(lines)
    return lines


def _take_labels(controller: Controller, path: Path) -> list[str]:
    features = controller.opened.features
    if features is None or (features.is_file() and not holds_many(features)):
        raise InputError(
            "It is a table, and no folder of features is open of which it could be the labels.",
            remedy="Open the folder of features first, then the table.",
            path=path,
        )
    return open_request(controller, replace(controller.opened, slide=None, annotation=None, labels=path))


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
