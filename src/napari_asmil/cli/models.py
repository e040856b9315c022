"""Models: ``train`` them, and ``attend`` with one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_asmil.cli.jobs import STOP, Device, Out, finish, follow, say
from napari_asmil.errors import InputError

Slides = Annotated[Path | None, typer.Option(help="Folder of slide files, found by the names of the bags.")]
TileSize = Annotated[float | None, typer.Option(help="Tile edge in level-0 px, where features do not say.")]
SlideMpp = Annotated[float | None, typer.Option(help="Micrometres per level-0 px, where the slides err.")]


def train(
    features: Annotated[Path, typer.Argument(help="Folder of feature files, or another collection of bags.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run; with several methods or --folds, their folder.")],
    labels: Annotated[Path | None, typer.Option(help="Table of labels (csv), unless the bags bring some.")] = None,
    label: Annotated[str, typer.Option(help="Column of the label.")] = "label",
    slide_table: Annotated[
        Path | None, typer.Option(help="Whose slide is whose, when --labels is of patients.")
    ] = None,
    splits: Annotated[Path | None, typer.Option(help="Table of splits, when --labels has none.")] = None,
    slides: Slides = None,
    tile_size: TileSize = None,
    slide_mpp: SlideMpp = None,
    method: Annotated[list[str] | None, typer.Option(help="abmil, abmil_nsf:beta=0.1, asmil ...; repeatable.")] = None,
    preset: Annotated[str, typer.Option(help="Settings of the training.")] = "stable",
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the initialisation, the order of the slides and the folds.")] = 0,
    watch: Annotated[
        str | None, typer.Option(help="Recorded slides that keep raw scores of every row: a number, all, or ids (a,b).")
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Train on the slides with features and a row in each table.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Cross-validate over so many folds, to the last epoch of each.")] = 0,
    floors: Annotated[bool, typer.Option(help="With --folds: what trivial methods reach on the same folds.")] = True,
    device: Device = "auto",
) -> None:
    """Train attention models and record every epoch; what is unfinished is resumed."""
    from napari_asmil.bags import read_cohort
    from napari_asmil.training import fit
    from napari_asmil.training import preset as make_recipe
    from napari_asmil.training.crossval import cross_validate

    cohort = read_cohort(
        features,
        labels,
        label=label,
        splits=splits,
        subset=subset,
        slide_table=slide_table,
        slides=slides,
        mpp=slide_mpp,
        tile_size=tile_size,
    )
    if not cohort.labels:
        raise InputError("These bags bring no labels.", remedy="Give a table of them (--labels).", path=features)
    changes: dict[str, Any] = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    changes |= {} if watch is None else {"watch": _watched(watch, len(cohort.bags))}
    recipes = {name: make_recipe(preset, name, **changes) for name in method or ["asmil"]}
    if folds:
        job = cross_validate(cohort, recipes, out, n_folds=folds, seed=seed, floors=floors, device=device, stop=STOP)
        told = [*cohort.notes, *cohort.geometry(), *cohort.warnings()]
        say([f"{folds} folds of {cohort.counts(cohort.bags)}", *told])
        finish(follow(lambda _: job, "train"))
        typer.echo((out / "report.txt").read_text(encoding="utf-8"))
        return
    paths = {name: out if len(recipes) == 1 else out / f"{name}.asmil" for name in recipes}
    jobs = iter([fit(cohort, recipe, paths[name], device=device, stop=STOP) for name, recipe in recipes.items()])
    say(cohort.describe())
    for _ in recipes:
        finish(follow(lambda _: next(jobs), "train"))


def _watched(given: str, n_slides: int) -> int | tuple[str, ...]:
    """A number, all, or slide ids between commas."""
    if given == "all":
        return n_slides
    return int(given) if given.isdecimal() else tuple(name.strip() for name in given.split(","))


def attend(
    bags: Annotated[list[Path], typer.Argument(help="Feature files, or collections of them.")],
    checkpoint: Annotated[Path, typer.Option(help="A trained run (its last epoch), or one of its checkpoints.")],
    out: Out,
    slide: Annotated[Path | None, typer.Option(help="The slide's file, when one bag is given.")] = None,
    slides: Slides = None,
    tile_size: TileSize = None,
    slide_mpp: SlideMpp = None,
    device: Device = "auto",
) -> None:
    """Write the attention of a trained model on bags to a new run."""
    from napari_asmil.bags import Cohort, Given, read_collection
    from napari_asmil.bags.slide_files import SlideFiles, asked_of_names
    from napari_asmil.training import attend as attend_to

    named = SlideFiles(slides, mpp=slide_mpp, tile_size=tile_size)
    one = None if slide is None else Given.of(slide, mpp=slide_mpp, tile_size=tile_size)
    cohorts = [read_collection(path, named if one is None else lambda _: one) for path in bags]
    read = [bag for cohort in cohorts for bag in cohort.bags]
    if slide is not None and len(read) != 1:
        raise InputError(f"--slide goes with one bag, not {len(read)}.", remedy="Give their folder (--slides).")
    told = [*(note for cohort in cohorts for note in cohort.notes), *named.notes(), *Cohort(tuple(read)).geometry()]
    say([*told, *asked_of_names(slide, read[0].slide_id, f"the features {read[0].slide_id}")])
    finish(follow(lambda stop: attend_to(read, checkpoint, out, device=device, stop=stop), "attend"))
