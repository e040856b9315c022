"""Bags of tile features, and cohorts of them.

A layout is a module with ``sniff(path) -> bool`` (by content) and ``read(path, given) -> Bag``; adding one is one
such module and its name in `LAYOUTS`. A collection holds many slides in one file or folder: ``sniff(path) -> bool``
and ``read(path, given_of) -> Cohort``, with the labels and splits it has, and its name in `COLLECTIONS`. What a file
does not say of its geometry is in `Given`; where it is unknown still, the bag has no tiles and its `derivation` says
what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_asmil.bags import (
    clam,
    clam_pt,
    folder,
    mil_sets,
    npz,
    one_file,
    slideflow,
    stamp,
    table,
    torchmil,
    trident,
    wsidata,
)
from napari_asmil.bags.bag import Bag, in_memory_bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.given import Given
from napari_asmil.bags.label_table import read_cohort
from napari_asmil.bags.trident import write_bag
from napari_asmil.errors import InputError

__all__ = ["Bag", "Cohort", "Given", "in_memory_bag", "read_bag", "read_bags", "read_cohort", "write_bag"]

LAYOUTS: tuple[Any, ...] = (trident, stamp, clam, slideflow, clam_pt, npz, table, wsidata)
"""Files, and folders, of one slide, in the order in which they are asked."""
COLLECTIONS: tuple[Any, ...] = (mil_sets, one_file, torchmil, folder)
"""Files and folders of many slides, in the order in which they are asked."""


def sniff(path: Path) -> bool:
    """Whether it is a feature file or a collection of them."""
    return holds_many(path) or any(layout.sniff(path) for layout in LAYOUTS)


def holds_many(path: Path) -> bool:
    """Whether it is a file or folder of the features of many slides."""
    return any(collection.sniff(path) for collection in COLLECTIONS)


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
        if layout.sniff(path):
            bag: Bag = layout.read(path, given)
            return bag if given.slide is None else bag.on_slide(given.slide)
    if any(collection.sniff(path) for collection in COLLECTIONS):
        raise InputError("It holds the features of many slides.", remedy="Give those of one slide.", path=path)
    raise InputError(
        "This is no feature file that can be read: of TRIDENT, CLAM, STAMP, slideflow or wsidata (lazyslide), a tensor"
        " of torch.save, npz with features and coords, or csv with numbered columns.",
        remedy="Extract the features with napari-asmil extract or one of these, or export them to npz.",
        path=path,
    )


def read_file(path: Path, given_of: Callable[[str], Given]) -> Bag:
    """Read the feature file of one slide, named after it; raises as `read_bag`."""
    for layout in LAYOUTS:
        if layout.sniff(path):
            given = given_of(path.stem)
            bag: Bag = layout.read(path, given)
            return bag if given.slide is None else bag.on_slide(given.slide)
    if holds_many(path):
        raise InputError(
            "It holds the features of many slides, among files of one slide each.",
            remedy="Give this file itself, or take it out of the folder.",
            path=path,
        )
    return read_bag(path)


def read_collection(path: str | Path, given_of: Callable[[str], Given] = lambda slide_id: Given()) -> Cohort:
    """Read all bags of a file or folder, in the order of their slide ids, with the labels and splits it has.

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
        if collection.sniff(path):
            cohort: Cohort = collection.read(path, given_of)
            return cohort
    if path.is_file() or any(layout.sniff(path) for layout in LAYOUTS if path.is_dir()):
        return Cohort((read_file(path, given_of),))
    raise InputError(
        "There is no feature file in it." if path.is_dir() else "There is no such folder of features.",
        remedy="Extract features first, or give the folder that holds them.",
        path=path,
    )


def read_bags(path: str | Path, given_of: Callable[[str], Given] = lambda slide_id: Given()) -> list[Bag]:
    """The bags of `read_collection` alone; raises as it does."""
    return list(read_collection(path, given_of).bags)
