"""Tiles that share no raster, as napari's Surface reads them: a value for each corner, of every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_asmil.runs import LazyMaps

CORNERS = 4


class Corners:
    """Array-like (step, corner), float32, over a view of rectangles: nothing is derived before it is read.

    Read at a step that the view has not (another layer may be longer), it is NaN, which is transparent.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, view: LazyMaps) -> None:
        self.view = view

    @property
    def shape(self) -> tuple[int, int]:
        """(steps of the slider, four times the rectangles)."""
        return self.view.steps, CORNERS * self.view.drawing.shape[0]

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        step, *corners = (key if isinstance(key, tuple) else (key,)) or (slice(None),)
        if isinstance(step, slice):
            return np.repeat(self.view[step], CORNERS, axis=1)[(slice(None), *corners)]
        there = -len(self) <= step < len(self)
        values = self.view[int(step)] if there else np.full(self.view.drawing.shape, np.nan, np.float32)
        return np.asarray(np.repeat(values, CORNERS)[tuple(corners)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)
