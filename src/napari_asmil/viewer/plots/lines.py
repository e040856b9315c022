"""What a panel of curves draws, as numbers: named curves with bands, threads, and which of them is near a point."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LOOKS = 6
"""So many colours there are, and so many dashes."""

SHARES = ("share", "share of tiles", "0 to 1", "Jaccard", "Spearman")
"""Units of numbers that end at 1."""


def style_of(colour: int, dash: int) -> int:
    """The style with the `colour`-th colour and the `dash`-th dash; dash 0 is a solid line."""
    return colour % LOOKS + LOOKS * ((dash - colour) % LOOKS)


@dataclass(frozen=True, eq=False)
class Series:
    """A named curve, float (E,) with a value for each epoch from 0 on, NaN where there is none.

    `style` chooses colour and dash, so that a run looks the same in every panel; `band` is the lower and the upper end
    of what is shaded around the curve, (E,) each.
    """

    name: str
    y: Floats
    style: int = 0
    band: tuple[Floats, Floats] | None = None


@dataclass(frozen=True, eq=False)
class Threads:
    """Many thin curves in the colour of `style`: float (L, E), each with a name and what it is of, None if nothing."""

    names: Sequence[str]
    y: Floats
    style: int = 0
    keys: Sequence[Hashable] = ()

    def key(self, line: int) -> Hashable:
        """What a curve is of."""
        return self.keys[line] if self.keys else None


@dataclass(frozen=True)
class Pointed:
    """The curve under the pointer: of which threads (None for a series), and its place among them."""

    threads: int | None
    line: int


def on_axis(y: Floats, log: bool) -> Floats:
    """Values as an axis has them: themselves, or their decades, NaN where there is none to draw."""
    return np.log10(y, out=np.full(y.shape, np.nan), where=y > 0) if log else y


def greatest(unit: str) -> float:
    """The greatest value a number of this unit can have."""
    return 1.0 if unit in SHARES else np.inf


def numbers(series: Sequence[Series], threads: Sequence[Threads]) -> list[Floats]:
    """The values of all curves, epochs on the last axis."""
    return [*(curve.y for curve in series), *(each.y for each in threads)]


def count_gaps(series: Sequence[Series], threads: Sequence[Threads]) -> int:
    """How many values have no place on a logarithmic axis."""
    return sum(int((y <= 0).sum()) for y in numbers(series, threads))


def nearest(
    series: Sequence[Series], threads: Sequence[Threads], at: tuple[float, float], pixel: tuple[float, float],
    reach: float, log: bool = False,
) -> Pointed | None:  # fmt: skip
    """The curve nearest to a point, if it is within `reach` pixels.

    Parameters
    ----------
    series, threads : sequence
    at : (float, float)
        Epoch and value, the value as the axis has it.
    pixel : (float, float)
        Epochs and axis units in a pixel.
    reach : float
    log : bool
        Whether the axis is logarithmic.
    """
    best, found = reach, None
    given = [(None, at_, drawn.y[None]) for at_, drawn in enumerate(series)]
    for which, first, y in [*given, *((i, 0, drawn.y) for i, drawn in enumerate(threads))]:
        away = _distances(y, at, pixel, reach, log)
        if away.size and (line := int(np.argmin(away))) is not None and away[line] < best:
            best, found = float(away[line]), Pointed(which, first + line)
    return found


def _distances(y: Floats, at: tuple[float, float], pixel: tuple[float, float], reach: float, log: bool) -> Floats:
    """Pixels from a point to each of the curves (L, E), infinite where none of its pieces is near."""
    first = max(0, int(np.floor(at[0] - reach * pixel[0])))
    near = on_axis(y[:, first : max(first, int(np.ceil(at[0] + reach * pixel[0])) + 1)], log)
    if not near.size:
        return np.full(len(y), np.inf)
    right = (first + np.arange(near.shape[1]) - at[0]) / pixel[0]
    up = (near - at[1]) / pixel[1]
    away = np.fmin.reduce(np.hypot(right, up), axis=1)
    if near.shape[1] > 1:
        run, rise = np.diff(right), np.diff(up, axis=1)
        part = np.clip(-(right[:-1] * run + up[:, :-1] * rise) / (run**2 + rise**2), 0, 1)
        away = np.fmin(away, np.fmin.reduce(np.hypot(right[:-1] + part * run, up[:, :-1] + part * rise), axis=1))
    return np.where(np.isnan(away), np.inf, away)
