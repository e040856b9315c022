"""Torchmil's data sets: a folder for features, one for labels, one for coordinates, a file a slide in each.

``features`` or ``features/features_<encoder>``: (M, D); ``labels``: one number; ``patch_labels``, where there are any:
(M,), 1 for a tile of which more than half is tumour; ``coords``: (M, 2); each ``<slide>.npy``, or ``<slide>.h5`` with a
dataset named after its folder. ``splits.csv``, beside them or one folder up: ``bag_name, split``. CAMELYON16 is
published so (torchmil/Camelyon16_MIL: ``patches_512``). Read in Franblueee/torchmil (datasets/
processed_mil_dataset.py, camelyon16mil_dataset.py). What a unit of ``coords`` is, is said nowhere: with the edge of a
tile given they are taken as top-left corners in level-0 px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import FAULTS, check_numbers, check_room, corners, kept, rows_and_columns
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.cohort import Cohort, Split
from napari_asmil.bags.edges import placed, same_rows
from napari_asmil.bags.given import Given
from napari_asmil.bags.hdf5 import dataset, opened
from napari_asmil.bags.naming import class_names, found
from napari_asmil.bags.splits import read_splits
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed

BESIDE = ("labels", "patch_labels", "coords")
ENDINGS = (".npy", ".h5")
UNIT = "torchmil does not say of what pixels its coordinates are, nor the edge of a tile"


@dataclass(frozen=True)
class Folders:
    """Where a data set's parts lie."""

    features: tuple[Path, ...]
    base: Path


def sniff(path: Path) -> bool:
    """Whether it is a data set's folder, its folder of patches, or one of its folders of features."""
    return path.is_dir() and _located(path) is not None


def read(path: Path, given_of: Callable[[str], Given]) -> Cohort:
    """Read the bags with their labels, tile labels and splits, where they are.

    Raises
    ------
    InputError
        When there are features of several encoders, or a file cannot be read.
    """
    located = _located(path)
    if located is None or len(located.features) != 1:
        several = () if located is None else located.features
        raise InputError(
            f"It holds several folders of features: {listed(f.relative_to(path).as_posix() for f in several)}.",
            remedy="Give the one that is meant.",
            path=path,
        )
    bags, labels = [], {}
    for file in _files(located.features[0]):
        given = given_of(file.stem)
        bag = _bag(file, located.base, given)
        bags.append(bag if given.slide is None else bag.on_slide(given.slide))
        label = located.base / "labels" / file.name
        if label.is_file():
            labels[file.stem] = str(_label(label))
    classes = class_names(labels.values())
    splits, notes = _splits(located.base, labels.keys() | {bag.slide_id for bag in bags})
    if labels:
        notes.append("labels: those of the data set's folder labels")
    return Cohort(
        tuple(bags),
        {name: classes.index(label) for name, label in labels.items()},
        classes,
        splits,
        source=path,
        notes=tuple(notes),
    )


def _located(path: Path) -> Folders | None:
    patches = sorted(p for p in path.glob("patches_*") if p.is_dir())
    for base in (path, *patches, path.parent, path.parent.parent):
        above = base in (path.parent, path.parent.parent)
        folders = [path, *_named(path)] if above else [*_named(base), *_named(base / "features")]
        holding = tuple(folder for folder in folders if _belongs(folder, base))
        if holding:
            return Folders(holding, base)
    return None


def _named(base: Path) -> list[Path]:
    return sorted(p for p in base.glob("features*") if p.is_dir())


def _belongs(features: Path, base: Path) -> bool:
    """Whether the folder's first file has one of the same name in a folder beside it."""
    first = next(iter(_files(features)), None)
    return first is not None and any((base / name / first.name).is_file() for name in BESIDE)


def _files(folder: Path) -> list[Path]:
    files = (file for file in folder.glob("*") if file.suffix in ENDINGS and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def _bag(path: Path, base: Path, given: Given) -> Bag:
    slide_id = path.stem
    shape, dtype = _array(path, "features", lambda array: (array.shape, array.dtype))
    n_tiles, n_features = rows_and_columns(shape, dtype.kind, slide_id, path)
    tiles, notes = (
        None,
        [f"{NOT_PLACED}: the data set has no coordinates, so they can be trained on but not drawn"],
    )
    places = base / "coords" / path.name
    if places.is_file():
        xy = corners(_numbers(places, "coords"), places)
        same_rows(slide_id, n_tiles, len(xy), places)
        tiles, notes = placed(xy, None, given, missing=UNIT, path=places)
        notes += [] if tiles is None else [f"corners: {UNIT}; taken as level-0 px, as the edge is given in them"]
    truth, note = _truth(base / "patch_labels" / path.name)
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=partial(kept, path, slide_id, partial(_numbers, path, "features")),
        tiles=tiles,
        tile_labels=truth,
        tile_truth="" if truth is None else "patch_labels of the data set",
        source=path,
        mpp=given.mpp,
        derivation=[*notes, *note],
        reread=partial(_bag, path, base),
    )


def _truth(path: Path) -> tuple[NDArray[np.float32] | None, list[str]]:
    if not path.is_file():
        return None, []
    values = _numbers(path, "patch_labels").reshape(-1)
    if not np.isin(values, (0, 1)).all():
        return None, ["tile labels: patch_labels are not all 0 or 1, so they are not used"]
    return values.astype(np.float32), []


def _label(path: Path) -> int:
    value = _numbers(path, "labels")
    if value.size != 1 or not np.isfinite(value).all() or int(value.item()) != value.item():
        raise InputError(f"It holds no one label but an array of shape {value.shape}.", path=path)
    return int(value.item())


def _numbers(path: Path, name: str) -> NDArray[Any]:
    """All numbers of a file's array; raises as `_array`, and where they are none."""

    def read(array: Any) -> NDArray[Any]:
        check_numbers(name, array.shape, array.dtype, path)
        return np.array(array[()])

    return np.asarray(_array(path, name, read))


def _array(path: Path, name: str, use: Callable[[Any], Any]) -> Any:
    """What `use` makes of a file's array, which is not read before.

    Raises
    ------
    InputError
        When it is no array of the file, larger than the file can hold, or holds Python objects.
    """
    if h5py.is_hdf5(path):
        with opened(path) as file:
            wanted = name if name in set(file.keys()) or name != "patch_labels" else "inst_labels"
            return use(dataset(file, wanted, path))
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FAULTS as error:
        raise InputError(
            f"It is no array that can be read ({error}).", remedy="Copy it again from where it came from.", path=path
        ) from error
    check_room(array.shape, path, dtype=array.dtype)
    return use(array)


def _splits(base: Path, slides: set[str]) -> tuple[dict[str, Split], list[str]]:
    """Splits of the slides there are, and what is said of them."""
    path = next((p for p in (base / "splits.csv", base.parent / "splits.csv") if p.is_file()), None)
    if path is None:
        return {}, []
    given = read_splits(path)
    splits = {slide: split for name, split in given.of.items() if (slide := found(name, slides)) is not None}
    without = sorted(slides - splits.keys())
    if without:
        slides_without = f"{counted(len(without), 'slide')} ({listed(without)})"
        return {}, [f"{path.name} has no split for {slides_without}: it is not used"]
    return splits, [f"splits: those of {path.name} of the data set"]
