"""Classical MIL benchmarks (MUSK, FOX, TIGER ...) in one npz file: bags without places, with labels.

``features`` (instances, D), ``bag_id`` int (instances,) counting bags from 0, ``bag_label`` (bags,).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_asmil.bags.arrays import NUMBERS, npz_array, npz_headers
from napari_asmil.bags.bag import in_memory_bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.given import Given
from napari_asmil.errors import InputError

MOST_BAGS = 100_000
"""Of a benchmark that is held in memory."""
ARRAYS = ("features", "bag_id", "bag_label")


def sniff(path: Path) -> bool:
    """Whether it is an npz file with these arrays."""
    return path.is_file() and set(ARRAYS) <= npz_headers(path).keys()


def read(path: Path, given_of: Callable[[str], Given]) -> Cohort:
    """As `read_mil_set`."""
    return read_mil_set(path)


def read_mil_set(path: str | Path) -> Cohort:
    """Read an npz file of instances.

    Parameters
    ----------
    path : path-like
        npz with ``features`` (instances, D), ``bag_id`` int (instances,) counting bags from 0, and ``bag_label``
        (bags,). Nothing pickled is read.

    Raises
    ------
    InputError
        When an array is missing, of another shape or kind, or a bag has no instance.
    """
    path = Path(path)
    headers = npz_headers(path)
    if not set(ARRAYS) <= headers.keys():
        raise InputError(
            f"It cannot be read as a MIL benchmark (arrays: {', '.join(headers) or 'none'}).",
            remedy=f"Give an npz file with the arrays {', '.join(ARRAYS)}.",
            path=path,
        )
    _check(headers, path)
    features, bag_id = (npz_array(path, name, headers[name]) for name in ARRAYS[:2])
    bag_label = npz_array(path, "bag_label", headers["bag_label"], NUMBERS + "US")
    wrong = np.setxor1d(np.arange(len(bag_label)), bag_id)
    if len(wrong):
        raise InputError(f"Bag {wrong[0]} has a label but no instance, or instances but no label.", path=path)
    names = [f"{path.stem}-{index:0{len(str(len(bag_label)))}d}" for index in range(len(bag_label))]
    classes, labels = np.unique(bag_label, return_inverse=True)
    order = np.argsort(bag_id, kind="stable")
    pieces = np.split(features[order], np.flatnonzero(np.diff(bag_id[order])) + 1)
    bags = tuple(in_memory_bag(name, piece, encoder=path.stem) for name, piece in zip(names, pieces, strict=True))
    return Cohort(bags, dict(zip(names, labels.tolist(), strict=True)), tuple(str(name) for name in classes))


def _check(headers: dict[str, tuple[tuple[int, ...], np.dtype[Any]]], path: Path) -> None:
    """Refuse arrays that do not fit each other, or are of another kind, before they are read."""
    (features, kind), (bag_id, id_kind), (bag_label, _) = (headers[name] for name in ARRAYS)
    if len(features) != 2 or bag_id != features[:1] or len(bag_label) != 1:
        shapes = ", ".join(f"{name} {headers[name][0]}" for name in ARRAYS)
        raise InputError(f"The shapes do not fit each other: {shapes}.", path=path)
    if kind.kind not in "fiu" or id_kind.kind not in "iu" or bag_label[0] > MOST_BAGS:
        raise InputError(
            f"Its features are {kind.name} and its bag_id {id_kind.name}, of {bag_label[0]} bags.",
            remedy=f"Features are numbers, bag_id whole numbers, and bags no more than {MOST_BAGS}.",
            path=path,
        )
