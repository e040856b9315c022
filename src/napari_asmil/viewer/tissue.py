"""The outline of the tissue that tiles will be laid on, found in a job and drawn on the slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari_asmil.events import Finished, Started
from napari_asmil.viewer import layers, lines
from napari_asmil.words import counted

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.events import Event
    from napari_asmil.viewer.controller import Controller

COLOUR = "#009e73"


@dataclass
class Search:
    """A job that finds outlines: those of the tissue of a slide, or of the contours that take its place.

    Attributes
    ----------
    slide : Path
        The slide.
    mpp : float or None
        Micrometres per level-0 px, instead of what the slide says.
    within : Path or None
        An annotation file.
    cropped : bool
        The annotation file counts from the scanned area of the slide, and outlines that are saved will.
    found : Contours or None
        The outlines, when the job is done.
    """

    slide: Path
    mpp: float | None = None
    within: Path | None = None
    cropped: bool = False
    found: Contours | None = None

    def events(self, stop: Flag) -> Iterator[Event]:
        """The job."""
        from napari_asmil.annotations import read_annotations
        from napari_asmil.encoders.areas import tissue_contours
        from napari_asmil.slides import open_slide
        from napari_asmil.slides.tissue import DEFAULT_RULE

        yield Started(self.slide, 1, unit="slides")
        with open_slide(self.slide, mpp=self.mpp) as slide:
            if self.within is None:
                found, words = tissue_contours(slide), DEFAULT_RULE.words(slide)
                self.found = replace(found, origin=slide.bounds) if self.cropped else found
            else:
                self.found, words = (
                    read_annotations(self.within, slide.frame, cropped=self.cropped),
                    f"from {self.within.name}",
                )
                self.found.check_on(slide.frame.size)
        if stop.is_set():
            self.found = None
            yield Finished(self.slide, "stopped", "Stopped; no outline is drawn.")
            return
        yield Finished(self.slide, "done", f"{counted(len(self.found.polygons), 'outline')}; {words}.")


def layer_of(viewer: Any) -> Any | None:
    """The layer of outlines, or None."""
    return lines.layer_of(viewer, layers.TISSUE)


def show(viewer: Any, slide: Path, contours: Contours) -> bool:
    """Draw outlines in place of those drawn; False where they are too many to be drawn."""
    name = f"{layers.slide_name(slide)} tissue"
    return lines.show(viewer, layers.TISSUE, contours.segments(), name=name, edge_color=COLOUR)


def hide(viewer: Any) -> None:
    """Take the outlines away."""
    lines.hide(viewer, layers.TISSUE)


@dataclass
class Outlines:
    """The search whose outlines are shown, while its slide is: it outlives the dock that began it."""

    search: Search | None = None


_OF: WeakKeyDictionary[Controller, Outlines] = WeakKeyDictionary()


def outlines_of(controller: Controller) -> Outlines:
    """The outlines of a window; they go when another slide is shown."""
    if controller not in _OF:
        held = _OF[controller] = Outlines()
        viewer_of = ref(controller)

        def on_stage(kind: str) -> None:
            found = viewer_of()
            shown = None if found is None else found.slide
            if kind == "slide" and held.search and found and (shown is None or shown.path != held.search.slide):
                held.search = None
                hide(found.viewer)

        def on_event(event: Event) -> None:
            found, search = viewer_of(), held.search
            if found and search and isinstance(event, Finished) and search.found and event.path == search.slide:
                drawn = show(found.viewer, search.slide, search.found)
                too_many = [] if drawn else ["Too many lines to draw."]
                found.tell([f"TISSUE {search.slide.name}", event.message, *too_many])

        controller.stage.changed.connect(on_stage)
        controller.job.event.connect(on_event)
    return _OF[controller]
