"""What stored samples look like as 8-bit RGB: grey, palette, inverted, YCbCr and 16-bit samples."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[Any]
"""As stored, uint8 or uint16 (y, x, samples)."""

LOOKED_THROUGH = 4096 * 4096
"""Pixels of a level that may be looked through for its greatest value."""

_YCBCR = np.array([(1, 0, 1.402), (1, -0.344136, -0.714136), (1, 1.772, 0)], dtype=np.float32)
"""Full-range BT.601, as JPEG (JFIF 1.02) uses it."""


class Depth:
    """How many bits of a sample are used: stated by the file, or told by the greatest value of its smallest level.

    Parameters
    ----------
    stated : int or None
        Bits in use, where they are known.
    """

    def __init__(self, stated: int | None) -> None:
        self._bits = stated
        self._greatest: Callable[[], int] | None = None
        self._lock = threading.Lock()
        self.facts = [] if stated in (None, 8) else [f"{stated} bits a sample, as the file states, shown by 8"]

    def look_at(self, shape: tuple[int, int], greatest: Callable[[], int]) -> None:
        """Have a level looked through, when pixels are first asked for, where the file does not state the bits."""
        if self._bits is not None:
            return
        if shape[0] * shape[1] <= LOOKED_THROUGH:
            self._greatest = greatest
            rule = "as many as the greatest value of the smallest level takes"
        else:
            rule = "all 16, since even its smallest level is too large to be looked through"
        self.facts = [f"16-bit samples without a word on how many bits are used: {rule}; shown by the highest 8"]

    @property
    def bits(self) -> int:
        """Bits in use; 16 where nothing tells."""
        with self._lock:
            if self._bits is None:
                self._bits = 16 if self._greatest is None else max(8, self._greatest().bit_length())
            return self._bits


@dataclass(frozen=True)
class Meaning:
    """How samples become RGB.

    Attributes
    ----------
    depth : Depth
        Bits in use.
    inverted : bool
        Whether zero is white.
    ycbcr : bool
        Whether three samples are luminance and two colour differences, which the decoder leaves as they are.
    table : uint8 (n, 3) or None
        Colours that samples are indices of.
    """

    depth: Depth
    inverted: bool = False
    ycbcr: bool = False
    table: NDArray[np.uint8] | None = None

    def rgb(self, samples: Samples) -> NDArray[np.uint8]:
        """Samples (y, x, s) as uint8 (y, x, 3): one is grey, two are red and green, of more the first three."""
        if self.table is not None:
            return self.table[np.minimum(samples[..., 0], len(self.table) - 1)]
        shown = _eight_bits(samples[..., :3], self.depth.bits)
        if self.inverted:
            shown = 255 - shown
        if self.ycbcr and shown.shape[2] == 3:
            shown = _from_ycbcr(shown)
        if shown.shape[2] == 1:
            return np.repeat(shown, 3, axis=2)
        if shown.shape[2] == 2:
            return np.concatenate([shown, np.zeros_like(shown[..., :1])], axis=2)
        return shown


def colour_table(stored: NDArray[np.uint16] | None) -> NDArray[np.uint8]:
    """A TIFF ColorMap (3, n) of 16-bit colours as uint8 (n, 3); some writers fill it with 8-bit ones.

    Raises
    ------
    ValueError
        When it is none.
    """
    if stored is None or stored.ndim != 2 or len(stored) != 3 or stored.size == 0:
        raise ValueError("a palette without its colours")
    colours = np.asarray(stored, dtype=np.uint16).T
    return (colours >> 8 if colours.max(initial=0) > 255 else colours).astype(np.uint8)


def on_white(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture in which something may be transparent, on white: uint8 (y, x, 3)."""
    white = Image.new("RGBA", picture.size, "white")
    return np.array(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"), dtype=np.uint8)


def _eight_bits(samples: Samples, bits: int) -> NDArray[np.uint8]:
    if bits == 8 and samples.dtype == np.uint8:
        return samples
    top = 2**bits - 1
    wide = np.minimum(samples, top).astype(np.uint16)
    shown: NDArray[np.uint8] = (wide >> (bits - 8) if bits >= 8 else wide * 255 // top).astype(np.uint8)
    return shown


def _from_ycbcr(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    centred = samples.astype(np.float32) - np.array((0, 128, 128), dtype=np.float32)
    found: NDArray[np.uint8] = np.clip(centred @ _YCBCR.T + 0.5, 0, 255).astype(np.uint8)
    return found
