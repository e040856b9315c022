"""What training changes: model, anchor, optimiser; saved and restored bit for bit."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_asmil.errors import InputError
from napari_asmil.files import complete, json_text
from napari_asmil.mil import Anchor, AttentionMIL, build_model
from napari_asmil.training.recipe import Recipe

SIZES = ("dim", "attention_dim", "heads", "tokens", "token_drop")


@dataclass
class State:
    """Model, anchor (or None), optimiser and the steps taken."""

    model: AttentionMIL
    anchor: Anchor | None
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def fresh(cls, recipe: Recipe, n_features: int, n_classes: int, device: torch.device) -> State:
        """As the recipe's seed initialises it; the global random state is left as it was."""
        with seeded(recipe.seed):
            model = new_model(recipe, n_features, n_classes).to(device)
            anchor = None
            if recipe.anchor is not None:
                a = recipe.anchor
                source = model if a.init == "copy" else new_model(recipe, n_features, n_classes).to(device)
                anchor = Anchor(source.scorer, a.normalizer, a.momentum)
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=_can_fuse(device))
        return cls(model, anchor, optimizer)

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
            save_file(tensors, partial / "model.safetensors")
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
            for name, mine in self._weights().items():
                mine.data.copy_(tensors[name])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"This checkpoint cannot be read ({error}).", path=folder) from error
        self._restore(moments)

    def _weights(self) -> dict[str, Tensor]:
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.anchor is not None:
            found |= {f"anchor.{k}": v for k, v in self.anchor.state_dict().items()}
        return found

    def _tensors(self) -> dict[str, Tensor]:
        moments = self.optimizer.state_dict()["state"]
        flat = {f"optimizer.{i}.{k}": v for i, entry in moments.items() for k, v in entry.items()}
        return self._weights() | flat

    def _restore(self, moments: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in moments.items():
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
        if state:
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def new_model(recipe: Recipe, n_features: int, n_classes: int) -> AttentionMIL:
    """The recipe's model, from torch's global random state."""
    sizes = {name: getattr(recipe, name) for name in SIZES}
    return build_model(recipe.method, n_features, n_classes, **sizes)


class seeded:
    """Context in which torch's random state is a function of the given numbers, and is restored after."""

    def __init__(self, *numbers: int) -> None:
        self._seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
        self._fork.__enter__()
        torch.default_generator.manual_seed(self._seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed_all(self._seed)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)


def _can_fuse(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda", "mps")
