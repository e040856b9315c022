"""Classical MIL benchmarks (MUSK, FOX, TIGER ...) in one npz file: bags without places, with labels.

``features`` (instances, D), ``bag_id`` int (instances,) counting bags from 0, ``bag_label`` (bags,).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_asmil.bags.arrays import npz_array, npz_headers
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
    features, bag_id, bag_label = (npz_array(path, name, headers[name][0]) for name in ARRAYS)
    if features.ndim != 2 or bag_id.shape != features.shape[:1] or bag_label.ndim != 1:
        shapes = ", ".join(
            f"{name} {array.shape}" for name, array in zip(ARRAYS, (features, bag_id, bag_label), strict=True)
        )
        raise InputError(f"The shapes do not fit each other: {shapes}.", path=path)
    if features.dtype.kind not in "fiu" or bag_id.dtype.kind not in "iu" or len(bag_label) > MOST_BAGS:
        raise InputError(
            f"Its features are {features.dtype.name} and its bag_id {bag_id.dtype.name}, of {len(bag_label)} bags.",
            remedy=f"Features are numbers, bag_id whole numbers, and bags no more than {MOST_BAGS}.",
            path=path,
        )
    wrong = np.setxor1d(np.arange(len(bag_label)), bag_id)
    if len(wrong):
        raise InputError(f"Bag {wrong[0]} has a label but no instance, or instances but no label.", path=path)
    names = [f"{path.stem}-{index:0{len(str(len(bag_label)))}d}" for index in range(len(bag_label))]
    classes, labels = np.unique(bag_label, return_inverse=True)
    order = np.argsort(bag_id, kind="stable")
    pieces = np.split(features[order], np.flatnonzero(np.diff(bag_id[order])) + 1)
    bags = tuple(in_memory_bag(name, piece, encoder=path.stem) for name, piece in zip(names, pieces, strict=True))
    return Cohort(bags, dict(zip(names, labels.tolist(), strict=True)), tuple(str(name) for name in classes))
