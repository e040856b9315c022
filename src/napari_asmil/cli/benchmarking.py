"""Benchmarks of methods: ``benchmark mil`` for what they reach, ``benchmark cost`` for what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_asmil.cli.jobs import Device, finish, follow
from napari_asmil.errors import InputError

if TYPE_CHECKING:
    from napari_asmil.bags import Cohort
    from napari_asmil.training.benchmark import Dataset

app = typer.Typer(help="Compare methods: what they reach (mil) and what they cost (cost).", no_args_is_help=True)
METHODS = ("abmil", "abmil_aem", "abmil_softmax", "abmil_nsf", "asmil_no_anchor", "asmil")


@app.command()
def mil(
    data: Annotated[
        list[str],
        typer.Argument(help="npz files of classical MIL, other collections of bags, or demo[:TRAINING SLIDES]."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")],
    method: Annotated[list[str] | None, typer.Option(help="abmil, abmil_nsf:beta=0.1, asmil ...; repeatable.")] = None,
    preset: Annotated[str, typer.Option(help="Settings of the trainings.")] = "classic",
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    folds: Annotated[int, typer.Option(help="Folds a seed; the demo has its own test slides.")] = 10,
    seeds: Annotated[int, typer.Option(help="How often folds are dealt and trainings started anew.")] = 1,
    labels: Annotated[Path | None, typer.Option(help="Table of labels (csv), unless the bags bring some.")] = None,
    label: Annotated[str, typer.Option(help="Column of the label.")] = "label",
    device: Device = "cpu",
) -> None:
    """Train methods on the same folds and seeds to the last epoch, beside trivial floors; what is there is kept."""
    from napari_asmil.training import preset as make_recipe
    from napari_asmil.training.benchmark import benchmark

    datasets = [_dataset(given, folds, labels, label) for given in data]
    changes = {} if epochs is None else {"epochs": epochs}
    recipes = {name: make_recipe(preset, name, **changes) for name in method or METHODS}
    done = follow(
        lambda stop: benchmark(datasets, recipes, out, seeds=range(seeds), device=device, stop=stop), "benchmark"
    )
    finish(done)
    typer.echo((out / "report.txt").read_text(encoding="utf-8"))


@app.command()
def cost(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")],
    method: Annotated[
        list[str] | None, typer.Option(help="abmil, abmil_nsf ...; all, with and without anchor.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Whose sizes.")] = "paper",
    tiles: Annotated[int, typer.Option(min=1, help="Tiles in the bag.")] = 2000,
    features: Annotated[int, typer.Option(min=1, help="Features a tile.")] = 384,
    classes: Annotated[int, typer.Option(min=2, help="Classes.")] = 3,
    device: Device = "auto",
) -> None:
    """Parameters, multiply-adds, time and memory of methods on a bag of random tiles; what is there is kept."""
    from napari_asmil.mil.names import method_names
    from napari_asmil.mil.registry import model_class
    from napari_asmil.training import variant_of
    from napari_asmil.training.cost import cost as costs

    endings = {name: ("", "nsf") if model_class(name).learns_scores else ("",) for name in method_names()}
    named = method or [variant_of(name, ending) for name in method_names() for ending in endings[name]]
    done = follow(
        lambda stop: costs(
            named, out, tiles=tiles, features=features, classes=classes, device=device, preset_name=preset, stop=stop
        ),
        "cost",
    )
    finish(done)
    typer.echo((out / "cost.txt").read_text(encoding="utf-8"))


def _dataset(given: str, folds: int, labels: Path | None, label: str) -> Dataset:
    from napari_asmil.bags import read_cohort
    from napari_asmil.training.benchmark import Dataset
    from napari_asmil.training.folds import make_folds

    if given == "demo" or given.startswith("demo:"):
        size = given.partition(":")[2]
        if size and not (size.isdecimal() and int(size) > 1):
            raise InputError(f"{given!r} is no demo cohort.", remedy="Write demo, or demo:60 for 60 training slides.")
        return Dataset(given.replace(":", "-"), partial(_demo, int(size or 200)), independent=True)
    path = Path(given)
    own = read_cohort(path)  # a table given beside them is of the bags that bring no labels
    cohort = own if own.labels or labels is None else read_cohort(path, labels, label=label)
    if not cohort.labels:
        raise InputError("A folder of features needs a table of labels.", remedy="Give --labels TABLE.csv.", path=path)
    return Dataset(path.stem, partial(make_folds, cohort, folds))


def _demo(slides: int, seed: int) -> Sequence[Cohort]:
    from napari_asmil.demo.world import make_world

    return [make_world(seed, slides).cohort]
