"""How large a level-0 pixel is, and how far the file can be believed about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

PLAUSIBLE = (0.05, 2.0)
"""Micrometres per px a slide scanner can have; resolution tags outside are leftovers of other software."""

POSSIBLE = (0.01, 100.0)
"""Micrometres per px that can be meant at all; outside it is a slip of unit or a placeholder."""

MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "micron": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
}
"""How many there are in a unit, as OME-XML and OME-Zarr spell it."""

Claim = tuple[float | None, str]

UNSAID: Claim = (None, "unknown: the file does not say")


def settle(x: float, y: float, source: str) -> Claim:
    """One mpp from the two axes: (mpp or None, source or the reason for refusing, in words)."""
    if not (math.isfinite(x) and math.isfinite(y) and x > 0 and y > 0):
        return None, f"unknown: {source} says {x:g} x {y:g} µm, which is no size"
    if not all(POSSIBLE[0] <= value <= POSSIBLE[1] for value in (x, y)):
        limits = f"{POSSIBLE[0]:g} to {POSSIBLE[1]:g} µm"
        return None, f"unknown: {source} says {x:.4g} x {y:.4g} µm, and no slide has pixels outside {limits}"
    if abs(x - y) > 0.02 * max(x, y):
        return None, f"unknown: {source} says {x:g} x {y:g} µm, and pixels that are not square are not supported"
    return (x + y) / 2, source


def from_ome(pixels: dict[str, str]) -> Claim | None:
    """From the attributes of an OME ``Pixels`` element; None when it has no physical size."""
    sizes = []
    for axis in "XY":
        value, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if value is None or unit not in MICROMETRES:
            return None
        sizes.append(float(value) * MICROMETRES[unit])
    return settle(sizes[0], sizes[1], "OME PhysicalSizeX and PhysicalSizeY")


def from_aperio(description: str) -> Claim | None:
    """From ``MPP = 0.499`` in an Aperio image description; None when it is not there."""
    found = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", description)
    return None if found is None else settle(float(found[1]), float(found[1]), "MPP in the Aperio image description")


def from_tags(x: Any, y: Any, unit: int) -> Claim:
    """From TIFF XResolution, YResolution (rationals as pairs) and ResolutionUnit (2 inch, 3 centimetre)."""
    if not (_is_rational(x) and _is_rational(y)) or unit not in (2, 3):
        return UNSAID
    micrometres = 25400.0 if unit == 2 else 10000.0
    across, down = micrometres * x[1] / x[0], micrometres * y[1] / y[0]
    if not all(PLAUSIBLE[0] <= value <= PLAUSIBLE[1] for value in (across, down)):
        return None, (
            f"unknown: the TIFF resolution tags claim {across:.4g} µm per px, outside the {PLAUSIBLE[0]:g} to"
            f" {PLAUSIBLE[1]:g} µm of a slide scan, so they are not believed"
        )
    return settle(across, down, "TIFF resolution tags")


def from_objective(power: float) -> Claim | None:
    """An estimate from the objective's magnification: 10 µm divided by it; None when that is no number of sense."""
    if not 1 <= power <= 200:
        return None
    return 10 / power, f"an estimate, 10 µm / {power:g}x objective; the file does not say the size itself"


def first_believed(claims: Iterable[Claim | None]) -> Claim:
    """The first claim with a size, else the first that says why there is none.

    A size that follows on a refused claim names that refusal too.
    """
    refused = ""
    for claim in claims:
        if claim is None:
            continue
        if claim[0] is not None:
            return claim[0], claim[1] + (f" ({refused.removeprefix('unknown: ')})" if refused else "")
        if claim != UNSAID and not refused:
            refused = claim[1]
    return (None, refused) if refused else UNSAID


def _is_rational(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value)
