"""Weights from a file: a state_dict of torch, loaded without running anything in it, or safetensors."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_asmil.errors import InputError


def load_weights(module: nn.Module, path: Path, *, ignored: Sequence[str] = ()) -> None:
    """Fill a module from a file; keys that begin as one of `ignored` are passed over.

    Raises
    ------
    InputError
        When it is no file of weights, or not of this module: what is missing, too much, or of another shape is named.
    """
    given = {name: value for name, value in read_weights(path).items() if not name.startswith(tuple(ignored))}
    wanted = module.state_dict()
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}  # absent from old files, never used
    missing = sorted(wanted.keys() - given.keys() - counters)
    extra = sorted(given.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & given.keys() if wanted[name].shape != given[name].shape)
    wrong = [f"{words} {_some(names)}" for words, names in (("has no", missing), ("has also", extra)) if names]
    if other:
        name = other[0]
        wrong.append(f"{name} is {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}")
    if wrong:
        raise InputError(
            f"These are the weights of another network: the file {'; '.join(wrong)}.",
            remedy="Give a state_dict with torchvision's names.",
            path=path,
        )
    module.load_state_dict(given, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU.

    Raises
    ------
    InputError
        When the file is missing, damaged, or holds anything but tensors by name.
    """
    if not path.is_file():
        raise InputError("There is no such file of weights.", remedy="Check the path.", path=path)
    try:
        with warnings.catch_warnings(action="ignore"):
            found = load_file(path) if _is_safetensors(path) else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch and safetensors name no kinds of their own for what a damaged file can do
        if isinstance(error, pickle.UnpicklingError) and "nsupported" in str(error):
            raise InputError(
                "It holds more than tensors (a pickled object, which could run anything), so it is not loaded.",
                remedy="Save model.state_dict() alone, or safetensors.",
                path=path,
            ) from error
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"It is no file of weights, or damaged ({reason}).",
            remedy="Give a state_dict saved by torch.save, or safetensors.",
            path=path,
        ) from error
    named = isinstance(found, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items())
    if not (named and found):
        raise InputError(
            "It holds no tensors by name.", remedy="Save model.state_dict() alone, or safetensors.", path=path
        )
    return dict(found)


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
