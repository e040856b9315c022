"""What is known of slides before their bags are read: their files, found by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from napari_asmil.bags.given import Given
from napari_asmil.bags.naming import PATH_COLUMNS, stem
from napari_asmil.bags.tables import Table
from napari_asmil.errors import InputError
from napari_asmil.slides import sniff
from napari_asmil.words import counted, listed


class SlideFiles:
    """`Given` of a slide by its id: its file, as a label table names it or a folder holds it, and what a person says.

    Parameters
    ----------
    folder : path-like, optional
        Slide files, in it or in its folders, named after the slides; or one such file.
    paths : mapping of str to Path
        Slide files by slide id; they come before those of the folder.
    mpp, tile_size : float, optional
        As `Given`, for every slide.

    Raises
    ------
    InputError
        When there is no such folder.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        paths: Mapping[str, Path] | None = None,
        *,
        mpp: float | None = None,
        tile_size: float | None = None,
    ) -> None:
        Given.of(mpp=mpp, tile_size=tile_size)  # checked once, not for each slide
        self._mpp, self._tile_size = mpp, tile_size
        self._folder = None if folder is None else Path(folder)
        self._paths = dict(paths or {})
        self._named = {} if self._folder is None else _by_name(self._folder)
        self._asked: dict[str, Path | None] = {}

    def __call__(self, slide_id: str) -> Given:
        """What is known of a slide; raises as `Given.of`, and where the folder holds two files of it."""
        self._asked[slide_id] = self._file(slide_id)
        return Given.of(self._asked[slide_id], mpp=self._mpp, tile_size=self._tile_size)

    def _file(self, slide_id: str) -> Path | None:
        if slide_id in self._paths:
            return self._paths[slide_id]
        files = [path for path in self._named.get(slide_id, []) if sniff(path)]
        if len(files) > 1:
            raise InputError(
                f"There are {len(files)} slide files of slide {slide_id}: {listed(str(f.name) for f in files)}.",
                remedy="Keep one of them in the folder.",
                path=self._folder,
            )
        return files[0] if files else None

    def notes(self) -> list[str]:
        """What is to be said once all bags are read.

        Raises
        ------
        InputError
            When the folder holds the slide of no bag.
        """
        if self._folder is not None and not self._asked:
            return [f"no slide of {self._folder} is used: these bags say nothing of slides"]
        missing = [slide for slide, path in self._asked.items() if path is None]
        if self._folder is None or not missing:
            return []
        one = not _is_folder(self._folder)
        if one and len(missing) == len(self._asked):
            raise InputError(
                f"No bag is named after this slide; there is {listed(missing)}.",
                remedy="Give the slide of one of them, or the folder that holds them.",
                path=self._folder,
            )
        if one:
            told = f"{counted(len(missing), 'bag is', 'bags are')} without a slide"
            return [f"{self._folder.name} is the slide of {listed(set(self._asked) - set(missing))}; {told}"]
        if len(missing) == len(self._asked):
            raise InputError(
                f"It holds no slide file named after a bag ({listed(missing)}).",
                remedy="Slide files are found by name: s1.svs is the slide of s1.h5.",
                path=self._folder,
            )
        return [f"no slide file in {self._folder} for {counted(len(missing), 'slide')}: {listed(missing)}"]


def paths_in(table: Table, slide: str | None) -> tuple[dict[str, Path], list[str]]:
    """Slide files that a table names and that are there, by slide id with and without ending; and what is not there."""
    column = table.column(*PATH_COLUMNS)
    if column is None or slide is None:
        return {}, []
    paths: dict[str, Path] = {}
    gone = []
    for row in table.rows:
        path = beside(table.path, row[column])
        if path is not None:
            paths[row[slide]] = paths[stem(row[slide])] = path
        elif row[column]:
            gone.append(row[column])
    note = f"column {column}: {counted(len(gone), 'file')} not there and not used, the first {gone[0]}" if gone else ""
    return paths, [note] if note else []


def beside(table: Path, name: str) -> Path | None:
    """The existing file that a table or feature file names, relative to it; never a network location."""
    if not name or "\0" in name or name.startswith(("//", "\\\\")):
        return None
    path = Path(os.path.normpath(table.parent / name))
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name that is too long
        return None


def asked_of_names(slide: Path | None, name: str, what: str) -> list[str]:
    """A line that asks whether what is named after one slide is of a slide that is called otherwise; or none."""
    if slide is None or name in _names(slide):
        return []
    return [f"the slide is called {slide.name}, {what}: are they of it?"]


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Files in a folder and its folders, or one file, by their name without ending."""
    if not folder.exists():
        raise InputError("There is no such folder of slides.", remedy="Check the path.", path=folder)
    found: dict[str, list[Path]] = {}
    files = sorted({*folder.glob("*"), *folder.glob("*/*")}) if _is_folder(folder) else [folder]
    for path in files:
        if path.name.startswith(".") or (path.is_dir() and path.suffix != ".zarr"):
            continue
        for name in _names(path):
            found.setdefault(name, []).append(path)
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix != ".zarr"


def _names(path: Path) -> set[str]:
    """What the bag of a slide file may be called."""
    return {path.stem, path.name.removesuffix(".ome.tif").removesuffix(".ome.tiff"), Path(path.stem).stem}
