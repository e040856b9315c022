"""Files that open as a picture and are the index of a slide that lies beside them: Olympus VSI, 3DHISTECH MRXS.

A VSI is a TIFF of an overview, whose slide is in ``_NAME_/stack*/*.ets``; an MRXS is a JPEG, whose slide is in
``NAME/*.dat`` with a ``Slidedat.ini``. A conversion of such a slide is put in the same place under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_asmil.errors import InputError
from napari_asmil.slides.backend import Unreadable

SMALLER = 50
"""An index that is not called one takes at most this part of the bytes of its slide."""


def beside_vsi(path: Path) -> list[str]:
    """What is to be said of a TIFF that is no index, though a slide of Olympus lies beside it.

    Raises
    ------
    InputError
        When it is the index, by its ending or since it is much smaller than that slide.
    """
    parts = list(path.with_name(f"_{path.stem}_").glob("*/*.ets"))
    if path.suffix.lower() == ".vsi" or _is_much_smaller(path, parts):
        raise InputError(
            f"It is the index of an Olympus VSI slide, whose pixels are in the .ets files of the folder _{path.stem}_,"
            " which neither tifffile nor OpenSlide reads.",
            remedy="Convert it to a pyramidal OME-TIFF (for example with bfconvert or QuPath).",
            path=path,
        )
    return (
        [f"an Olympus VSI slide lies beside it (_{path.stem}_); shown is what this file holds itself"] if parts else []
    )


def beside_mrxs(path: Path) -> list[str]:
    """What is to be said of a picture that is no index, though an MRXS slide lies beside it.

    Raises
    ------
    Unreadable
        When it is the index, by its ending or as a JPEG much smaller than that slide; OpenSlide knows how to follow it.
    """
    folder = path.with_suffix("")
    parts = list(folder.glob("*.dat")) if folder.joinpath("Slidedat.ini").is_file() else []
    with path.open("rb") as file:
        is_jpeg = file.read(3) == b"\xff\xd8\xff"
    if path.suffix.lower() == ".mrxs" or (is_jpeg and _is_much_smaller(path, parts)):
        raise Unreadable(
            f"It is the index of an MRXS slide, whose pixels are in the folder {path.stem} beside it.",
            remedy="Copy that folder too, whole and under this name, and let the index end in .mrxs.",
            path=path,
        )
    return [f"an MRXS slide lies beside it ({path.stem}); shown is what this file holds itself"] if parts else []


def _is_much_smaller(path: Path, parts: Iterable[Path]) -> bool:
    return SMALLER * path.stat().st_size < sum(part.stat().st_size for part in parts if part.is_file())
