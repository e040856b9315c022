"""From an array as a file holds it to rows of scores, one number a tile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.words import counted

LARGEST = float(np.finfo(np.float32).max)
MOST_ROWS = 256
"""Heads, branches or classes; more are something else."""


def as_rows(array: NDArray[Any], n_tiles: int, path: Path) -> NDArray[np.float64]:
    """Scores float64 (K, M) of an array (M,), (M, 1), (1, M), (K, M) or (M, K).

    Parameters
    ----------
    array : array
        As read; axes of length 1 say nothing (CLAM writes (M, 1)).
    n_tiles : int
        M, as the places of the tiles say.
    path : Path
        The file, for messages.

    Raises
    ------
    InputError
        When it has no row with one number a tile, is a matrix of tiles by tiles, or holds NaN or infinite values.
    """
    if array.dtype.kind not in "fiu":
        raise InputError(f"Its scores are no numbers ({array.dtype.name}).", path=path)
    with np.errstate(invalid="ignore"):  # of NaN that signals
        rows = _rows(array, n_tiles, path).astype(np.float64)
        bad = ~(np.abs(rows) <= LARGEST)
    if bad.any():
        raise InputError(
            f"Its scores hold {int(bad.sum())} NaN or infinite values, on {int(bad.any(axis=0).sum())} of"
            f" {counted(n_tiles, 'tile')}.",
            remedy="Leave out the tiles the model did not look at, with their places, or make the scores again.",
            path=path,
        )
    return rows


def _rows(array: NDArray[Any], n_tiles: int, path: Path) -> NDArray[Any]:
    if array.size == n_tiles == 1:
        return array.reshape(1, 1)
    given = array.reshape([length for length in array.shape if length != 1] or [1])
    if given.ndim >= 2 and given.shape[-1] == given.shape[-2]:
        raise InputError(
            f"It holds a matrix of {given.shape[-2]} x {given.shape[-1]}: the attention of every token to every other,"
            " which says no one number of a tile.",
            remedy="Save the row of the class token alone, without the class token itself and without padding: one"
            " number a tile.",
            path=path,
        )
    if given.ndim == 1 and len(given) == n_tiles:
        return given[None]
    if given.ndim == 1:
        raise _unequal(f"{counted(len(given), 'score')}", n_tiles, path)
    if given.ndim == 2 and n_tiles in given.shape:
        rows = given if given.shape[1] == n_tiles else given.T
        if len(rows) <= MOST_ROWS:
            return rows
    raise _unequal(f"scores of shape {array.shape}", n_tiles, path)


def _unequal(held: str, n_tiles: int, path: Path) -> InputError:
    return InputError(
        f"It holds {held}, but the slide has {counted(n_tiles, 'tile')}.",
        remedy="Scores and places must be of the same tiles in the same order, without padding.",
        path=path,
    )
