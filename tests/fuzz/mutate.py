"""Files as strangers send them: cut off, with bytes turned, pieces repeated or gone, numbers made huge."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

Change = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, draw: random.Random) -> bytes:
    """The beginning alone."""
    return content[: draw.randrange(len(content))]


def turned(content: bytes, draw: random.Random) -> bytes:
    """Some bytes are others."""
    out = bytearray(content)
    for _ in range(draw.choice((1, 4, 64))):
        out[draw.randrange(len(out))] = draw.randrange(256)
    return bytes(out)


def huge(content: bytes, draw: random.Random) -> bytes:
    """Eight bytes in a row say a very large number."""
    at = draw.randrange(max(len(content) - 8, 1))
    number = draw.choice((b"\xff" * 8, b"\xff\xff\xff\x7f\xff\xff\xff\x7f", b"99999999", b"-1e308  "))
    return content[:at] + number + content[at + 8 :]


def repeated(content: bytes, draw: random.Random) -> bytes:
    """A piece comes twice."""
    at, end = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:end] + content[at:end] + content[end:]


def gone(content: bytes, draw: random.Random) -> bytes:
    """A piece is missing."""
    at, end = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:at] + content[end:]


CHANGES: tuple[Change, ...] = (cut, turned, turned, huge, huge, repeated, gone)


def mutated(source: Path, folder: Path, seed: int) -> Path:
    """A copy of a file, or of a folder with one of its files changed, in `folder`, which is new.

    What lies beside the file is copied too, as far as it is small: companions of a layout.
    """
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    if source.is_dir():
        copy = folder / source.name
        shutil.copytree(source, copy)
        victims = [path for path in sorted(copy.rglob("*")) if path.is_file() and path.stat().st_size]
        victim = draw.choice(victims)
    else:
        for other in source.parent.iterdir():
            if other == source or (other.is_file() and other.stat().st_size < 2**20):
                shutil.copyfile(other, folder / other.name)
        copy = victim = folder / source.name
    victim.write_bytes(draw.choice(CHANGES)(victim.read_bytes(), draw))
    return copy
