"""The outline of the tissue that tiles will be laid on, found in a job and drawn on the slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from napari_asmil.events import Finished, Started
from napari_asmil.viewer import layers
from napari_asmil.words import counted

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.events import Event

COLOUR = "#009e73"
MOST_LINES = 200_000
"""More are not drawn: the window would be felt to wait for them."""


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
        Annotation files of this slide count from its scanned area.
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
        yield Finished(self.slide, "done", f"{counted(len(self.found.polygons), 'outline')}; {words}.")


def layer_of(viewer: Any) -> Any | None:
    """The layer of outlines, or None."""
    return next((layer for layer in viewer.layers if layers.entry(layer).get("kind") == layers.TISSUE), None)


def show(viewer: Any, slide: Path, contours: Contours) -> bool:
    """Draw outlines in place of those drawn; False where they are too many to be drawn."""
    hide(viewer)
    segments = contours.segments()
    if len(segments) > MOST_LINES:
        return False
    data = layers.lines_data(segments, viewer.scene.camera.zoom, layers.TISSUE)
    viewer.layers.append(layers.make(data, name=f"{layers.slide_name(slide)} tissue", edge_color=COLOUR))
    return True


def hide(viewer: Any) -> None:
    """Take the outlines away."""
    layer = layer_of(viewer)
    if layer is not None:
        viewer.layers.remove(layer)
