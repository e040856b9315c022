"""Attention of someone's own model, from a file of scores to a run: ``map``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_asmil.cli.jobs import Out, say
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed

if TYPE_CHECKING:
    from napari_asmil.bags import Bag, Given


def import_maps(
    files: Annotated[list[Path], typer.Argument(help="Files of attention scores, one a slide, or folders of them.")],
    out: Out,
    slide: Annotated[
        Path | None, typer.Option(help="The slide's file; of several, the folder that holds them.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Features the model looked at, for scores without places; of several, a folder.")
    ] = None,
    values: Annotated[
        str | None, typer.Option(help="logits, probabilities, percentiles or scaled, where the numbers do not tell.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column or array of the scores, where there are several.")] = "",
    tile_size: Annotated[float | None, typer.Option(help="Tile edge in level-0 px, where no file says it.")] = None,
    slide_mpp: Annotated[float | None, typer.Option(help="µm per level-0 px, instead of what the slide says.")] = None,
    contours: Annotated[Path | None, typer.Option(help="Tumour contours of the slide, when one file is given.")] = None,
) -> None:
    """Write attention scores of your own model to a run of one epoch, which open and export show on the slide."""
    from napari_asmil.bags.slide_files import SlideFiles
    from napari_asmil.maps import read_map, write_maps
    from napari_asmil.maps.importing import contours_on
    from napari_asmil.maps.scoremap import slide_of

    paths = [file for given in files for file in (_maps_in(given) if given.is_dir() else [given])]
    _refuse_twice(paths)
    given_of = _slides(slide, len(paths), slide_mpp, tile_size)
    bag_of = _features(features, slide_mpp, tile_size)
    maps = []
    for path in paths:
        name = slide_of(path)
        maps.append(read_map(path, values=values, given=given_of(name), features=bag_of(name), column=column))
        say([f"{path.name}: {line}" for line in maps[-1].describe()])
    if isinstance(given_of, SlideFiles):
        say(given_of.notes())
    drawn = None if contours is None else contours_on(contours, maps)
    if drawn is not None:
        say([f"{drawn.path and drawn.path.name}: {line}" for line in drawn.describe()])
    run = write_maps(maps, out, contours=drawn)
    typer.echo(f"{out}: {run.label} on {counted(len(maps), 'slide')}; {run.map_words}.")


def _maps_in(folder: Path) -> list[Path]:
    from napari_asmil.maps import folders_with_any, in_folder

    found = in_folder(folder)
    if not found:
        deeper = folders_with_any(folder)
        there = f"Name one of the folders in it that hold some: {listed(deeper, 3)}."
        remedy = there if deeper else "Name the file itself."
        raise InputError("There is no file of attention scores in it.", remedy=remedy, path=folder)
    return found


def _refuse_twice(paths: list[Path]) -> None:
    """Refuse two files of one slide before any is read: they are different maps."""
    from napari_asmil.maps.scoremap import slide_of

    for path in paths:
        same = [other for other in paths if slide_of(other) == slide_of(path)]
        if len(same) > 1:
            raise InputError(
                f"There are {len(same)} files of attention of slide {slide_of(path)}, which are different maps:"
                f" {listed(other.name for other in same)}.",
                remedy="Name the one that is meant.",
                path=path.parent,
            )


def _slides(given: Path | None, files: int, mpp: float | None, tile_size: float | None) -> Callable[[str], Given]:
    from napari_asmil.bags import Given
    from napari_asmil.bags.slide_files import SlideFiles

    if given is not None and given.is_dir():
        return SlideFiles(given, mpp=mpp, tile_size=tile_size)
    if given is not None and files > 1:
        raise InputError(f"One slide goes with one file, not {files}.", remedy="Give the folder of the slides.")
    known = Given.of(given, mpp=mpp, tile_size=tile_size)
    return lambda slide_id: known


def _features(given: Path | None, mpp: float | None, tile_size: float | None) -> Callable[[str], Path | Bag | None]:
    from napari_asmil.bags import Given, read_bags

    if given is None or not given.is_dir():
        return lambda slide_id: given
    bags = {bag.slide_id: bag for bag in read_bags(given, lambda slide_id: Given(mpp=mpp, tile_size=tile_size))}

    def of(slide_id: str) -> Bag:
        if slide_id not in bags:
            raise InputError(f"It holds no features of slide {slide_id}.", path=given)
        return bags[slide_id]

    return of
