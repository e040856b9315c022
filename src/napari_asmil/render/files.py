"""Files that are complete or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_asmil.errors import InputError


@contextmanager
def complete(path: Path, suffix: str) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well, and is removed otherwise.

    Raises
    ------
    InputError
        When the name does not end in `suffix`, or the file cannot be written: with the system's reason.
    """
    if path.suffix.lower() != suffix:
        raise InputError(f"This file is written as {suffix}.", remedy=f"Let its name end in {suffix}.", path=path)
    partial = path.with_name(f".{path.stem}.partial-{os.getpid()}{suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"The file cannot be written ({error.strerror or error}).",
            remedy="Choose an existing folder with room that you may write to.",
            path=path,
        ) from error
    finally:
        _remove(partial)


def write_png(path: Path, picture: Image.Image, facts: Mapping[str, str]) -> None:
    """Write a PNG with each of `facts` that is not empty as a text chunk of that name."""
    chunks = PngInfo()
    for name, text in facts.items():
        if text:
            chunks.add_itxt(name, text)
    with complete(path, ".png") as partial:
        picture.save(partial, format="PNG", pnginfo=chunks)


def _remove(partial: Path) -> None:
    try:
        partial.unlink()
    except OSError:
        return
