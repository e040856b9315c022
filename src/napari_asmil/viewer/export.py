"""Export of what is shown, away from the main thread: a job may go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import notification_manager, show_error, show_info, show_warning
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_asmil.errors import InputError
from napari_asmil.render import export_overlay
from napari_asmil.render.colormaps import COLORMAPS
from napari_asmil.runs import MapView
from napari_asmil.viewer import limits
from napari_asmil.viewer.layers import COLORMAP, entry, view_of

if TYPE_CHECKING:
    from napari_asmil.viewer.controller import Controller


PNG = "PNG (*.png)"


class Export(QObject):
    """One export in a thread; it says once how it ended."""

    ended = Signal(object)

    def __init__(self, write: Callable[[], Path]) -> None:
        super().__init__()
        self._write = write
        self.ended.connect(_tell)
        self._thread = threading.Thread(target=self._work, name="export of an overlay")
        self._thread.start()

    def _work(self) -> None:
        try:
            outcome: Path | Exception = self._write()
        except Exception as error:  # noqa: BLE001 - told to the user, in the main thread
            outcome = error
        self.ended.emit(outcome)


def _tell(outcome: Path | Exception) -> None:
    if isinstance(outcome, InputError):
        show_error(str(outcome))
    elif isinstance(outcome, Exception):
        notification_manager.receive_error(type(outcome), outcome, outcome.__traceback__)
    else:
        show_info(f"Exported {outcome}")


def export_shown(controller: Controller, path: Path, layer: Any = None) -> Export:
    """Write a map at the epoch under the slider as PNG, as `render.export_overlay` draws it.

    Parameters
    ----------
    controller : Controller
    path : Path
        Ends in ``.png``.
    layer : layer, optional
        One map of a comparison; by default the map that is shown.
    """
    layer = controller.map_layer if layer is None else layer
    return Export(partial(_write, path, _copy(view_of(layer)), controller.epoch, **_looks(controller, layer)))


def _copy(view: MapView) -> MapView:
    """The same map for another thread."""
    return MapView(view.run, view.slide.slide_id, view.source, view.transform_name, view.when)


def _write(path: Path, view: MapView, step: int, **looks: Any) -> Path:
    return export_overlay(path, view, view.epoch_at(step), **looks)


def _looks(controller: Controller, layer: Any) -> dict[str, Any]:
    """Limits, colours and what lies around the map, as the window has them."""
    name = layer.colormap.name
    if name not in COLORMAPS:
        show_warning(
            f"Exports do not know the colour map {name!r}; {COLORMAP} is used. They know {', '.join(COLORMAPS)}."
        )
        name = COLORMAP
    return {
        "slide": controller.slide if _visible(controller, layer, "slide") else None,
        "contours": controller.contours if _visible(controller, layer, "contours") else None,
        "limits": limits.as_rendered(layer, locked=controller.locked),
        "colormap": name,
        "opacity": float(layer.opacity),
    }


def _visible(controller: Controller, layer: Any, kind: str) -> bool:
    """Whether our layer of a kind is visible where `layer` is: in the same pane, or in the whole window."""
    cell = entry(layer).get("cell")
    there = [other for other in controller.viewer.layers if entry(other).get("kind") == kind]
    return any(other.visible and entry(other).get("cell") in (cell, None) for other in there)


def ask_and_export(controller: Controller, layer: Any = None) -> Export | None:
    """Ask for a file and export what is shown; None when there is nothing to export or the person thinks better."""
    if controller.map is None:
        show_error("There is no map to export. Show a run in Explore attention first.")
        return None
    panes = controller.comparison.maps
    layer = layer if layer is not None or not panes else panes[0]
    name = suggested_name(controller, layer)
    chosen, _ = QFileDialog.getSaveFileName(None, "Export annotated overlay", name, PNG)
    return export_shown(controller, Path(chosen), layer) if chosen else None


def suggested_name(controller: Controller, layer: Any = None) -> str:
    """A file name that says what is in it."""
    view = controller.map if layer is None else view_of(layer)
    if view is None:
        return "overlay.png"
    return f"{view.run.name}_{view.slide.slide_id}_epoch{max(0, view.when.epoch(controller.epoch)):03d}.png"
