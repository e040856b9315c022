"""A network in a file: an exported program and, beside it, a JSON that says what pictures it takes.

``NAME.json`` beside ``NAME.pt2``: ``size`` (px), ``mean`` and ``std`` (three numbers each, of pictures scaled to
[0, 1]), and if wanted ``mpp``, ``name``, ``dim`` and ``licence``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Gt, Interval, MaxLen
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from napari_asmil.encoders.program import Program
from napari_asmil.encoders.torch_encoder import TorchEncoder
from napari_asmil.errors import InputError

MAX_SIDECAR = 2**20
Finite = Annotated[float, Interval(ge=-1e3, le=1e3)]
Spread = Annotated[float, Interval(gt=0, le=1e3)]


class Sidecar(BaseModel):
    """What an exported program does not say of itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    size: Annotated[int, Interval(ge=8, le=4096)]
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Spread, Spread, Spread]
    mpp: Annotated[float, Interval(gt=0, le=100)] | None = None
    name: Annotated[str, MaxLen(80)] = ""
    dim: Annotated[int, Gt(0)] | None = None
    licence: Annotated[str, MaxLen(200)] = ""


def exported(path: Path, device: torch.device) -> TorchEncoder:
    """An encoder from ``NAME.pt2`` and ``NAME.json``.

    Raises
    ------
    InputError
        When either is missing or cannot be used, or they do not fit each other.
    """
    if not path.is_file():
        raise InputError("There is no such exported program (.pt2).", remedy="Check the path.", path=path)
    beside = path.with_suffix(".json")
    said = read_sidecar(beside)
    program = Program(path, device)
    shape = program.input_shape
    wanted = (shape[0] if shape else None, 3, said.size, said.size)
    if len(shape) != 4 or any(have not in (None, want) for have, want in zip(shape, wanted, strict=True)):
        raise InputError(
            f"The program takes {shape}, not pictures (N, 3, {said.size}, {said.size}) as {beside.name} says.",
            remedy="Give it the size the program was exported with.",
            path=path,
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    encoder = TorchEncoder(
        lambda pictures: _rows(program(pictures)),
        name=f"{said.name or path.stem}-{digest}",
        size=said.size,
        mean=said.mean,
        std=said.std,
        mpp=said.mpp,
        licence=said.licence or "that of the exported program",
        device=device,
        batch=shape[0],
    )
    if said.dim not in (None, encoder.dim):
        raise InputError(f"The program makes {encoder.dim} features, not {said.dim} as {beside.name} says.", path=path)
    return encoder


def read_sidecar(path: Path) -> Sidecar:
    """The JSON beside an exported program.

    Raises
    ------
    InputError
        When it is missing, or what it says is not what is needed.
    """
    remedy = 'Write {"size": 224, "mean": [r, g, b], "std": [r, g, b], "mpp": 0.5, "name": "..."} there.'
    if not path.is_file():
        raise InputError(
            "An exported program needs a JSON beside it that says what pictures it takes.", remedy=remedy, path=path
        )
    try:
        if path.stat().st_size > MAX_SIDECAR:
            raise ValueError("it is larger than 1 MB")
        return Sidecar.model_validate(json.loads(path.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"Its {where} does not fit: {first['msg']}.", remedy=remedy, path=path) from None
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"It is no JSON that can be read ({error}).", remedy=remedy, path=path) from error


def _rows(made: Tensor) -> Tensor:
    """(N, D, 1, 1) as (N, D)."""
    return made.flatten(1) if made.ndim > 2 and made.shape[2:].numel() == 1 else made
