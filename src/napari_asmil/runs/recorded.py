"""A recorded slide, as the readers of a run see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.frame import Frame
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

    @property
    def frame(self) -> Frame | None:
        """What the run knows of the slide's coordinates; None without its size. The slide itself may know more."""
        return None if self.slide_size is None else Frame(self.slide_size, self.mpp)

    def other_tiles(self, other: RunSlide) -> str:
        """Why the tiles of `other` are not these in this order, in words; "" where they are the very same."""
        if other.n_tiles != self.n_tiles:
            return f"{counted(other.n_tiles, 'tile')}, not {self.n_tiles}"
        if self.tiles is None or other.tiles is None:
            same = bool(self.bag_hash) and self.bag_hash == other.bag_hash
            return "" if same else "without tile coordinates nothing says that they are the same"
        if other.tiles.size != self.tiles.size:
            return f"{other.tiles.size:g} level-0 px wide, not {self.tiles.size:g}"
        apart = int((self.tiles.xy != other.tiles.xy).any(axis=1).sum())
        return f"{apart} of {self.n_tiles} lie elsewhere, or come in another order" if apart else ""

    def __repr__(self) -> str:
        return f"RunSlide({self.slide_id}, {self.split or 'no split'}, {counted(self.n_tiles, 'tile')})"
