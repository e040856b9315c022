"""What a table is, and which of its columns would be used for what."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from napari_asmil.bags.challenge import recognised
from napari_asmil.bags.label_table import patient_column
from napari_asmil.bags.naming import PATH_COLUMNS, PATIENT_COLUMNS, slide_column
from napari_asmil.bags.splits import has_split_columns, is_json, read_splits, split_column, splits_of
from napari_asmil.bags.tables import Table, read_table
from napari_asmil.words import counted, listed

_WORDS = re.compile(r"[\W_]+")
MOST_CLASSES = 12
"""A column with more distinct values than this is not listed by value."""


def describe_table(path: str | Path) -> list[str]:
    """Lines for `info`.

    Raises
    ------
    InputError
        When it cannot be read, or is a table that names no slide.
    """
    path = Path(path)
    if is_json(path):
        return read_splits(path).describe()
    table = recognised(read_table(path))
    names = listed((name or "(no name)" for name in table.columns), 40)
    lines = [f"table of {counted(len(table.rows), 'row')}; columns: {names}", *table.notes]
    if table.kind:
        lines.append(f"kind: {table.kind}")
    if has_split_columns(table):
        return [*lines, *splits_of(table).describe()]
    return [*lines, *_uses(table), *_values(table)]


def _uses(table: Table) -> list[str]:
    slide = slide_column(table)
    if slide is None:
        return ["slides: no column of slide ids, so no label table", *_attention(table)]
    lines = [f"slides: {slide or 'the first column'}"]
    if slide == table.column(*PATIENT_COLUMNS):
        lines[0] += ", where bags are named so; otherwise its rows are of patients (--slide-table)"
    patient, paths = patient_column(table, slide), table.column(*PATH_COLUMNS)
    if patient is not None:
        lines.append(f"patients: {patient}, {counted(len(set(table.values(patient))), 'patient')}")
    if split_column(table) not in (None, "split"):
        lines.append(f"splits: {split_column(table)}")
    if paths is not None:
        lines.append(f"slide files: {paths}, used where they are there")
    return [*lines, *_attention(table)]


def _attention(table: Table) -> list[str]:
    """A hint where two columns look like the place of a tile."""
    for column in table.columns:
        parts = _WORDS.split(column.casefold())
        if parts.count("x") == 1 and len(table.columns) > 2:
            beside = ["y" if part == "x" else part for part in parts]
            other = next((name for name in table.columns if _WORDS.split(name.casefold()) == beside), None)
            if other is not None:
                return [
                    f"places: {column} and {other} look like some; a table of attention must call them x and y, and"
                    " its scores attention"
                ]
    return []


def _values(table: Table) -> list[str]:
    lines = []
    for column in table.columns:
        values = Counter(table.values(column))
        if column != slide_column(table) and 1 < len(values) <= MOST_CLASSES:
            told = ", ".join(f"{value or '(empty)'} ({number})" for value, number in sorted(values.items()))
            lines.append(f"{column}: {told}")
    return lines
