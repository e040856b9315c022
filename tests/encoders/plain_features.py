"""The colour encoder's numbers computed the plain way: an independent oracle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace
from scipy.stats import skew
from skimage.color import rgb2hed
from skimage.filters import sobel


def patterns_of(grey: NDArray[np.int64]) -> list[float]:
    histogram = [0.0] * 10
    edge = len(grey)
    for y in range(1, edge - 1):
        for x in range(1, edge - 1):
            ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
            bits = [bool(grey[y + dy, x + dx] >= grey[y, x]) for dy, dx in ring]
            changes = sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True))
            histogram[sum(bits) if changes <= 2 else 9] += 1
    return [count / (edge - 2) ** 2 for count in histogram]


def one_by_one(tile: NDArray[np.uint8]) -> list[float]:
    """The 45 numbers of one tile, the plain way: scikit-image, scipy and loops, in float64."""
    edge = len(tile)
    rgb, grey, stains = tile / 255, tile.mean(axis=2) / 255, rgb2hed(tile)
    centre = (edge - 1) / 2
    inside = np.array(
        [[(y - centre) ** 2 + (x - centre) ** 2 <= (edge / 4) ** 2 for x in range(edge)] for y in range(edge)]
    )
    found = [*rgb.mean(axis=(0, 1)), *rgb.std(axis=(0, 1))]
    for k in range(3):
        found += [stains[..., k].mean(), stains[..., k].std(), *np.percentile(stains[..., k], (10, 50, 90))]
    found += [stains[inside, k].mean() - stains[~inside, k].mean() for k in range(3)]
    for texture in (sobel(grey), sobel(stains[..., 0]), np.abs(gaussian_laplace(grey, 1.5))):
        found += [texture.mean(), texture.std()]
    found += patterns_of(tile.sum(axis=2, dtype=int))
    found += [np.corrcoef(rgb[..., 0].ravel(), rgb[..., 2].ravel())[0, 1]]
    found += [(grey < 0.45).mean(), (grey > 0.85).mean(), skew(grey, axis=None), grey[inside].std()]
    return found
