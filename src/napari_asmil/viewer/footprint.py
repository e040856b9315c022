"""Where the tiles of a bag lie, drawn on the slide: to be judged by eye before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_asmil.analysis.places import edges
from napari_asmil.viewer import layers, lines

if TYPE_CHECKING:
    from napari_asmil.bags import Bag
    from napari_asmil.viewer.controller import Controller

COLOUR = "#0072b2"


def layer_of(viewer: Any) -> Any | None:
    """The layer of tile edges, or None."""
    return lines.layer_of(viewer, layers.FOOTPRINT)


def bag_of(controller: Controller) -> Bag | None:
    """The open bag that is of the shown slide, or the only one where none is shown; None where it has no places."""
    bags = [] if controller.cohort is None else controller.cohort.bags
    slide = controller.slide
    if slide is not None:
        found = next((bag for bag in bags if slide.path == bag.slide_path), None) or next(
            (bag for bag in bags if bag.slide_id == layers.slide_name(slide.path)), None
        )
    elif controller.slide_id is not None:
        found = next((bag for bag in bags if bag.slide_id == controller.slide_id), None)
    else:
        found = bags[0] if len(bags) == 1 else None
    return None if found is None or found.tiles is None else found


def show(controller: Controller) -> None:
    """Draw the edges of the tiles of the open bag; those of another are taken away."""
    hide(controller)
    bag = bag_of(controller)
    if bag is None or bag.tiles is None:
        return
    segments = edges(bag.tiles.xy, bag.tiles.size)
    name = f"{bag.slide_id} tiles"
    lines.show(controller.viewer, layers.FOOTPRINT, segments, name=name, edge_color=COLOUR, opacity=0.7)


def hide(controller: Controller) -> None:
    """Take the edges away."""
    lines.hide(controller.viewer, layers.FOOTPRINT)
