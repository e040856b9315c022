"""Paints a slide's place as haematoxylin and eosin would show it: two stain planes, then Beer-Lambert.

Structure is laid out on a coarse page (`UNIT` level-0 px) as base stain and as a signed distance to whatever is
open (glass, lumens, fat), then enlarged, so that edges stay sharp; nuclei and fibres are drawn at full size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_asmil.demo import nuclei
from napari_asmil.demo.fields import Blob, Floats, SmoothField
from napari_asmil.demo.world import KINDS, MPP, TILE, Place, steps, tissue

UNIT = 4
"""Level-0 px a unit of the coarse page."""
STROMA, GLANDS, MUSCLE, FAT, LOOSE = range(len(KINDS))
TUMOUR, MIMIC, EPITHELIUM, SEPTUM, CENTRE = range(len(KINDS), len(KINDS) + 5)

_HAEMATOXYLIN = np.array([0.66, 0.74, 0.30])
_EOSIN = np.array([0.10, 0.62, 0.34])
_GLASS = 244.0
_STEPS = 150.0
#            stroma glands muscle fat  loose tumour mimic epithelium septum centre
_EOSIN_OF = (0.30, 0.25, 0.42, 0.26, 0.19, 0.26, 0.17, 0.22, 0.30, 0.22)
_BLUE_OF = (0.02, 0.03, 0.03, 0.02, 0.02, 0.13, 0.12, 0.08, 0.03, 0.07)
_FIBRE_OF = (0.35, 0.25, 0.22, 0.15, 0.60, 0.15, 0.10, 0.10, 0.45, 0.15)
_SCATTER = (
    (STROMA, "fibroblast", 420.0),
    (STROMA, "lymphocyte", 3000.0),
    (GLANDS, "fibroblast", 330.0),
    (GLANDS, "lymphocyte", 300.0),
    (MUSCLE, "fibroblast", 420.0),
    (FAT, "fibroblast", 300.0),
    (LOOSE, "fibroblast", 800.0),
    (LOOSE, "lymphocyte", 3000.0),
    (TUMOUR, "tumour", 88.0),
    (TUMOUR, "dark tumour", 700.0),
    (SEPTUM, "fibroblast", 160.0),
    (SEPTUM, "lymphocyte", 900.0),
    (MIMIC, "lymphocyte", 44.0),
    (CENTRE, "lymphocyte", 120.0),
    (CENTRE, "epithelium", 110.0),
)
"""Which cells lie loose in which tissue, and how many square micrometres each has."""


class Painter:
    """One slide in the making.

    Parameters
    ----------
    place : Place
        What lies where.
    rng : numpy Generator
        Decides everything the bag does not know of: cells, glands, fibres, strength of stain.
    """

    def __init__(self, place: Place, rng: np.random.Generator) -> None:
        self.place, self.rng = place, rng
        self.um = UNIT * MPP
        self.at = at = steps(place.across, TILE // UNIT)
        self.ground = place.kinds(at, at).argmax(axis=0)
        self.kind = self._lay_shapes()
        glass = tissue(place.outline, place.across, at, at) * (place.across / 2 * TILE * MPP)
        self.opened = np.asarray(5 * self._field(0.2) + 2 * self._field(0.06) - glass, dtype=np.float32)
        self.flow = self._flow()
        self.cells: dict[str, list[Floats]] = {name: [] for name in nuclei.LOOKS}

    def _field(self, width: float) -> Floats:
        """A smooth random field on the page, correlated over about `width` tiles."""
        node = width / 0.8
        at = self.at / node
        return SmoothField.draw(self.rng, (), self.place.across / node, 0.8)(at, at)

    def _lay_shapes(self) -> NDArray[np.intp]:
        """The ground with mimics (lymphoid, with paler centres) and tumour (nests between septa) on it."""
        page = Image.new("L", self.ground.shape)
        for shapes, value in ((self.place.mimics, MIMIC), (self.place.foci, TUMOUR)):
            for shape in shapes:
                ImageDraw.Draw(page).polygon([tuple(corner) for corner in shape / UNIT - 0.5], fill=value)
        drawn = np.asarray(page).astype(np.intp)
        drawn[(drawn == TUMOUR) & (np.abs(self._field(0.35)) < 0.13)] = SEPTUM
        deep = ndimage.gaussian_filter((drawn == MIMIC).astype(np.float32), 40 / self.um) > 0.93
        drawn[deep & (self._field(0.9) > -0.2)] = CENTRE
        return np.where(drawn > 0, drawn, self.ground)

    def _flow(self) -> NDArray[np.float32]:
        """A field whose level lines are the fibres, rising by about 1 a micrometre."""
        turn = self.rng.uniform(0, np.pi)
        ramp = np.cos(turn) * self.at[:, None] + np.sin(turn) * self.at
        waves = ramp * TILE * MPP + 190 * self._field(1.6) + 12 * self._field(0.3)
        return np.asarray(waves - waves.min(), dtype=np.float32)

    def paint(self) -> NDArray[np.uint8]:
        """The slide at level 0, uint8 (h, w, 3)."""
        self._fat()
        self._glands()
        self._scatter_cells()
        nuclei_plane = self._nuclei()
        shades = [self._shade(of) for of in (_BLUE_OF, _EOSIN_OF, _FIBRE_OF)]
        pages = np.stack([*shades, self.opened, self.flow], dtype=np.float32)
        tall = _stretch(pages.transpose(0, 2, 1)).transpose(0, 2, 1)
        table = _film(*self.rng.uniform(0.9, 1.1, 2))
        strands, grain = self._texture()
        image = np.empty((*self.place.size[::-1], 3), dtype=np.uint8)
        for top in range(0, len(image), TILE):
            rows = slice(top, top + TILE)
            blue, eosin, fibre, opened, flow = _stretch(tall[:, rows])
            solid = (0.5 - opened / (2.5 * MPP)).clip(0, 1)
            eosin *= 1 + fibre * strands[(flow + grain[:, : len(image)]).astype(np.int32) & (len(strands) - 1)]
            eosin *= solid
            blue *= solid
            np.maximum(blue, nuclei_plane[rows], out=blue)
            index = (blue * _STEPS).astype(np.int32) << 8
            index |= (eosin * _STEPS).astype(np.int32)
            image[rows] = table.take(index, axis=0)
        return image

    def _nuclei(self) -> NDArray[np.float32]:
        plane = np.zeros(self.place.size[::-1], dtype=np.float32)
        for look, laid in self.cells.items():
            if laid:
                x, y, angle = np.concatenate(laid).T
                nuclei.stamp(plane, look, MPP, np.column_stack([x, y]), angle, self.rng)
        return plane

    def _shade(self, of: tuple[float, ...]) -> Floats:
        """A value a kind on the page: grounds run into each other, what lies on them has an edge."""
        values = np.array(of)
        shade = ndimage.gaussian_filter(values[self.ground], 18 / self.um)
        shade = np.where(self.kind > LOOSE, values[self.kind], shade)
        return np.asarray(ndimage.gaussian_filter(shade, 3 / self.um))

    def _lattice(self, spacing: float, inside: NDArray[np.bool_], jitter: float = 0.35) -> Floats:
        """Points (N, 2) as x, y in micrometres, about `spacing` apart, where `inside` of the page holds."""
        count = int(self.place.across * TILE * MPP / spacing / 0.87)
        y, x = np.mgrid[:count, :count]
        shifted = np.stack([x + 0.5 * (y % 2), y * 0.87], axis=-1).reshape(-1, 2)
        points = (shifted + self.rng.uniform(0.5 - jitter, 0.5 + jitter, shifted.shape)) * spacing
        cell = (points / self.um).astype(np.intp).clip(0, len(inside) - 1)
        return np.asarray(points[inside[cell[:, 1], cell[:, 0]]])

    def _add(self, look: str, points: Floats, angle: Floats) -> None:
        x, y = (points / self.um).astype(np.intp).clip(0, len(self.kind) - 1).T
        solid = self.opened[y, x] < -2
        self.cells[look].append(np.column_stack([points / MPP, angle])[solid])

    def _depth(self, centre: Floats, shape: Blob) -> tuple[slice, slice, Floats]:
        """The part of the page around a shape, and how deep inside it every place is, in micrometres."""
        reach = 1.5 * shape.radius
        low = np.maximum((centre - reach) / self.um, 0).astype(np.intp)
        high = np.minimum((centre + reach) / self.um + 1, len(self.kind)).astype(np.intp)
        x = (np.arange(low[0], high[0]) + 0.5) * self.um - centre[0]
        y = (np.arange(low[1], high[1]) + 0.5) * self.um - centre[1]
        edge = shape.edge(np.arctan2(y[:, None], x))
        return slice(low[1], high[1]), slice(low[0], high[0]), edge - np.hypot(y[:, None], x)

    def _fat(self) -> None:
        """Round vacuoles with thin walls, none across the edge of the fat."""
        fat = (self.kind == FAT) & (self.opened < -6)
        room = (ndimage.gaussian_filter(fat.astype(np.float32), 3) - 0.6) * 8 * self.um
        for centre in self._lattice(51.0, room > 0, 0.12):
            rows, columns, depth = self._depth(centre, Blob.draw(self.rng, np.pi * self.rng.uniform(22, 26.5) ** 2))
            hole = np.minimum(depth, room[rows, columns])
            np.maximum(self.opened[rows, columns], hole, out=self.opened[rows, columns])

    def _glands(self) -> None:
        """Round glands with one row of nuclei, and the crooked lumens of a tumour."""
        for centre in self._lattice(98.0, (self.kind == GLANDS) & (self.opened < -20), 0.15):
            self._gland(centre, Blob.draw(self.rng, np.pi * self.rng.uniform(36, 46) ** 2))
        for centre in self._lattice(75.0, self.kind == TUMOUR):
            self._lumen(centre, self.rng.uniform(5, 16), TUMOUR)

    def _gland(self, centre: Floats, shape: Blob) -> None:
        rows, columns, depth = self._depth(centre, shape)
        here = self.kind[rows, columns]
        if (here[depth > 0] != GLANDS).any():
            return
        here[depth > 0] = EPITHELIUM
        self._lumen(centre, shape.radius * self.rng.uniform(0.2, 0.42), EPITHELIUM)
        count = int(2 * np.pi * shape.radius * 0.8 / 5.8)
        turn = (np.arange(count) + self.rng.uniform(-0.2, 0.2, count)) * (2 * np.pi / count)
        r = shape.edge(turn) * self.rng.normal(0.8, 0.03, count)
        self._add("epithelium", centre + np.column_stack([np.cos(turn), np.sin(turn)]) * r[:, None], turn)

    def _lumen(self, centre: Floats, radius: float, kind: int) -> None:
        rows, columns, depth = self._depth(centre, Blob.draw(self.rng, np.pi * radius**2))
        if (self.kind[rows, columns][depth > 0] == kind).all():
            np.maximum(self.opened[rows, columns], depth, out=self.opened[rows, columns])

    def _scatter_cells(self) -> None:
        along = self._along()
        for kind, look, area in _SCATTER:
            points = self._lattice(np.sqrt(area / 0.87), (self.kind == kind) & (self.opened < -3))
            cell = (points / self.um).astype(np.intp)
            angle = self.rng.uniform(0, np.pi, len(points))
            if look == "fibroblast":
                angle = along[cell[:, 1], cell[:, 0]] + 0.3 * (angle - np.pi / 2)
            self._add(look, points, angle)

    def _along(self) -> Floats:
        """Direction of the fibres on the page."""
        down, right = np.gradient(self.flow)
        return np.asarray(np.arctan2(down, right) + np.pi / 2)

    def _texture(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Strands of uneven thickness, -1 to 1, along a line; and one band of what makes them wander."""
        strands = ndimage.gaussian_filter1d(self.rng.standard_normal(2048), 1.6, mode="wrap")
        grain = ndimage.gaussian_filter(self.rng.standard_normal((TILE, 1024)), 1.5, mode="wrap") * 16
        wide = np.tile(grain, (1, self.place.size[0] // 1024 + 1))
        return np.asarray(strands / np.abs(strands).max(), dtype=np.float32), np.asarray(wide, dtype=np.float32)


def _stretch(pages: NDArray[np.float32]) -> NDArray[np.float32]:
    """`UNIT` times as wide, linearly in between."""
    before = np.concatenate([pages[..., :1], pages[..., :-1]], axis=-1)
    after = np.concatenate([pages[..., 1:], pages[..., -1:]], axis=-1)
    wide = np.empty((*pages.shape, UNIT), dtype=np.float32)
    for k, offset in enumerate((np.arange(UNIT, dtype=np.float32) + 0.5) / UNIT - 0.5):
        other = before if offset < 0 else after
        wide[..., k] = pages + (other - pages) * abs(offset)
    return wide.reshape(*pages.shape[:-1], -1)


def _film(blue: float, eosin: float) -> NDArray[np.uint8]:
    """RGB (65536, 3) of haematoxylin * 256 + eosin, in `_STEPS`, by Beer-Lambert's law."""
    stain = np.arange(256) / _STEPS
    density = blue * stain[:, None, None] * _HAEMATOXYLIN + eosin * stain[None, :, None] * _EOSIN
    return np.asarray(np.rint(_GLASS * 10**-density), dtype=np.uint8).reshape(-1, 3)
