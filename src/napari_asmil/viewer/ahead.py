"""Epochs on both sides of the slider, derived before anyone asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import ref

from napari_asmil.errors import InputError
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.viewer.controller import Controller

NEIGHBOURS = (1, -1, 2, -2)
"""Which epochs are fetched, from the slider's on, in this order."""


class Ahead:
    """Fetches the neighbours of the shown epoch while the window is idle, where maps have to be derived."""

    def __init__(self, controller: Controller) -> None:
        self._owner = ref(controller)
        controller.epoch_changed.connect(self.look)
        controller.map_changed.connect(self.look)

    def look(self) -> None:
        """Fetch around the epoch at hand, and no longer around another."""
        controller = self._owner()
        if controller is not None and controller.viewer is not None:
            controller.idle.do("ahead", self._fetching(controller))

    def _fetching(self, controller: Controller) -> Iterator[None]:
        for by in NEIGHBOURS:
            shown = [] if controller.viewer is None else layers.maps_of(controller.viewer)
            for view in [layers.view_of(layer) for layer in shown if layer.visible]:
                step = controller.epoch + by
                if 0 <= step < len(view) and not view.recorded_limits:
                    with suppress(InputError):  # a pane of earlier epochs has none there
                        yield from view.fetching(view.epoch_at(step))
