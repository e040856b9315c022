"""What a layout of attention files reads, and what may be known besides."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags import Bag, Given
from napari_asmil.geometry import TileGrid
from napari_asmil.maps.values import Values

_ENDINGS = re.compile(r"(_blockmap|_att|_attention|_attention_scores|_scores|_[\d.]+_roi_.*)$")


@dataclass(frozen=True)
class Known:
    """What is known besides the file: `given` by a person, the `bag` of its slide, and which `column` is meant."""

    given: Given = field(default_factory=Given)
    bag: Bag | None = None
    column: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """What a file holds.

    Attributes
    ----------
    scores : array
        As stored, any shape.
    tiles : TileGrid or None
        Where the tiles lie; None when the file does not say, and the bag must.
    values : {"logits", "probabilities", "percentiles", "scaled"} or None
        What the scores are, where the layout leaves no doubt.
    name : str
        What the file calls them, where it has several.
    facts : tuple of str
        How the geometry was derived, for a person.
    """

    scores: NDArray[Any]
    tiles: TileGrid | None = None
    values: Values | None = None
    name: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """Scores of one slide with their places.

    Attributes
    ----------
    scores : float64 (K, M)
        Finite.
    values : {"logits", "probabilities", "percentiles", "scaled"}
        What they are.
    name : str
        What the file calls them, where it has several.
    bag : Bag
        The slide's; without one, the scores themselves in its place.
    given : Given
        What a person says of the slide.
    digest : str
        Content hash of the slide's bag; empty without one.
    facts : tuple of str
        What was derived and from what, for a person.
    """

    path: Path
    scores: NDArray[np.float64]
    values: Values
    name: str
    bag: Bag
    given: Given
    digest: str
    facts: tuple[str, ...]

    @property
    def tiles(self) -> TileGrid:
        """Where the tiles lie."""
        assert self.bag.tiles is not None
        return self.bag.tiles

    def describe(self) -> list[str]:
        """Lines for a person."""
        rows, tiles = self.scores.shape
        shape = f"{tiles} tiles" + (f", {rows} rows of scores" if rows > 1 else "")
        return [f"attention on slide {self.bag.slide_id}: {shape}", *self.facts]


def slide_of(path: Path) -> str:
    """The slide that a file of scores is called after: its name without what is said of scores in it."""
    name = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    return _ENDINGS.sub("", name) or name
