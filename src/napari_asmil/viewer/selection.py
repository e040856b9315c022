"""Which tiles of the shown slide a person has picked: some of them, and one that is pinned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

Mask = NDArray[np.bool_]


class Selection:
    """Tiles of one slide; docks and canvas show the same ones.

    Attributes
    ----------
    tiles : bool (M,) or None
        The selected tiles, None where nothing is selected.
    words : str
        Which these are, as "M·α from 3.2 to 40 at epoch 7".
    pinned : int or None
        The tile that is looked at closely.
    """

    changed = Signal(description="Other tiles are selected, or none.")
    pin_changed = Signal(description="Another tile is pinned, or none.")

    def __init__(self) -> None:
        self.tiles: Mask | None = None
        self.words = ""
        self.pinned: int | None = None

    def select(self, tiles: Mask | None, words: str = "") -> None:
        """Select these tiles instead of those that were; an empty mask selects none."""
        tiles = None if tiles is None or not tiles.any() else tiles
        if tiles is not self.tiles:
            self.tiles, self.words = tiles, words if tiles is not None else ""
            self.changed.emit()

    def pin(self, tile: int | None) -> None:
        """Pin this tile instead of the one that was."""
        if tile != self.pinned:
            self.pinned = tile
            self.pin_changed.emit()

    def clear(self) -> None:
        """Select and pin nothing."""
        self.select(None)
        self.pin(None)
