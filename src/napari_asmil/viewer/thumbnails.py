"""Small pictures of slides, made while the window has nothing else to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap

from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.slides import Slide, open_slide
from napari_asmil.viewer.idle import Idle

SIDE = 30
"""Longest side of a picture in px."""
MOST = 400
"""Pictures that are kept; what was not asked for the longest goes first."""
LARGEST = 4096
"""A slide file whose smallest level is larger (px) has no picture: making one would read the whole slide."""
SCRATCH = 16 * 2**20
"""Bytes of decoded tiles while a picture is made."""


class Thumbnails:
    """Pictures of slide files, by path; `made` is called with the path of each that is new.

    Parameters
    ----------
    idle : Idle
    made : callable
        Called in the main thread.
    """

    def __init__(self, idle: Idle, made: Callable[[Path], None]) -> None:
        self._idle, self._made = idle, made
        self._pictures: OrderedDict[Path, QPixmap | None] = OrderedDict()

    def get(self, path: Path) -> QPixmap | None:
        """The picture, where it is made already and there is one."""
        if path not in self._pictures:
            return None
        self._pictures.move_to_end(path)
        return self._pictures[path]

    def want(self, paths: Iterable[Path]) -> None:
        """Make these that are not made yet, in place of those wanted before."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._pictures]
        if missing:
            self._idle.do(self, self._make(missing))
        else:
            self.stop()

    def stop(self) -> None:
        """Make no more."""
        self._idle.drop(self)

    def _make(self, paths: list[Path]) -> Generator[None, None, None]:
        for path in paths:
            yield
            picture = None  # one that cannot be made is not tried again
            with suppress(InputError), open_slide(path, cache=ArrayCache(SCRATCH)) as slide:
                for small in overview(slide):
                    yield
                    if small is not None:
                        picture = _pixmap(small)
            self._pictures[path] = picture
            while len(self._pictures) > MOST:
                self._pictures.popitem(last=False)
            if picture is not None:
                self._made(path)


def overview(slide: Slide, side: int = 2 * SIDE) -> Generator[NDArray[np.uint8] | None, None, None]:
    """The slide at most about `side` px large, uint8 (y, x, 3), after a None for each strip that was read."""
    level = slide.levels[slide.stored - 1]
    rows, columns, _ = level.shape
    if max(rows, columns) > LARGEST:
        return
    by = max(1, max(rows, columns) // side)
    strip = max(by, level.chunks[0] // by * by)
    across = max(1, columns // by) if columns >= by else 1
    parts = []
    for top in range(0, rows - by + 1, strip):
        pixels = level[top : min(top + strip, rows)]
        down = len(pixels) // by
        if down:
            cut = pixels[: down * by, : across * by]
            parts.append(cut.reshape(down, by, across, -1, 3).mean(axis=(1, 3)).astype(np.uint8))
        yield None
    if parts:
        yield np.concatenate(parts)


def _pixmap(pixels: NDArray[np.uint8]) -> QPixmap:
    rows, columns, _ = pixels.shape
    data = pixels.tobytes()  # a QImage does not copy, and must not outlive it
    image = QImage(data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    smooth = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image.scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio, smooth))
