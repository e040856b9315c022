"""Bags of tile features, and cohorts of them.

A layout is a module with ``sniff(path) -> bool`` (by content) and ``read(path) -> Bag``; adding one is one
such module and its name in `LAYOUTS`.
"""

from __future__ import annotations

from pathlib import Path

from napari_asmil.bags import trident
from napari_asmil.bags.bag import Bag, in_memory_bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.label_table import read_cohort
from napari_asmil.bags.trident import write_bag
from napari_asmil.errors import InputError

__all__ = ["Bag", "Cohort", "in_memory_bag", "read_bag", "read_cohort", "write_bag"]

LAYOUTS = (trident,)


def sniff(path: Path) -> bool:
    """Whether the file is a feature file that `read_bag` reads."""
    return any(layout.sniff(path) for layout in LAYOUTS)


def read_bag(path: str | Path) -> Bag:
    """Read the features of one slide; they stay in the file until they are asked for.

    Parameters
    ----------
    path : path-like
        HDF5 in TRIDENT's layout, which `napari-asmil extract` writes too.

    Returns
    -------
    Bag
        Checked: rows match, there are tiles, and they lie on the slide where its size is known.

    Raises
    ------
    InputError
        When the file is missing, broken, in no known layout, or fails a check.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("There is no such feature file.", remedy="Check the path.", path=path)
    for layout in LAYOUTS:
        if layout.sniff(path):
            bag: Bag = layout.read(path)
            return bag
    raise InputError(
        "This is no feature file that can be read (HDF5 with features and coords as TRIDENT writes them).",
        remedy="Extract the features with napari-asmil extract or TRIDENT.",
        path=path,
    )
