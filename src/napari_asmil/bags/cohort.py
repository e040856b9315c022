"""A cohort: bags with labels and splits, checked before hours are spent on them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

from napari_asmil.bags.bag import Bag
from napari_asmil.errors import InputError

Split = Literal["train", "val", "test"]

ID_COLUMNS = ("slide_id", "slide", "image")
PATIENT_COLUMNS = ("patient", "patient_id", "case_id")


@dataclass(frozen=True, eq=False)
class Cohort:
    """Bags with what is known of their slides.

    Attributes
    ----------
    bags : tuple of Bag
        In the order of their slide ids when read from files.
    labels : mapping of slide id to int
        Class index of each slide; empty when there are no labels.
    class_names : tuple of str
        Name of each class.
    splits : mapping of slide id to "train", "val" or "test"
        Empty when there are none; then every bag is for training.
    patients : mapping of slide id to str, or None
        Whose slide it is.
    """

    bags: tuple[Bag, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    patients: Mapping[str, str] | None = None

    def select(self, split: Split) -> tuple[Bag, ...]:
        """The bags of a split, in order; without splits every bag is for training."""
        if not self.splits:
            return self.bags if split == "train" else ()
        return tuple(bag for bag in self.bags if self.splits[bag.slide_id] == split)

    def with_splits(self, splits: Mapping[str, Split]) -> Cohort:
        """The same cohort with other splits."""
        return replace(self, splits=dict(splits))

    def check(self) -> None:
        """Refuse what cannot be trained on, without reading features (`Bag.features` refuses NaN when read).

        Raises
        ------
        InputError
            No bags; a slide twice; bags without label or split; one class only (overall, or in training); a
            patient in two splits; different encoders or feature dimensions.
        """
        self._check_table()
        self._check_alike()

    def _check_table(self) -> None:
        ids = [bag.slide_id for bag in self.bags]
        if not ids:
            raise InputError("The cohort has no bags.", remedy="Give a folder of feature files.")
        _refuse([name for name, times in Counter(ids).items() if times > 1], "more than one bag of slide", "Keep one.")
        _refuse([i for i in ids if i not in self.labels], "no label for slide", "Add them to the label table.")
        if self.splits:
            _refuse([i for i in ids if i not in self.splits], "no split for slide", "Say train, val or test for each.")
        training = {self.labels[bag.slide_id] for bag in self.select("train")}
        if len(training) < 2:
            only = ", ".join(self.class_names[index] for index in training) or "none"
            raise InputError(
                f"The slides for training hold one class only ({only}), so there is nothing to tell apart.",
                remedy="Add slides of another class, or check the label column and the splits.",
            )
        if self.patients and self.splits:
            places: dict[str, set[str]] = {}
            for slide in ids:
                places.setdefault(self.patients.get(slide, slide), set()).add(self.splits[slide])
            _refuse(
                [patient for patient, found in places.items() if len(found) > 1],
                "slides in more than one split of patient",
                "Keep all slides of a patient in one split: otherwise the test is not one.",
            )

    def _check_alike(self) -> None:
        for what, values in (
            ("features per tile", {bag.slide_id: bag.n_features for bag in self.bags}),
            ("encoder", {bag.slide_id: bag.encoder for bag in self.bags if bag.encoder}),
        ):
            usual = Counter(values.values()).most_common(1)
            _refuse(
                [f"{slide} ({value})" for slide, value in values.items() if value != usual[0][0]],
                f"another {what} than the others ({usual[0][0] if usual else ''}) in slide",
                "One model needs features of one encoder; extract them again.",
            )

    def describe(self) -> list[str]:
        """Lines for `info`: how many bags of which class and split, and what is doubtful."""
        tiles = sorted(bag.n_tiles for bag in self.bags)
        lines = [f"{len(self.bags)} bags of {tiles[0]} to {tiles[-1]} tiles x {self.bags[0].n_features} features"]
        for split in get_args(Split):
            counted = Counter(self.labels[bag.slide_id] for bag in self.select(split) if bag.slide_id in self.labels)
            classes = ", ".join(f"{self.class_names[index]} ({counted[index]})" for index in sorted(counted))
            if classes:
                lines.append(f"{split}: {classes}")
        return [*lines, *self.warnings()]

    def warnings(self) -> list[str]:
        """What does not forbid training but belongs beside its result."""
        sizes = [bag.tile_mpp for bag in self.bags if bag.tile_mpp is not None]
        if sizes and max(sizes) > 1.05 * min(sizes):
            return [f"tiles differ in scale between slides: {min(sizes):.3g} to {max(sizes):.3g} µm per px"]
        return []


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Rows of a csv file with a header; columns are picked by name, the delimiter is found.

    Raises
    ------
    InputError
        When there is no such file or no row in it.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The table cannot be read ({error}).", remedy="Give a csv file.", path=path) from error
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

    Returns
    -------
    Cohort
        Not yet checked for training; `Cohort.check` does that.

    Raises
    ------
    InputError
        When a file cannot be read, a column is missing, or slides have no bag or bags no row.
    """
    from napari_asmil.bags import read_bag

    folder = Path(features)
    files = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    if not files:
        raise InputError(
            "There is no feature file (*.h5) in it." if folder.is_dir() else "There is no such folder of features.",
            remedy="Extract features first, or give the folder that holds them.",
            path=folder,
        )
    bags = {bag.slide_id: bag for bag in map(read_bag, files)}
    rows = {} if labels is None else _by_slide(read_table(labels), bags, Path(labels))
    if labels is not None:
        bags = {slide: _placed(bags[slide], rows[slide], Path(labels).parent) for slide in bags}
    given, class_names = _classes(rows, label, labels)
    if splits is None or isinstance(splits, Mapping):
        split_of = {slide: row.get("split", "") for slide, row in rows.items()} if splits is None else dict(splits)
    else:
        split_of = {s: row.get("split", "") for s, row in _by_slide(read_table(splits), bags, Path(splits)).items()}
    patients = {s: next((row[c] for c in PATIENT_COLUMNS if row.get(c)), "") for s, row in rows.items()}
    return Cohort(
        bags=tuple(bags.values()),
        labels=given,
        class_names=class_names,
        splits=_splits(split_of),
        patients=patients if patients and all(patients.values()) else None,
    )


def _by_slide(rows: list[dict[str, str]], bags: Mapping[str, Bag], path: Path) -> dict[str, dict[str, str]]:
    """Rows by slide id, in the order of the bags; every bag has a row and every row a bag."""
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
    _refuse([s for s in found if s not in bags], "no bag for slide", "Extract its features or remove its row.", path)
    _refuse([s for s in bags if s not in found], "no row for slide", "Add it, or move its feature file away.", path)
    return {slide: found[slide] for slide in bags}


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
    _refuse(
        [s for s, row in rows.items() if not row[label]], f"no value in column {label!r} for slide", "Add it.", path
    )
    values = {row[label] for row in rows.values()}
    numbers = all(value.lstrip("-").isdecimal() for value in values)
    class_names = tuple(sorted(values, key=int) if numbers else sorted(values))
    return {slide: class_names.index(row[label]) for slide, row in rows.items()}, class_names


def _splits(given: Mapping[str, str]) -> dict[str, Split]:
    if not any(given.values()):
        return {}
    _refuse(
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


def _refuse(names: Iterable[str], what: str, remedy: str, path: str | Path | None = None) -> None:
    listed = list(names)
    if listed:
        more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
        raise InputError(f"There is {what} {', '.join(listed[:5])}{more}.", remedy=remedy, path=path)
