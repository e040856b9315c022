"""A slide: pyramid levels, their scale, and where each fact is from."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.slides.backend import Associated, Level, Opened, Region
from napari_asmil.slides.lazy import TileArray, halved

if TYPE_CHECKING:
    import dask.array

SMALLEST_LEVEL = 2048
"""napari loads the last level whole when a slide is added, so it must not be larger than this (px)."""

LARGEST_WITHOUT_LEVELS = 2**34
"""Pixels of the smallest level in the file: smaller ones are made from it, and a window needs one at once."""

TILE_CACHE = ArrayCache(512 * 2**20)
"""Decoded tiles of all open slides."""

USER = "the user"
"""Where an mpp is from that the file does not decide."""

_tokens = count()


class Slide:
    """A whole-slide image; made by `open_slide`. Its pixels may be read from any thread.

    Parameters
    ----------
    path : Path
        The file.
    opened : Opened
        What the backend found.
    mpp : float, optional
        Micrometres per level-0 px, when the user knows better than the file.
    cache : ArrayCache
        Where decoded tiles are kept.

    Attributes
    ----------
    levels : list of TileArray
        uint8 (y, x, 3), lazy, largest first. Levels halved on the fly are added until the last one has at
        most 2048 px a side.
    downsamples : list of (float, float)
        Level-0 px per level px along (y, x), computed from the shapes.
    mpp : float or None
        Micrometres per level-0 px.
    mpp_source : str
        Where `mpp` is from, or why it is unknown, in words.
    bounds : (int, int)
        x and y of the scanned area in level-0 px; (0, 0) for most formats.
    associated : mapping of str to uint8 array (y, x, 3)
        Label, macro and thumbnail as far as the file has them; each is read when it is asked for.
    reads : int
        Blocks decoded from the file so far.
    """

    def __init__(self, path: Path, opened: Opened, *, mpp: float | None = None, cache: ArrayCache = TILE_CACHE) -> None:
        self.path = path
        self.mpp, self.mpp_source = opened.mpp, opened.mpp_source
        if mpp is not None:
            self.mpp, self.mpp_source = mpp, USER
        self.bounds = opened.bounds
        self.reads = 0
        self.associated: Mapping[str, NDArray[np.uint8]] = _Associated(opened.associated, self._counted)
        self._opened = opened
        self._closed = False
        self._let_go = weakref.finalize(self, opened.close)
        self._cache = cache
        self._token = next(_tokens)
        self.levels: list[TileArray] = []
        self.downsamples: list[tuple[float, float]] = []
        self._add_levels()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of level 0."""
        return self.levels[0].shape[:2]

    @property
    def frame(self) -> Frame:
        """The level-0 plane, for files that count in something else."""
        return Frame((self.shape[1], self.shape[0]), self.mpp, self.bounds, self._opened.centre_nm)

    @property
    def stored(self) -> int:
        """How many levels the file holds itself; those after them are made as they are looked at."""
        return len(self._opened.levels)

    @property
    def requests(self) -> int:
        """How often pixels of any level were asked for, cached or not."""
        return sum(level.requests for level in self.levels)

    def read(
        self, level: int, y0: int, y1: int, x0: int, x1: int, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Pixels ``[y0, y1) x [x0, x1)`` of a level, in level px: uint8 (y1 - y0, x1 - x0, 3); white outside.

        They are written to `out` where it is given, and that is what is returned.

        Raises
        ------
        InputError
            When the file cannot be decoded there, or the slide was closed.
        """
        return self.levels[level].read(y0, y1, x0, x1, out)

    def dask(self, level: int) -> dask.array.Array:
        """A level as a dask array of about 1024 px chunks, whole tiles of the file."""
        import dask.array

        array = self.levels[level]
        chunks = tuple(max(1, round(1024 / chunk)) * chunk for chunk in array.chunks[:2])
        name = f"slide-{self._token}-{level}"
        empty = np.empty((0, 0, 0), dtype=np.uint8)
        return dask.array.from_array(array, chunks=(*chunks, 3), name=name, meta=empty, lock=False)

    def describe(self) -> list[str]:
        """Lines for `info`: what the file holds and what was derived from it."""
        scale = f"{self.mpp:.4g} µm per level-0 px, from {self.mpp_source}" if self.mpp else self.mpp_source
        lines = [*self._opened.facts, f"pixel size: {scale}"]
        for index, (array, (dy, dx)) in enumerate(zip(self.levels, self.downsamples, strict=True)):
            made = "" if index < len(self._opened.levels) else ", made from the level above as it is looked at"
            down = f"{dy:.5g}" if dy == dx else f"{dy:.5g} (y), {dx:.5g} (x)"
            lines.append(
                f"level {index}: {array.shape[1]} x {array.shape[0]} px (width x height), downsample {down},"
                f" blocks of {array.chunks[1]} x {array.chunks[0]} px{made}"
            )
        if any(self.bounds):
            lines.append(f"the scanned area begins at x = {self.bounds[0]}, y = {self.bounds[1]} (level-0 px)")
        beside = [f"{name} ({one.shape[1]} x {one.shape[0]} px)" for name, one in self._opened.associated.items()]
        if beside:
            lines.append(f"pictures beside it: {', '.join(beside)}")
        return lines

    def close(self) -> None:
        """Let go of the file and of its tiles; reading afterwards raises `InputError`."""
        if not self._closed:
            self._closed = True
            self._cache.drop(lambda key: key[0][0] != self._token)
            self._let_go()

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Slide({self.path.name}, {self.shape[1]} x {self.shape[0]} px, {len(self.levels)} levels)"

    def _add_levels(self) -> None:
        rows, columns = self._opened.levels[0].shape
        high, wide = self._opened.levels[-1].shape
        if high * wide > LARGEST_WITHOUT_LEVELS:
            raise InputError(
                f"Its smallest level has {wide} x {high} px, too many to make from it the small ones a window needs.",
                remedy="Convert it to a tiled pyramidal TIFF (for example: vips tiffsave IN OUT.tif --tile --pyramid).",
                path=self.path,
            )
        for level in self._opened.levels:
            self._add(Level(level.shape, level.block, self._counted(level.region)))
            self.downsamples.append((rows / level.shape[0], columns / level.shape[1]))
        while max(self.levels[-1].shape) > SMALLEST_LEVEL:
            self._add(halved(self.levels[-1]))
            dy, dx = self.downsamples[-1]
            self.downsamples.append((2 * dy, 2 * dx))

    def _add(self, level: Level) -> None:
        self.levels.append(TileArray(level, self._cache, (self._token, len(self.levels))))

    def _counted(self, region: Region) -> Region:
        def read(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
            if self._closed:
                raise InputError("The slide was closed and cannot be read.", path=self.path)
            self.reads += 1
            try:
                return region(y0, y1, x0, x1)
            except Exception as error:
                raise InputError(
                    f"The pixels at x {x0} to {x1}, y {y0} to {y1} cannot be decoded ({error}).",
                    remedy="The file is damaged or incomplete; copy it again from where it came from.",
                    path=self.path,
                ) from error

        return read


class _Associated(Mapping[str, NDArray[np.uint8]]):
    """Pictures beside a slide, read when they are asked for and not kept."""

    def __init__(self, found: Mapping[str, Associated], counted: Callable[[Region], Region]) -> None:
        self._found = found
        self._counted = counted

    def __getitem__(self, name: str) -> NDArray[np.uint8]:
        one = self._found[name]
        return self._counted(lambda *_: one.read())(0, one.shape[0], 0, one.shape[1])

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
