"""What a file is, and what was derived from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from napari_asmil import bags, slides
from napari_asmil.annotations import read_annotations
from napari_asmil.annotations import sniff as is_annotation
from napari_asmil.bags.label_table import ID_COLUMNS, read_table
from napari_asmil.errors import InputError
from napari_asmil.runs import open_run
from napari_asmil.words import counted, listed

MOST_CLASSES = 12
"""A column with more distinct values than this is not listed by value."""


def describe(path: str | Path) -> list[str]:
    """Say what a file or folder is: run, bag, folder of runs, bags or slides, annotation, slide or table.

    Parameters
    ----------
    path : path-like
        Anything; told by content.

    Returns
    -------
    list of str
        Lines for a person, among them how sizes and scales were derived.

    Raises
    ------
    InputError
        Why it is refused.
    """
    path = Path(path)
    if path.is_dir():
        return _describe_folder(path)
    if not path.is_file():
        raise InputError("There is no such file or folder.", remedy="Check the path.", path=path)
    if bags.sniff(path) or path.suffix in (".h5", ".hdf5"):
        return _describe_bag(path)
    if is_annotation(path) or path.suffix in (".xml", ".json", ".geojson"):
        return ["annotation file", *read_annotations(path).describe()]
    if slides.sniff(path):
        with slides.open_slide(path) as slide:
            return slide.describe()
    if path.suffix in (".csv", ".tsv", ".txt"):
        return _describe_table(path)
    raise InputError(
        "This is no slide, picture, feature file, annotation file, table (csv) or run that can be read.",
        remedy="Slides must be TIFF, PNG, JPEG, WebP or a format of OpenSlide; features HDF5 as TRIDENT writes it.",
        path=path,
    )


def _describe_bag(path: Path) -> list[str]:
    bag = bags.read_bag(path)
    try:
        bag.features()
    except InputError as error:
        return [*bag.describe(), f"cannot be trained on: {error.sentence}"]
    return bag.describe()


def _describe_folder(path: Path) -> list[str]:
    if (path / "zarr.json").is_file():
        return open_run(path).describe()
    runs = [file.parent for file in sorted(path.glob("*/zarr.json")) or sorted(path.glob("*/*/zarr.json"))]
    if runs:
        told = [f"{run.relative_to(path).as_posix()}: {_run_line(run)}" for run in runs]
        return [f"folder of {counted(len(runs), 'run')}", *told]
    if any(path.glob("*.h5")):
        cohort = bags.read_cohort(path)
        encoders = sorted({bag.encoder or "unknown" for bag in cohort.bags})
        return [f"folder of {cohort.describe()[0]}", f"encoder: {', '.join(encoders)}", *cohort.warnings()]
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    pictures = [file.name for file in files if slides.sniff(file)]
    if pictures:
        return [f"folder of {counted(len(pictures), 'slide')}: {listed(pictures)}"]
    raise InputError(
        "This folder is no run and holds no runs, feature files (*.h5) or slides.",
        remedy="Name the run or the file itself.",
        path=path,
    )


def _run_line(path: Path) -> str:
    try:
        run = open_run(path)
    except InputError as error:
        return error.sentence
    return f"{run.label}, {run.n_epochs} of {counted(run.planned_epochs + 1, 'epoch')} committed"


def _describe_table(path: Path) -> list[str]:
    rows = read_table(path)
    lines = [f"table of {counted(len(rows), 'row')}; columns: {', '.join(name or '(no name)' for name in rows[0])}"]
    named = next((column for column in ID_COLUMNS if column in rows[0]), None)
    lines.append(f"slides: {named}" if named else f"slides: no column {', '.join(ID_COLUMNS)}, so no label table")
    for column in rows[0]:
        values = Counter(row.get(column, "") for row in rows)
        if column != named and 1 < len(values) <= MOST_CLASSES:
            told = ", ".join(f"{value or '(empty)'} ({number})" for value, number in sorted(values.items()))
            lines.append(f"{column}: {told}")
    return lines
