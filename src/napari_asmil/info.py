"""What a file is, and what was derived from it."""

from __future__ import annotations

import json
from pathlib import Path

from napari_asmil import bags, maps, slides
from napari_asmil.annotations import read_annotations
from napari_asmil.annotations import sniff as is_annotation
from napari_asmil.bags import Given
from napari_asmil.bags.bag import NOT_PLACED
from napari_asmil.bags.slide_files import asked_of_names
from napari_asmil.bags.splits import is_json as is_splits
from napari_asmil.bags.table_facts import describe_table
from napari_asmil.errors import InputError
from napari_asmil.runs import open_run
from napari_asmil.runs.schema import KEY as SCHEMA_KEY
from napari_asmil.words import counted, listed

KINDS = {"map": "attention", "annotation": "contours", "table": "table (csv)"} | {n: n for n in ("features", "slide")}
"""What files are called in a list of them."""
MOST_FILES = 40


def kind_of(path: str | Path) -> str:
    """What it is, told by content: "run", "features", "map" (scores), "annotation", "slide", "table", or ""."""
    path = Path(path)
    if is_run(path):
        return "run"
    if bags.sniff(path):
        return "features"
    if maps.sniff(path):
        return "map"
    if path.is_file() and is_splits(path):
        return "table"
    if path.is_file() and is_annotation(path):
        return "annotation"
    if slides.sniff(path):
        return "slide"
    return "table" if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt") else ""


def is_run(path: Path) -> bool:
    """Whether it is the folder of a run."""
    try:
        return SCHEMA_KEY in json.loads((path / "zarr.json").read_text(encoding="utf-8")).get("attributes", {})
    except OSError:
        return False
    except (ValueError, AttributeError, RecursionError):
        return path.suffix == ".asmil"


def describe(
    path: str | Path,
    *,
    slide: str | Path | None = None,
    mpp: float | None = None,
    tile_size: float | None = None,
) -> list[str]:
    """Say what a file or folder is: run, bag, attention, folder of runs, bags or slides, annotation, slide or table.

    Parameters
    ----------
    path : path-like
        Anything; told by content.
    slide, mpp, tile_size : optional
        What features or an annotation belong to, and what their file does not say: see `bags.read_bag`.

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
    if not path.exists():
        raise InputError("There is no such file or folder.", remedy="Check the path.", path=path)
    kind = kind_of(path)
    if bags.holds_many(path) and not _runs_in(path):
        try:
            return _describe_cohort(path, slide, mpp, tile_size)
        except InputError:
            if maps.in_any(path):
                return _describe_files(path)
            raise
    if kind == "map":
        return _describe_map(path, Given.of(slide, mpp=mpp, tile_size=tile_size))
    if kind == "features" or (path.is_file() and path.suffix in (".h5", ".hdf5")):
        return _describe_bag(path, slide, mpp, tile_size)
    if kind == "table":
        return describe_table(path)
    if kind == "annotation" or path.suffix in (".xml", ".json", ".geojson", ".ndpa"):
        frame = Given.of(slide, mpp=mpp).frame
        drawn = read_annotations(path, frame)
        if frame is not None:
            drawn.check_on(frame.size)
        return ["annotation file", *drawn.describe()]
    if kind == "slide":
        with slides.open_slide(path, mpp=mpp) as opened:
            return opened.describe()
    if path.is_dir():
        return _describe_folder(path)
    raise InputError(
        "This is no slide, picture, feature file, annotation file, table (csv) or run that can be read.",
        remedy="docs/formats.md lists what is.",
        path=path,
    )


def _describe_bag(path: Path, slide: str | Path | None, mpp: float | None, tile_size: float | None) -> list[str]:
    bag = bags.read_bag(path, slide=slide, mpp=mpp, tile_size=tile_size)
    asked = asked_of_names(None if slide is None else Path(slide), bag.slide_id, f"the features {path.name}")
    try:
        bag.features()
    except InputError as error:
        return [*bag.describe(), *asked, f"cannot be trained on: {error.sentence}"]
    return [*bag.describe(), *asked]


def _describe_map(path: Path, given: Given) -> list[str]:
    try:
        return maps.read_map(path, given=given).describe()
    except InputError as error:
        if not any(option in error.sentence for option in ("--values", "--column", "--features")):
            raise
        remedy = "Say it to `napari-asmil map`; `info` takes no such option."
        raise InputError(error.sentence, remedy=remedy, path=error.path) from error


def _describe_cohort(path: Path, slides_at: str | Path | None, mpp: float | None, tile_size: float | None) -> list[str]:
    cohort = bags.read_cohort(path, slides=slides_at, mpp=mpp, tile_size=tile_size)
    first, *others = cohort.describe()
    encoders = sorted({bag.encoder or "unknown" for bag in cohort.bags})
    unplaced = next((bag for bag in cohort.bags if bag.tiles is None), None)
    lines = [f"{'folder' if path.is_dir() else 'file'} of {first}", f"encoder: {listed(encoders)}", *others]
    if unplaced is not None:
        lines += [f"{unplaced.slide_id}: {line}" for line in unplaced.derivation if not line.startswith(NOT_PLACED)]
    return lines


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    folders = [file.parent for file in sorted(path.glob("*/zarr.json")) or sorted(path.glob("*/*/zarr.json"))]
    return [folder for folder in folders if is_run(folder)]


def _describe_folder(path: Path) -> list[str]:
    if is_run(path):
        return open_run(path).describe()
    runs = _runs_in(path)
    if runs:
        told = [f"{run.relative_to(path).as_posix()}: {_run_line(run)}" for run in runs]
        return [f"folder of {counted(len(runs), 'run')}", *told]
    if maps.in_any(path):
        return _describe_files(path)
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    pictures = [file.name for file in files if slides.sniff(file)]
    if pictures:
        return [f"folder of {counted(len(pictures), 'slide')}: {listed(pictures)}"]
    deeper = maps.folders_with_any(path)
    raise InputError(
        "This folder is no run and holds no runs, feature files or slides.",
        remedy=f"Folders in it hold attention: {listed(deeper, 3)}." if deeper else "Name the run or the file itself.",
        path=path,
    )


def _describe_files(path: Path) -> list[str]:
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    told = [f"{file.name}: {_kind_in_words(file)}" for file in files[:MOST_FILES]]
    more = [f"and {len(files) - MOST_FILES} more"] if len(files) > MOST_FILES else []
    return [f"folder of {counted(len(files), 'file')}, some of attention: `napari-asmil map` takes one", *told, *more]


def _kind_in_words(path: Path) -> str:
    try:
        return KINDS.get(kind_of(path), "not known")
    except InputError as error:
        return error.sentence


def _run_line(path: Path) -> str:
    try:
        run = open_run(path)
    except InputError as error:
        return error.sentence
    return f"{run.label}, {run.n_epochs} of {counted(run.planned_epochs + 1, 'epoch')} committed"
