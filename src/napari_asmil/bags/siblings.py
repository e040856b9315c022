"""Files of the same slide in the folders beside a feature file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

MOST_FOLDERS = 200
"""Folders two levels up that are looked into."""


def siblings(path: Path, folders: Iterable[str], endings: Iterable[str]) -> list[Path]:
    """Existing files named as `path` in folders of these names beside it, or beside the folder that holds it.

    For ``a/b/c/s.pt`` these are ``a/b/FOLDER/s.h5``, ``a/FOLDER/s.h5`` and ``a/*/FOLDER/s.h5``; nothing that a link
    leads to outside ``a``.

    Parameters
    ----------
    path : Path
        The feature file.
    folders : iterable of str
        Their exact names.
    endings : iterable of str
        What follows the slide's name, as ``.h5``.
    """
    here = path.absolute()
    if len(here.parents) < 3:
        return []
    near, top = here.parents[1], here.parents[2]
    around = [near, top]
    with suppress(OSError), os.scandir(top) as entries:
        named = sorted(entry.name for entry in islice(entries, MOST_FOLDERS) if entry.is_dir())
        around += [top / name for name in named]
    endings = tuple(endings)
    wanted = [parent / folder / f"{here.stem}{ending}" for folder in folders for parent in around for ending in endings]
    with suppress(OSError):
        inside = top.resolve()
        return [
            file
            for file in dict.fromkeys(wanted)
            if file != here and file.is_file() and file.resolve().is_relative_to(inside)
        ]
    return []


def shown(path: Path) -> str:
    """A sibling as sentences name it: its folder and its name."""
    return f"{path.parent.name}/{path.name}"
