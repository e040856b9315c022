"""Runs in a window: what `napari-asmil open`, the reader, the docks and the demo share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_info

from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Run
from napari_asmil.viewer.compare import MAX_CELLS, cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.follow import first_slide

PLUGIN = "napari-asmil"
OPEN = "Open slide and bags"
EXPLORE, DYNAMICS = "Explore attention", "Read dynamics"
INSPECT, SURVEY = "Inspect tiles", "Survey the cohort"


def show(paths: Sequence[Path]) -> None:
    """Open a window with runs, the docks to read them, and nothing else; returns when it is closed.

    Raises
    ------
    InputError
        When there is no run in `paths`, or one cannot be shown.
    """
    found = find_runs(paths)
    viewer = napari.Viewer()
    controller = Controller.of(viewer)
    open_runs(controller, found, side_by_side=True)
    open_docks(viewer, *((EXPLORE, DYNAMICS) if controller.comparison.active else (DYNAMICS, EXPLORE)))
    napari.run()


def open_docks(viewer: Any, *names: str) -> None:
    """Open docks of ours, one behind the other; the last is in front. One that is open stays as it is."""
    for at, name in enumerate(names):
        viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=at > 0)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders: those named, and those directly inside folders named.

    Raises
    ------
    InputError
        When one of `paths` is no run and holds none.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path] if (path / "zarr.json").is_file() else sorted(path.glob("*.asmil"))
        if not inside:
            raise InputError(
                "This is no run and holds none.", remedy="A run is the whole folder, usually named *.asmil.", path=path
            )
        found += inside
    return found


def open_runs(controller: Controller, paths: Sequence[Path], *, side_by_side: bool = False) -> list[Run]:
    """Open runs and show the first of them, or all side by side where they share a slide.

    Raises
    ------
    InputError
        When one is no run, or the first has no slide with places.
    """
    runs = [controller.add_run(path) for path in find_runs(paths)]
    begun = [run for run in runs if run.n_epochs]
    if not begun:
        show_info("No epoch is committed yet: the map appears with the first.")
        controller.stage.bring(first_slide(runs[0]))
        return runs
    slide = first_slide(begun[0])
    controller.show_map(begun[0], slide.slide_id)
    cells = [cell_of(MapView(run, slide.slide_id)) for run in begun if _has(run, slide.slide_id)]
    if side_by_side and 2 <= len(cells) <= MAX_CELLS:
        controller.show_map(begun[0], slide.slide_id, transform="log10")  # on one linear scale few maps show anything
        controller.comparison.enter(cells, slide.slide_id, "log10")
    return runs


def _has(run: Run, slide_id: str) -> bool:
    return any(slide.slide_id == slide_id and slide.tiles is not None for slide in run.slides)
