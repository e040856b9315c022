"""``methods``: what can be trained, by whom it is, and what can be set."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_asmil.files import json_text


def methods(
    variant: Annotated[
        str | None, typer.Argument(help="abmil, abmil_nsf:beta=0.1 ...: print its whole recipe.")
    ] = None,
    preset_name: Annotated[str, typer.Option("--preset", help="Of the recipe that is printed.")] = "stable",
) -> None:
    """List methods with their papers and settings, what steadies them, and presets; or print one recipe."""
    from napari_asmil.mil.names import method_names
    from napari_asmil.mil.registry import model_class, settings_of
    from napari_asmil.training import PRESETS, STABILIZERS, preset, variant_of

    if variant is not None:
        recipe = preset(preset_name, variant)
        whole = {**recipe.as_json(), "settings": {**settings_of(recipe.method), **recipe.settings}}
        typer.echo(json_text(whole, indent=1))
        return
    typer.echo("Methods (a setting is changed as in abmil:dim=64,gated=false; dim None: by the features)\n")
    for name in method_names():
        label = preset("stable", variant_of(name)).label.removesuffix(" without anchor")
        settings = ", ".join(f"{what}={value}" for what, value in settings_of(name).items())
        typer.echo(f"{name:<10} {label}: {model_class(name).source}")
        typer.echo(f"{'':<10} {settings}")
        typer.echo(f"{'':<10} map: {_map_of(name)}")
    typer.echo("\nWhat steadies a method that learns scores (as in abmil_nsf, abmil_nsf:beta=0.1)\n")
    for ending, (words, fields) in STABILIZERS.items():
        numbers = [f"{key}={value}" for part in fields.values() if part for key, value in _plain(part).items()]
        typer.echo(f"{f'_{ending}' if ending else 'none':<10} {words}{': ' if numbers else ''}{', '.join(numbers)}")
    typer.echo(f"{'':<10} asmil has its anchor (NSF) by itself, asmil_no_anchor none; its weights are smaller")
    typer.echo("\nPresets (all that one decides of a variant: napari-asmil methods VARIANT --preset NAME)\n")
    for name, (words, _) in PRESETS.items():
        typer.echo(f"{name:<10} {words}")


def _map_of(name: str) -> str:
    from napari_asmil.mil.registry import model_class

    model = model_class(name)
    joined = "mean of the rows" if model.row_join == "mean" else model.row_join
    return joined if model.learns_scores else f"{joined}; learns no scores, so nothing steadies it"


def _plain(part: object) -> dict[str, object]:
    given = dict(part) if isinstance(part, dict) else {}
    return {key: getattr(value, "label", value) for key, value in given.items()}
