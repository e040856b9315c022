"""The label table, and a cohort read from it and a folder of feature files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from napari_asmil.bags.bag import Bag
from napari_asmil.bags.cohort import Cohort, Split, refuse
from napari_asmil.errors import InputError

ID_COLUMNS = ("slide_id", "slide", "image")
PATIENT_COLUMNS = ("patient", "patient_id", "case_id")
UNKNOWN = frozenset({"na", "n/a", "nan", "none", "null", "?"})
"""Labels (in lower case) that say that there is none."""


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Rows of a csv file with a header; columns are picked by name, the delimiter is found.

    Raises
    ------
    InputError
        When there is no such file or no row in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("There is no such table.", remedy="Give a csv file.", path=path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The table cannot be read ({getattr(error, 'strerror', None) or error}).",
            remedy="Give a csv file.",
            path=path,
        ) from error
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    rows = [
        {str(key).strip(): (value or "").strip() for key, value in row.items() if key}
        for row in csv.DictReader(lines, delimiter=delimiter)
    ]
    if not rows:
        raise InputError("The table has no rows.", remedy="Give a csv file with a header and a row a slide.", path=path)
    return rows


def read_cohort(
    features: str | Path,
    labels: str | Path | None = None,
    *,
    label: str = "label",
    splits: str | Path | Mapping[str, Split] | None = None,
    subset: bool = False,
) -> Cohort:
    """Read a folder of feature files and a label table.

    Parameters
    ----------
    features : path-like
        Folder of HDF5 feature files named after their slides.
    labels : path-like, optional
        csv with the columns ``slide_id`` (or ``slide``, ``image``) and `label`; ``split``, ``patient`` (or
        ``patient_id``, ``case_id``), ``slide_path`` and ``contours_path`` (relative to the table) are used
        where they are. Without it the cohort has no labels.
    label : str
        Name of the label column; its values may be words or numbers. Classes are in sorted order.
    splits : path-like or mapping, optional
        csv with the columns ``slide_id`` and ``split``, or slide id to split; instead of the labels' ``split``.
    subset : bool
        Take the slides of the label table alone and leave the other bags out, instead of refusing them.

    Returns
    -------
    Cohort
        Not yet checked for training; `Cohort.check` does that.

    Raises
    ------
    InputError
        When a file cannot be read, a column is missing, or slides have no bag or bags no row.
    """
    from napari_asmil.bags import read_bags

    bags = {bag.slide_id: bag for bag in read_bags(features)}
    rows: dict[str, dict[str, str]] = {}
    if labels is not None:
        rows = _by_slide(read_table(labels), bags, Path(labels), subset)
        bags = {slide: _placed(bags[slide], row, Path(labels).parent) for slide, row in rows.items()}
    given, class_names = _classes(rows, label, labels)
    if splits is None or isinstance(splits, Mapping):
        split_of = {slide: row.get("split", "") for slide, row in rows.items()} if splits is None else dict(splits)
    else:
        split_of = {
            s: row.get("split", "") for s, row in _by_slide(read_table(splits), bags, Path(splits), False).items()
        }
    patients = {s: next((row[c] for c in PATIENT_COLUMNS if row.get(c)), "") for s, row in rows.items()}
    return Cohort(
        bags=tuple(bags.values()),
        labels=given,
        class_names=class_names,
        splits=_splits(split_of),
        patients=patients if patients and all(patients.values()) else None,
        source=None if labels is None else Path(labels),
    )


def _by_slide(
    rows: list[dict[str, str]], bags: Mapping[str, Bag], path: Path, subset: bool
) -> dict[str, dict[str, str]]:
    """Rows by slide id, in the order of the bags; every row has a bag and, unless `subset`, every bag a row."""
    column = next((name for name in ID_COLUMNS if name in rows[0]), None)
    if column is None:
        raise InputError(
            f"The table has no column of slide ids; its columns are {', '.join(rows[0])}.",
            remedy="Name it slide_id.",
            path=path,
        )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        slide = row[column] if row[column] in bags else Path(row[column]).stem
        slide = slide if slide in bags else row[column]
        if found.setdefault(slide, row) != row:
            raise InputError(f"Slide {slide} has two rows that differ.", remedy="Keep one.", path=path)
    refuse([s for s in found if s not in bags], "no bag for slide", "Extract its features or remove its row.", path)
    if not subset:
        refuse(
            [s for s in bags if s not in found],
            "no row for slide",
            "Add it, or train on the slides of the table alone (--subset).",
            path,
        )
    return {slide: found[slide] for slide in bags if slide in found}


def _classes(
    rows: Mapping[str, Mapping[str, str]], label: str, path: str | Path | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    if not rows:
        return {}, ()
    columns = next(iter(rows.values()))
    if label not in columns:
        raise InputError(
            f"The table has no column {label!r}; its columns are {', '.join(columns)}.",
            remedy="Say which one holds the labels.",
            path=path,
        )
    refuse([s for s, row in rows.items() if not row[label]], f"no value in column {label!r} for slide", "Add it.", path)
    refuse(
        [f"{s} ({row[label]})" for s, row in rows.items() if row[label].lower() in UNKNOWN],
        f"a value that means unknown in column {label!r} for slide",
        "Give its class, or take its row out (and train with --subset).",
        path,
    )
    values = {row[label] for row in rows.values()}
    numbers = all(value.lstrip("-").isdecimal() for value in values)
    class_names = tuple(sorted(values, key=int) if numbers else sorted(values))
    return {slide: class_names.index(row[label]) for slide, row in rows.items()}, class_names


def _splits(given: Mapping[str, str]) -> dict[str, Split]:
    if not any(given.values()):
        return {}
    refuse(
        [f"{slide} ({value or 'empty'})" for slide, value in given.items() if value not in get_args(Split)],
        "a split other than train, val or test for slide",
        "Correct the column split.",
    )
    return {slide: cast(Split, value) for slide, value in given.items()}


def _placed(bag: Bag, row: Mapping[str, str], folder: Path) -> Bag:
    """The bag with the slide and contours its row names, where they are."""
    notes = list(bag.derivation)
    for name in ("slide_path", "contours_path"):
        if not row.get(name):
            continue
        path = folder / row[name]
        if not path.is_file():
            notes.append(f"{name} {path}, named in the label table, is not there")
        elif name == "slide_path":
            bag = bag.on_slide(path)
        else:
            bag = replace(bag, contours_path=path)
    return replace(bag, derivation=notes)
