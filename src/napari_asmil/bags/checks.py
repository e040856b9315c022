"""Whether a bag's tiles lie as tiles do: their lattice, and the tissue they should be on."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.slides import open_slide
from napari_asmil.slides.tissue import Mask, TissueRule, stain_doubt, tissue_mask
from napari_asmil.words import counted

if TYPE_CHECKING:
    from napari_asmil.bags.bag import Bag
    from napari_asmil.geometry import TileGrid

LATTICES = 100
"""More of them are none."""
OVERVIEW_PIXELS = 2**24
"""A slide whose smallest stored level is larger than this is not looked at for tissue."""
ENOUGH_TISSUE = 0.5
"""A larger share of tiles on tissue is never doubted."""
LEAST_TISSUE = 0.25
"""A smaller share is, of tiles that are not everywhere, even where the slide has hardly any."""
FILLED = 0.9
"""Share of a rectangle that tiles fill where none was left out for lack of tissue."""


def checks(bag: Bag) -> list[str]:
    """Lines for `Bag.describe`: how the tiles lie to each other and on the slide."""
    lines = []
    if bag.tiles is not None:
        lines += lattice(bag.tiles)
    if bag.n_twice:
        lines.append(f"{counted(bag.n_twice, 'tile lies', 'tiles lie')} exactly on another one")
    if bag.tiles is not None and bag.slide_size is not None:
        width, height = bag.slide_size
        lines.append(f"every tile has its centre on the slide of {width} x {height} px")
    if bag.tiles is not None and bag.slide_path is not None:
        lines += tissue(bag.tiles, bag.slide_path)
    return lines


def steps(xy: NDArray[np.int64]) -> tuple[int | None, int | None]:
    """Most common distance in level-0 px from a tile to the next one in its row (x) and in its column (y)."""
    return _step(xy, 0), _step(xy, 1)


def _step(xy: NDArray[np.int64], axis: int) -> int | None:
    ordered = xy[np.lexsort((xy[:, axis], xy[:, 1 - axis]))]
    apart = np.diff(ordered, axis=0)
    apart = apart[(apart[:, 1 - axis] == 0) & (apart[:, axis] > 0), axis]
    if not len(apart):
        return None
    values, counts = np.unique(apart, return_counts=True)
    return int(values[counts.argmax()])


def lattice(tiles: TileGrid) -> list[str]:
    """Whether tiles touch, overlap or leave gaps, and on how many lattices they lie.

    Corners are whole px where an edge is none, so that a px of difference is none either.
    """
    across, down = steps(tiles.xy)
    known = [step for step in (across, down) if step is not None]
    if not known:
        return []
    step, edge = min(known), tiles.size
    slack = 0.0 if edge == int(edge) else 1.0
    if step > edge + slack:
        line = f"gaps of {step - edge:.4g} px lie between tiles: is the tile edge {edge:g} right?"
    elif step < edge - slack:
        line = f"tiles overlap by {edge - step:.4g} px"
    else:
        line = "tiles lie edge to edge"
    pieces = _lattices(tiles.xy, across or step, down or step) if not slack else 1
    if pieces > 1:
        many = (
            "no common lattice"
            if pieces > LATTICES
            else f"{pieces} lattices, as where each piece of tissue has its own"
        )
        line += f", on {many}"
    return [line]


def _lattices(xy: NDArray[np.int64], across: int, down: int) -> int:
    return len(np.unique(xy % (across, down), axis=0))


def suspects(tiles: TileGrid, slide_size: tuple[int, int], mpp: float | None) -> str:
    """What may be wrong with tiles that lie outside their slide.

    Parameters
    ----------
    tiles : TileGrid
        Some of them outside.
    slide_size : (int, int)
        Width and height in level-0 px.
    mpp : float or None
        What coordinates in µm were divided by; None where the file has them in px.
    """
    swapped = replace(tiles, xy=tiles.xy[:, ::-1])
    if not swapped.outside(slide_size).any():
        return "With x and y swapped all would lie on it: the file may hold y before x; write it again, x first."
    if mpp is None:
        return "The coordinates belong to another slide or level; they must be level-0 px."
    return (
        f"They are the file's µm divided by {mpp:.4g} µm per px: check the pixel size (--slide-mpp), whether the file's"
        " coordinates are µm, as it says, and whether they are of this slide."
    )


def tissue(tiles: TileGrid, slide_path: Path) -> list[str]:
    """How many tile centres lie on tissue; nothing where the slide has no small level or cannot be read.

    Tiles that were chosen by tissue lie on it more than chance puts them there; tiles laid over the whole slide, as
    the slide's own share says. Neither is doubted.
    """
    try:
        stat = slide_path.stat()
        found = _mask(slide_path, stat.st_mtime_ns, stat.st_size)
    except (InputError, OSError):
        return []
    if found is None:
        return []
    (inside, (dy, dx)), doubt = found
    if doubt:
        return [f"whether tiles lie on tissue is not known: {doubt}"]
    y, x = (tiles.centres + 0.5).T
    row = np.clip((y / dy).astype(int), 0, inside.shape[0] - 1)
    column = np.clip((x / dx).astype(int), 0, inside.shape[1] - 1)
    share, by_chance = float(inside[row, column].mean()), float(inside.mean())
    line = f"{share:.0%} of the tiles have their centre on tissue"
    if _everywhere(tiles, (inside.shape[1] * dx, inside.shape[0] * dy)):
        return [f"{line}, as they are laid over the whole slide, of which {by_chance:.0%} is tissue"]
    if share < min(ENOUGH_TISSUE, max(LEAST_TISSUE, 2 * by_chance)):
        line += f", where {by_chance:.0%} of the slide is tissue"
        return [f"{line}: are these features of this slide, and its coordinates level-0 px?"]
    return [f"{line}, where {by_chance:.0%} of the slide is tissue"]


def _everywhere(tiles: TileGrid, slide_size: tuple[float, float]) -> bool:
    """Whether tiles fill a rectangle that leaves no room for another one at the slide's borders."""
    across, down = steps(tiles.xy)
    step = np.array((across or tiles.size, down or tiles.size))
    first, last = tiles.xy.min(axis=0), tiles.xy.max(axis=0)
    room = np.prod((last - first) / step + 1)
    reaches = (first < tiles.size).all() and (last + 2 * tiles.size > slide_size).all()
    return bool(reaches and len(np.unique(tiles.xy, axis=0)) >= FILLED * room)


@lru_cache(maxsize=8)
def _mask(path: Path, changed: int, size: int) -> tuple[Mask, str] | None:
    """The tissue at the scale of the slide's last level, which is quick, and why it may be none.

    A file that changed is another one.
    """
    with open_slide(path) as slide:
        rows, columns, _ = slide.levels[slide.stored - 1].shape
        if rows * columns > OVERVIEW_PIXELS:
            return None
        coarsest = 0.0 if slide.mpp is None else slide.mpp * slide.downsamples[-1][0]
        mask = tissue_mask(slide, TissueRule(mpp=max(TissueRule().mpp, coarsest)))
        return mask, stain_doubt(slide, mask).partition(":")[0]
