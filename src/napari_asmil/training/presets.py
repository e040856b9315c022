"""Named recipes: a preset gives the settings, a variant the model and its anchor."""

from __future__ import annotations

from typing import Any

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.training.recipe import Recipe

NSF, SOFTMAX = Normalizer("nsf"), Normalizer("softmax")

VARIANTS: dict[str, dict[str, Any]] = {
    "abmil": {"method": "abmil", "anchor": None},
    "abmil_softmax": {"method": "abmil", "anchor": {"normalizer": SOFTMAX, "beta": 1.0, "momentum": 0.99}},
    "abmil_nsf": {"method": "abmil", "anchor": {"normalizer": NSF, "beta": 1.0, "momentum": 0.999}},
    "asmil_no_anchor": {"method": "asmil", "anchor": None},
    "asmil": {"method": "asmil", "anchor": {"normalizer": NSF, "beta": 0.01, "momentum": 0.999}},
}
"""What is trained: the model, and the anchor with the weight that keeps its maps from going flat."""

_SMALL = {"dim": 64, "attention_dim": 64, "lr": 1e-3, "weight_decay": 1e-4, "clip": 5.0}

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "stable": (
        "ours: AdamW, lr 1e-3, KL summed over tiles with a small weight for ASMIL",
        {"epochs": 50, "lr": 1e-3, "weight_decay": 1e-4, "clip": 5.0},
    ),
    "paper": (
        "ASMIL's paper: Adam, lr 1e-4, 50 epochs, beta 1 with the KL summed over tiles; its maps tend to go flat",
        {"epochs": 50, "optimizer": "adam", "lr": 1e-4, "weight_decay": 1e-4, "clip": None},
    ),
    "released": (
        "ASMIL's released code: AdamW, lr 1e-4, wd 1e-5, the KL averaged over tiles, an anchor that is a random network"
        " and never moves; the network is the paper's",
        {"epochs": 50, "lr": 1e-4, "weight_decay": 1e-5, "clip": 5.0},
    ),
    "demo": ("the built-in cohort: 12 epochs of small models", {**_SMALL, "epochs": 12}),
    "crc-r1": (
        "the colon cohort of the documentation: 20 epochs of small models on z-scored features, test bags recorded",
        {**_SMALL, "epochs": 20, "standardize": True, "record_train": 0},
    ),
}
"""Preset name to what it is, in words, and its settings."""

_ANCHORS: dict[str, dict[str, Any]] = {
    "paper": {"beta": 1.0, "momentum": 0.999},
    "released": {"beta": 1.0, "kl_reduction": "mean", "init": "random", "update": "never"},
}


def preset(name: str = "stable", variant: str = "asmil", **changes: Any) -> Recipe:
    """A named recipe.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    variant : str
        One of `VARIANTS`.
    **changes
        Fields to change.

    Raises
    ------
    InputError
        When either name is unknown or a change does not fit.
    """
    for given, known, what in ((name, PRESETS, "preset"), (variant, VARIANTS, "variant")):
        if given not in known:
            raise InputError(f"Unknown {what} {given!r}.", remedy=f"Known: {', '.join(known)}.")
    chosen = dict(VARIANTS[variant])
    if chosen["anchor"] is not None:
        chosen["anchor"] = {**chosen["anchor"], **_ANCHORS.get(name, {})}
    return Recipe.make({"preset": name, **chosen, **PRESETS[name][1], **changes})
