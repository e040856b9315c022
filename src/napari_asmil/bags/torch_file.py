"""Files of torch.save: loaded only where nothing in them could run, and mapped rather than read."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import check_room, kept, rows_and_columns
from napari_asmil.errors import InputError
from napari_asmil.words import counted

if TYPE_CHECKING:
    import torch

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch before 1.6 begin."""
ENDINGS = (".pt", ".pth", ".pkl")
ALONE = "Save the tensor of features alone, with torch.save(features, path)."


def is_torch(path: Path) -> bool:
    """Whether the file is one of torch.save, or is named as a pickle and nothing else that is known."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(len(LEGACY))
    if begins == LEGACY:
        return True
    named = path.suffix.lower() in ENDINGS
    if begins[:2] == b"PK":
        members = _members(path)
        cut_off = named and not members
        return cut_off or any(name.endswith("/data.pkl") and name.count("/") == 1 for name in members)
    return named and not begins.startswith(b"\x89HDF")


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return []


def _is_program(path: Path) -> bool:
    return any(name.endswith("/constants.pkl") for name in _members(path))


def tensor_shape(path: Path, slide_id: str) -> tuple[int, int]:
    """M and D of the one tensor of features that the file holds; its numbers are not read.

    Raises
    ------
    InputError
        When the file could run code, holds something else, or a tensor of another shape.
    """
    return _checked(_loaded(path)[0], slide_id, path)


def coords_in(path: Path) -> NDArray[Any] | None:
    """What is saved as "coords" beside "features" in a dict of the two; None in any other file.

    Raises
    ------
    InputError
        As `tensor_shape`, and where they are no numbers.
    """
    found = _loaded(path)[1]
    if found is None:
        return None
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.is_complex:
        raise InputError(
            f"Its coords, of shape {tuple(found.shape)}, are no x and y per tile.", remedy=ALONE, path=path
        )
    check_room(tuple(found.shape), path)
    return np.array(found.detach().double().numpy(), copy=True)


def loader(path: Path, slide_id: str) -> partial[NDArray[np.float32]]:
    """What `Bag.load` is for a tensor of features."""
    return partial(load_features, path, slide_id)


def load_features(path: Path, slide_id: str) -> NDArray[np.float32]:
    """The features, float32 (M, D), in memory of their own: of what else the file holds nothing is kept."""

    def read() -> NDArray[Any]:
        tensor, _ = _loaded(path)
        _checked(tensor, slide_id, path)
        return np.array(tensor.detach().float().numpy(), copy=True)

    return kept(path, slide_id, read)


def _checked(tensor: torch.Tensor, slide_id: str, path: Path) -> tuple[int, int]:
    kind = "f" if tensor.dtype.is_floating_point else "c" if tensor.dtype.is_complex else "i"
    shape = rows_and_columns(tensor.shape, kind, slide_id, path)
    check_room(tuple(tensor.shape), path)
    return shape


def _loaded(path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The features, and the coordinates saved with them in one dict."""
    import torch

    mapped = zipfile.is_zipfile(path)
    if mapped and _is_program(path):
        raise InputError("It is a TorchScript program, not the features of one slide.", remedy=ALONE, path=path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise _refusal(error, path) from None
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001 (a stranger's file may make the unpickler raise anything)
        raise InputError(
            f"It cannot be read as a file of torch.save ({_first_line(error)}).",
            remedy="It is probably cut off; copy it again from where it came from.",
            path=path,
        ) from None
    features, coords = found, None
    if isinstance(found, dict) and {"features", "coords"} <= found.keys():
        features, coords = found["features"], found["coords"]
    tensors = [tensor for tensor in (features, coords) if isinstance(tensor, torch.Tensor)]
    if len(tensors) == (1 if coords is None else 2):
        for tensor in tensors:
            if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
                raise InputError("It holds no plain tensor of numbers.", remedy=ALONE, path=path)
        return features, coords
    raise InputError(f"It holds {_what(found)}, not the features of one slide.", remedy=ALONE, path=path)


def _refusal(error: pickle.UnpicklingError, path: Path) -> InputError:
    said = str(error)
    if "GLOBAL" in said or "Unsupported" in said or "not an allowed" in said or "allowlist" in said:
        return InputError(
            "It holds Python objects besides tensors, which could run code when loaded, so it is not loaded.",
            remedy=ALONE,
            path=path,
        )
    return InputError(
        f"It cannot be read as a file of torch.save ({_first_line(error)}).",
        remedy="It is probably damaged; copy it again from where it came from.",
        path=path,
    )


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _what(found: Any) -> str:
    if isinstance(found, dict):
        first = next(iter(found), None)
        named = f", the first of them named {str(first)[:60]!r}" if isinstance(first, str) else ""
        return f"{counted(len(found), 'thing')} by name{named}, as a model's checkpoint does"
    return f"a {type(found).__name__}"
