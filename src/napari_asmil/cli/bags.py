"""From slides to bags: ``extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_asmil.cli.jobs import finish, follow
from napari_asmil.errors import InputError


def extract(
    slides: Annotated[list[Path], typer.Argument(help="Slides or images, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bags, one feature file a slide.")],
    size: Annotated[int | None, typer.Option(help="Tile edge in level-0 px.")] = None,
    tile_px: Annotated[int | None, typer.Option(help="Tile edge in px at --mpp, instead of --size.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Micrometres per px of --tile-px.")] = None,
    stride: Annotated[int | None, typer.Option(help="Level-0 px from tile to tile; the edge when not given.")] = None,
    cover: Annotated[bool, typer.Option("--cover", help="Tile the whole image, without a tissue mask.")] = False,
    encoder: Annotated[str, typer.Option(help="What turns tiles into features.")] = "colour",
    contours: Annotated[Path | None, typer.Option(help="Tumour contours for tile truth: a file, or a folder.")] = None,
    points: Annotated[Path | None, typer.Option(help="Table of nuclei for tile truth (image, x, y, cls).")] = None,
) -> None:
    """Make bags of tile features from slides; a slide already there with the same settings is skipped."""
    from napari_asmil.encoders import extract_all

    files = [file for given in slides for file in (_slides_in(given) if given.is_dir() else [given])]
    done = follow(
        lambda stop: extract_all(
            files,
            out,
            size=size,
            tile_px=tile_px,
            mpp=mpp,
            stride=stride,
            cover=cover,
            encoder=encoder,
            contours=contours,
            points=points,
            stop=stop,
        ),
        "extract",
    )
    if done.why == "failed":
        raise InputError(done.message)
    finish(done)


def _slides_in(folder: Path) -> list[Path]:
    """Files that end as the readable slides in the folder do: a damaged one among them is not passed over."""
    from napari_asmil.slides import sniff

    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    endings = {path.suffix.lower() for path in files if sniff(path)}
    if not endings:
        raise InputError("There is no slide or image in this folder.", path=folder)
    return [path for path in files if path.suffix.lower() in endings]
