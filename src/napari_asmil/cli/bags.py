"""From slides to bags: ``extract``, ``tissue`` and ``encoders``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_asmil.cli.jobs import Device, finish, follow, say
from napari_asmil.errors import InputError
from napari_asmil.words import counted


def extract(
    slides: Annotated[list[Path], typer.Argument(help="Slides or images, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bags, one feature file a slide.")],
    size: Annotated[int | None, typer.Option(help="Tile edge in level-0 px.")] = None,
    tile_px: Annotated[
        int | None, typer.Option(help="Tile edge in px at --mpp, instead of --size; the encoder's when not given.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per px of --tile-px; the encoder's when not given.")
    ] = None,
    slide_mpp: Annotated[
        float | None, typer.Option(help="Micrometres per level-0 px, where the slide does not say or errs.")
    ] = None,
    stride: Annotated[int | None, typer.Option(help="Level-0 px from tile to tile; the edge when not given.")] = None,
    cover: Annotated[bool, typer.Option("--cover", help="Tile the whole image, without a tissue mask.")] = False,
    min_tissue: Annotated[float, typer.Option(help="Least share of tissue in a tile, 0 to 1; 0 takes any.")] = 0.5,
    within: Annotated[
        Path | None,
        typer.Option(help="Contours to lay tiles in, instead of tissue that is found: a file, or a folder."),
    ] = None,
    encoder: Annotated[str, typer.Option(help="What turns tiles into features: see napari-asmil encoders.")] = "colour",
    device: Device = "auto",
    contours: Annotated[Path | None, typer.Option(help="Tumour contours for tile truth: a file, or a folder.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="What a group of contours counts as: GROUP=tumour, exclude or ignore.")
    ] = None,
    cropped: Annotated[
        bool,
        typer.Option("--cropped", help="--contours count from the scanned area, as QuPath does without --no-crop."),
    ] = False,
    within_cropped: Annotated[
        bool, typer.Option("--within-cropped", help="--within counts from the scanned area, as --cropped says.")
    ] = False,
    points: Annotated[Path | None, typer.Option(help="Table of nuclei for tile truth (image, x, y, cls).")] = None,
) -> None:
    """Make bags of tile features from slides; a slide already there with the same settings is skipped."""
    from napari_asmil.annotations import parse_roles
    from napari_asmil.encoders import extract_all, licence_notice
    from napari_asmil.encoders.registry import downloads

    files = [file for given in slides for file in _slides_of(given)]
    roles = parse_roles(role or [])
    if downloads(encoder):
        say([f"{encoder}: {licence_notice(encoder)}"])
    done = follow(
        lambda stop: extract_all(
            files,
            out,
            size=size,
            tile_px=tile_px,
            mpp=mpp,
            slide_mpp=slide_mpp,
            stride=stride,
            cover=cover,
            min_tissue=min_tissue,
            within=within,
            encoder=encoder,
            device=device,
            contours=contours,
            roles=roles,
            cropped=cropped,
            within_cropped=within_cropped,
            points=points,
            stop=stop,
        ),
        "extract",
    )
    if done.why == "failed":
        raise InputError(done.message)
    finish(done)


def tissue(
    slide: Annotated[Path, typer.Argument(help="A slide or image.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoJSON to write, as QuPath opens it.")],
    mask_mpp: Annotated[float, typer.Option(help="Micrometres per px of the mask, about.")] = 4.0,
    smoothing: Annotated[int, typer.Option(help="Px of the mask over which saturation is averaged.")] = 5,
    threshold: Annotated[
        float | None, typer.Option(help="Saturation above which is tissue, 0 to 1; Otsu's when not given.")
    ] = None,
    smallest: Annotated[float, typer.Option(help="Drop pieces below so many mm² (level-0 px without mpp).")] = 0.0,
    cropped: Annotated[
        bool, typer.Option("--cropped", help="Count from the scanned area, as QuPath does without --no-crop.")
    ] = False,
    holes: Annotated[float, typer.Option(help="Fill holes up to so many mm² (level-0 px without mpp).")] = 0.0,
) -> None:
    """Write the outlines of a slide's tissue, to be edited in QuPath and given back by extract --within."""
    from napari_asmil.annotations import write_geojson
    from napari_asmil.encoders.areas import tissue_contours
    from napari_asmil.slides import open_slide
    from napari_asmil.slides.tissue import TissueRule

    rule = TissueRule(mask_mpp, smoothing, threshold, smallest, holes)
    with open_slide(slide) as opened:
        found, words, bounds = tissue_contours(opened, rule), rule.words(opened), opened.bounds
    if cropped and not any(bounds):
        raise InputError("The scanned area begins at the slide's corner.", remedy="Leave --cropped out.", path=slide)
    write_geojson(out, replace(found, origin=bounds) if cropped else found)
    if any(bounds) and not cropped:
        words += "; counted from the slide's corner: open the slide in QuPath with --no-crop, or write with --cropped"
    typer.echo(f"{out}: {counted(len(found.polygons), 'piece')}; {words}.")


def encoders() -> None:
    """List what turns tiles into features, and the licences."""
    from napari_asmil.encoders.licences import KNOWN, notice
    from napari_asmil.encoders.plugins import plugin_names
    from napari_asmil.encoders.registry import FAMILIES

    typer.echo("Encoders (extract --encoder ...)\n")
    for name, family in FAMILIES.items():
        typer.echo(f"{name + (f':{family.takes}' if family.takes else '')}")
        typer.echo(f"    {family.words}\n    licence: {family.licence}")
    for name, point in sorted(plugin_names().items()):
        if name not in FAMILIES:
            typer.echo(
                f"{name}\n    of {point.dist.name if point.dist else point.value}; may take a text after a colon"
            )
    typer.echo("\nKnown models of timm (as timm:hf-hub:OWNER/NAME) and transformers (as transformers:OWNER/NAME)\n")
    for page in KNOWN:
        typer.echo(f"{page}\n    {notice(page)}")


def _slides_of(given: Path) -> list[Path]:
    """A slide, which may be a folder (OME-Zarr), or those of a folder.

    Of a folder these are all that end as the readable ones do: a damaged one among them is not passed over.
    """
    from napari_asmil.slides import sniff

    if not given.is_dir() or sniff(given):
        return [given]
    found = [path for path in sorted(given.iterdir()) if not path.name.startswith(".")]
    endings = {(path.suffix.lower(), path.is_dir()) for path in found if sniff(path)}
    if not endings:
        raise InputError("There is no slide or image in this folder.", path=given)
    return [path for path in found if (path.suffix.lower(), path.is_dir()) in endings]
