"""Files and folders that are complete or not there."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_asmil.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`: the file or folder made there takes its place when the block ends well.

    Otherwise it is removed, and what was at `path` stays. A folder does not take the place of one that holds
    something.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    _remove(partial)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        _remove(partial)


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """As `replacing`, and what the system objects to is told.

    Raises
    ------
    InputError
        When it cannot be written, with the system's reason.
    """
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise InputError(
            f"It cannot be written ({why(error, path)}).",
            remedy="Choose an existing folder with room that you may write to.",
            path=path,
        ) from error


def why(error: OSError, path: Path) -> str:
    """The system's reason; where a file stands in the place of a folder, that in words instead."""
    file = next((above for above in (path, *path.parents) if above.exists()), path)
    return f"{file} is a file, not a folder" if file != path and not file.is_dir() else error.strerror or str(error)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all; raises as `complete`."""
    with complete(path) as partial:
        partial.write_text(text, encoding="utf-8")


def comments(told: Iterable[str]) -> str:
    """What is told before the rows of a table: a line that begins with ``#`` for each."""
    return "".join(f"# {' '.join(text.split())}\n" for text in told)


def json_text(content: Any, *, indent: int | None = None) -> str:
    """JSON that every reader takes: a number that is not finite is null."""
    return json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, indent=indent)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _remove(partial: Path) -> None:
    with suppress(OSError):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()
