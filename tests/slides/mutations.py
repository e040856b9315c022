"""Files with a few bytes changed, the same for the same seed: mostly where a TIFF keeps its directories."""

from __future__ import annotations

import io
import random
import time
import tracemalloc
from pathlib import Path

import tifffile

from napari_asmil import open_slide
from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError

EXTREMES = (0, 1, 255, 65536, 10**9, 2**31 - 1, 2**31, 2**32 - 1)
SECONDS, MEGABYTES = 5, 1000
"""What looking at a small file may take at most."""


def directory_places(content: bytes) -> list[tuple[int, int]]:
    """Where the entries and values of its directories lie: (offset, length) each."""
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            tags = [tag for page in file.pages for tag in page.tags]
            return [place for tag in tags for place in ((tag.offset, 12), (tag.valueoffset, 16))]
    except tifffile.TiffFileError:
        return []


def mutated(content: bytes, places: list[tuple[int, int]], seed: int) -> bytes:
    """The content with one to six bytes or words changed, now and then cut off."""
    chance = random.Random(seed)
    changed = bytearray(content)
    in_directory = places and chance.random() < 0.7
    for _ in range(chance.randint(1, 6)):
        start, length = chance.choice(places) if in_directory else (0, len(changed))
        at = min(start + chance.randrange(length), len(changed) - 4)
        if chance.random() < 0.5:
            changed[at] = chance.randrange(256)
        else:
            changed[at : at + 4] = chance.choice(EXTREMES).to_bytes(4, "little")
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.05 else changed)


def look_at(path: Path) -> bool:
    """Open the slide and read here and there; whether it opened. Anything raised but `InputError` is a fault."""
    try:
        slide = open_slide(path, cache=ArrayCache(2**24))
    except InputError as error:
        assert str(path) in str(error)
        return False
    with slide:
        assert all(isinstance(line, str) for line in slide.describe())
        rows, columns = slide.shape
        for y, x in ((0, 0), (rows // 2, columns // 2), (rows - 40, columns - 40)):
            _or_sentence(lambda y=y, x=x: slide.read(0, y, y + 40, x, x + 40), path)
        for name in slide.associated:
            _or_sentence(lambda name=name: slide.associated[name], path)
    return True


def within_bounds(path: Path) -> bool:
    """`look_at`, held to `SECONDS` and `MEGABYTES`."""
    tracemalloc.start()
    start = time.process_time()
    try:
        opened = look_at(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    seconds = time.process_time() - start
    assert seconds < SECONDS
    assert peak < MEGABYTES * 10**6
    return opened


def _or_sentence(read: object, path: Path) -> None:
    try:
        read()  # type: ignore[operator]
    except InputError as error:
        assert str(path) in str(error)
