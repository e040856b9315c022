"""The edge of a tile in level-0 px, and the words that say where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.checks import steps
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import plain
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.words import counted

WHOLE = 0.05
"""A downsample this near to a whole number is that number: levels are whole px, so 4 is written as 4.0001."""


@dataclass(frozen=True)
class Edge:
    """Edge of a tile in level-0 px, how it was derived, what is doubtful, the px the encoder saw, and another file."""

    size: float
    how: str
    doubts: tuple[str, ...] = ()
    px: int | None = None
    beside: str = ""


def trident_edge(coords: Any, path: Path, where: str = "") -> Edge | None:
    """The edge from TRIDENT's attributes of a dataset of coordinates; None when they do not say."""
    names = {"patch_size", "patch_size_level0", "level0_magnification", "target_magnification"}
    attrs = plain(coords.attrs, path, names)
    tile, level0, target = (attrs.get(n) for n in ("patch_size", "level0_magnification", "target_magnification"))
    px = None if tile is None else int(tile)
    seen = f"{tile} px" + (f" at {target}x" if target else "")
    through = float(int(tile * level0 / target)) if tile and level0 and target else None
    if "patch_size_level0" in attrs:
        edge = float(attrs["patch_size_level0"])
        doubts: tuple[str, ...] = ()
        if through is not None and abs(through - edge) > 1:
            doubts = (
                f"the file contradicts itself: {seen} on a slide of {level0}x would be {through:g} level-0 px,"
                f" patch_size_level0 says {edge:g}, which is taken",
            )
        left = f"{seen} = " if tile else ""
        how = f"{left}{edge:g} level-0 px, from the attribute patch_size_level0 of coords{where}"
        return Edge(edge, how, doubts, px)
    if through is not None and level0 and target:
        how = f"{seen} x {level0 / target:g} = {through:g} level-0 px, from level0_magnification {level0}x{where}"
        return Edge(through, how, (), px)
    return None


def clam_edge(coords: Any, path: Path, where: str) -> Edge | None:
    """The edge from CLAM's attributes ``patch_size``, ``patch_level``, ``downsample`` and ``custom_downsample``."""
    attrs = plain(coords.attrs, path, {"patch_size", "patch_level", "custom_downsample"})
    downsample = np.atleast_1d(coords.attrs.get("downsample", np.nan))
    if "patch_size" not in attrs or downsample.dtype.kind not in "fiu" or downsample.size not in (1, 2):
        return None
    x, y = float(downsample[0]), float(downsample[-1])
    if not (min(x, y) >= 1 and max(x, y) < 2**20):
        return None
    whole = abs(x - round(x)) < WHOLE
    factor = float(round(x)) if whole else x
    tile, custom = attrs["patch_size"], attrs.get("custom_downsample", 1)
    edge = tile * factor * custom
    more = f" x {custom:g} (custom_downsample)" if custom != 1 else ""
    level = attrs.get("patch_level", "?")
    how = f"{tile} px at level {level} x {factor:.1f}{more} = {edge:g} level-0 px, {where}"
    if not whole:
        how = f"{tile} px at level {level} x {factor:g}{more} = {edge:g} level-0 px, {where}"
    doubts = []
    if abs(x - y) > 0.01 * x:
        doubts.append(f"that level is smaller by {x:g} in x and {y:g} in y, so tiles are not quite square on level 0")
    if not whole:
        doubts.append(f"CLAM lays its tiles by whole numbers, {int(x)} x {tile} px: they overlap")
    return Edge(edge, how, tuple(doubts), int(tile))


def placed(
    xy: NDArray[np.int64],
    found: Edge | None,
    given: Given,
    *,
    missing: str,
    path: Path,
) -> tuple[TileGrid | None, list[str]]:
    """The tiles and how their edge was found; None, and what is missing, where neither file nor person says it.

    Raises
    ------
    InputError
        When the edge that is given contradicts the file.
    """
    if found is not None:
        if given.tile_size is not None and abs(given.tile_size - found.size) > 0.5:
            raise InputError(
                f"The tile edge given, {given.tile_size:g} level-0 px, contradicts the file: {found.how}.",
                remedy=f"Leave it out, or take {found.beside} away if it is not of these features."
                if found.beside
                else "Leave it out.",
                path=path,
            )
        return TileGrid(xy, found.size), [f"tile edge: {found.how}", *found.doubts]
    if given.tile_size is not None:
        return TileGrid(xy, given.tile_size), [f"tile edge: {given.tile_size:g} level-0 px, as given"]
    return None, [f"tiles are not placed: {missing}: give it in level-0 px (--tile-size)", *suggestion(xy)]


def suggestion(xy: NDArray[np.int64]) -> list[str]:
    """What the lattice says of the edge, which is a guess that nobody but the user may take."""
    across, down = steps(xy)
    known = [step for step in (across, down) if step is not None]
    if not known:
        return []
    said = f"{min(known):g}" if len(set(known)) == 1 else f"{known[0]:g} (x) and {known[1]:g} (y)"
    return [f"corners are mostly {said} level-0 px apart, which is the edge of tiles that lie edge to edge"]


def same_rows(slide_id: str, n_tiles: int, n_places: int, path: Path) -> None:
    """Refuse features and coordinates of different length, tiles being placed or not."""
    if n_tiles != n_places:
        raise InputError(
            f"Slide {slide_id} has {counted(n_tiles, 'feature row')} but {counted(n_places, 'coordinate')}.",
            remedy="Features and tiles must be written in one go; extract them again.",
            path=path,
        )
