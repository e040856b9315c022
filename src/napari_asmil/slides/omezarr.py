"""OME-Zarr folders, versions 0.4 (zarr 2, `.zattrs`) and 0.5 (zarr 3, `zarr.json`): https://ngff.openmicroscopy.org.

A group says under `multiscales` which arrays are levels, what their axes are called and how large a pixel is; a folder
of bioformats2raw holds one such group for each image, named 0, 1 and so on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from napari_asmil.errors import InputError
from napari_asmil.slides import resolution
from napari_asmil.slides.backend import Level, Opened
from napari_asmil.slides.pixels import Depth, Meaning, Samples
from napari_asmil.slides.tiff_tiles import block_of
from napari_asmil.slides.zarr_codecs import bounded
from napari_asmil.words import counted

LARGEST = 100_000_000
"""Pixels of a chunk at most, in all channels."""

LARGEST_METADATA = 2**24
"""Bytes of a JSON file that is read."""

_FIRST_OF = {"t": "time points", "z": "focal planes"}


def sniff(path: Path) -> bool:
    """Whether the folder is a group whose metadata names multiscales, or holds images as bioformats2raw does."""
    return path.is_dir() and _image_folder(path) is not None


def open(path: Path) -> Opened:  # noqa: A001 (every backend offers `sniff` and `open`)
    """Open an OME-Zarr folder; reads its metadata and no pixels.

    Raises
    ------
    InputError
        When its metadata does not hold together, an array lies outside the folder, or pixels are no 8- or 16-bit ones.
    """
    found = _image_folder(path)
    if found is None:
        raise InputError("This folder is no OME-Zarr image.", remedy="Name the folder of the image itself.", path=path)
    folder, described, version = found
    try:
        return _opened(path, folder, described, version)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, RecursionError) as error:
        raise InputError(
            f"It is an OME-Zarr image whose metadata does not hold together ({str(error) or type(error).__name__}).",
            remedy="Write it again with a current writer (bioformats2raw, ome-zarr-py).",
            path=path,
        ) from error


class _Inside(LocalStore):
    """A folder read-only, out of which no link leads."""

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if not (self.root / key).resolve().is_relative_to(self.root.resolve()):
            raise ValueError(f"{key} leads out of its folder")
        return await super().get(key, prototype, byte_range)


def _opened(path: Path, folder: Path, described: Mapping[str, Any], version: str) -> Opened:
    image = described["multiscales"][0]
    axes = [axis if isinstance(axis, str) else axis["name"] for axis in image.get("axes", "tczyx")]
    store = _Inside(folder, read_only=True)
    arrays = [_array(store, dataset["path"]) for dataset in image["datasets"]]
    depth = Depth(8 if arrays[0].dtype == np.uint8 else None)
    levels, facts = [], [f"slide, OME-Zarr {version}, read by zarr"]
    for array in arrays:
        _check(array, axes, path)
        rows, columns = array.shape[axes.index("y")], array.shape[axes.index("x")]
        chunk = array.chunks[axes.index("y")], array.chunks[axes.index("x")]
        region = partial(_rgb, array, axes, Meaning(depth))
        levels.append(Level((rows, columns), block_of((min(chunk[0], rows), min(chunk[1], columns))), region))
    depth.look_at(levels[-1].shape, lambda: int(np.max(_samples(arrays[-1], axes, 0, None, 0, None))))
    if len(described["multiscales"]) > 1:
        facts.append(f"the first of {len(described['multiscales'])} multiscales is shown")
    if folder != path:
        facts.append(f"{counted(len(list(path.glob('[0-9]*'))), 'image')} in the folder; image {folder.name} is shown")
    for axis, count in zip(axes, arrays[0].shape, strict=True):
        if axis not in "cyx" and count > 1:
            facts.append(f"the first of {count} {_FIRST_OF.get(axis, f'along {axis}')} is shown")
        if axis == "c" and count not in (1, 3):
            facts.append(f"{counted(count, 'channel')}, of which the first three are red, green and blue")
    claim = _mpp(image, axes)
    return Opened(levels, *claim, [*facts, *depth.facts], lambda: None)


def _array(store: LocalStore, name: str) -> zarr.Array[Any]:
    inside = (store.root / name).resolve()
    if Path(name).is_absolute() or not inside.is_relative_to(store.root.resolve()) or inside == store.root.resolve():
        raise ValueError(f"the array {name!r} lies outside its folder")
    return bounded(zarr.open_array(store, path=name, mode="r"))


def _check(array: zarr.Array[Any], axes: list[str], path: Path) -> None:
    told = " x ".join(f"{length} ({axis})" for axis, length in zip(axes, array.shape, strict=True))
    if array.dtype not in (np.uint8, np.uint16) or not {"y", "x"} <= set(axes) or min(array.shape) < 1:
        raise InputError(
            f"Its pixels are {array.dtype}, {told}; a slide must be 8-bit RGB or grey, or 16-bit.",
            remedy="Export it as an 8-bit RGB pyramid (for example with QuPath).",
            path=path,
        )
    if prod(array.chunks) > LARGEST:
        raise InputError(
            f"Its chunks are of {' x '.join(map(str, array.chunks))} samples, which can only be decoded whole.",
            remedy="Write it again in chunks of at most 4096 x 4096 px.",
            path=path,
        )


def _samples(array: zarr.Array[Any], axes: list[str], y0: int, y1: int | None, x0: int, x1: int | None) -> Samples:
    box: dict[str, Any] = {"y": slice(y0, y1), "x": slice(x0, x1), "c": slice(0, 3)}
    found = np.asarray(array[tuple(box.get(axis, 0) for axis in axes)])
    kept = [axis for axis in axes if axis in box]
    found = found if "c" in kept else found[..., None]
    return np.transpose(found, [[*kept, "c"].index(axis) for axis in "yxc"])


def _rgb(
    array: zarr.Array[Any], axes: list[str], meaning: Meaning, y0: int, y1: int, x0: int, x1: int
) -> NDArray[np.uint8]:
    return np.ascontiguousarray(meaning.rgb(_samples(array, axes, y0, y1, x0, x1)))


def _mpp(image: Mapping[str, Any], axes: list[str]) -> resolution.Claim:
    """From the scale of the first dataset, times the scale of all, in the axes' units."""
    sizes = {"y": 1.0, "x": 1.0}
    said = [part.get("coordinateTransformations", []) for part in (image["datasets"][0], image)]
    scales = [one["scale"] for transforms in said for one in transforms if one.get("type") == "scale"]
    for axis in sizes:
        place = axes.index(axis)
        described = image.get("axes", "tczyx")[place]
        unit = described.get("unit") if isinstance(described, dict) else None
        if not scales or unit not in resolution.MICROMETRES:
            return None, "unknown: the OME-Zarr metadata gives no size with a unit"
        for scale in scales:
            sizes[axis] *= float(scale[place])
        sizes[axis] *= resolution.MICROMETRES[unit]
    return resolution.settle(sizes["x"], sizes["y"], "scale and unit of the OME-Zarr metadata")


def _image_folder(path: Path) -> tuple[Path, Mapping[str, Any], str] | None:
    """The folder of the image, what its metadata says, and the version."""
    for folder in (path, path / "0"):
        for name, inner in (("zarr.json", ("attributes", "ome")), (".zattrs", ())):
            described = _json(folder / name)
            for key in inner:
                described = described.get(key) if isinstance(described, dict) else None
            if isinstance(described, dict) and isinstance(described.get("multiscales"), list):
                first = described["multiscales"][0] if described["multiscales"] else {}
                stated = described.get("version") or (first.get("version") if isinstance(first, dict) else None)
                return folder, described, str(stated or ("0.5" if inner else "0.4"))
    return None


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size <= LARGEST_METADATA:
            return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        pass
    return None
