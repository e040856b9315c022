"""Bags of tile features, and cohorts of them.

A layout is a module with ``sniff(path) -> bool`` (by content) and ``read(path, given) -> Bag``; adding one is one
such module and its name in `LAYOUTS`. A collection holds many slides in one file or folder: ``sniff(path) -> bool``
and ``read(path, given_of) -> list[Bag]``, and its name in `COLLECTIONS`. What a file does not say of its geometry
is in `Given`; where it is unknown still, the bag has no tiles and its `derivation` says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_asmil.bags import trident
from napari_asmil.bags.bag import Bag, in_memory_bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.given import Given
from napari_asmil.bags.label_table import read_cohort
from napari_asmil.bags.trident import write_bag
from napari_asmil.errors import InputError

__all__ = ["Bag", "Cohort", "Given", "in_memory_bag", "read_bag", "read_bags", "read_cohort", "write_bag"]

LAYOUTS: tuple[Any, ...] = (trident,)
"""Files of one slide, in the order in which they are asked."""
COLLECTIONS: tuple[Any, ...] = ()
"""Files and folders of many slides, in the order in which they are asked."""


def sniff(path: Path) -> bool:
    """Whether it is a feature file or a collection of them."""
    if any(collection.sniff(path) for collection in COLLECTIONS):
        return True
    return path.is_file() and any(layout.sniff(path) for layout in LAYOUTS)


def read_bag(
    path: str | Path,
    *,
    slide: str | Path | None = None,
    mpp: float | None = None,
    tile_size: float | None = None,
) -> Bag:
    """Read the features of one slide; they stay in the file until they are asked for.

    Parameters
    ----------
    path : path-like
        A feature file in any layout of docs/formats.md; told by content.
    slide : path-like, optional
        The slide's file: its size, and its mpp where the file's coordinates need one.
    mpp : float, optional
        Micrometres per level-0 px, instead of what the slide says.
    tile_size : float, optional
        Edge of a tile in level-0 px, for files that do not say; refused where it contradicts the file.

    Returns
    -------
    Bag
        Checked: rows match, there are tiles, and they lie on the slide where its size is known.

    Raises
    ------
    InputError
        When the file is missing, broken, in no known layout, or fails a check.
    """
    path, given = Path(path), Given.of(slide, mpp=mpp, tile_size=tile_size)
    if not path.exists():
        raise InputError("There is no such feature file.", remedy="Check the path.", path=path)
    for layout in LAYOUTS:
        if path.is_file() and layout.sniff(path):
            bag: Bag = layout.read(path, given)
            return bag if given.slide is None else bag.on_slide(given.slide)
    raise InputError(
        "This is no feature file that can be read (HDF5 with features and coords as TRIDENT writes them).",
        remedy="Extract the features with napari-asmil extract or TRIDENT.",
        path=path,
    )


def read_bags(path: str | Path, given_of: Callable[[str], Given] = lambda slide_id: Given()) -> list[Bag]:
    """Read all bags of a file or folder, in the order of their slide ids.

    Parameters
    ----------
    path : path-like
        A feature file, a file or folder that holds many slides, or a folder of feature files.
    given_of : callable
        What is known of a slide besides, by its id.

    Raises
    ------
    InputError
        When there is none, or one cannot be read.
    """
    path = Path(path)
    for collection in COLLECTIONS:
        if path.exists() and collection.sniff(path):
            bags: list[Bag] = collection.read(path, given_of)
            return bags
    if path.is_file():
        return [read_bag(path)]
    files = sorted(file for file in path.glob("*.h5") if not file.name.startswith("."))
    if not files:
        raise InputError(
            "There is no feature file (*.h5) in it." if path.is_dir() else "There is no such folder of features.",
            remedy="Extract features first, or give the folder that holds them.",
            path=path,
        )
    return [read_bag(file) for file in files]
