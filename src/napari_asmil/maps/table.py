"""Tables of scores: csv with a row a tile, its place and a score.

Columns are found by name: ``x`` and ``y`` (or ``coord_x``, ``minx`` and so on) are the top-left corner in level-0 px,
``width`` and ``height`` or ``tile_size`` the edge. WSInfer writes ``minx,miny,width,height,prob_<class>``, where each
probability is of the tile alone (wsinfer: modellib/run_inference.py). Lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import corners
from napari_asmil.bags.edges import Edge
from napari_asmil.errors import InputError
from napari_asmil.maps.places import from_bag, place
from napari_asmil.maps.scoremap import Found, Known
from napari_asmil.maps.values import Values
from napari_asmil.words import listed

X = ("x", "coord_x", "x_coord", "minx", "xmin", "x0", "left", "x (level-0 px)")
Y = ("y", "coord_y", "y_coord", "miny", "ymin", "y0", "top", "y (level-0 px)")
EDGES = ("tile_size", "patch_size_level0", "size (level-0 px)")
SCORES = ("attention", "attention_score", "attention_scores", "attention_weight", "attn", "score", "scores", "logit")
CLASS = "prob_"
MOST_BYTES = 2**29
MOST_ROWS = 4_000_000
"""A slide of 128,000 x 128,000 px has so many tiles of 64 px."""


def sniff(path: Path) -> bool:
    """Whether it is a csv file with places and scores."""
    try:
        with _opened(path) as file:
            columns, _ = _header(file, path)
    except InputError:
        return False
    return bool(_first(columns, X) and _first(columns, Y) and _scores(columns))


def read(path: Path, known: Known) -> Found:
    """The scores of one column, and places.

    Raises
    ------
    InputError
        When the column is not clear, a cell is no number, or the edge of a tile is not known.
    """
    with _opened(path) as file:
        columns, rows = _header(file, path)
        name = _chosen(columns, known.column, path)
        x, y = _first(columns, X), _first(columns, Y)
        sides = [side for side in ("width", "height") if side in columns] or [c for c in EDGES if c in columns][:1]
        wanted = [name, *([x, y] if x and y else []), *sides]
        table = _numbers(rows, [list(columns).index(column) for column in wanted], wanted, path)
    values: Values | None = "scaled" if name.startswith(CLASS) else None
    called = columns[name] if len(_scores(columns)) > 1 or known.column else ""
    if not (x and y):
        tiles, facts = from_bag(known, path)
        return Found(table[:, 0], tiles, values, called, facts)
    edge = _edge(table[:, 3:], sides, path)
    missing = "the table has no column of their edge (width and height, or tile_size)"
    tiles, facts = place(corners(table[:, 1:3], path), edge, known, missing=missing, path=path)
    read_from = f"scores: column {columns[name]}; corners: {columns[x]} and {columns[y]}"
    return Found(table[:, 0], tiles, values, called, (read_from, *facts))


def _edge(sides: NDArray[np.float64], names: Sequence[str], path: Path) -> Edge | None:
    if not names:
        return None
    found = np.unique(sides)
    if len(found) > 1 or not found[0] > 0:
        raise InputError(
            f"Its tiles have edges from {found.min():g} to {found.max():g} level-0 px; squares of one size are needed.",
            remedy="Leave out tiles that are cut off at the border.",
            path=path,
        )
    return Edge(float(found[0]), f"{found[0]:g} level-0 px, from {' and '.join(names)}")


def _chosen(columns: Mapping[str, str], asked: str, path: Path) -> str:
    there, names = _scores(columns), listed(columns.values(), 12)
    if asked:
        if asked.casefold() not in columns:
            raise InputError(f"It has no column {asked!r}.", remedy=f"Columns: {names}.", path=path)
        return asked.casefold()
    if not there:
        raise InputError(
            f"It has no column of scores; its columns are {names}.",
            remedy="Name it attention, or say which it is (--column).",
            path=path,
        )
    if len(there) > 1:
        raise InputError(
            f"It has several columns of scores: {listed((columns[name] for name in there), 12)}.",
            remedy="Choose one (--column).",
            path=path,
        )
    return there[0]


def _scores(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if name in SCORES or name.startswith(CLASS)]


def _first(columns: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _opened(path: Path) -> TextIO:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise InputError("It is no table of moderate size.", path=path)
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise InputError(f"It cannot be read ({error.strerror or error}).", path=path) from error


def _header(file: TextIO, path: Path) -> tuple[dict[str, str], Iterator[list[str]]]:
    """Names of the columns as the file spells them, by the same in lower case; and the rows that follow."""
    try:
        line = next((text for text in iter(lambda: file.readline(2**16), "") if text.strip() and text[0] != "#"), "")
    except UnicodeDecodeError:
        raise InputError("It is no UTF-8 text.", remedy="Save the table as csv in UTF-8.", path=path) from None
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    columns = {name.casefold(): name for name in names}
    if len(columns) < len(names):
        raise InputError("Two of its columns have one name.", remedy="Name each column differently.", path=path)
    return columns, csv.reader(file, delimiter=delimiter)


def _numbers(rows: Iterator[list[str]], places: Sequence[int], names: Sequence[str], path: Path) -> NDArray[np.float64]:
    """The columns at these places, float64 (M, columns)."""
    found, count = array("d"), 0
    try:
        for row in rows:
            if not row or row[0].startswith("#"):
                continue
            found.extend([float(row[at]) for at in places])
            count += 1
            if count > MOST_ROWS:
                raise InputError(f"It has more than {MOST_ROWS:,} rows.", path=path)
    except (ValueError, IndexError, csv.Error) as error:
        raise InputError(
            f"Row {count + 1} has no number in one of the columns {', '.join(names)} ({error}).",
            remedy="Every tile needs a place and a score.",
            path=path,
        ) from error
    if not count:
        raise InputError("It has no rows.", path=path)
    return np.frombuffer(found, dtype=np.float64).reshape(count, len(places))
