"""Where the tissue is, and tiles on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter
from skimage.filters import threshold_otsu
from skimage.transform import downscale_local_mean

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides.slide import Slide

MASK_MPP = 4.0
"""Micrometres per px of the tissue mask, about, where the slide says its own."""

FAINTEST = 0.05
"""Saturation below which nothing is tissue, whatever Otsu says of a blank slide."""

DARKEST = 12
"""Brightness (of 255) up to which a pixel is black background, whose saturation is noise."""

BRIGHT = 128
"""Brightness (of 255) of the ground below which a slide was not lit through."""

Mask = tuple[NDArray[np.bool_], tuple[float, float]]


def tissue_mask(slide: Slide) -> Mask:
    """Find tissue by Otsu's threshold (1979) on the smoothed saturation of a small level.

    Parameters
    ----------
    slide : Slide
        Looked at in about 4 µm per px; in its last level when the pixel size is unknown.

    Returns
    -------
    mask : bool (h, w)
        True on tissue.
    downsample : (float, float)
        Level-0 px per mask px along (y, x).
    """
    rgb, downsample = _overview(slide)
    brightest, darkest = rgb.max(axis=2).astype(np.float32), rgb.min(axis=2)
    saturation = np.zeros_like(brightest)
    np.divide(brightest - darkest, brightest, out=saturation, where=brightest > DARKEST)
    smooth = uniform_filter(saturation, size=5)
    flat = smooth.max() == smooth.min()
    threshold = FAINTEST if flat else max(float(threshold_otsu(smooth)), FAINTEST)
    return smooth > threshold, downsample


def stain_doubt(slide: Slide, mask: Mask) -> str:
    """A sentence where the mask's rule, made for H&E on bright glass, may not fit the slide; else ""."""
    inside, _ = mask
    rgb = _overview(slide)[0]
    if not inside.all() and np.median(rgb[~inside].max(axis=1)) < BRIGHT:
        return "the ground is dark, as of fluorescence, and tissue detection is made for H&E: look at the tiles."
    red, green, blue = np.median(rgb[inside], axis=0) if inside.any() else (1, 0, 1)
    if green >= min(red, blue):
        return "the tissue found is neither pink nor violet, and tissue detection is made for H&E: look at the tiles."
    return ""


def _overview(slide: Slide) -> tuple[NDArray[Any], tuple[float, float]]:
    """The finest level of at least 4 µm per px; where there is none, the last one averaged down to that."""
    last = len(slide.levels) - 1
    if slide.mpp is None:
        return np.asarray(slide.levels[last]), slide.downsamples[last]
    sizes = [dy * slide.mpp for dy, _ in slide.downsamples]
    level = next((index for index, size in enumerate(sizes) if size >= MASK_MPP), last)
    factor = max(int(MASK_MPP / sizes[level]), 1)
    dy, dx = slide.downsamples[level]
    pixels = np.asarray(slide.levels[level])
    return downscale_local_mean(pixels, (factor, factor, 1)) if factor > 1 else pixels, (dy * factor, dx * factor)


def tile_grid(
    slide: Slide,
    size: int,
    *,
    stride: int | None = None,
    mask: Mask | None = None,
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
        xy = xy[_tissue_share(xy, size, mask or tissue_mask(slide)) >= min_tissue]
    if not len(xy):
        raise InputError(
            f"No tile of {size} px holds {min_tissue:.0%} tissue.",
            remedy="Choose smaller tiles or less tissue, or tile the whole slide (cover).",
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
