"""Where the tissue is, and tiles on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label, map_coordinates, uniform_filter
from skimage.filters import threshold_otsu
from skimage.transform import downscale_local_mean

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides.slide import Slide

FAINTEST = 0.05
"""Saturation below which nothing is tissue, whatever Otsu says of a blank slide."""

DARKEST = 12
"""Brightness (of 255) up to which a pixel is black background, whose saturation is noise."""

BRIGHT = 128
"""Brightness (of 255) of the ground below which a slide was not lit through."""

ROUNDING = 1e-9
"""Share of a tile that is no difference: the same area comes out so much apart when it is computed in another way."""

MOST_PX = 2**27
"""Pixels of a mask; 2.5 GB are needed to make one of so many."""

STRIP = 2**24
"""Pixels that are read at once where a level is averaged down."""

Mask = tuple[NDArray[np.bool_], tuple[float, float]]
Share = Callable[[TileGrid], NDArray[np.float64]]
"""What share of each tile is tissue."""


@dataclass(frozen=True)
class TissueRule:
    """How tissue is told from glass: saturation, smoothed, above a threshold; then pieces and holes by their area.

    Otsu's threshold on saturation is how CLAM (Lu et al., Nature Biomedical Engineering 2021) and most after it do it;
    they smooth by a median and close gaps, here it is the mean of a box.

    Attributes
    ----------
    mpp : float
        Micrometres per px of the mask, about, where the slide says its own; its last level where it does not.
    smoothing : int
        Edge of the box in px of the mask.
    threshold : float or None
        Saturation, 0 to 1, above which is tissue; None for Otsu's (1979).
    smallest_piece, largest_hole : float
        Pieces of less area are dropped, holes of at most that area filled; mm² where the slide says its mpp, else
        level-0 px.
    """

    mpp: float = 4.0
    smoothing: int = 5
    threshold: float | None = None
    smallest_piece: float = 0.0
    largest_hole: float = 0.0

    def __post_init__(self) -> None:
        if not (0.1 <= self.mpp <= 1000 and 1 <= self.smoothing <= 1001):
            raise InputError(
                f"A tissue mask of {self.mpp} µm per px, smoothed over {self.smoothing} px, cannot be made.",
                remedy="Give 0.1 to 1000 µm per px, and 1 to 1001 px.",
            )
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise InputError(f"{self.threshold} is no saturation.", remedy="Give a threshold from 0 to 1.")
        if not (self.smallest_piece >= 0 and self.largest_hole >= 0):
            raise InputError("An area is negative.", remedy="Give the smallest piece and largest hole from 0 on.")

    def words(self, slide: Slide) -> str:
        """The rule as it is used on a slide."""
        otsu = "Otsu's threshold" if self.threshold is None else f"a threshold of {self.threshold:g}"
        unit = "level-0 px" if slide.mpp is None else "mm²"
        at = "the last level" if slide.mpp is None else f"about {self.mpp:g} µm per px"
        said = f"tissue: saturation at {at}, mean of {self.smoothing} x {self.smoothing} px, above {otsu}"
        pieces = f"; pieces below {self.smallest_piece:g} {unit} left out" if self.smallest_piece else ""
        holes = f"; holes up to {self.largest_hole:g} {unit} filled" if self.largest_hole else ""
        return said + pieces + holes


DEFAULT_RULE = TissueRule()


def tissue_mask(slide: Slide, rule: TissueRule = DEFAULT_RULE) -> Mask:
    """Find tissue by a threshold on the smoothed saturation of a small level.

    Parameters
    ----------
    slide : Slide
        Looked at in about `rule.mpp` µm per px; in its last level when the pixel size is unknown.
    rule : TissueRule
        Threshold, smoothing, and which pieces and holes count.

    Returns
    -------
    mask : bool (h, w)
        True on tissue.
    downsample : (float, float)
        Level-0 px per mask px along (y, x).

    Raises
    ------
    InputError
        When the mask would have more than `MOST_PX` pixels.
    """
    rgb, downsample = _overview(slide, rule.mpp)
    brightest, darkest = rgb.max(axis=2).astype(np.float32), rgb.min(axis=2)
    saturation = np.zeros_like(brightest)
    np.divide(brightest - darkest, brightest, out=saturation, where=brightest > DARKEST)
    smooth = uniform_filter(saturation, size=rule.smoothing)
    if rule.threshold is not None:
        threshold = rule.threshold
    elif smooth.max() == smooth.min():
        threshold = FAINTEST
    else:
        threshold = max(float(threshold_otsu(smooth)), FAINTEST)
    found = smooth > threshold
    pixel = downsample[0] * downsample[1] * (1.0 if slide.mpp is None else (slide.mpp / 1000) ** 2)
    if rule.smallest_piece:
        found = found & ~_small(found, lambda area: area < rule.smallest_piece / pixel)
    if rule.largest_hole:
        found = found | _small(~found, lambda area: area <= rule.largest_hole / pixel, inner=True)
    return found, downsample


def _small(
    found: NDArray[np.bool_], small: Callable[[NDArray[np.int64]], NDArray[np.bool_]], inner: bool = False
) -> NDArray[np.bool_]:
    """Parts of a mask of few pixels; with `inner` only those that do not touch its border."""
    parts, number = label(found)
    few = small(np.bincount(parts.ravel(), minlength=number + 1))
    few[0] = False
    if inner:
        few[np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))] = False
    return np.asarray(few[parts])


def stain_doubt(slide: Slide, mask: Mask) -> str:
    """A sentence where the mask's rule, made for H&E on bright glass, may not fit the slide; else ""."""
    rgb, (dy, dx) = _overview(slide, DEFAULT_RULE.mpp)
    found, (mask_dy, mask_dx) = mask
    rows, columns = (
        np.minimum(((np.arange(length) + 0.5) * step / of).astype(int), most - 1)
        for length, step, of, most in zip(rgb.shape, (dy, dx), (mask_dy, mask_dx), found.shape, strict=False)
    )
    inside = found[np.ix_(rows, columns)]
    if not inside.all() and np.median(rgb[~inside].max(axis=1)) < BRIGHT:
        return "the ground is dark, as of fluorescence, and tissue detection is made for H&E: look at the tiles."
    red, green, blue = np.median(rgb[inside], axis=0) if inside.any() else (1, 0, 1)
    if green >= min(red, blue):
        return "the tissue found is neither pink nor violet, and tissue detection is made for H&E: look at the tiles."
    return ""


def _overview(slide: Slide, mpp: float) -> tuple[NDArray[Any], tuple[float, float]]:
    """The finest level of at least `mpp` µm per px; where there is none, the last one averaged down to that."""
    last = len(slide.levels) - 1
    level, factor = last, 1
    if slide.mpp is not None:
        sizes = [dy * slide.mpp for dy, _ in slide.downsamples]
        level = next((index for index, size in enumerate(sizes) if size >= mpp), last)
        factor = max(int(mpp / sizes[level]), 1)
    pixels, (dy, dx) = slide.levels[level], slide.downsamples[level]
    height, width = (-(-edge // factor) for edge in pixels.shape[:2])
    if height * width > MOST_PX:
        raise InputError(
            f"A tissue mask of this slide would have {width} x {height} px, more than {MOST_PX >> 20} million.",
            remedy="Give more micrometres per px of the mask (--mask-mpp), contours to lay tiles in (--within), or"
            " --cover."
            if slide.mpp is not None
            else "Say its pixel size (--slide-mpp), or tile the whole image (--cover).",
            path=slide.path,
        )
    if factor == 1:
        return np.asarray(pixels), (dy, dx)
    rows = max(1, STRIP // (pixels.shape[1] * factor)) * factor
    parts = [
        downscale_local_mean(np.asarray(pixels[top : top + rows]), (factor, factor, 1)).astype(np.float32)
        for top in range(0, pixels.shape[0], rows)
    ]
    return np.concatenate(parts), (dy * factor, dx * factor)


def tile_grid(
    slide: Slide,
    size: int,
    *,
    stride: int | None = None,
    mask: Mask | None = None,
    share: Share | None = None,
    min_tissue: float = 0.5,
    cover: bool = False,
) -> TileGrid:
    """Lay tiles on the slide, row by row from the top-left corner; none reaches beyond it.

    Parameters
    ----------
    slide : Slide
        To be tiled.
    size : int
        Edge of a tile in level-0 px.
    stride : int, optional
        Level-0 px from tile to tile; `size` unless given.
    mask : (bool (h, w), (float, float)), optional
        As `tissue_mask` returns, which is asked when there is none.
    share : callable, optional
        Tissue known otherwise than by a mask.
    min_tissue : float
        Share of a tile's area that must be tissue.
    cover : bool
        Tile the whole slide without a tissue mask; where at least half a stride of pixels remains at the right
        or bottom, a last column or row is added, shifted inside.

    Returns
    -------
    TileGrid

    Raises
    ------
    InputError
        When the slide is smaller than a tile, or no tile holds enough tissue.
    """
    stride = size if stride is None else stride
    height, width = slide.shape
    if size < 1 or stride < 1 or size > min(height, width):
        raise InputError(
            f"Tiles of {size} px at a stride of {stride} px do not fit on a slide of {width} x {height} px.",
            remedy="Choose smaller tiles.",
            path=slide.path,
        )
    y, x = np.meshgrid(_starts(height, size, stride, cover), _starts(width, size, stride, cover), indexing="ij")
    xy = np.stack([x.ravel(), y.ravel()], axis=1)
    if not cover:
        held = share(TileGrid(xy, size)) if share else _tissue_share(xy, size, mask or tissue_mask(slide))
        xy = xy[(held >= min_tissue - ROUNDING) & (held > 0)]
    if not len(xy):
        raise InputError(
            f"No tile of {size} px holds {min_tissue:.0%} tissue.",
            remedy="Choose smaller tiles or less tissue (--min-tissue), or tile the whole slide (--cover).",
            path=slide.path,
        )
    return TileGrid(xy, size)


def _starts(length: int, size: int, stride: int, cover: bool) -> NDArray[np.int64]:
    starts = np.arange(0, length - size + 1, stride, dtype=np.int64)
    rest = length - size - starts[-1]
    return np.append(starts, length - size) if cover and 2 * rest >= stride else starts


def _tissue_share(xy: NDArray[np.int64], size: int, mask: Mask) -> NDArray[np.float64]:
    """Exact share of mask in each tile: an integral image, linear between its nodes."""
    inside, (dy, dx) = mask
    integral = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1))
    integral[1:, 1:] = inside.cumsum(axis=0).cumsum(axis=1)

    def at(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = map_coordinates(integral, [y / dy, x / dx], order=1, mode="nearest")
        return sums

    x0, y0 = xy.T
    x1, y1 = x0 + size, y0 + size
    return (at(x1, y1) - at(x0, y1) - at(x1, y0) + at(x0, y0)) * dx * dy / size**2
