"""A recorded slide, as the readers of a run see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.geometry import TileGrid
from napari_asmil.words import counted


@dataclass(frozen=True, eq=False, repr=False)
class RunSlide:
    """A recorded slide: identity, places (None without coordinates), truth (NaN-free or None), and where it lies."""

    slide_id: str
    label: int | None
    split: str
    tiles: TileGrid | None
    tile_labels: NDArray[np.float32] | None
    mpp: float | None
    slide_size: tuple[int, int] | None
    slide_path: Path | None
    contours_path: Path | None
    bag_hash: str
    index: int
    offset: int
    n_tiles: int
    score_offset: int | None

    @property
    def has_scores(self) -> bool:
        """Whether raw scores z were recorded, so that any normaliser can be derived."""
        return self.score_offset is not None

    def __repr__(self) -> str:
        return f"RunSlide({self.slide_id}, {self.split or 'no split'}, {counted(self.n_tiles, 'tile')})"
