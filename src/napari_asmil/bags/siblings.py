"""Files of the same slide in the folders around a feature file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

MOST_FOLDERS = 200
"""Folders beside the one of the features that are looked into."""
PARTS = ("h5_files", "pt_files")
"""What a folder of CLAM's features is divided into."""


def beside(path: Path, folder: str, endings: Iterable[str]) -> list[Path]:
    """Files named as `path` that belong to the same extraction, the nearest first.

    ``DIR/h5_files/s.h5`` and ``DIR/s.h5`` are features of ``DIR``: these are ``DIR/FOLDER/s.h5`` and
    ``DIR/../FOLDER/s.h5``, and nothing that a link leads to outside ``DIR/..``.

    Parameters
    ----------
    path : Path
        The feature file.
    folder : str
        The exact name.
    endings : iterable of str
        What follows the slide's name, as ``.h5``.
    """
    home = _home(path)
    return _existing(path, [home / folder, home.parent / folder], endings)


def elsewhere(path: Path, folder: str, endings: Iterable[str]) -> list[Path]:
    """Files named as `path` of other extractions: ``DIR/../*/FOLDER/s.h5``; the parameters are those of `beside`."""
    home = _home(path)
    names: list[str] = []
    with suppress(OSError), os.scandir(home.parent) as entries:
        names = sorted(entry.name for entry in islice(entries, MOST_FOLDERS) if entry.is_dir())
    return _existing(path, [home.parent / name / folder for name in names if name != home.name], endings)


def shown(path: Path, of: Path) -> str:
    """A file as sentences name it: by its way from the folder of another one."""
    return Path(os.path.relpath(path.absolute(), of.absolute().parent)).as_posix()


def _home(path: Path) -> Path:
    folder = path.absolute().parent
    return folder.parent if folder.name in PARTS else folder


def _existing(path: Path, folders: list[Path], endings: Iterable[str]) -> list[Path]:
    here = path.absolute()
    if len(here.parents) < 3:
        return []
    wanted = [folder / f"{here.stem}{ending}" for folder in folders for ending in tuple(endings)]
    with suppress(OSError):
        inside = _home(path).parent.resolve()
        return [
            file
            for file in dict.fromkeys(wanted)
            if file != here and file.is_file() and file.resolve().is_relative_to(inside)
        ]
    return []
