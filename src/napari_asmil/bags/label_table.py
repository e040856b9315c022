"""Cohorts: bags, joined with the label table and the splits of whichever project made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from napari_asmil.bags.bag import Bag
from napari_asmil.bags.challenge import recognised
from napari_asmil.bags.cohort import Cohort, Split, refuse
from napari_asmil.bags.joining import joined
from napari_asmil.bags.naming import PATIENT_COLUMNS, class_names, found, slide_column, slide_column_or_refuse
from napari_asmil.bags.slide_files import SlideFiles, beside, paths_in
from napari_asmil.bags.splits import has_split_columns, read_splits, split_column, splits_in, splits_of
from napari_asmil.bags.tables import Table, read_table
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed

UNKNOWN = frozenset({"na", "n/a", "nan", "none", "null", "?"})
"""Labels (in lower case) that say that there is none."""


def read_cohort(
    features: str | Path,
    labels: str | Path | None = None,
    *,
    label: str = "label",
    splits: str | Path | Mapping[str, Split] | None = None,
    subset: bool = False,
    slide_table: str | Path | None = None,
    slides: str | Path | None = None,
    mpp: float | None = None,
    tile_size: float | None = None,
) -> Cohort:
    """Read bags and what is known of their slides.

    Parameters
    ----------
    features : path-like
        A folder of feature files named after their slides, or another collection of bags (docs/formats.md). One
        that brings labels or splits of its own is used as it is where no table is given that says otherwise.
    labels : path-like, optional
        csv with a row a slide: a column of slide ids and `label`; columns of splits, patients, slide files and
        ``contours_path`` (relative to the table) are used where they are.
    label : str
        Name of the label column; its values may be words or numbers. Classes are in sorted order.
    splits : path-like or mapping, optional
        A table of splits in any layout of `napari_asmil.bags.splits`, or slide id to split; instead of the labels'.
    subset : bool
        Take the slides that have features and a row in each table, and leave the others out, instead of refusing them.
    slide_table : path-like, optional
        csv that says which slides are whose, where `labels` has a row a patient.
    slides : path-like, optional
        Folder of slide files, found by the slides' names.
    mpp, tile_size : float, optional
        Micrometres per level-0 px and edge of a tile in level-0 px of every slide, as for `read_bag`.

    Returns
    -------
    Cohort
        Not yet checked for training; `Cohort.check` does that.

    Raises
    ------
    InputError
        When a file cannot be read, a column is missing, or slides have no bag or bags no row.
    """
    from napari_asmil.bags import read_collection

    table = None if labels is None else read_labels(labels, slide_table)
    column = None if table is None else slide_column(table)
    paths, notes = ({}, []) if table is None else paths_in(table, column)
    given_of = SlideFiles(slides, paths, mpp=mpp, tile_size=tile_size)
    cohort = read_collection(features, given_of)
    notes = [*cohort.notes, *(table.notes if table else ()), *notes, *given_of.notes()]
    if table is not None:
        cohort = _labelled(cohort, table, label, subset)
    if isinstance(splits, Mapping):
        cohort = cohort.with_splits(splits)
    elif splits is not None:
        cohort = _split(cohort, Path(splits), subset)
    return replace(cohort, notes=tuple(notes) + tuple(note for note in cohort.notes if note not in notes))


def read_labels(path: str | Path, slide_table: str | Path | None = None) -> Table:
    """Read a label table; with a slide table, a row a slide from the row of its patient.

    Raises
    ------
    InputError
        When one cannot be read, or they do not fit.
    """
    table = recognised(read_table(path))
    return table if slide_table is None else joined(table, read_table(slide_table))


def _labelled(cohort: Cohort, table: Table, label: str, subset: bool) -> Cohort:
    """The cohort with the classes, splits and patients of a table, in place of its own."""
    bags = {bag.slide_id: bag for bag in cohort.bags}
    slide = slide_column_or_refuse(table, bags) if _label_column(table, label) else ""
    rows, notes = _by_slide(table, slide, bags, subset)
    given, classes = _classes(rows, _label_column(table, label), table.path)
    splits = splits_in(table, rows)
    column = split_column(table)
    if splits and column != "split":
        notes.append(f"splits: column {column} of the label table")
    if not splits and cohort.splits:
        splits = {slide: cohort.splits[slide] for slide in rows if slide in cohort.splits}
        notes.append("splits: those of the bags; the label table has none")
    patient = patient_column(table, slide)
    patients = {slide: row[patient] for slide, row in rows.items()} if patient else {}
    if patients and not all(patients.values()):
        empty = [slide for slide, value in patients.items() if not value]
        notes.append(f"column {patient} is empty for slide {listed(empty)}: each counts as a patient of its own")
    return Cohort(
        bags=tuple(_placed(bags[slide], row, table) for slide, row in rows.items()),
        labels=given,
        class_names=classes,
        splits=splits,
        patients={slide: value or slide for slide, value in patients.items()} if any(patients.values()) else None,
        source=table.path,
        notes=tuple(notes),
    )


def _split(cohort: Cohort, path: Path, subset: bool) -> Cohort:
    """The cohort with the splits of a table."""
    given = read_splits(path)
    bags = {bag.slide_id: bag for bag in cohort.bags}
    named = {name: found(name, bags) for name in given.of}
    unknown = [name for name, slide in named.items() if slide is None]
    splits: dict[str, Split] = {}
    for name, slide in named.items():
        if slide is not None and splits.setdefault(slide, given.of[name]) != given.of[name]:
            raise InputError(f"Slide {slide} is in {splits[slide]} and in {given.of[name]}.", path=path)
    notes = _left_out(unknown, [slide for slide in bags if slide not in splits], path, subset, "split")
    _refuse_none(splits, named, bags, path)
    cohort = replace(cohort, bags=tuple(bag for bag in cohort.bags if bag.slide_id in splits))
    return replace(cohort.with_splits(splits), notes=(*cohort.notes, *notes, f"splits: {given.kind}, of {path.name}"))


def _by_slide(
    table: Table, column: str, bags: Mapping[str, Bag], subset: bool
) -> tuple[dict[str, Mapping[str, str]], list[str]]:
    """Rows by slide id, in the order of the bags, and what was left out: nothing unless `subset`."""
    rows: dict[str, Mapping[str, str]] = {}
    for row in table.rows:
        slide = found(row[column], bags) or row[column]
        if rows.setdefault(slide, row) != row:
            raise InputError(f"Slide {slide} has two rows that differ.", remedy="Keep one.", path=table.path)
    bagless, rowless = [slide for slide in rows if slide not in bags], [slide for slide in bags if slide not in rows]
    notes = _left_out(bagless, rowless, table.path, subset, "row")
    both = {slide: rows[slide] for slide in bags if slide in rows}
    _refuse_none(both, rows, bags, table.path)
    return both, notes


def _left_out(bagless: list[str], rowless: list[str], path: Path, subset: bool, what: str) -> list[str]:
    """Notes on slides of a table without features, and on bags without a row of it; refused unless `subset`."""
    if not subset:
        both = "train on the slides that have both (--subset)."
        refuse(bagless, "no bag for slide", f"Extract its features, remove its row, or {both}", path)
        refuse(rowless, f"no {what} for slide", f"Add it, or {both}", path)
    notes = []
    if bagless:
        notes.append(
            f"left out, as they have no features: {counted(len(bagless), 'slide')} of {path.name} ({listed(bagless)})"
        )
    if rowless:
        notes.append(
            f"left out, as they have no {what} in {path.name}: {counted(len(rowless), 'bag')} ({listed(rowless)})"
        )
    return notes


def _refuse_none(both: Iterable[str], named: Iterable[str], bags: Iterable[str], path: Path) -> None:
    """Refuse a table none of whose slides has features."""
    if not list(both):
        raise InputError(
            f"None of its slides ({listed(named)}) is the name of a bag ({listed(bags)}).",
            remedy="Features and rows must be named alike.",
            path=path,
        )


def _label_column(table: Table, label: str) -> str:
    column = table.column(label)
    if column is not None:
        return column
    if has_split_columns(table):
        raise InputError(
            f"It has no labels: it is a table of splits ({splits_of(table).kind}).",
            remedy="Give it as --splits, beside a table of labels.",
            path=table.path,
        )
    raise InputError(
        f"The table has no column {label!r}; its columns are {', '.join(table.named or table.columns)}.",
        remedy="Say which one holds the labels (--label).",
        path=table.path,
    )


def patient_column(table: Table, slide: str | None) -> str | None:
    """The first column of patients that is not that of the slides."""
    columns = (table.column(name) for name in PATIENT_COLUMNS)
    return next((column for column in columns if column is not None and column != slide), None)


def _classes(rows: Mapping[str, Mapping[str, str]], label: str, path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    refuse([s for s, row in rows.items() if not row[label]], f"no value in column {label!r} for slide", "Add it.", path)
    refuse(
        [f"{s} ({row[label]})" for s, row in rows.items() if row[label].lower() in UNKNOWN],
        f"a value that means unknown in column {label!r} for slide",
        "Give its class, or take its row out (and train with --subset).",
        path,
    )
    classes = class_names(row[label] for row in rows.values())
    return {slide: classes.index(row[label]) for slide, row in rows.items()}, classes


def _placed(bag: Bag, row: Mapping[str, str], table: Table) -> Bag:
    """The bag with the contours its row names, and what is said of files that are not there."""
    notes = list(bag.derivation)
    for name in ("slide_path", "contours_path"):
        path = beside(table.path, row.get(name, ""))
        if row.get(name) and path is None:
            notes.append(f"{name} {row[name]}, named in the label table, is not there")
        elif path is not None and name == "contours_path":
            bag = replace(bag, contours_path=path)
    return replace(bag, derivation=notes)
