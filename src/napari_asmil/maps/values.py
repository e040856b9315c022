"""What the numbers of an attention file are: told by its layout, a name or the numbers, or asked for; never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from napari_asmil.errors import InputError

Values = Literal["logits", "probabilities", "percentiles", "scaled"]
MEANINGS: dict[Values, str] = {
    "logits": "raw scores before the softmax",
    "probabilities": "shares of the slide that sum to 1",
    "percentiles": "ranks from 0 to 100",
    "scaled": "from 0 to 1, each tile on its own",
}
"""What a person may say that they are."""
SUM_TOLD, SUM_ASKED = 1e-3, 1e-2
"""How far from 1 a sum may be: to be told by it, and where a person says that it is one (float16 rounds)."""
ENOUGH_RANKS = 20
"""Percentiles are told by being the ranks of so many tiles at least; few numbers are their own ranks by chance."""


def settle(scores: NDArray[np.float64], asked: str | None, layout: Values | None, path: Path) -> tuple[Values, str]:
    """What scores (K, M) are, and how that is known, in words.

    Parameters
    ----------
    scores : float64 (K, M)
        Finite.
    asked : str or None
        What the user says; it must be possible.
    layout : {"logits", "probabilities", "percentiles", "scaled"} or None
        What the layout or the name of the scores says, where that is certain.
    path : Path
        The file, for messages.

    Raises
    ------
    InputError
        When nothing tells what they are, or they cannot be what the user says.
    """
    if asked is not None:
        if asked not in get_args(Values):
            raise InputError(f"Unknown kind of values {asked!r}.", remedy=f"Known: {', '.join(MEANINGS)}.")
        found: Values = asked  # type: ignore[assignment]
        _check_possible(scores, found, path)
        return found, f"values: {found}, as given"
    if layout is not None:
        _check_possible(scores, layout, path)
        return layout, f"values: {layout}, as the layout or the name of the scores says"
    low, high = float(scores.min()), float(scores.max())
    sums = scores.sum(axis=1)
    if low >= 0 and (np.abs(sums - 1) <= SUM_TOLD).all():
        _check_possible(scores, "probabilities", path)
        return "probabilities", f"values: probabilities, as they sum to {sums[0]:.6g}"
    if _are_ranks(scores):
        _check_possible(scores, "percentiles", path)
        return "percentiles", "values: percentiles, as each is the rank of its tile in percent"
    raise InputError(
        f"Nothing tells what its values are: they lie between {low:.4g} and {high:.4g} and sum to {sums[0]:.4g}, as raw"
        " scores and scaled ones may.",
        remedy=f"Say which (--values): {'; '.join(f'{name} ({words})' for name, words in MEANINGS.items())}. What was"
        " scaled otherwise (0 to 255, -1 to 1, z-scores, log10) is none of these: bring it to 0 to 1.",
        path=path,
    )


def _are_ranks(scores: NDArray[np.float64]) -> bool:
    tiles = scores.shape[1]
    if tiles < ENOUGH_RANKS:
        return False
    own = rankdata(scores, axis=1) / tiles * 100
    return bool((np.abs(scores - own) <= 100 / tiles + 0.1).all() and np.ptp(scores) > 0)


def _check_possible(scores: NDArray[np.float64], values: Values, path: Path) -> None:
    low, high = float(scores.min()), float(scores.max())
    if values == "logits":
        return
    if values == "probabilities":
        sums = scores.sum(axis=1)
        worst = float(sums[np.abs(sums - 1).argmax()])
        why = f"they sum to {worst:.4g}, not 1" if abs(worst - 1) > SUM_ASKED else ""
        why = f"the least is {low:.4g}" if low < 0 else why
    else:
        top = 100 if values == "percentiles" else 1
        why = f"they lie between {low:.4g} and {high:.4g}, not 0 and {top}" if low < 0 or high > top else ""
    if why:
        raise InputError(
            f"Its values are no {'scaled scores' if values == 'scaled' else values}: {why}.",
            remedy="Say what they are (--values), or leave it to the numbers.",
            path=path,
        )
    if len(scores) > 1:
        raise InputError(
            f"It holds {len(scores)} rows of {values}; several rows can be kept only of raw scores (logits).",
            remedy="Save the raw scores of all rows, or the one row to be seen.",
            path=path,
        )
