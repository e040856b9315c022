"""Looking at files and runs: ``info`` in words, ``open`` in napari."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_asmil.errors import InputError


def info(
    path: Annotated[Path, typer.Argument(help="A slide, feature, annotation or label file, a run, or a folder.")],
    slide: Annotated[
        Path | None,
        typer.Option(help="The slide of features, attention or contours; of a folder of features, one or a folder."),
    ] = None,
    tile_size: Annotated[float | None, typer.Option(help="Tile edge in level-0 px, where features do not say.")] = None,
    slide_mpp: Annotated[float | None, typer.Option(help="Micrometres per level-0 px, where the slide errs.")] = None,
) -> None:
    """Say what a file is and what was derived from it."""
    from napari_asmil.info import describe

    for line in describe(path, slide=slide, mpp=slide_mpp, tile_size=tile_size):
        typer.echo(line)


def open_in_napari(
    paths: Annotated[list[Path], typer.Argument(help="Runs, or folders that hold them.")],
) -> None:
    """Show runs, with their slides and contours, in napari."""
    if not has_screen():
        raise InputError(
            "There is no screen to open a window on.",
            remedy="Copy the folder to a machine with one, or write pictures with `napari-asmil export`.",
        )
    from napari_asmil.viewer.window import show

    show(paths)


def has_screen() -> bool:
    """Whether there is one to open a window on."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
