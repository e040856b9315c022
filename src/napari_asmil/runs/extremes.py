"""What the rows of a model (heads, tokens, classes) give each tile at least, and at most."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.dynamics import effective_tiles
from napari_asmil.runs.spread import OverRows
from napari_asmil.runs.view import MapView

Which = Literal["least", "greatest"]


class RowExtreme(OverRows):
    """The least or the greatest M * p of a tile among the rows, each normalised on its own: no map that sums to 1.

    Raises
    ------
    InputError
        As `OverRows`.
    """

    def __init__(self, view: MapView, which: Which) -> None:
        super().__init__(view)
        self.which = which

    @property
    def quantity(self) -> str:
        """Of M·α."""
        return f"{self.which} M·α of the rows"

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"{self.which} of {len(self.like.run.row_names)} rows · {self.like.name}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return f"{self.quantity} ({self.unit}), {len(self.like.run.row_names)} rows · {self.like.label}"

    def _derive(self, epoch: int) -> NDArray[np.float64]:
        maps = self.stack(epoch)
        mean = maps.mean(axis=0)
        found = (maps.min(axis=0) if self.which == "least" else maps.max(axis=0)) * len(mean)
        self._reach[epoch] = float(found.max())
        self._effective[epoch] = float(effective_tiles(mean))
        return np.asarray(found)
