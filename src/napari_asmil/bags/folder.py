"""Folders of feature files, each named after its slide.

Besides a plain folder: CLAM's feature folder (``h5_files`` and ``pt_files``; the first, as it has the coordinates),
TRIDENT's job folder (``20x_256px_0px_overlap/features_<encoder>``) and DSMIL's dataset (a folder a class).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from napari_asmil.bags.bag import Bag
from napari_asmil.bags.cohort import Cohort
from napari_asmil.bags.given import Given
from napari_asmil.errors import InputError
from napari_asmil.words import listed

FEATURES = (".h5", ".hdf5", ".pt", ".npz")
"""A file that ends so is meant to hold features: one that is damaged is refused, and not passed over."""
OTHERS = (".csv", ".tsv", ".zarr")
"""What ends so may be something else, and is looked into."""
COMPANIONS = (".index.npz", "_att.npz")
"""Slideflow's files beside its bags: where tiles lie, and what attention they have."""
CLAM = ("h5_files", "pt_files")


def sniff(path: Path) -> bool:
    """Whether it is a folder of feature files, or one that holds such a folder."""
    if not path.is_dir() or _is_layout(path) or _is_group(path):
        return False
    return _holds_features(path) or bool(_inner(path))


def read(path: Path, given_of: Callable[[str], Given]) -> Cohort:
    """Read the bags of all feature files, in the order of their slide ids.

    Raises
    ------
    InputError
        When one cannot be read, a slide has two, or the folder holds features of several encoders.
    """
    from napari_asmil.bags import read_file

    folders, notes = _folders(path)
    bags: dict[str, Bag] = {}
    for file in sorted((file for folder in folders for file in _features(folder)), key=lambda file: file.name):
        bag = read_file(file, given_of)
        if bag.slide_id in bags:
            first = bags[bag.slide_id].source
            raise InputError(
                f"There are two feature files of slide {bag.slide_id}: {first and first.relative_to(path)} and"
                f" {file.relative_to(path)}.",
                remedy="Keep one, or give a folder that holds one of them.",
                path=path,
            )
        bags[bag.slide_id] = bag
    return Cohort(tuple(bags[slide] for slide in sorted(bags)), notes=notes)


def _folders(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The folders whose files are read, and what is to be said of that."""
    if _holds_features(path):
        return [path], ()
    inner = _inner(path)
    for name in CLAM:
        if path / name in inner:
            return [path / name], (f"features: from {name}",)
    encoders = [folder for folder in inner if folder.name.startswith("features_")]
    if len(encoders) > 1:
        raise InputError(
            f"It holds several folders of features: {listed(f.relative_to(path).as_posix() for f in encoders)}.",
            remedy="Give the one that is meant.",
            path=path,
        )
    if encoders:
        return encoders, (f"features: from {encoders[0].relative_to(path).as_posix()}",)
    return inner, (f"features: from the folders {listed(folder.name for folder in inner)}",)


def _inner(path: Path) -> list[Path]:
    """Folders of features within a folder."""
    inner = [folder for folder in _visible(path) if folder.is_dir() and not _is_group(folder)]
    folders = sorted({*inner, *(f for folder in inner for f in folder.glob("features_*") if f.is_dir())})
    holding = [folder for folder in folders if _holds_features(folder)]
    encoders = [folder for folder in holding if folder.name.startswith("features_")]
    return encoders or [folder for folder in holding if folder.parent == path]


def _holds_features(folder: Path) -> bool:
    return any(path.suffix.lower() in (".h5", ".hdf5") or _is_layout(path) for path in _features(folder))


def _features(folder: Path) -> Iterator[Path]:
    """The files in a folder that are, or are meant to be, feature files."""
    for path in _visible(folder):
        ending = path.suffix.lower()
        meant = ending in FEATURES and path.is_file() and not path.name.endswith(COMPANIONS)
        if meant or (ending in OTHERS and _is_layout(path)):
            yield path


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # it may not be looked into
        return []


def _is_layout(path: Path) -> bool:
    from napari_asmil.bags import LAYOUTS

    try:
        return any(layout.sniff(path) for layout in LAYOUTS)
    except InputError:  # it is one, and damaged: reading it says how
        return path.is_file()


def _is_group(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray", ".zattrs"))
