"""What a bag that is there already was made from: kept when that is the same, never overwritten when it is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py

from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.torch_encoder import TorchEncoder
from napari_asmil.errors import InputError

SAMPLE_BYTES = 2**20
SETTINGS = "extraction_settings"
"""File attribute with everything a bag was made from, as JSON."""

WORDS = {
    "slide": "another slide file",
    "slide_mpp": "another pixel size of the slide",
    "encoder": "another encoder",
    "precision": "another precision of the encoder",
    "tiles": "another tile size",
    "stride": "another stride",
    "cover": "another choice of covering the whole slide",
    "contours": "other contours",
    "points": "other points",
    "min_tissue": "another least share of tissue",
    "within": "other contours to lay tiles in",
    "roles": "other roles of contours",
    "cropped": "contours counted from another corner",
    "within_cropped": "contours to lay tiles in counted from another corner",
    "route": "another way of reading pixels",
}
BEFORE = {
    "min_tissue": 0.5,
    "roles": {},
    "cropped": False,
    "within_cropped": False,
    "slide_mpp": None,
    "route": 1,
}
"""What bags were made with that do not say."""


def made_before(bag: Path, settings: str) -> bool:
    """Whether the bag is there, made with these settings; a damaged file counts as none.

    Raises
    ------
    InputError
        When a sound file is there that was made with other settings, or does not say with which.
    """
    there = _settings_of(bag)
    if there is None:
        return False
    wanted = json.loads(settings)
    found = {**BEFORE, "precision": wanted.get("precision"), **json.loads(there or "{}")}
    differing = [WORDS.get(name, name) for name in wanted if found.get(name) != wanted[name]]
    if there and not differing:
        return True
    what = f"with {', '.join(differing)}" if there else "by something else"
    raise InputError(
        f"A feature file is there already, made {what}; it is not overwritten.",
        remedy="Choose another folder (--out), or remove it.",
        path=bag,
    )


def _settings_of(bag: Path) -> str | None:
    """Settings of a bag, "" where a sound file does not say; None where there is no sound file."""
    if not (bag.is_file() and h5py.is_hdf5(bag)):
        return None
    try:
        with h5py.File(bag, "r") as file:
            return str(file.attrs.get(SETTINGS, ""))
    except OSError:
        return None


def keep_precision(encoder: Encoder, folder: Path) -> None:
    """Let an encoder that knows several precisions compute in that of the bags it made in the folder before.

    Which is fastest is timed anew at every start, and the bags of one folder are to be comparable.
    """
    if not isinstance(encoder, TorchEncoder) or not folder.is_dir():
        return
    for bag in sorted(folder.glob("*.h5")):
        made = json.loads(_settings_of(bag) or "{}")
        if made.get("encoder") == encoder.name and made.get("precision"):
            encoder.compute_in(str(made["precision"]))
            return


def fingerprint(path: Path) -> str:
    """Size and a digest that tell files apart without reading gigabytes.

    Of a file it is that of the first and last MiB; of a folder (OME-Zarr) that of the names and sizes of all its files,
    and of what the small ones at its top say. With an MRXS, which is only an index, goes the folder of its name.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(SAMPLE_BYTES)
            file.seek(max(0, size - SAMPLE_BYTES))
            digest = hashlib.sha256(head + file.read()).hexdigest()
        beside = path.with_suffix("")
        more = f"; {_of_folder(beside)}" if path.suffix.lower() == ".mrxs" and beside.is_dir() else ""
    except OSError as reason:
        raise InputError(f"It cannot be read: {reason}.", path=path) from reason
    return f"{size} bytes, sha256 of both ends {digest[:16]}{more}"


def _of_folder(path: Path) -> str:
    found = [file for file in sorted(path.rglob("*")) if file.is_file()]
    files = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in found]
    digest = hashlib.sha256(json.dumps(files).encode())
    for name, size in files:
        if "/" not in name and size <= SAMPLE_BYTES:
            digest.update((path / name).read_bytes())
    return f"{len(files)} files of {sum(size for _, size in files)} bytes, sha256 {digest.hexdigest()[:16]}"
