"""From one epoch, slide or run to the next, and back to the map that was shown before."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from napari.utils.notifications import show_info

from napari_asmil.runs import MapView, Source
from napari_asmil.runs.rows import rows_called
from napari_asmil.runs.view import MEAN
from napari_asmil.viewer.follow import first_slide

if TYPE_CHECKING:
    from napari_asmil.runs import Run
    from napari_asmil.viewer.controller import Controller

    Shown = tuple[Run, Source, str]

_WISHED: WeakKeyDictionary[Controller, tuple[Source, Source, tuple[Run, str]]] = WeakKeyDictionary()
"""The attention that was wished for last, what was shown for want of it, and of which run and slide."""


def step_epoch(controller: Controller, by: int) -> None:
    """Move the slider by so many epochs, as far as it goes."""
    controller.set_epoch(max(0, controller.epoch + by))


def step_slide(controller: Controller, by: int) -> None:
    """Show the next slide in the controller's order, or the one before; after the last comes the first."""
    if controller.current is None:
        _show_any(controller)
    else:
        run, slide_id = controller.current
        found = neighbour(run, controller.slide_order, slide_id, by)
        if found is not None:
            go_to_slide(controller, found)


def neighbour(run: Run, order: tuple[str, ...] | None, slide_id: str | None, by: int) -> str | None:
    """The slide so many places on from `slide_id`, among those of `order` that have a place in the run.

    From a slide that is not among them it goes to the first, or back to the last. An order that has none of the
    run's slides is no order; None is the run's own.
    """
    placed = {slide.slide_id: None for slide in run.slides if slide.tiles is not None}
    ids = [one for one in order or () if one in placed] or list(placed)
    at = ids.index(slide_id) if slide_id in ids else (-1 if by > 0 else 0)
    return ids[(at + by) % len(ids)] if ids else None


def step_run(controller: Controller, by: int) -> None:
    """Show the same slide in the next open run that has it; panes side by side show several already."""
    if controller.comparison.active:
        return
    if controller.current is None:
        _show_any(controller)
        return
    run, slide_id = controller.current
    having = [other for other in controller.runs if _has(other, slide_id)]
    other = having[(having.index(run) + by) % len(having)]
    if other is not run:
        show_fitting(controller, other, slide_id)


class Flip:
    """Knows the map that was shown before: of another run, or by another attention or transform.

    The numbers of a normaliser make no other map, so that two maps can be held against each other while one is tuned.
    """

    def __init__(self, controller: Controller) -> None:
        self._owner = ref(controller)
        self._now: Shown | None = None
        self._before: Shown | None = None
        self._epoch: int | None = None
        controller.map_changed.connect(self._on_map)

    def back(self) -> None:
        """Show that map in place, on the slide at hand; again, and the first is back."""
        controller = self._owner()
        if self._before is None or controller is None or controller.comparison.active or controller.current is None:
            return
        run, source, transform = self._before
        if run in controller.runs and _has(run, controller.current[1]):
            fitted, _ = fitting(run, controller.current[1], source)
            left, epoch = controller.epoch, self._epoch
            controller.show_map(run, controller.current[1], fitted, transform)
            if controller.epoch < left:
                self._epoch = left  # this run is shorter: back on the other, its epoch comes back
            elif epoch is not None and controller.epoch == left:
                controller.set_epoch(epoch)
                self._epoch = None

    def _on_map(self) -> None:
        controller = self._owner()
        view = None if controller is None else controller.map
        if view is None:
            return
        now = view.run, view.source, view.transform_name
        if self._now is not None and _kind(now) != _kind(self._now):
            self._before = self._now
        self._now = now


def _kind(shown: Shown) -> tuple[object, ...]:
    run, source, transform = shown
    return run, None if source.normalizer is None else source.normalizer.name, source.row, source.branch, transform


def go_to_slide(controller: Controller, slide_id: str, run: Run | None = None) -> None:
    """Show another slide as the one at hand is shown: same attention where it is there, same place, same panes.

    Raises
    ------
    InputError
        When the run cannot give its map, or a pane has not recorded the slide.
    """
    shown, comparison = controller.map, controller.comparison
    run = run or (shown.run if shown is not None else controller.runs[0])
    if shown is not None and controller.current == (run, slide_id):
        return
    cells, transform = comparison.cells, "m_alpha" if shown is None else shown.transform_name
    for cell in cells:
        cell.view(MapView, slide_id, transform, [cell.run])  # refuses before anything has changed
    comparison.leave()
    camera = controller.viewer.scene.camera
    center, zoom = camera.center, camera.zoom
    show_fitting(controller, run, slide_id)
    low, high = controller.map_layer.extent.world[:, -2:]  # type: ignore[union-attr]
    if shown is not None and all(a <= c <= b for a, c, b in zip(low, center[-2:], high, strict=True)):
        camera.center, camera.zoom = center, zoom
    elif controller.slide is None:
        controller.viewer.reset_view()
    if cells:
        comparison.enter(cells, slide_id, transform)


def show_fitting(controller: Controller, run: Run, slide_id: str) -> None:
    """Show a slide of a run with the attention at hand, or the nearest to it that the run can derive, and say so.

    What could not be had is tried again on the slides that follow, until another attention is chosen.
    """
    shown = controller.map
    wished = Source() if shown is None else shown.source
    if controller in _WISHED and _WISHED[controller][1:] == (wished, controller.current):
        wished = _WISHED[controller][0]
    source, why = fitting(run, slide_id, wished)
    controller.show_map(run, slide_id, source)
    _WISHED[controller] = wished, source, (run, slide_id)
    if why:
        show_info(why)


def fitting(run: Run, slide_id: str, wished: Source) -> tuple[Source, str]:
    """The attention that a run can derive of a slide nearest to that which is wished for, and why it is another."""
    if wished.branch == "anchor" and not run.has_anchor:
        return Source(), f"{run.name} has no anchor: its map is shown as stored."
    if wished.normalizer is not None and not run.slide(slide_id).has_scores:
        return Source(), f"Raw scores of {slide_id} were not recorded in {run.name}: its map is shown as stored."
    if wished.row != MEAN and not rows_called(run.row_names, wished.row):
        return Source(wished.normalizer), f"{run.name} has no row {wished.row!r}: the mean of its rows is shown."
    return wished, ""


def _show_any(controller: Controller) -> None:
    """Show a map again where none is: of the slide whose picture is open, if a run has it."""
    begun = [run for run in controller.runs if run.n_epochs]
    if begun:
        liked = [] if controller.slide_id is None else [controller.slide_id]
        run = next((run for run in begun if liked and _has(run, liked[0])), begun[0])
        controller.show_map(run, first_slide(run, liked).slide_id)


def _has(run: Run, slide_id: str) -> bool:
    return any(slide.slide_id == slide_id and slide.tiles is not None for slide in run.slides)
