"""Where the tiles of scores lie: what the file, its slide's bag and a person say of their edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.edges import Edge, placed
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.maps.scoremap import Known, slide_of


def place(
    xy: NDArray[np.int64], edge: Edge | None, known: Known, *, missing: str, path: Path, notes: Sequence[str] = ()
) -> tuple[TileGrid, tuple[str, ...]]:
    """Tiles with these corners, and how their edge was found.

    Parameters
    ----------
    xy : int64 (M, 2)
        Top-left corners in level-0 px.
    edge : Edge or None
        What the file and its siblings say.
    known : Known
        The edge is that of a person where the file says none, else that of the slide's bag.
    missing : str
        Why the file does not say it.
    path : Path
        The file, for messages.
    notes : sequence of str
        What else was found of the edge.

    Raises
    ------
    InputError
        When nobody says the edge, or a person says another than the file.
    """
    own, given = known.bag.tiles if known.bag is not None else None, known.given
    alike = own is not None and np.array_equal(own.xy, xy)
    if edge is None and own is not None and (alike or given.tile_size is None):
        same = "the same corners" if alike else f"other corners ({len(own)})"
        how = f"{own.size:g} level-0 px, that of the features, which have {same}"
        edge, notes = Edge(own.size, how), ()
    tiles, derived = placed(xy, edge, given, missing=missing, path=path)
    derived = [*derived, *notes]
    if tiles is None:
        raise unplaced(derived, path)
    return tiles, tuple(derived)


def unplaced(reasons: Sequence[str], path: Path) -> InputError:
    """Why tiles are not placed, as a sentence."""
    said = "; ".join(reasons)
    return InputError(f"{said[0].upper()}{said[1:]}.", path=path)


def from_bag(known: Known, path: Path) -> tuple[TileGrid, tuple[str, ...]]:
    """The places of the slide's bag, for a file that has none.

    Raises
    ------
    InputError
        When there is no bag, or it has no places.
    """
    if known.bag is None:
        raise InputError(
            "It holds scores but not where their tiles lie.",
            remedy=f"Give the features of {slide_of(path)} that the model looked at, in the same order (--features),"
            f" or put {slide_of(path)}.index.npz of slideflow beside it.",
            path=path,
        )
    if known.bag.tiles is None:
        raise InputError(
            f"The features of {known.bag.slide_id} do not say where their tiles lie:"
            f" {'; '.join(known.bag.derivation)}.",
            path=known.bag.source,
        )
    tiles = known.bag.tiles
    if known.given.tile_size is not None and abs(known.given.tile_size - tiles.size) > 0.5:
        raise InputError(
            f"The tile edge given, {known.given.tile_size:g} level-0 px, contradicts the features, whose tiles are"
            f" {tiles.size:g} level-0 px wide.",
            remedy="Leave it out.",
            path=known.bag.source,
        )
    where = "" if known.bag.source is None else f" ({known.bag.source.name})"
    return replace(tiles), (f"places: those of the features{where}, in their order", *known.bag.derivation)
