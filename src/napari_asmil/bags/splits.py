"""Who is for training: the tables of splits that MIL projects write.

==============================  =====================================================================================
CLAM ``splits_k.csv``           columns ``train``, ``val``, ``test`` of slide ids, of different length, and a row number
CLAM ``splits_k_bool.csv``      slide ids in the first, unnamed column; True or False in ``train``, ``val``, ``test``
CLAM ``..._descriptor.csv``     counts of slides of each class; it names no slide and is refused
ACMIL ``split_k.json``          ``{"train_names": [...], "val_names": [...], "test_names": [...]}``
a row a slide                   torchmil (``bag_name, split``), BRACS of ACMIL (``split_info``), xMIL (``subset``), ours
==============================  =====================================================================================

Read in mahmoodlab/CLAM, dazhangyu123/ACMIL, Franblueee/torchmil and bifold-pathomics/xMIL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from napari_asmil.bags.cohort import Split, refuse
from napari_asmil.bags.naming import slide_column
from napari_asmil.bags.tables import Table, looks_like, read_table, read_text
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed

SPLITS: tuple[Split, ...] = get_args(Split)
SPELLINGS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
START = re.compile(rb'\s*\{\s*"(train|val|test)(_names)?"\s*:\s*\[')
OTHERS = ("split_info", "subset", "partition")
"""Columns that hold splits in other projects; taken where every value is one."""


@dataclass(frozen=True)
class Splits:
    """Slides by split.

    Attributes
    ----------
    path : Path
        The file.
    of : mapping of str to "train", "val" or "test"
        Split of each slide, named as the file names it.
    kind : str
        Which kind of table it is, in words.
    """

    path: Path
    of: Mapping[str, Split]
    kind: str

    def describe(self) -> list[str]:
        """Lines for `info`."""
        counts = [sum(value == split for value in self.of.values()) for split in SPLITS]
        return [
            f"splits of {counted(len(self.of), 'slide')}: {self.kind}",
            ", ".join(f"{split} ({number})" for split, number in zip(SPLITS, counts, strict=True)),
        ]


def is_json(path: Path) -> bool:
    """Whether it is a JSON file that begins as one of splits does."""
    try:
        with path.open("rb") as file:
            return START.match(file.read(200)) is not None
    except OSError:
        return False


def has_split_columns(table: Table) -> bool:
    """Whether it is one of CLAM's: a column a split."""
    return sum(table.column(split) is not None for split in SPLITS) > 1


def read_splits(path: str | Path) -> Splits:
    """Read a table of splits in any of the layouts above; told by content.

    Parameters
    ----------
    path : path-like
        csv or JSON.

    Raises
    ------
    InputError
        When it is none of them, or a slide is in two splits.
    """
    path = Path(path)
    if read_text(path).lstrip().startswith("{"):
        return _checked(path, _names_of(path), "names in JSON (as ACMIL writes them)")
    return splits_of(read_table(path))


def splits_of(table: Table) -> Splits:
    """The splits that a table holds; raises as `read_splits`."""
    if has_split_columns(table):
        return _of_columns(table, {split: name for split in SPLITS if (name := table.column(split)) is not None})
    slide, column = slide_column(table), split_column(table)
    if slide is None or column is None:
        raise InputError(
            f"This is no table of splits; its columns are {listed(map(repr, table.columns), 12)}.",
            remedy="Give a row a slide (slide_id, split), or columns train, val and test of slide ids.",
            path=table.path,
        )
    spelled = _spelled([(row[slide], row[column]) for row in table.rows], column, table.path)
    return _checked(table.path, spelled, f"a row a slide, column {column}")


def split_column(table: Table) -> str | None:
    """The column that says train, val or test of each row, if there is one."""
    own = table.column("split")
    if own is not None:
        return own
    found = (table.column(name) for name in OTHERS)
    return next((name for name in found if name and looks_like(table.values(name), SPELLINGS)), None)


def splits_in(table: Table, rows: Mapping[str, Mapping[str, str]]) -> dict[str, Split]:
    """Splits of slides from their rows of a label table; empty where the table has none.

    Raises
    ------
    InputError
        When a slide's is none, or another word than train, val or test.
    """
    column = split_column(table)
    if column is None or not any(row[column] for row in rows.values()):
        return {}
    return dict(_spelled([(slide, row[column]) for slide, row in rows.items()], column, table.path))


def _of_columns(table: Table, named: Mapping[Split, str]) -> Splits:
    """CLAM's tables: a column a split."""
    cells = [value for column in named.values() for value in table.values(column)]
    first = table.columns[0]
    if looks_like(cells, ("true", "false")):
        pairs = ((row[first], s) for row in table.rows for s, c in named.items() if row[c].casefold() == "true")
        return _checked(table.path, pairs, "True or False in columns train, val and test (as CLAM's splits_k_bool.csv)")
    if first not in named.values() and not table.counts_rows(first) and all(cell.isdecimal() for cell in cells):
        raise InputError(
            f"It counts the slides of each class ({listed(table.values(first))}) and names none of them (as CLAM's"
            " splits_k_descriptor.csv).",
            remedy="Give the splits_k.csv or splits_k_bool.csv beside it.",
            path=table.path,
        )
    pairs = ((row[c], s) for s, c in named.items() for row in table.rows if row[c])
    return _checked(table.path, pairs, "columns train, val and test of slide ids (as CLAM's splits_k.csv)")


def _names_of(path: Path) -> Iterator[tuple[str, Split]]:
    content = _json(path)
    lists = {split: content.get(f"{split}_names", content.get(split, [])) for split in SPLITS}
    if not any(lists.values()):
        raise InputError(
            f"It has no lists train_names, val_names and test_names; its entries are {listed(map(repr, content))}.",
            remedy="Give a table of splits.",
            path=path,
        )
    for split, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"Its {split}_names is no list of slide ids.", path=path)
        yield from ((name, split) for name in names)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except RecursionError:
        raise InputError("It nests lists too deeply for a table of splits.", path=path) from None
    except ValueError as error:
        raise InputError(f"It is no whole JSON file ({error}).", remedy="Copy it again.", path=path) from None
    return content if isinstance(content, dict) else {}


def _spelled(given: Iterable[tuple[str, str]], column: str, path: Path) -> list[tuple[str, Split]]:
    pairs = [(slide, value, SPELLINGS.get(value.casefold())) for slide, value in given]
    refuse(
        [f"{slide} ({value or 'empty'})" for slide, value, split in pairs if split is None],
        "a split other than train, val or test for slide",
        f"Correct the column {column}.",
        path,
    )
    return [(slide, split) for slide, _, split in pairs if split is not None]


def _checked(path: Path, pairs: Iterable[tuple[str, Split]], kind: str) -> Splits:
    found: dict[str, Split] = {}
    for slide, split in pairs:
        if found.setdefault(slide, split) != split:
            raise InputError(
                f"Slide {slide} is in {found[slide]} and in {split}.",
                remedy="Keep it in one: otherwise the test is not one.",
                path=path,
            )
    return Splits(path, found, kind)
