"""Which pages of a TIFF file are the levels of the slide, which are pictures beside it, and how each becomes RGB."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.slides.codec_sizes import BOUNDED, SIZES
from napari_asmil.slides.pixels import Depth, Meaning, Samples, colour_table
from napari_asmil.slides.tiff_tiles import Plane, SharedFile, block_of

LARGEST = 100_000_000
"""Pixels that are decoded at once at most: a tile, a strip, a picture beside the slide."""

MOST_UNLIKE = 2.5
"""How much wider for its height than level 0 a level may be; labels are more so."""

_KNOWN_LADDERS = ("ome", "scn", "bif", "philips", "ndpi")
"""Kinds of which tifffile's levels are all there are."""

MOST_SAMPLES = 100
"""Samples a pixel may have, be it of a spectral camera."""

_PHOTOMETRIC = ("RGB", "YCBCR", "MINISBLACK", "MINISWHITE", "PALETTE")
_NOT_STORED = {
    "RGB": "white",
    "YCBCR": "white",
    "MINISWHITE": "white",
    "MINISBLACK": "without light",
    "PALETTE": "of the first colour of its palette",
}
"""How tiles look that were not stored."""
_YCBCR_KEPT = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "ZSTD", "LZMA")
"""Compressions whose decoder leaves YCbCr as it is; so does that of Aperio's 33003, whatever the photometric tag."""

_APERIO_YCBCR = "APERIO_JP2000_YCBC"

_FIRST_OF = {"T": "time points", "Z": "focal planes", "C": "channels"}


class Picture:
    """One level, or one picture beside the slide.

    Parameters
    ----------
    file : SharedFile
        Where pixels are read.
    series : tifffile series
        Its pages; of several times and focal planes the first is taken, of several channels the first three.
    bits : int or None
        Bits of a 16-bit sample in use, where the metadata says so.
    depth : Depth, optional
        Of the level 0 that it belongs to.

    Attributes
    ----------
    shape, block : (int, int)
        Rows and columns, of all and of what is read at once.
    facts : list of str
        What of the series is shown, in words.
    storage : str
        How it is stored, in words.
    depth : Depth
        Bits of a sample in use.
    """

    def __init__(self, file: SharedFile, series: Any, bits: int | None = None, depth: Depth | None = None) -> None:
        self._series, self._key = series, series.keyframe
        self._photometric = getattr(self._key.photometric, "name", "")
        self._sizes = _sizes(series.axes, series.shape)
        why = self._refusal()
        if why:
            raise ValueError(why)
        self.depth = depth or Depth(_stated_bits(self._key, bits))
        self.shape = (int(self._key.imagelength), int(self._key.imagewidth))
        self.facts: list[str] = []
        self._planes = list(self._chosen(file))
        self.block = block_of(self._planes[0].edge)
        self._meaning = self._means()
        missing = sum(one.missing for one in self._planes)
        if missing:
            self.facts.append(f"{missing:,} of its tiles were not stored, and are {_NOT_STORED[self._photometric]}")

    @property
    def storage(self) -> str:
        """Compression and the size of tiles."""
        tiles = f"{self._key.tilewidth} x {self._key.tilelength} px tiles" if self._key.is_tiled else "strips"
        return f"{getattr(self._key.compression, 'name', self._key.compression)} in {tiles}"

    def check(self, size: int, path: Path) -> None:
        """Refuse what does not lie in a file of `size` bytes, or can only be read in too large pieces.

        Raises
        ------
        InputError
            With the reason.
        """
        high, wide = self._planes[0].edge
        if high * wide * self._planes[0].samples > 3 * LARGEST:
            raise InputError(
                f"It is stored in pieces of {wide} x {high} px, which can only be decoded whole.",
                remedy="Convert it to a tiled pyramidal TIFF (for example: vips tiffsave IN OUT.tif --tile --pyramid).",
                path=path,
            )
        for one in self._planes:
            missing = one.needed - one.listed  # Philips may leave out the last row
            if missing > one.grid[1] or 2 * missing > one.needed:
                raise InputError(
                    f"Its directory is damaged: {self.shape[1]} x {self.shape[0]} px take {one.needed:,} tiles or"
                    f" strips, and it lists {one.listed:,}.",
                    remedy="Copy it again from where it came from.",
                    path=path,
                )
            if one.end > size:
                raise InputError(
                    f"The file is cut off (it ends at byte {size:,}, its pixels reach to byte {one.end:,}).",
                    remedy="Copy it again from where it came from.",
                    path=path,
                )

    def region(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        """Pixels of a box inside it: uint8 (y1 - y0, x1 - x0, 3)."""
        return self._meaning.rgb(self._samples(y0, y1, x0, x1))

    def whole(self) -> NDArray[np.uint8]:
        """All its pixels: uint8 (y, x, 3)."""
        return self.region(0, self.shape[0], 0, self.shape[1])

    def greatest(self) -> int:
        """The greatest value stored."""
        rows, columns = self.shape
        return max(int(self._samples(y, min(y + 256, rows), 0, columns).max()) for y in range(0, rows, 256))

    def _samples(self, y0: int, y1: int, x0: int, x1: int) -> Samples:
        found = [plane.region(y0, y1, x0, x1) for plane in self._planes]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=2)

    def _refusal(self) -> str:
        """What its pixels are, where they cannot be shown; empty where they can."""
        axes = " x ".join(f"{length} ({axis})" for axis, length in self._sizes.items())
        told = f"{self._series.dtype} {self._photometric}, {axes}"
        page = _sizes(self._key.axes, self._key.shape)
        outer = len(self._sizes) - len(page)
        if self._key.compression not in (*BOUNDED, *SIZES):
            return f"{told}, packed as {getattr(self._key.compression, 'name', self._key.compression)}"
        if self._series.dtype not in (np.uint8, np.uint16) or not isinstance(self._key.bitspersample, int):
            return told
        if self._photometric not in _PHOTOMETRIC or not {"Y", "X"} <= self._sizes.keys() or 0 in self._sizes.values():
            return told
        if "".join(page) not in ("YX", "YXS", "SYX") or list(self._sizes.items())[outer:] != list(page.items()):
            return told
        if page.get("S", 1) > MOST_SAMPLES or self._key.shaped[1] != 1:
            return told
        return told if self._key.is_subsampled and not self._is_jpeg() else ""

    def _is_jpeg(self) -> bool:
        return "JPEG" in getattr(self._key.compression, "name", "")

    def _chosen(self, file: SharedFile) -> Iterator[Plane]:
        """The planes shown, of all those that the axes before the page's own count."""
        page = _sizes(self._key.axes, self._key.shape)
        outer = list(self._sizes.items())[: len(self._sizes) - len(page)]
        channels, step = 1, 1
        for place, (axis, count) in enumerate(outer):
            after = prod(length for _, length in outer[place + 1 :])
            if axis == "C" and page.get("S", 1) == 1:
                channels, step = count, after
            else:
                self.facts.append(f"the first of {count} {_FIRST_OF.get(axis, 'images')} is shown")
        samples = page.get("S", 1)
        if channels == 1 and samples > 1 and self._photometric not in ("RGB", "YCBCR"):
            self.facts.append(_channel_words(samples))
        if channels > 1:
            self.facts.append(_channel_words(channels))
        in_one_stretch = self._series.dataoffset is not None
        for index in range(0, min(channels, 3) * step, step):
            found = self._series[0 if in_one_stretch else index]
            if found is None:
                raise ValueError(f"plane {index} is not in this file")
            behind = index * int(self._key.nbytes) if in_one_stretch else 0
            yield Plane(file, found, behind=behind, fill=self._not_stored())

    def _not_stored(self) -> int | tuple[int, int, int]:
        """Samples of tiles that were not stored, as `_NOT_STORED` says that they look."""
        most = int(np.iinfo(self._key.dtype).max) * (self._photometric in ("RGB", "YCBCR"))  # of others, zero looks so
        return (most, 128, 128) if self._is_ycbcr() else most

    def _is_ycbcr(self) -> bool:
        compression = getattr(self._key.compression, "name", "")
        return compression == _APERIO_YCBCR or (self._photometric == "YCBCR" and compression in _YCBCR_KEPT)

    def _means(self) -> Meaning:
        table = colour_table(self._key.colormap) if self._photometric == "PALETTE" else None
        inverted = self._photometric == "MINISWHITE"
        return Meaning(self.depth, inverted=inverted, ycbcr=self._is_ycbcr(), table=table)


def ladder(tiff: Any, main: Any) -> list[Any]:
    """The levels of the main series, largest first, each smaller than the one before it.

    Of an Aperio file every tiled page is one (openslide.org/formats/aperio), where tifffile takes the second for the
    thumbnail and stops at one marked as reduced. Of a plain TIFF the SubIFDs of the first page and the pages marked as
    reduced are, whatever their factor, where tifffile takes halves and quarters alone.
    """
    first, steps = main.keyframe, list(main.levels)
    if main.kind == "svs":
        steps += [_alone(page) for page in tiff.pages if page.is_tiled and page.photometric == first.photometric]
    elif main.kind not in _KNOWN_LADDERS:
        reduced = [page for page in tiff.pages if page.is_reduced and page.is_tiled == first.is_tiled]
        likes = (page for page in [*(first.pages or []), *reduced] if _is_like(page, first))
        steps += [_alone(page) for page in likes]
    found = steps[:1]
    for step in sorted(steps[1:], key=lambda one: -_pixels(one)):
        last, this = found[-1].keyframe, step.keyframe
        narrower, lower = this.imagewidth <= last.imagewidth, this.imagelength <= last.imagelength
        if narrower and lower and _pixels(step) < _pixels(found[-1]):
            found.append(step)
    return found


def pictures_beside(tiff: Any, main: Any, levels: list[Any], file: SharedFile) -> Iterator[tuple[str, Picture]]:
    """Label, macro, thumbnail and other images that are no levels, by name, where they can be shown."""
    used = {id(page) for level in levels for page in level.pages}
    series = [one for one in tiff.series if one is not main]
    if main.kind == "svs":
        series = [_alone(page, _aperio_name(page)) for page in tiff.pages]
    names: set[str] = set()
    for number, one in enumerate(series, start=1):
        if used & {id(page) for page in one.pages} or _pixels(one) > LARGEST:
            continue
        name = (one.name or f"image {number}").lower()
        name = name if name not in names else f"{name} {number}"
        try:
            picture = Picture(file, one)
        except Exception:  # noqa: BLE001 (tifffile raises whatever a strange directory leads to)
            continue
        names.add(name)
        yield name, picture


def _alone(page: Any, name: str = "") -> Any:
    """A page as a series of its own."""
    pages = [page]
    return _One(
        pages=pages, keyframe=page, axes=page.axes, shape=page.shape, dtype=page.dtype, dataoffset=None, name=name
    )


class _One(SimpleNamespace):
    pages: list[Any]

    def __getitem__(self, index: int) -> Any:
        return self.pages[index]


def _aperio_name(page: Any) -> str:
    """Label and macro are named in the second line of their description; else by their subfile type."""
    described = str(page.description).lower().partition("\n")[2]
    named = next((name for name in ("label", "macro") if described.startswith(name)), "")
    return named or {1: "label", 9: "macro"}.get(int(page.subfiletype), "thumbnail")


def _is_like(page: Any, first: Any) -> bool:
    """Whether a smaller page may be a level of the first: the same samples, and about as wide for its height."""
    same = (page.dtype, page.samplesperpixel) == (first.dtype, first.samplesperpixel)
    widths = page.imagewidth * first.imagelength, page.imagelength * first.imagewidth
    return same and max(widths) <= MOST_UNLIKE * min(widths)


def _pixels(series: Any) -> int:
    return int(series.keyframe.imagewidth) * int(series.keyframe.imagelength)


def _sizes(axes: str, shape: tuple[int, ...]) -> dict[str, int]:
    """Length of each axis that matters; whether others, of length 1, are listed depends on the version of tifffile."""
    return {axis: n for axis, n in zip(axes, shape, strict=True) if n > 1 or axis in "YX"}


def _stated_bits(page: Any, told: int | None) -> int | None:
    """Bits of a sample in use: what is no 16-bit sample has as many as it says."""
    if page.bitspersample != 16:
        return int(page.bitspersample)
    if told is not None and 1 <= told <= 16:
        return told
    top = page.tags.valueof("MaxSampleValue")
    return top.bit_length() if isinstance(top, int) and 255 < top < 2**16 else None


def _channel_words(count: int) -> str:
    return f"{count} channels, of which " + (
        "the first is shown as red and the second as green" if count == 2 else "the first three are red, green and blue"
    )
