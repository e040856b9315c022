"""csv files of one slide: a row a tile, features in numbered columns.

Columns ``0, 1, 2 ...`` as DSMIL and pandas write them, or with one word before the number (``feature_0, feature_1
...``); ``x`` and ``y``, where they are there, are the top-left corner in level-0 px. Commas, semicolons or tabs.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import corners, kept
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.edges import placed
from napari_asmil.bags.given import Given
from napari_asmil.errors import InputError
from napari_asmil.words import listed

NAMES = {"slide", "slide_id", "image", "case_id", "patient", "patient_id", "label", "split", "name"}
"""A table with such a column is of slides, not of tiles."""

NO_FEATURES = {"x", "y", "prob", "attention", "attn", "score", "logit", "fold", "split", "class"}
"""What is numbered under such a word is no feature: corners, scores of branches, splits."""

LONGEST_HEADER = 2**20
FEWEST = 3
"""One or two numbered columns are scores."""


def sniff(path: Path) -> bool:
    """Whether the first line names at least three numbered columns from 0 or 1 on, and they hold numbers."""
    columns, _, _, delimiter = _columns(path)
    return bool(columns) and _numeric(path, columns, delimiter)


def _numeric(path: Path, columns: list[int], delimiter: str) -> bool:
    """Whether any of these columns holds a number in the first row; a row is not needed."""
    with path.open("rb") as file:
        file.readline(LONGEST_HEADER)
        cells = file.readline(LONGEST_HEADER).decode("utf-8", errors="replace").split(delimiter)
    held = [cells[index].strip().strip('"') for index in columns if index < len(cells)]
    return not any(held) or any(_is_number(cell) for cell in held)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def read(path: Path, given: Given) -> Bag:
    """Read a bag; features are parsed when they are asked for.

    Raises
    ------
    InputError
        When a row has another number of values, or a value is no number.
    """
    slide_id = path.stem
    columns, xy_columns, others, _ = _columns(path)
    tiles, notes = None, [f"{NOT_PLACED}: the table has no columns x and y, so they can be trained on but not drawn"]
    n_tiles = _rows(path)
    if xy_columns and n_tiles:
        xy = corners(_numbers(path, xy_columns, np.float64), path)
        tiles, notes = placed(xy, None, given, missing="a table does not say their edge", path=path)
    if others:
        notes.append(f"not read: column {listed(others)}")
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=len(columns),
        load=partial(load_features, path, slide_id),
        tiles=tiles,
        source=path,
        mpp=given.mpp,
        derivation=notes,
        reread=partial(read, path),
    )


def load_features(path: Path, slide_id: str) -> NDArray[np.float32]:
    """The features, float32 (M, D); raises as `arrays.kept`."""
    return kept(path, slide_id, lambda: _numbers(path, _columns(path)[0], np.float32))


def _columns(path: Path) -> tuple[list[int], list[int], list[str], str]:
    """Indices of the feature columns and of x and y, names of the others, and the delimiter."""
    if not path.is_file():
        return [], [], [], ","
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_HEADER + 1)
        header = line.decode("utf-8-sig").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        return [], [], [], ","
    if len(line) > LONGEST_HEADER or not line.endswith(b"\n"):
        return [], [], [], ","
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
    if NAMES & set(names):
        return [], [], [], ","
    numbered: dict[str, list[tuple[int, int]]] = {}
    for index, name in enumerate(names):
        told = re.fullmatch(r"([a-z_. -]{0,30})(\d{1,6})", name)
        if told and not {word := told[1].strip("_. -"), word.removesuffix("s")} & NO_FEATURES:
            numbered.setdefault(told[1], []).append((int(told[2]), index))
    found = max(numbered.values(), key=len, default=[])
    numbers = [number for number, _ in found]
    if len(found) < FEWEST or numbers[0] > 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return [], [], [], ","
    columns = [index for _, index in found]
    places = [names.index("x"), names.index("y")] if {"x", "y"} <= set(names) else []
    others = [name or "(no name)" for index, name in enumerate(names) if index not in {*columns, *places}]
    return columns, places, others, delimiter


def _rows(path: Path) -> int:
    delimiter, rows, named = _columns(path)[3].encode(), -1, 0
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            rows += 1
            values = line.count(delimiter) + 1
            named = named or values
            if values != named and b'"' not in line:
                raise InputError(
                    f"Row {rows} of the table has {values} values for {named} columns.",
                    remedy="Save it again with one value a column, and with decimal points, not commas.",
                    path=path,
                )
    return rows


def _numbers(path: Path, columns: list[int], dtype: type) -> NDArray[np.generic]:
    try:
        return np.loadtxt(
            path, dtype=dtype, delimiter=_columns(path)[3], skiprows=1, usecols=columns, ndmin=2, encoding="utf-8-sig",
            comments=None, quotechar='"',
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError) as error:
        raise _refusal(error, path) from None


def _refusal(error: Exception, path: Path) -> InputError:
    told = re.search(r"could not convert string '(.{0,40}).*' to \w+ at row (\d+), column (\d+)", str(error))
    if told and re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", told[1]):
        return InputError(
            f"Its numbers are written with decimal commas, as {told[1]}.",
            remedy="Save the table with decimal points.",
            path=path,
        )
    what = f"row {int(told[2]) + 1}, column {told[3]} holds {told[1]!r}" if told else str(error)
    return InputError(
        f"A row of the table cannot be read ({what}).",
        remedy="Every row needs a number in each numbered column, and in x and y.",
        path=path,
    )
