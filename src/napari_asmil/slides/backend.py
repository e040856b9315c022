"""What a backend hands over: levels that can be read by region, and what the file says of its scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError

Region = Callable[[int, int, int, int], NDArray[np.uint8]]
"""``region(y0, y1, x0, x1) -> uint8 (y1 - y0, x1 - x0, 3)``, inside the level, in level px."""


class Unreadable(InputError):
    """The file is not for this backend; another one may open it."""


@dataclass(frozen=True)
class Level:
    """One level of a slide file.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    block : (int, int)
        Rows and columns that are read and kept at once; whole tiles of the file.
    region : callable
        Reads pixels.
    """

    shape: tuple[int, int]
    block: tuple[int, int]
    region: Region


@dataclass(frozen=True)
class Associated:
    """A picture beside the slide (label, macro, thumbnail): rows and columns, and what reads it as uint8 (y, x, 3)."""

    shape: tuple[int, int]
    read: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class Opened:
    """An opened slide file; no pixel has been read.

    Parameters
    ----------
    levels : sequence of Level
        Largest first.
    mpp : float or None
        Micrometres per level-0 px as far as the file can be believed.
    mpp_source : str
        Where `mpp` is from, or why it is unknown, in words.
    facts : sequence of str
        What `info` says about the file.
    close : callable
        Lets go of the file.
    bounds : (int, int)
        x and y of the scanned area in level-0 px, for formats that have one.
    centre_nm : (float, float) or None
        x and y of the middle of the image from the middle of the glass, in nanometres, where the file says.
    associated : mapping of str to Associated
        Pictures beside the slide, by name.
    doubt : str
        Why OpenSlide should be asked before this is believed, in words; empty for most files.
    """

    levels: Sequence[Level]
    mpp: float | None
    mpp_source: str
    facts: Sequence[str]
    close: Callable[[], None]
    bounds: tuple[int, int] = (0, 0)
    centre_nm: tuple[float, float] | None = None
    associated: Mapping[str, Associated] = field(default_factory=dict)
    doubt: str = ""
