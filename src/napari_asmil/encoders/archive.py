"""The zip archive of an exported program: JSON and raw numbers, and nothing that would have to be unpickled."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_asmil.errors import InputError

CODE = ("data/aotinductor/", "data/executorch/", "data/mtia/")
"""Folders of an archive that hold compiled code."""
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
"""Types of numbers by the code the format gives them."""
REMEDY = "Save it with torch.export.save(torch.export.export(model.eval(), ...), FILE), torch 2.8 to 2.13."
MAX_JSON = 2**24
"""Bytes of a description of a program."""


def refused(path: Path, reason: str, remedy: str = "") -> InputError:
    """Why a program is not run, in a sentence."""
    return InputError(f"This exported program is not run: {reason}.", remedy=remedy or REMEDY, path=path)


class Archive:
    """An archive of `torch.export.save`; a context manager.

    Raises
    ------
    InputError
        When it holds compiled code, or entries that `torch.export.save` never writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"It cannot be read ({error.strerror or error}).", path=path) from error
        entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        self._entries = {entry.filename.partition("/")[2]: entry for entry in entries}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise refused(path, "its entries are compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise refused(path, "its entries say to be larger than the file")
        code = next((name for name in self._entries if name.startswith(CODE)), None)
        if code is not None:
            raise refused(path, f"it holds compiled code ({code[:80]})")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def json(self, name: str, check: Callable[[dict[str, Any]], str] | None = None) -> dict[str, Any]:
        """An entry of JSON; `check` says what is wrong with it."""
        if name not in self._entries:
            raise refused(self._path, f"it holds no {name}")
        if self._entries[name].file_size > MAX_JSON:
            raise refused(self._path, f"its {name} is larger than {MAX_JSON >> 20} MB")
        found: dict[str, Any] = json.loads(self._zip.read(self._entries[name]))
        if check is not None and (wrong := check(found)):
            raise refused(self._path, wrong)
        return found

    def tensors(self, what: str) -> dict[str, Tensor]:
        """The tensors of "weights" or "constants" by name."""
        config = self.json(f"data/{what}/model_{what}_config.json")["config"]
        stored: dict[str, Tensor] = {}
        found = {}
        for name, facts in config.items():
            file, meta = facts["path_name"], facts["tensor_meta"]
            if facts["use_pickle"] or meta is None:
                raise refused(self._path, f"{name} is pickled, which could run anything")
            if file not in stored:
                stored[file] = self._numbers(f"data/{what}/{file}", DTYPES[meta["dtype"]])
            size, stride = ([_whole(one) for one in meta[key]] for key in ("sizes", "strides"))
            found[name] = stored[file].as_strided(size, stride, _whole(meta["storage_offset"]))
        return found

    def _numbers(self, name: str, dtype: torch.dtype) -> Tensor:
        raw = np.frombuffer(self._zip.read(self._entries[name]), dtype=np.uint8)
        return torch.from_numpy(raw.copy()).view(dtype) if len(raw) else torch.empty(0, dtype=dtype)


def _whole(size: dict[str, Any]) -> int:
    return int(size["as_int"])
