"""The built-in encoder: 45 numbers of colour and texture, no weights, no download.

References
----------
Stain separation: Ruifrok, Johnston, "Quantification of histochemical staining by color deconvolution", 2001
(matrix and scaling of `skimage.color.rgb2hed`).
Local binary patterns: Ojala, Pietikäinen, Mäenpää, TPAMI 2002, operator riu2 with P = 8, R = 1, neighbours on
the pixel lattice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.color import hed_from_rgb

from napari_asmil.errors import InputError

Values = NDArray[np.float32]

MIN_EDGE = 8
"""Smallest tile edge in px on which a disc, its surround and the texture filters mean something."""
CHUNK_PIXELS = 2**16
"""Tiles are worked on in chunks of about this many pixels, so that every intermediate stays in the cache."""
LOG_SIGMA = 1.5
DARK, BRIGHT = 0.45, 0.85
TINY = 1e-6

STAINS = ("haematoxylin", "eosin", "dab")
FEATURES: tuple[str, ...] = (
    *(f"{channel} mean" for channel in ("red", "green", "blue")),
    *(f"{channel} sd" for channel in ("red", "green", "blue")),
    *(f"{stain} {number}" for stain in STAINS for number in ("mean", "sd", "p10", "p50", "p90")),
    *(f"{stain} centre minus surround" for stain in STAINS),
    *(f"{what} {number}" for what in ("grey sobel", "haematoxylin sobel", "grey |LoG|") for number in ("mean", "sd")),
    *(f"LBP {bits} bits" for bits in range(9)),
    "LBP not uniform",
    "red-blue correlation",
    "dark share",
    "bright share",
    "grey skewness",
    "grey sd in centre",
)
"""Names of the numbers, in order. Intensities are 0 to 1, grey is the mean of red, green and blue (whole numbers where
local patterns compare it, so that rounding makes no ties), stains are optical densities over log(1e6)."""

_UNIT = (np.arange(256) / 255).astype(np.float32)
_DENSITY = (np.log(np.maximum(np.arange(256) / 255, TINY)) / np.log(TINY)).astype(np.float32)
_UNMIX = np.asarray(hed_from_rgb, dtype=np.float32)


def _riu2_of_code() -> NDArray[np.uint8]:
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(uniform, bits.sum(axis=1), 9).astype(np.uint8)


_RIU2 = _riu2_of_code()


class ColourEncoder:
    """Colour, stain and texture statistics of a tile of any edge of at least `MIN_EDGE` px: see `FEATURES`."""

    name = "colour"
    dim = len(FEATURES)
    features = FEATURES
    tile_px = None
    mpp = None
    licence = "part of this package, BSD-3-Clause; nothing to download"
    batch = 1
    how = ""

    def __call__(self, tiles: NDArray[np.uint8]) -> Values:
        """Features float32 (N, 45) of RGB tiles uint8 (N, s, s, 3).

        Raises
        ------
        InputError
            When the array is something else, or the tiles are too small.
        """
        if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[1] != tiles.shape[2] or tiles.shape[3] != 3:
            raise InputError(f"Tiles must be uint8 (N, s, s, 3), not {tiles.dtype} {tiles.shape}.")
        count, edge = tiles.shape[:2]
        if edge < MIN_EDGE:
            raise InputError(f"Tiles of {edge} px are too small for colour features, which need {MIN_EDGE} px.")
        step = max(1, CHUNK_PIXELS // edge**2)
        found = np.empty((count, self.dim), dtype=np.float32)
        for start in range(0, count, step):
            found[start : start + step] = _encode(tiles[start : start + step])
        return found


def _encode(tiles: NDArray[np.uint8]) -> Values:
    planes = np.ascontiguousarray(np.moveaxis(tiles, 3, 0))
    rgb = _UNIT[planes]
    stains = _stains(planes)
    brightness = planes.sum(axis=0, dtype=np.int32)
    grey = brightness.astype(np.float32) / np.float32(3 * 255)
    disc = centre_disc(tiles.shape[1]).ravel()
    columns = [_mean(channel) for channel in rgb]
    columns += [_sd(channel) for channel in rgb]
    for stain in stains:
        columns += [_mean(stain), _sd(stain), *_percentiles(stain)]
    columns += [_mean(_part(stain, disc)) - _mean(_part(stain, ~disc)) for stain in stains]
    for texture in (_sobel(grey), _sobel(stains[0]), _abs_log(grey)):
        columns += [_mean(texture), _sd(texture)]
    columns += list(_lbp_histogram(brightness).T)
    columns += [
        _correlation(rgb[0], rgb[2]),
        _mean((grey < DARK).astype(np.float32)),
        _mean((grey > BRIGHT).astype(np.float32)),
        _skewness(grey),
        _sd(_part(grey, disc)),
    ]
    return np.stack(columns, axis=1)


def centre_disc(edge: int) -> NDArray[np.bool_]:
    """Pixels within a quarter of the tile's edge from its centre, bool (s, s)."""
    offset = np.arange(edge) - (edge - 1) / 2
    return np.asarray(offset[:, None] ** 2 + offset**2 <= (edge / 4) ** 2)


def _stains(planes: NDArray[np.uint8]) -> list[Values]:
    red, green, blue = _DENSITY[planes]
    return [np.maximum(red * m[0] + green * m[1] + blue * m[2], np.float32(0)) for m in _UNMIX.T]


def _flat(values: Values) -> Values:
    return values.reshape(len(values), -1)


def _part(values: Values, where: NDArray[np.bool_]) -> Values:
    return np.compress(where, _flat(values), axis=1)


def _mean(values: Values) -> Values:
    return np.asarray(_flat(values).mean(axis=1))


def _sd(values: Values) -> Values:
    return np.asarray(_flat(values).std(axis=1))


def _percentiles(values: Values) -> Values:
    return np.percentile(_flat(values), (10, 50, 90), axis=1).astype(np.float32)


def _padded(values: Values) -> Values:
    return np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")


def _sobel(values: Values) -> Values:
    """Gradient magnitude as in `skimage.filters.sobel`: kernels sum to 1 on either side, root mean square of both."""
    padded = _padded(values)
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    horizontal = down[:, :, 2:] - down[:, :, :-2]
    vertical = across[:, 2:] - across[:, :-2]
    return np.asarray(np.sqrt(horizontal**2 + vertical**2) / np.float32(4 * np.sqrt(2)))


def _abs_log(values: Values) -> Values:
    second = [gaussian_filter(values, LOG_SIGMA, order=order, axes=(1, 2)) for order in ((2, 0), (0, 2))]
    return np.asarray(np.abs(second[0] + second[1]))


def _lbp_histogram(brightness: NDArray[np.int32]) -> Values:
    """Share of each riu2 pattern among the pixels that have all eight neighbours, float32 (N, 10)."""
    count, edge = brightness.shape[:2]
    centre = brightness[:, 1:-1, 1:-1]
    code = np.zeros(centre.shape, dtype=np.uint8)
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for bit, (y, x) in enumerate(ring):
        neighbour = brightness[:, y : y + edge - 2, x : x + edge - 2]
        code |= (neighbour >= centre).astype(np.uint8) << np.uint8(bit)
    pattern = _RIU2[code] + np.arange(count)[:, None, None] * 10
    found = np.bincount(pattern.ravel(), minlength=count * 10).reshape(count, 10)
    return np.asarray(found / (edge - 2) ** 2, dtype=np.float32)


def _correlation(a: Values, b: Values) -> Values:
    """Pearson correlation of two channels within each tile; 0 where one is constant."""
    x, y = _flat(a) - _mean(a)[:, None], _flat(b) - _mean(b)[:, None]
    spread = np.sqrt((x * x).mean(axis=1) * (y * y).mean(axis=1))
    return np.where(spread > TINY, (x * y).mean(axis=1) / np.maximum(spread, TINY), 0).astype(np.float32)


def _skewness(values: Values) -> Values:
    """Third standardised moment within each tile; 0 where it is constant."""
    centred = _flat(values) - _mean(values)[:, None]
    spread = np.sqrt((centred * centred).mean(axis=1))
    third = (centred * centred * centred).mean(axis=1)
    return np.where(spread > 1e-3, third / np.maximum(spread, 1e-3) ** 3, 0).astype(np.float32)
