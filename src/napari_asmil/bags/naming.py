"""What columns are called in tables of slides, and how slides are found by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from napari_asmil.bags.tables import Table
from napari_asmil.errors import InputError
from napari_asmil.words import listed

SLIDE_COLUMNS = ("slide_id", "slide", "image", "image_id", "bag_name", "filename", "wsi")
PATIENT_COLUMNS = ("patient", "patient_id", "case_id")
PATH_COLUMNS = ("slide_path", "full_path")
"""In the order in which they are asked; upper and lower case are alike."""


def class_names(values: Iterable[str]) -> tuple[str, ...]:
    """Each value once, in order: as numbers where all are whole numbers, so that 2 comes before 10; else as words."""
    named = set(values)
    if all(re.fullmatch(r"-?\d{1,18}", value) for value in named):
        return tuple(sorted(named, key=lambda value: (int(value), value)))
    return tuple(sorted(named))


def stem(name: str) -> str:
    """A slide's name without folders and file ending: "a/s1.svs" is "s1"."""
    return PurePosixPath(name.replace("\\", "/")).stem


def slide_column(table: Table, known: Iterable[str] | None = None) -> str | None:
    """The column of slide ids.

    One of `SLIDE_COLUMNS`; else the first column, where it has no name (or is called 0, as pandas writes lists of
    files for DSMIL) and does not only number the rows; else one of `PATIENT_COLUMNS` (xMIL calls slides cases),
    where it names one of the slides that are `known`, or nothing is known of them.
    """
    named = table.column(*SLIDE_COLUMNS)
    if named is not None:
        return named
    first = table.columns[0]
    if first in ("", "0", "Unnamed: 0") and not table.counts_rows(first):
        return first
    patient = table.column(*PATIENT_COLUMNS)
    if patient is None or known is None:
        return patient
    return patient if any(found(name, set(known)) for name in table.values(patient)) else None


def slide_column_or_refuse(table: Table, known: Iterable[str]) -> str:
    """As `slide_column`.

    Raises
    ------
    InputError
        When there is none, with the columns that there are.
    """
    slides = set(known)
    column = slide_column(table, slides)
    if column is not None:
        return column
    patient = table.column(*PATIENT_COLUMNS)
    if patient is not None:
        raise InputError(
            f"Its rows are of patients (column {patient}), and none of them is the name of a bag.",
            remedy="Give the table that says which slides are whose too (--slide-table).",
            path=table.path,
        )
    if any(found(name, slides) for name in table.columns):
        raise InputError(
            f"It has no header: its first line names a slide ({', '.join(table.columns)}).",
            remedy="Put a line with the names of the columns above it, such as slide_id,label.",
            path=table.path,
        )
    raise InputError(
        f"The table has no column of slide ids; its columns are {listed(table.columns, 12)}.",
        remedy="Name it slide_id.",
        path=table.path,
    )


def found(name: str, known: Iterable[str]) -> str | None:
    """The known slide that a name means: the same, or the same without folders and ending."""
    slides = known if isinstance(known, set | dict) else set(known)
    return next((given for given in (name, stem(name)) if given in slides), None)
