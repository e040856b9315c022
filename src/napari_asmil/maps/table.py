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
from napari_asmil.bags.checks import steps
from napari_asmil.bags.edges import Edge
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.maps.names import LOGITS, SCORES, chosen
from napari_asmil.maps.places import from_bag, place
from napari_asmil.maps.scoremap import Found, Known
from napari_asmil.maps.values import Values
from napari_asmil.words import listed

X = ("x", "coord_x", "x_coord", "minx", "xmin", "x0", "left", "x (level-0 px)")
Y = ("y", "coord_y", "y_coord", "miny", "ymin", "y0", "top", "y (level-0 px)")
EDGES = ("tile_size", "patch_size_level0", "size (level-0 px)")
SLIDES = ("slide", "slide_id", "slide_name", "wsi", "wsi_id", "case_id")
CLASS = "prob_"
FINEST = 16
"""Tiles overlap by no more than all but this part of their edge; where they seem to, x and y are no level-0 px."""
MOST_BYTES = 2**29
MOST_SLIDES = 100
"""Are named."""
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
        there = {columns[each]: each for each in _scores(columns)}
        asked = columns.get(known.column.casefold(), known.column)
        name = chosen(list(there), columns.values(), asked, "column", path).casefold()
        x, y = _first(columns, X), _first(columns, Y)
        sides = [side for side in ("width", "height") if side in columns] or [c for c in EDGES if c in columns][:1]
        wanted = [name, *([x, y] if x and y else []), *sides]
        at = [list(columns).index(column) for column in wanted]
        slides = [index for index, column in enumerate(columns) if column in SLIDES][:1]
        table = _numbers(_of_one_slide(rows, slides, path), at, wanted, path)
    values: Values | None = "scaled" if name.startswith(CLASS) else "logits" if name in LOGITS else None
    called = columns[name] if len(there) > 1 or known.column else ""
    if not (x and y):
        tiles, facts = from_bag(known, path)
        return Found(table[:, 0], tiles, values, called, facts)
    edge = _edge(table[:, 3:], sides, path)
    missing = "the table has no column of their edge (width and height, or tile_size)"
    tiles, facts = place(corners(table[:, 1:3], path), edge, known, missing=missing, path=path)
    _check_unit(tiles, columns[x], columns[y], path)
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


def _check_unit(tiles: TileGrid, x: str, y: str, path: Path) -> None:
    """Refuse corners that lie as near as rows and columns of a grid do."""
    nearest = min((step for step in steps(tiles.xy) if step is not None), default=None)
    if nearest is not None and nearest < tiles.size / FINEST:
        raise InputError(
            f"Its tiles are {tiles.size:g} level-0 px wide and lie mostly {nearest} px apart: {x} and {y} seem to be"
            " rows and columns of a grid, or px of another level.",
            remedy="Write the top-left corner of each tile in level-0 px: of a grid, its column and row times the"
            " distance of tiles.",
            path=path,
        )


def _of_one_slide(rows: Iterator[list[str]], at: Sequence[int], path: Path) -> Iterator[list[str]]:
    """The rows, refused after the last one where the column of slides names several."""
    slides: dict[str, None] = {}
    for row in rows:
        yield row
        for index in at:
            if len(row) > index and len(slides) < MOST_SLIDES and not row[0].startswith("#"):
                slides[row[index].strip()] = None
    if len(slides) > 1:
        raise InputError(
            f"It holds the scores of several slides: {listed(slides)}.", remedy="Save a file of each slide.", path=path
        )


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
