"""What a run saw, as files: ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_asmil.errors import InputError

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs import Run, RunSlide, Source
    from napari_asmil.slides import Slide


def export(
    run: Annotated[Path, typer.Argument(help="A run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG of the overlay, GIF of the epochs or QuPath .geojson.")],
    slide: Annotated[str | None, typer.Option(help="Slide id; when not given, one with picture and scores.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Epoch; the last when not given.")] = None,
    normalizer: Annotated[str, typer.Option(help="stored, softmax, nsf or entmax.")] = "stored",
    temperature: Annotated[float | None, typer.Option(help="T of softmax and NSF; 1 when not given.")] = None,
    offset: Annotated[float | None, typer.Option(help="Offset of NSF; 0 when not given.")] = None,
    row: Annotated[str, typer.Option(help="mean, or the name of a row.")] = "mean",
    branch: Annotated[str, typer.Option(help="online or anchor, as stored.")] = "online",
    transform: Annotated[
        str | None, typer.Option(help="m_alpha (when not given), log10, percentile, minmax or probability.")
    ] = None,
    limits: Annotated[str | None, typer.Option(help="locked over all epochs (when not given), or epoch.")] = None,
    max_px: Annotated[
        int | None, typer.Option(help="Longer side of the tissue in the picture; for PNG 2000, for GIF 360.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="GROUP=tumour, exclude or ignore, of the annotation; repeatable.")
    ] = None,
    cropped: Annotated[
        bool, typer.Option("--cropped", help="The annotation counts from the scanned area, as QuPath does.")
    ] = False,
) -> None:
    """Write what a run saw on a slide as an annotated picture, a film or QuPath tiles."""
    from napari_asmil.render import export_overlay, export_tiles, film
    from napari_asmil.render.facts import epoch_name
    from napari_asmil.runs import MapView, open_run
    from napari_asmil.slides import open_slide

    kind = out.suffix.lower()
    annotating = {"--role": role or None, "--cropped": cropped or None}
    _refuse_idle(
        kind, {"--epoch": epoch, "--transform": transform, "--limits": limits, "--max-px": max_px, **annotating}
    )
    source = _source(normalizer, temperature, offset, row, branch)
    opened = open_run(run)
    if opened.n_epochs == 0:
        raise InputError("This run has no committed epoch yet.", path=run)
    view = MapView(opened, slide or _first(opened), source, **_given(transform=transform))
    if transform not in (None, view.transform_name):
        raise InputError(opened.no_attention, remedy="They can be shown as stored alone: leave out --transform.")
    at = opened.n_epochs - 1 if epoch is None else epoch
    if not 0 <= at < opened.n_epochs:
        raise InputError(f"There is no epoch {at}; epochs 0 to {opened.n_epochs - 1} are committed.", path=run)
    drawn = view.slide.slide_path
    tissue = open_slide(drawn) if drawn is not None and drawn.is_file() else None
    contours = _contours(view.slide, tissue, role or [], cropped=cropped)
    shown = epoch_name(view, at)
    if kind == ".geojson":
        export_tiles(out, view, at, bounds=(0, 0) if tissue is None else tissue.bounds)
    elif kind == ".gif":
        film(out, [view], slide=tissue, contours=contours, **_given(panel_px=max_px))
        shown = f"epochs 0 to {at}" if at else shown
    else:
        each = "epoch" if limits == "epoch" else None
        export_overlay(out, view, at, slide=tissue, contours=contours, limits=each, **_given(max_px=max_px))
    without = "" if tissue is not None else " (without the slide: its file is not known or not there)"
    typer.echo(f"{out}: {view.label}, {shown}{without}")


def _contours(shown: RunSlide, tissue: Slide | None, roles: list[str], *, cropped: bool) -> Contours | None:
    """The annotation of a recorded slide, with the roles that are given."""
    from napari_asmil.annotations import parse_roles, read_annotations

    path, chosen = shown.contours_path, parse_roles(roles)
    if path is None or not path.is_file():
        if chosen or cropped:
            raise InputError(f"--{'role' if chosen else 'cropped'} does nothing: no annotation of this slide is known.")
        return None
    frame = shown.frame if tissue is None else tissue.frame
    return read_annotations(path, frame, cropped=cropped).with_roles(chosen)


_IDLE: dict[str, dict[str, str]] = {
    ".png": {},
    ".gif": {"--epoch": "a film shows all epochs"},
    ".geojson": {
        "--transform": "tiles carry probability, M·α and percentile",
        "--limits": "QuPath chooses the colours",
        "--max-px": "tiles are no picture",
        "--role": "tiles carry no contours",
        "--cropped": "tiles carry no contours",
    },
}
"""Why an option does nothing, by the ending of the file."""


def _refuse_idle(kind: str, given: dict[str, object]) -> None:
    """Refuse options that are out of range or would do nothing."""
    if kind not in _IDLE:
        raise InputError(f"Unknown ending {kind!r} of the output.", remedy=f"Known: {', '.join(_IDLE)}.")
    for option, why in _IDLE[kind].items():
        if given[option] is not None:
            raise InputError(f"{option} does nothing for a {kind} file: {why}.", remedy="Leave it out.")
    if given["--limits"] not in (None, "locked", "epoch"):
        raise InputError(f"Unknown limits {given['--limits']!r}.", remedy="Known: locked, epoch.")
    if kind == ".gif" and given["--limits"] == "epoch":
        raise InputError("A film has one colour scale: its limits are locked over all epochs.", remedy="Leave it out.")


def _first(run: Run) -> str:
    """The first slide of which most can be shown: its picture is there, its raw scores were recorded."""
    drawn = {slide.slide_id: slide.slide_path is not None and slide.slide_path.is_file() for slide in run.slides}
    return max(run.slides, key=lambda slide: (drawn[slide.slide_id], slide.has_scores)).slide_id


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given: the others take the default of what they go to."""
    return {name: value for name, value in options.items() if value is not None}


def _source(normalizer: str, temperature: float | None, offset: float | None, row: str, branch: str) -> Source:
    from napari_asmil.analysis.normalizers import Normalizer
    from napari_asmil.runs import Source

    if branch not in ("online", "anchor"):
        raise InputError(f"Unknown branch {branch!r}.", remedy="Known: online, anchor.")
    for option, value, users in (("temperature", temperature, ("softmax", "nsf")), ("offset", offset, ("nsf",))):
        if value is not None and normalizer not in users:
            raise InputError(
                f"--{option} does nothing with --normalizer {normalizer}.",
                remedy=f"It goes with {' and '.join(users)}, applied to the raw scores.",
            )
    if normalizer == "stored":
        return Source(None, row, branch)  # type: ignore[arg-type]
    chosen = Normalizer(normalizer, **_given(temperature=temperature, offset=offset))  # type: ignore[arg-type]
    return Source(chosen, row, branch)  # type: ignore[arg-type]
