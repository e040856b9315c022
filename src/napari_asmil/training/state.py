"""What training changes: model, anchor, optimiser; saved and restored bit for bit."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.files import complete, json_text
from napari_asmil.mil import Anchor, AttentionMIL, Ensemble, build_model
from napari_asmil.mil.registry import model_class
from napari_asmil.training.recipe import Recipe


class Sizes(NamedTuple):
    """What a cohort decides of a model: features a tile (D_in), classes (C), and slides of an epoch."""

    n_features: int
    n_classes: int
    n_train: int


@dataclass
class State:
    """Model, optimiser, what steadies the attention (or None), and the steps taken."""

    model: AttentionMIL
    anchor: Anchor | None
    ensemble: Ensemble | None
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def fresh(cls, recipe: Recipe, sizes: Sizes, device: torch.device) -> State:
        """As the recipe's seed initialises it; the global random state is left as it was.

        Raises
        ------
        InputError
            When the method's settings do not fit, or it has no scores to steady.
        """
        with seeded(recipe.seed):
            model = new_model(recipe, sizes).to(device)
            anchor = None
            if recipe.anchor is not None:
                a = recipe.anchor
                source = model if a.init == "copy" else new_model(recipe, sizes).to(device)
                share = a.shares_embedding
                anchor = Anchor(source.scorer, a.normalizer, a.factor(sizes.n_train), shares_embedding=share)
        ensemble = None if recipe.ensemble is None else Ensemble(recipe.ensemble.momentum)
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=_can_fuse(device))
        return cls(model, anchor, ensemble, optimizer)

    def set_rate(self, recipe: Recipe, total: int) -> float:
        """Cosine annealing to 0 over `total` steps; returns the rate of the coming step."""
        rate = recipe.lr * 0.5 * (1 + math.cos(math.pi * min(self.step, total) / max(total, 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write ``model.safetensors`` and ``checkpoint.json``; the folder appears complete or not at all."""
        tensors = {k: v.detach().contiguous().cpu() for k, v in self._tensors().items()}
        with complete(folder) as partial:
            partial.mkdir(parents=True)
            (partial / "model.safetensors").write_bytes(save(tensors))
            (partial / "checkpoint.json").write_text(
                json_text({**facts, "step": self.step}, indent=1), encoding="utf-8"
            )
            shutil.rmtree(folder, ignore_errors=True)

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote into a state of the same recipe.

        Raises
        ------
        InputError
            When the checkpoint is missing, damaged or of another model.
        """
        try:
            tensors = load_file(folder / "model.safetensors")
            self.step = int(json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))["step"])
            moments = {k: tensors.pop(k) for k in list(tensors) if k.startswith("optimizer.")}
            means = {k.removeprefix("ensemble."): v for k, v in tensors.items() if k.startswith("ensemble.")}
            for name, mine in self._weights().items():
                mine.data.copy_(tensors[name])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"This checkpoint cannot be read ({error}).", path=folder) from error
        self._restore(moments)
        if self.ensemble is not None:
            self.ensemble.means = means

    def _weights(self) -> dict[str, Tensor]:
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.anchor is not None:
            found |= {f"anchor.{k}": v for k, v in self.anchor.state_dict().items()}
        return found

    def _tensors(self) -> dict[str, Tensor]:
        moments = self.optimizer.state_dict()["state"]
        flat = {f"optimizer.{i}.{k}": v for i, entry in moments.items() for k, v in entry.items()}
        means = {} if self.ensemble is None else {f"ensemble.{k}": v for k, v in self.ensemble.means.items()}
        return self._weights() | flat | means

    def _restore(self, moments: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in moments.items():
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
        if state:
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def new_model(recipe: Recipe, sizes: Sizes) -> AttentionMIL:
    """The recipe's model, from torch's global random state."""
    model = build_model(recipe.method, sizes.n_features, sizes.n_classes, **recipe.settings)
    model.standardizes = recipe.standardize
    return model


def check_method(recipe: Recipe, sizes: Sizes) -> None:
    """Refuse a recipe whose method has no scores to steady or does not take its settings; builds nothing real.

    Raises
    ------
    InputError
    """
    if recipe.normalizer != Normalizer() and model_class(recipe.method).map_words:
        raise InputError(
            f"{recipe.label}: the method {recipe.method} does not pool by its scores, so another normaliser of them"
            f" ({recipe.normalizer.label}) would change nothing.",
            remedy="Leave its normaliser as it is; the anchor's may be changed.",
        )
    with seeded(0), torch.device("meta"):
        new_model(recipe, sizes)
    if (recipe.anchor or recipe.entropy or recipe.ensemble) and not model_class(recipe.method).learns_scores:
        raise InputError(
            f"{recipe.label}: the method {recipe.method} learns no attention scores, so there is nothing to steady.",
            remedy="Train it without anchor, entropy and ensembling.",
        )


class seeded:
    """Context in which torch's random state is a function of the given numbers, and is restored after."""

    def __init__(self, *numbers: int) -> None:
        self._seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
        self._fork.__enter__()
        torch.default_generator.manual_seed(self._seed)
        if torch.backends.mps.is_available():
            self._mps = torch.mps.get_rng_state()
            torch.mps.manual_seed(self._seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed_all(self._seed)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)
        if torch.backends.mps.is_available():
            torch.mps.set_rng_state(self._mps)


def _can_fuse(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda", "mps")
