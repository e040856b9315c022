"""Features of all slides in one HDF5 file, as ACMIL and ASMIL train from.

A group a slide, named after it, with the datasets ``feat`` (M, D), float16, and ``coords`` (M, 2), x and y of the
top-left corner in level-0 px (they are CLAM's), and the attribute ``label``: a number or a word. The edge of a tile is
nowhere in the file. Read in dazhangyu123/ACMIL (Step2_feature_extract.py, datasets/datasets.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_asmil.bags.arrays import corners, rows_and_columns
from napari_asmil.bags.bag import Bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.edges import placed, same_rows
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import dataset, loader, numbers, opened
from napari_asmil.bags.naming import class_names
from napari_asmil.errors import InputError
from napari_asmil.words import listed


def sniff(path: Path) -> bool:
    """Whether it is an HDF5 file of groups, the first of which holds ``feat``."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    try:
        with opened(path) as file:
            name = next(iter(file.keys()), None)
            group = None if name is None else _group(file, name)
            return group is not None and "feat" in set(group.keys())
    except InputError:
        return False


def read(path: Path, given_of: Callable[[str], Given]) -> Cohort:
    """Read the bags, with their labels where every group has one.

    Raises
    ------
    InputError
        When a group is no slide, rows do not match or there are no tiles.
    """
    with opened(path) as file:
        names = sorted(file.keys())
        bags, labels = [], {}
        for name in names:
            group = _group(file, name)
            if group is None or "feat" not in set(group.keys()):
                raise InputError(
                    f"Its entry {name} is no slide: a group with feat and coords.", remedy="Remove it.", path=path
                )
            given = given_of(name)
            bag = _bag(group, name, path, given)
            bags.append(bag if given.slide is None else bag.on_slide(given.slide))
            labels[name] = _label(group)
    without = [name for name, label in labels.items() if label is None]
    if without:
        notes = (f"the file has no label for slide {listed(without)}, so none is taken from it",)
        return Cohort(tuple(bags), notes=notes)
    words = {name: str(label) for name, label in labels.items()}
    classes = class_names(words.values())
    return Cohort(
        tuple(bags),
        {name: classes.index(word) for name, word in words.items()},
        classes,
        source=path,
        notes=("labels: the attribute label of each slide in the file",),
    )


def _group(file: Any, name: str) -> Any:
    """A group that lies in the file itself, or None."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    return found if isinstance(found, h5py.Group) else None


def _bag(group: Any, slide_id: str, path: Path, given: Given) -> Bag:
    features = dataset(group, "feat", path)
    n_tiles, n_features = rows_and_columns(features.shape, features.dtype.kind, slide_id, path)
    tiles, notes = None, ["tiles are not placed: the slide has no coords, so they can be trained on but not drawn"]
    if "coords" in set(group.keys()):
        xy = corners(numbers(group, "coords", path), path)
        same_rows(slide_id, n_tiles, len(xy), path)
        tiles, notes = placed(xy, None, given, missing="the file does not say their edge", path=path)
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, f"{slide_id}/feat", slide_id),
        tiles=tiles,
        source=path,
        mpp=given.mpp,
        derivation=notes,
        reread=partial(_again, path, slide_id),
    )


def _again(path: Path, slide_id: str, given: Given) -> Bag:
    with opened(path) as file:
        return _bag(_group(file, slide_id), slide_id, path, given)


def _label(group: Any) -> int | str | None:
    value = group.attrs.get("label")
    value = value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None
