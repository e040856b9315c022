"""Names of what is trained: a method, what steadies it, and changes, as in ``abmil_nsf:beta=0.1,lr=3e-4``."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil.names import method_names
from napari_asmil.training.recipe import Recipe

NSF, SOFTMAX = Normalizer("nsf"), Normalizer("softmax")

PLAIN = {"anchor": None}
NUMBERS = {"softmax": ("temperature",), "nsf": ("temperature", "offset"), "entmax": ("alpha",)}
"""Which numbers a normaliser feels."""
STABILIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("nothing", PLAIN),
    "nsf": ("anchor, NSF", {"anchor": {"normalizer": NSF, "beta": 1.0}}),
    "softmax": ("anchor, softmax", {"anchor": {"normalizer": SOFTMAX, "beta": 1.0}}),
    "aem": ("entropy (AEM)", {**PLAIN, "entropy": {"weight": 0.1}}),
    "ensemble": ("temporal ensembling", {**PLAIN, "ensemble": {"beta": 1.0}}),
}
"""What a variant's ending adds to its method, in words and as fields of the recipe."""


def variants() -> tuple[str, ...]:
    """Every method alone and with each ending of `STABILIZERS`."""
    return tuple(variant_of(method, ending) for method in method_names() for ending in STABILIZERS)


def variant_of(method: str, ending: str = "") -> str:
    """Name of a method with what steadies it; ``asmil`` is the one with its own anchor (NSF)."""
    if method == "asmil" and ending in ("", "nsf"):
        return "asmil" if ending else "asmil_no_anchor"
    return f"{method}_{ending}" if ending else method


def split_variant(variant: str) -> tuple[str, str]:
    """Method and ending of a variant's name.

    Raises
    ------
    InputError
        When there is no such variant.
    """
    if variant not in variants():
        raise InputError(
            f"Unknown method {variant!r}.",
            remedy=f"It is a method ({', '.join(method_names())}), alone or with _nsf, _softmax, _aem or _ensemble;"
            " asmil has its anchor, asmil_no_anchor none.",
        )
    return next((m, e) for m in method_names() for e in STABILIZERS if variant_of(m, e) == variant)


def changed_by(recipe: Recipe, wanted: str) -> Recipe:
    """A recipe with changes in words, ``name=value`` with commas between.

    ``normalizer`` is the anchor's, by name, and ``temperature``, ``offset`` and ``alpha`` are that one's numbers;
    ``online`` is the normaliser of the model itself. Any other name is looked for in anchor, entropy and ensemble,
    then among the recipe's own fields; what is left is a setting of the method.

    Raises
    ------
    InputError
        When a change cannot be read or does not fit.
    """
    changes = [change for change in wanted.split(",") if change.strip()]
    for change in sorted(changes, key=lambda change: not change.strip().startswith("normalizer")):
        name, equals, text = (part.strip() for part in change.partition("="))
        if not equals or not name:
            raise InputError(f"{change!r} is no change.", remedy="Write NAME=VALUE, with commas between.")
        value: Any = text
        with suppress(ValueError):
            value = json.loads(text)
        recipe = recipe.changed(**_change(recipe, name, value))
    return recipe


def _change(recipe: Recipe, name: str, value: Any) -> dict[str, Any]:
    anchor = recipe.anchor
    if name == "online":
        return {"normalizer": Normalizer(value)}
    if anchor is not None and name == "normalizer":
        return {"anchor": {**anchor.model_dump(), name: Normalizer(value)}}
    if anchor is not None and name in ("temperature", "offset", "alpha"):
        if name not in NUMBERS[anchor.normalizer.name]:
            raise InputError(f"The anchor's {anchor.normalizer.name} has no {name}, so {name}={value} does nothing.")
        changed = Normalizer(**{**anchor.normalizer.as_dict(), name: value})
        return {"anchor": {**anchor.model_dump(), "normalizer": changed}}
    for part in ("anchor", "entropy", "ensemble"):
        holder = getattr(recipe, part)
        if holder is not None and name in type(holder).model_fields:
            return {part: {**holder.model_dump(), name: value}}
    if name in Recipe.model_fields:
        return {name: value}
    return {"settings": {**recipe.settings, name: value}}
