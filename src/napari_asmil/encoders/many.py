"""Extraction of many slides."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag
from typing import TypedDict, Unpack

from napari_asmil.annotations import Role, read_annotations
from napari_asmil.bags import read_bag
from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.extract import NOTE, POSITIVE_SHARE, check_area, extract
from napari_asmil.encoders.kept import keep_precision
from napari_asmil.encoders.registry import get_encoder
from napari_asmil.encoders.tile_edge import TileSize
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.slides import open_slide, slide_name
from napari_asmil.words import counted, listed


class Options(TypedDict, total=False):
    """The choices of `extract` that are the same for many slides."""

    tile_px: int | None
    mpp: float | None
    size: int | None
    slide_mpp: float | None
    stride: int | None
    cover: bool
    min_tissue: float
    roles: Mapping[str, Role] | None
    cropped: bool
    within_cropped: bool
    points: str | Path | None


def bag_path(folder: str | Path, slide_path: str | Path) -> Path:
    """Where `extract_all` writes the bag of a slide."""
    return Path(folder) / f"{slide_name(slide_path)}.h5"


def extract_all(
    slide_paths: Sequence[str | Path],
    folder: str | Path,
    *,
    encoder: str | Encoder = "colour",
    device: str = "auto",
    contours: str | Path | None = None,
    within: str | Path | None = None,
    stop: Flag | None = None,
    **options: Unpack[Options],
) -> Iterator[Event]:
    """Write one bag a slide into `folder`; slides that are already there with the same settings are skipped.

    A slide that cannot be used does not keep the others from being extracted: it is named at the end.

    Parameters
    ----------
    slide_paths : sequence of path-like
        Slides or images, no two of the same name.
    folder : path-like
        Where the feature files go, see `bag_path`.
    contours, within : path-like, optional
        A folder of annotation files named as the slides are, or one file when there is one slide. A slide without
        contours has no tile truth; one without `within`, where that is given, is refused.
    encoder, device, stop, **options
        As in `extract`.

    Yields
    ------
    Event
        `Started` (in slides), the `BatchDone` of each slide (its number as ``epoch``), an `EpochDone` for each
        slide whose bag is complete (``path``), `Finished`: "failed" when slides were refused, with the reasons.

    Raises
    ------
    InputError
        When there is no slide, two have the same name, one annotation file is given for several or none is named
        as a slide is, the options suit no slide, or the one slide there is cannot be used.
    """
    paths = [Path(path) for path in slide_paths]
    _check_names(paths)
    check_area(cover=options.get("cover", False), within=within, min_tissue=options.get("min_tissue", 0.5))
    encode = get_encoder(encoder, device) if isinstance(encoder, str) else encoder
    TileSize(options.get("size"), options.get("tile_px"), options.get("mpp")).suited(encode)
    annotated = _annotated(contours, paths, "be the truth of")
    areas = _annotated(within, paths, "hold the tissue of")
    _check_roles(annotated, options.get("roles") or {})
    keep_precision(encode, Path(folder))
    yield Started(Path(folder), len(paths), unit="slides")
    refused: dict[str, list[Path]] = {}
    doubtful: dict[str, list[str]] = {}
    tiles = Counter[str]()
    for number, path in enumerate(paths, 1):
        if stop is not None and stop.is_set():
            yield Finished(Path(folder), "stopped", f"stopped before slide {number} of {len(paths)}")
            return
        began = time.monotonic()
        bag = bag_path(folder, path)
        truth, area = annotated[path], areas[path]
        try:
            if within is not None and area is None:
                raise InputError("No contours to lay tiles in are named as it is.", path=path)
            for event in extract(path, bag, encoder=encode, contours=truth, within=area, stop=stop, **options):
                if isinstance(event, BatchDone):
                    yield BatchDone(number, event.step, event.steps, event.phase)
                elif isinstance(event, Finished) and event.why == "stopped":
                    yield Finished(Path(folder), "stopped", f"stopped at slide {number} of {len(paths)}")
                    return
                elif isinstance(event, Finished):
                    for doubt in event.message.split(f" {NOTE}")[1:]:
                        doubtful.setdefault(doubt, []).append(path.name)
        except InputError as reason:
            if len(paths) == 1:
                raise
            refused.setdefault(reason.sentence, []).append(reason.path or path)
        else:
            if truth is not None:
                _count(bag, tiles)
            yield EpochDone(bag, number, len(paths), time.monotonic() - began)
    if refused:
        number = sum(map(len, refused.values()))
        told = [f"{listed(map(str, those))}: {sentence}" for sentence, those in refused.items()]
        yield Finished(Path(folder), "failed", "\n".join([f"{number} of {len(paths)} slides refused.", *told]))
    else:
        with_truth = ""
        if contours is not None:
            by = f", {sum(map(bool, annotated.values()))} of them with contours"
            with_truth = f"{by}: {tiles['tumour']} of {tiles['all']} tiles tumour by {Path(contours).name}"
        notes = [f"{NOTE}{listed(names)}: {doubt}" for doubt, names in doubtful.items()]
        yield Finished(Path(folder), "done", "\n".join([counted(len(paths), "bag") + with_truth, *notes]))


def _check_names(paths: Sequence[Path]) -> None:
    if not paths:
        raise InputError("There is no slide to extract.")
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(slide_name(path), path)
        if other is not path:
            raise InputError(f"It has the same name as {other}, so their bags would have one name.", path=path)


def _check_roles(annotated: Mapping[Path, Path | None], roles: Mapping[str, Role]) -> None:
    """Refuse roles of groups that no slide has."""
    missing, looked = set(roles), False
    for slide_path, path in annotated.items():
        if not missing:
            return
        if path is None:
            continue
        with suppress(InputError), open_slide(slide_path) as slide:  # what is wrong is told as its slide is due
            missing -= read_annotations(path, slide.frame).groups.keys()
            looked = True
    if missing and looked:
        raise InputError(
            f"No slide has a group of contours called {listed(sorted(missing))}.",
            remedy="Give roles (--role) to groups as they are written there.",
        )


def _count(bag: Path, tiles: Counter[str]) -> None:
    labels = read_bag(bag).tile_labels
    if labels is not None:
        tiles.update({"all": len(labels), "tumour": int((labels >= POSITIVE_SHARE).sum())})


def _annotated(given: str | Path | None, paths: Sequence[Path], cannot: str) -> dict[Path, Path | None]:
    """The annotation file of each slide, None for those that have none."""
    if given is None or not Path(given).is_dir():
        if given is not None and len(paths) > 1:
            raise InputError(
                f"One annotation file cannot {cannot} {len(paths)} slides.",
                remedy="Give a folder of files named as the slides are.",
                path=given,
            )
        return dict.fromkeys(paths, None if given is None else Path(given))
    files = [file for file in sorted(Path(given).iterdir()) if file.is_file() and not file.name.startswith(".")]
    found = {
        path: next((file for file in files if file.name.startswith(f"{slide_name(path)}.")), None) for path in paths
    }
    if not any(found.values()):
        raise InputError(
            f"No annotation file in it is named as a slide is ({listed(map(slide_name, paths))}).",
            remedy="Name each after its slide.",
            path=given,
        )
    return found
