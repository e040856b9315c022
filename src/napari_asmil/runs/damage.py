"""Reading rows of a run's arrays, or saying which file of a damaged run is to blame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.runs import schema

REMEDY = "Copy the run again from where it came from, or train it again."


def read_rows(run: Path, array: zarr.Array[Any], epochs: range, *within: slice) -> NDArray[Any]:
    """Rows of committed `epochs`, (E, ...); zarr alone would read a missing file as NaN.

    Raises
    ------
    InputError
        With the epoch and the file, when one is missing or cannot be decoded.
    """
    files = [run.joinpath(array.path, "c", str(epoch), *["0"] * (array.ndim - 1)) for epoch in epochs]
    for epoch, file in zip(epochs, files, strict=True):
        if not file.is_file():
            raise _damaged(run, f"Epoch {epoch} is committed, but {file.relative_to(run)} is missing.")
    try:
        return np.asarray(array[(slice(epochs.start, epochs.stop), *within)])
    except (RuntimeError, ValueError, OSError, KeyError, TypeError, IndexError) as error:
        named = f"epoch {epochs[0]}" if len(epochs) == 1 else f"epochs {epochs[0]} to {epochs[-1]}"
        where = files[0] if len(epochs) == 1 else run / array.path
        raise _damaged(run, f"{where.relative_to(run)} of {named} cannot be decoded ({error}).") from error


def find_array(run: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of the run.

    Raises
    ------
    InputError
        When it is missing or cannot be opened.
    """
    try:
        found = group[name]
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(run, f"{name}/zarr.json is missing or cannot be read.") from error
    if not isinstance(found, zarr.Array):
        raise _damaged(run, f"{name}/zarr.json describes no array.")
    return found


def read_commit(run: Path, epoch: int) -> dict[str, Any]:
    """The commit of an epoch.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    file = schema.commit_path(run, epoch)
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise _damaged(run, f"{file.relative_to(run)}, the commit of epoch {epoch}, cannot be read.") from error


def _damaged(run: Path, what: str) -> InputError:
    return InputError(f"This run is damaged: {what}", remedy=REMEDY, path=run)
