"""The command line: the window's jobs without a window, through the same functions.

Every command ends in a sentence: exit code 0 when done, 2 when something given cannot be used, 3 when the
job was stopped and can be resumed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started

if TYPE_CHECKING:
    from napari_asmil.bags import Cohort
    from napari_asmil.runs import Source
    from napari_asmil.training import Recipe

app = typer.Typer(
    name="napari-asmil",
    help="Watch what a slide model looks at while it learns.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
screen = Console(stderr=True, highlight=False)

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda:N or mps.")]


def follow(make_events: Callable[[threading.Event], Iterator[Event]], title: str) -> Finished:
    """Show a job's progress on stderr until it is finished; Ctrl-C stops it within a batch, to be resumed."""
    stop = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with Progress(*columns, console=screen, transient=True) as progress:
            task = progress.add_task(title, total=None)
            for event in make_events(stop):
                if isinstance(event, Started):
                    progress.update(task, total=event.total, completed=event.done)
                elif isinstance(event, BatchDone):
                    progress.update(task, description=f"{title}: {event.phase} {event.step}/{event.steps}")
                elif isinstance(event, EpochDone):
                    progress.update(task, completed=event.epoch)
                elif isinstance(event, Finished):
                    return event
    finally:
        signal.signal(signal.SIGINT, before)
    raise InputError("The job ended without saying so.")


def finish(done: Finished) -> None:
    """Say how a job ended; leave with 3 when it was stopped."""
    typer.echo(f"{done.path}: {done.message}")
    if done.why != "done":
        raise typer.Exit(3)


@app.command()
def info(path: Annotated[Path, typer.Argument(help="A slide, feature, annotation or label file, or a run.")]) -> None:
    """Say what a file is and what was derived from it."""
    from napari_asmil.info import describe

    for line in describe(path):
        typer.echo(line)


# extraction of bags


@app.command()
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


# training


@app.command()
def train(
    features: Annotated[Path, typer.Argument(help="Folder of feature files.")],
    labels: Annotated[Path, typer.Option(help="Table of labels (csv).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run; with several methods or --folds, their folder.")],
    label: Annotated[str, typer.Option(help="Column of the label.")] = "label",
    splits: Annotated[Path | None, typer.Option(help="Table of splits, when --labels has none.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="abmil, abmil_softmax, asmil ...; repeatable.")] = None,
    preset: Annotated[str, typer.Option(help="Settings of the training.")] = "stable",
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the initialisation, the order of the slides and the folds.")] = 0,
    folds: Annotated[int, typer.Option(help="Cross-validate over so many folds, to the last epoch of each.")] = 0,
    floors: Annotated[bool, typer.Option(help="With --folds: what trivial methods reach on the same folds.")] = True,
    device: Device = "auto",
) -> None:
    """Train attention models and record every epoch; what is unfinished is resumed."""
    from napari_asmil.bags import read_cohort
    from napari_asmil.training import preset as make_recipe
    from napari_asmil.training.crossval import cross_validate

    cohort = read_cohort(features, labels, label=label, splits=splits)
    changes = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    recipes = {name: make_recipe(preset, name, **changes) for name in method or ["asmil"]}
    if not folds:
        for name, recipe in recipes.items():
            _train_one(cohort, recipe, out if len(recipes) == 1 else out / f"{name}.asmil", device)
        return
    done = follow(
        lambda stop: cross_validate(
            cohort, recipes, out, n_folds=folds, seed=seed, floors=floors, device=device, stop=stop
        ),
        "train",
    )
    finish(done)
    typer.echo((out / "report.txt").read_text(encoding="utf-8"))


def _train_one(cohort: Cohort, recipe: Recipe, path: Path, device: str) -> None:
    from napari_asmil.training import fit

    finish(follow(lambda stop: fit(cohort, recipe, path, device=device, stop=stop), f"train {recipe.label}"))


# attention of a trained model


@app.command()
def attend(
    bags: Annotated[list[Path], typer.Argument(help="Feature files, or folders of them.")],
    checkpoint: Annotated[Path, typer.Option(help="A trained run (its last epoch), or one of its checkpoints.")],
    out: Out,
    slide: Annotated[Path | None, typer.Option(help="The slide's file, when one bag is given.")] = None,
    device: Device = "auto",
) -> None:
    """Write the attention of a trained model on bags to a new run."""
    from napari_asmil.bags import read_bag
    from napari_asmil.training import attend as attend_to

    files = [f for given in bags for f in (sorted(given.glob("*.h5")) if given.is_dir() else [given])]
    read = [read_bag(f) for f in files]
    if slide is not None:
        if len(read) != 1:
            raise InputError(f"--slide goes with one bag, not {len(read)}.")
        read = [read[0].on_slide(slide)]
    finish(follow(lambda stop: attend_to(read, checkpoint, out, device=device, stop=stop), "attend"))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG of the overlay, GIF of the epochs or QuPath .geojson.")],
    slide: Annotated[str | None, typer.Option(help="Slide id; the run's first when not given.")] = None,
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
) -> None:
    """Write what a run saw on a slide as an annotated picture, a film or QuPath tiles."""
    from napari_asmil.annotations import read_annotations
    from napari_asmil.render import export_overlay, export_tiles, film
    from napari_asmil.runs import MapView, open_run
    from napari_asmil.slides import open_slide

    kind = out.suffix.lower()
    _refuse_idle(kind, {"--epoch": epoch, "--transform": transform, "--limits": limits, "--max-px": max_px})
    source = _source(normalizer, temperature, offset, row, branch)
    opened = open_run(run)
    if opened.n_epochs == 0:
        raise InputError("This run has no committed epoch yet.", path=run)
    view = MapView(opened, slide or opened.slides[0].slide_id, source, **_given(transform=transform))
    at = opened.n_epochs - 1 if epoch is None else epoch
    if not 0 <= at < opened.n_epochs:
        raise InputError(f"There is no epoch {at}; epochs 0 to {opened.n_epochs - 1} are committed.", path=run)
    drawn, annotated = view.slide.slide_path, view.slide.contours_path
    tissue = open_slide(drawn) if drawn is not None and drawn.is_file() else None
    contours = read_annotations(annotated) if annotated is not None and annotated.is_file() else None
    shown = f"epoch {at}"
    if kind == ".geojson":
        export_tiles(out, view, at, bounds=(0, 0) if tissue is None else tissue.bounds)
    elif kind == ".gif":
        film(out, [view], slide=tissue, contours=contours, **_given(panel_px=max_px))
        shown = f"epochs 0 to {at}"
    else:
        each = "epoch" if limits == "epoch" else None
        export_overlay(out, view, at, slide=tissue, contours=contours, limits=each, **_given(max_px=max_px))
    without = "" if tissue is not None else " (without the slide: its file is not known or not there)"
    typer.echo(f"{out}: {view.label}, {shown}{without}")


_IDLE: dict[str, dict[str, str]] = {
    ".png": {},
    ".gif": {"--epoch": "a film shows all epochs"},
    ".geojson": {
        "--transform": "tiles carry probability, M·α and percentile",
        "--limits": "QuPath chooses the colours",
        "--max-px": "tiles are no picture",
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The demo's folder.")] = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Decides the cohort and the trainings.")] = 0,
    window: Annotated[
        bool | None,
        typer.Option("--window/--no-window", help="Open napari at the end; by default if there is a screen."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Train four models on simulated slides with known truth and show their attention over the epochs."""
    from napari_asmil.demo.run_demo import METHODS
    from napari_asmil.demo.run_demo import demo as run_demo

    typer.echo("Simulated embeddings on drawn slides: mechanisms, not medicine.")
    done = follow(lambda stop: run_demo(out, seed=seed, device=device, stop=stop, cpu_before=0.0), "demo")
    if done.why != "done":
        finish(done)
    typer.echo(_demo_table(json.loads((out / "summary.json").read_text())))
    for name in sorted(p.name for p in out.iterdir() if p.suffix in (".png", ".gif", ".json")):
        typer.echo(out / name)
    runs = [out / "runs" / f"{method}.asmil" for method in METHODS]
    if window or (window is None and _has_screen()):
        open_in_napari(runs)
    else:
        typer.echo(f"See it in napari:  {_program()} open {out / 'runs'}")


def _demo_table(summary: dict[str, Any]) -> str:
    """The demo's numbers, JSD beside the concentration that keeps it honest."""
    columns = ("auc", "macro_f1", "jsd_mean_bits", "effective_share", "tumour_mass", "topk_recall", "tile_auc", "dice")
    lines = [" ".join(f"{name:>15}" for name in ("", *columns))]
    for method, values in summary["methods"].items():
        lines.append(" ".join([f"{method:>15}", *(f"{values[name]:>15.4f}" for name in columns)]))
    cost = f"{summary['cpu_seconds']:.0f} CPU seconds, {summary['wall_seconds']:.0f} s, seed {summary['seed']}"
    return "\n".join([*lines, cost])


@app.command("open")
def open_in_napari(
    paths: Annotated[list[Path], typer.Argument(help="Runs, or folders that hold them.")],
) -> None:
    """Show runs, with their slides and contours, in napari."""
    if not _has_screen():
        raise InputError(
            "There is no screen to open a window on.",
            remedy="Copy the folder to a machine with one, or write pictures with `napari-asmil export`.",
        )
    from napari_asmil.viewer.window import show

    show(paths)


def _program() -> str:
    """What to type to call us again: our name, or the path that was called where the name is not found."""
    return sys.argv[0] if Path(sys.argv[0]).is_file() and not shutil.which("napari-asmil") else "napari-asmil"


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def main() -> None:
    """Entry point: no command ends in a bare traceback."""
    try:
        app()
    except InputError as error:
        _leave(str(error), 2)
    except Exception as error:  # noqa: BLE001 - the last resort, told in words
        with tempfile.NamedTemporaryFile("w", prefix="napari-asmil-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        _leave(f"This should not have happened ({type(error).__name__}: {error}). Please report it with {log.name}.", 1)


def _leave(sentence: str, code: int) -> None:
    screen.print(sentence, soft_wrap=True, markup=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
