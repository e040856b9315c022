"""From one epoch, slide or run to the next, and back to the map that was shown before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_asmil.runs import Source

if TYPE_CHECKING:
    from napari_asmil.runs import Run
    from napari_asmil.viewer.controller import Controller


def step_epoch(controller: Controller, by: int) -> None:
    """Move the slider by so many epochs, as far as it goes."""
    controller.set_epoch(max(0, controller.epoch + by))


def step_slide(controller: Controller, by: int) -> None:
    """Show the run's next slide, or the one before; after the last comes the first."""
    if controller.current is None:
        return
    run, slide_id = controller.current
    ids = [slide.slide_id for slide in run.slides if slide.tiles is not None]
    go_to_slide(controller, ids[(ids.index(slide_id) + by) % len(ids)])


def step_run(controller: Controller, by: int) -> None:
    """Show the same slide in the next open run that has it; panes side by side show several already."""
    if controller.current is None or controller.comparison.active:
        return
    run, slide_id = controller.current
    having = [other for other in controller.runs if _has(other, slide_id)]
    other = having[(having.index(run) + by) % len(having)]
    if other is not run:
        show_fitting(controller, other, slide_id)


def flip(controller: Controller) -> None:
    """Show the map of this slide that was shown before, in place; again, and the first is back."""
    before = controller.before
    if before is None or controller.comparison.active or controller.current is None:
        return
    run, slide_id, source, transform = before
    if run in controller.runs and slide_id == controller.current[1]:
        controller.show_map(run, slide_id, source, transform)


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
    comparison.leave()
    camera = controller.viewer.scene.camera
    center, zoom = camera.center, camera.zoom
    show_fitting(controller, run, slide_id)
    slide = controller.slide
    if shown is not None and (slide is None or all(0 <= c < n for c, n in zip(center[-2:], slide.shape, strict=True))):
        camera.center, camera.zoom = center, zoom
    if cells:
        comparison.enter(cells, slide_id, transform)


def show_fitting(controller: Controller, run: Run, slide_id: str) -> None:
    """Show a slide of a run with the attention at hand, or as stored where the run cannot derive that."""
    shown = controller.map
    source = Source() if shown is None else shown.source
    if source.branch == "anchor" and not run.has_anchor:
        source = Source()
    if source.normalizer is not None and not run.slide(slide_id).has_scores:
        source = Source()
    elif shown is not None and source.row in set(shown.run.row_names) - set(run.row_names):
        source = Source(source.normalizer)
    controller.show_map(run, slide_id, source)


def _has(run: Run, slide_id: str) -> bool:
    return any(slide.slide_id == slide_id and slide.tiles is not None for slide in run.slides)
