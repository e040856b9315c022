"""numpy files of scores: a vector whose places are elsewhere, or an npz file with both; slideflow's among them.

``<slide>_att.npz`` of slideflow holds ``arr_0`` (M,), and ``arr_1`` and so on for further modalities; the tile centres
are in ``<slide>.index.npz``, see `bags.slideflow`. torchmil's models return attention before its normaliser, which
people save as npy. Nothing pickled is read.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import FAULTS, check_numbers, check_room, corners, npz_array, npz_headers
from napari_asmil.bags.slideflow import around, centres_of
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.maps.names import LOGITS, SCORES, chosen
from napari_asmil.maps.places import from_bag, place, unplaced
from napari_asmil.maps.scoremap import Found, Known, slide_of
from napari_asmil.maps.values import Values

PLACES = ("coords", "xy", "coordinates")
FIRST = "arr_0"
INDEX = ".index.npz"


def sniff(path: Path) -> bool:
    """Whether it is an npy file, or an npz file with scores and no features.

    An npy file of features looks the same: ask for those first.
    """
    if not path.is_file():
        return False
    if _is_npy(path):
        return True
    names = npz_headers(path)
    return bool(_candidates(names)) and "features" not in names


def read(path: Path, known: Known) -> Found:
    """Scores, and places from the file, from slideflow's index beside it, or from the slide's bag.

    Raises
    ------
    InputError
        When the file is damaged or pickled, it is not clear which array is meant, or nothing says where tiles lie.
    """
    if path.name.endswith(INDEX):
        slide = path.name.removesuffix(INDEX)
        raise InputError(
            "It says where tiles lie (it is slideflow's index), and holds no scores.",
            remedy=f"Give {slide}_att.npz with the scores, or the features {slide}.pt, and leave this one beside them.",
            path=path,
        )
    if _is_npy(path):
        scores, headers, name = _npy(path), {}, ""
    else:
        headers = npz_headers(path)
        name = chosen(_candidates(headers), headers, known.column, "array", path)
        scores = npz_array(path, name, headers[name])
    called = known.column
    values: Values | None = "logits" if name in LOGITS else None
    own = next((name for name in PLACES if name in headers), None)
    if own is not None:
        xy = corners(npz_array(path, own, headers[own]), path)
        tiles, facts = place(xy, None, known, missing="the file does not say their edge", path=path)
        return Found(scores, tiles, values, called, facts)
    index = path.with_name(f"{slide_of(path)}{INDEX}")
    if known.bag is None and index.is_file():
        tiles, facts = _indexed(index, known)
        return Found(scores, tiles, values, called, facts)
    tiles, facts = from_bag(known, path)
    return Found(scores, tiles, values, called, facts)


def _indexed(index: Path, known: Known) -> tuple[TileGrid, tuple[str, ...]]:
    """Tiles around the centres of slideflow's index."""
    if FIRST not in npz_headers(index):
        raise InputError("It is no index of slideflow: it holds no array arr_0.", path=index)
    tiles, derived, _ = around(centres_of(index), index, known.given)
    if tiles is None:
        raise unplaced(derived, index)
    return tiles, tuple(derived)


def _candidates(headers: Sequence[str] | dict[str, Any]) -> list[str]:
    named = [name for name in SCORES if name in headers]
    return named or sorted(name for name in headers if name.startswith("arr_"))


def _is_npy(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
    except OSError:
        return False


def _npy(path: Path) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of a header that Python 2 wrote, or damage
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        check_numbers("scores", mapped.shape, mapped.dtype, path)
        check_room(mapped.shape, path, dtype=mapped.dtype)
        return np.array(mapped)
    except InputError:
        raise
    except (UserWarning, *FAULTS) as error:
        pickled = "pickle" in str(error) or "object" in str(error).lower()
        raise InputError(
            "It holds Python objects (a pickle), which could run any code and are not read."
            if pickled
            else f"It is cut off or damaged ({error}).",
            remedy="Save the scores as numbers: numpy.save(name, scores.astype('float32')).",
            path=path,
        ) from error
