"""What a slide says of its own coordinates, for files that count in something else than level-0 px."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """The level-0 plane of a slide.

    Attributes
    ----------
    size : (int, int)
        Width and height in level-0 px.
    mpp : float or None
        Micrometres per level-0 px; None when unknown.
    bounds : (int, int)
        x and y of the scanned area in level-0 px, to which QuPath crops; (0, 0) for most formats.
    centre_nm : (float, float) or None
        x and y of the middle of the image from the middle of the glass, in nanometres (Hamamatsu); None for others.
    """

    size: tuple[int, int]
    mpp: float | None = None
    bounds: tuple[int, int] = (0, 0)
    centre_nm: tuple[float, float] | None = None
