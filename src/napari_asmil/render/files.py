"""Pictures under the name that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_asmil.errors import InputError
from napari_asmil.files import complete


def check_ending(path: Path, suffix: str) -> None:
    """Refuse a name that does not end in `suffix`.

    Raises
    ------
    InputError
        With the ending there must be.
    """
    if path.suffix.lower() != suffix:
        raise InputError(f"This file is written as {suffix}.", remedy=f"Let its name end in {suffix}.", path=path)


def write_png(path: Path, picture: Image.Image, facts: Mapping[str, str]) -> None:
    """Write a PNG with each of `facts` that is not empty as a text chunk of that name."""
    check_ending(path, ".png")
    chunks = PngInfo()
    for name, text in facts.items():
        if text:
            chunks.add_itxt(name, text)
    with complete(path) as partial:
        picture.save(partial, format="PNG", pnginfo=chunks)
