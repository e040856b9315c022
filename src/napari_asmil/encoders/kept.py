"""What a bag that is there already was made from: kept when that is the same, never overwritten when it is not."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from napari_asmil.errors import InputError

SETTINGS = "extraction_settings"
"""File attribute with everything a bag was made from, as JSON."""

WORDS = {
    "slide": "another slide file",
    "encoder": "another encoder",
    "tiles": "another tile size",
    "stride": "another stride",
    "cover": "another choice of covering the whole slide",
    "contours": "other contours",
    "points": "other points",
    "min_tissue": "another least share of tissue",
    "within": "other contours to lay tiles in",
    "roles": "other roles of contours",
    "cropped": "contours counted from another corner",
    "route": "another way of reading pixels",
}
BEFORE = {"min_tissue": 0.5, "roles": {}, "cropped": False, "route": 1}
"""What bags were made with that do not say."""


def made_before(bag: Path, settings: str) -> bool:
    """Whether the bag is there, made with these settings; a damaged file counts as none.

    Raises
    ------
    InputError
        When a sound file is there that was made with other settings, or does not say with which.
    """
    there = _settings_of(bag)
    if there is None:
        return False
    wanted, found = json.loads(settings), {**BEFORE, **json.loads(there or "{}")}
    differing = [WORDS.get(name, name) for name in wanted if found.get(name) != wanted[name]]
    if there and not differing:
        return True
    what = f"with {', '.join(differing)}" if there else "by something else"
    raise InputError(
        f"A feature file is there already, made {what}; it is not overwritten.",
        remedy="Choose another folder (--out), or remove it.",
        path=bag,
    )


def _settings_of(bag: Path) -> str | None:
    """Settings of a bag, "" where a sound file does not say; None where there is no sound file."""
    if not (bag.is_file() and h5py.is_hdf5(bag)):
        return None
    try:
        with h5py.File(bag, "r") as file:
            return str(file.attrs.get(SETTINGS, ""))
    except OSError:
        return None
