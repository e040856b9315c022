"""How large a level-0 pixel is, and how far the file can be believed about it."""

from __future__ import annotations

import math
import re
from typing import Any

PLAUSIBLE = (0.05, 2.0)
"""Micrometres per px a slide scanner can have; resolution tags outside are leftovers of other software."""

_MICROMETRES = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}

Claim = tuple[float | None, str]


def settle(x: float, y: float, source: str) -> Claim:
    """One mpp from the two axes: (mpp or None, source or the reason for refusing, in words)."""
    if not (math.isfinite(x) and math.isfinite(y) and x > 0 and y > 0):
        return None, f"unknown: {source} says {x:g} x {y:g} µm, which is no size"
    if abs(x - y) > 0.02 * max(x, y):
        return None, f"unknown: {source} says {x:g} x {y:g} µm, and pixels that are not square are not supported"
    return (x + y) / 2, source


def from_ome(pixels: dict[str, str]) -> Claim | None:
    """From the attributes of an OME ``Pixels`` element; None when it has no physical size."""
    sizes = []
    for axis in "XY":
        value, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if value is None or unit not in _MICROMETRES:
            return None
        sizes.append(float(value) * _MICROMETRES[unit])
    return settle(sizes[0], sizes[1], "OME PhysicalSizeX and PhysicalSizeY")


def from_aperio(description: str) -> Claim | None:
    """From ``MPP = 0.499`` in an Aperio image description; None when it is not there."""
    found = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", description)
    return None if found is None else settle(float(found[1]), float(found[1]), "MPP in the Aperio image description")


def from_tags(x: Any, y: Any, unit: int) -> Claim:
    """From TIFF XResolution, YResolution (rationals as pairs) and ResolutionUnit (2 inch, 3 centimetre)."""
    if not x or not y or not x[0] or not y[0] or unit not in (2, 3):
        return None, "unknown: the file does not say"
    micrometres = 25400.0 if unit == 2 else 10000.0
    across, down = micrometres * x[1] / x[0], micrometres * y[1] / y[0]
    if not all(PLAUSIBLE[0] <= value <= PLAUSIBLE[1] for value in (across, down)):
        return None, (
            f"unknown: the TIFF resolution tags claim {across:.4g} µm per px, outside the {PLAUSIBLE[0]:g} to"
            f" {PLAUSIBLE[1]:g} µm of a slide scan, so they are not believed"
        )
    return settle(across, down, "TIFF resolution tags")
