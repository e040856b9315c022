"""The demo's cohort: simulated embeddings of slides whose every tile is known.

Each slide is a piece of tissue of five kinds with patches of a mimic, which resembles tumour halfway, and, when
positive, one to three small tumour foci. All are smooth shapes in level-0 px, so that `pictures` can draw exactly
what the bag says. The embeddings are drawn at random from the kind of each tile; no encoder ever saw a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_asmil.analysis.localisation import TUMOUR
from napari_asmil.bags import Bag, Cohort, in_memory_bag
from napari_asmil.bags.cohort import Split
from napari_asmil.demo.fields import Blob, Floats, SmoothField
from napari_asmil.geometry import TileGrid

TILE = 128
"""Tile edge in level-0 px."""
MPP = 1.0
"""Micrometres a level-0 px."""
MARGIN = 1
"""Tiles of empty glass on every side of the tissue's box."""
FEATURES = 64
KINDS = ("stroma", "glands", "muscle", "fat", "loose stroma")
CLASS_NAMES = ("normal", "tumour")
ENCODER = "simulated embeddings, not extracted from this picture"
"""Said wherever the demo is shown."""

_TRAIN, _TEST = 200, 60
_SUBTYPES = 3
_FLIPPED = 0.05
_FOCI_SHARE = (0.015, 0.10)
_MIMIC_SHARE = (0.02, 0.10)
_LEAST_AREA = 2.5
_FINE = 8


@dataclass(frozen=True, eq=False)
class Place:
    """Where everything lies on one slide.

    Attributes
    ----------
    slide_id : str
    across : int
        Edge of the square slide in tiles, glass included.
    outline : SmoothField
        Roughness of the tissue's edge; see `tissue`.
    kinds : SmoothField
        One field a kind of tissue; the greatest wins.
    foci, mimics : tuple of float64 (N, 2)
        Corners (x, y) in level-0 px of each tumour focus and each mimic patch.
    tiles : TileGrid
    tumour, mimic : float64 (M,)
        Share of each tile inside the foci and inside the mimics.
    """

    slide_id: str
    across: int
    outline: SmoothField
    kinds: SmoothField
    foci: tuple[Floats, ...]
    mimics: tuple[Floats, ...]
    tiles: TileGrid
    tumour: Floats
    mimic: Floats

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in level-0 px."""
        return self.across * TILE, self.across * TILE


@dataclass(frozen=True, eq=False)
class World:
    """The cohort, and where everything lies in each of its slides."""

    cohort: Cohort
    places: dict[str, Place]


def tissue(outline: SmoothField, across: int, y: Floats, x: Floats) -> Floats:
    """Positive inside the tissue, negative on glass, on the lattice of `y` and `x` in tiles."""
    middle, half = across / 2, across / 2 - MARGIN
    v, u = np.abs(y[:, None] - middle) / half, np.abs(x - middle) / half
    return np.asarray(0.90 - (u**2.5 + v**2.5) ** 0.4 + 0.08 * outline(y, x).clip(-2.2, 2.2))


def steps(across: int, per_tile: int) -> Floats:
    """Centres of `per_tile` equal parts of each tile along one edge of a slide, in tiles."""
    return (np.arange(across * per_tile) + 0.5) / per_tile


def tile_share(shape: Floats, tiles: TileGrid) -> Floats:
    """Share of each tile inside the shape (corners in level-0 px), float64 (M,)."""
    area = shapely.Polygon(shape)
    x, y = tiles.xy.T
    near = ((tiles.xy < shape.max(axis=0)) & (tiles.xy + tiles.size > shape.min(axis=0))).all(axis=1)
    boxes = shapely.box(x[near], y[near], x[near] + tiles.size, y[near] + tiles.size)
    share = np.zeros(len(tiles))
    share[near] = shapely.area(shapely.intersection(boxes, area)) / tiles.size**2
    return share


class _Layout:
    """Tissue of one slide that is still free, and the shapes laid on it so far."""

    def __init__(self, rng: np.random.Generator, across: int, outline: SmoothField) -> None:
        self.rng = rng
        at = steps(across, _FINE)
        self.at = at
        inside = tissue(outline, across, at, at)
        self.cover = (inside > 0).reshape(across, _FINE, across, _FINE).mean(axis=(1, 3))
        self.free = inside > 0.04

    def lay(self, area: float) -> Floats | None:
        """A blob of `area` tiles on free tissue, clear of every other: corners in level-0 px, or None."""
        shape = Blob.draw(self.rng, area).outline()
        rows, columns = np.nonzero(self.free)
        middles = self.rng.integers(len(rows), size=48)
        centre = np.column_stack([self.at[columns[middles]], self.at[rows[middles]]])
        probes = np.concatenate([shape, shape[::3] * 0.6])
        cell = ((centre[:, None] + probes) * _FINE).astype(np.intp).clip(0, len(self.at) - 1)
        fits = self.free[cell[..., 1], cell[..., 0]].all(axis=1)
        if not fits.any():
            return None
        x, y = centre[int(fits.argmax())]
        reach = float(np.hypot(*shape.T).max()) + 0.6
        self.free &= (self.at[:, None] - y) ** 2 + (self.at - x) ** 2 > reach**2
        return np.asarray(np.round((shape + np.array([x, y])) * TILE, 2))


def _split(rng: np.random.Generator, area: float, most: int) -> Floats:
    """One to `most` areas that add up to `area`, none needlessly small."""
    parts = min(int(rng.integers(1, most + 1)), max(1, int(area / _LEAST_AREA)))
    weights = rng.uniform(0.6, 1.0, parts)
    return np.asarray(area * weights / weights.sum())


def _draw_place(rng: np.random.Generator, slide_id: str, positive: bool) -> Place:
    """Draw how much tumour and mimic there is, then slides until one has it."""
    tumour_share = np.exp(rng.uniform(*np.log(_FOCI_SHARE))) if positive else 0.0
    mimic_share = rng.uniform(*_MIMIC_SHARE)
    while True:
        across = int(rng.integers(14, 24)) + 2 * MARGIN
        outline = SmoothField.draw(rng, (), across, 1.6)
        kinds = SmoothField.draw(rng, (len(KINDS),), across, 1.0)
        layout = _Layout(rng, across, outline)
        rows, columns = np.nonzero(layout.cover >= 0.5)
        tiles = TileGrid(np.column_stack([columns, rows]) * TILE, TILE)
        foci = _lay(layout, tiles, tumour_share, 3) if positive else _Laid.nothing(tiles)
        mimics = _lay(layout, tiles, mimic_share, 2)
        if foci is not None and mimics is not None:
            return Place(slide_id, across, outline, kinds, foci.shapes, mimics.shapes, tiles, foci.share, mimics.share)


@dataclass(frozen=True, eq=False)
class _Laid:
    """Shapes, and the share of each tile inside them."""

    shapes: tuple[Floats, ...]
    share: Floats

    @classmethod
    def nothing(cls, tiles: TileGrid) -> _Laid:
        return cls((), np.zeros(len(tiles)))


def _lay(layout: _Layout, tiles: TileGrid, share: float, most: int) -> _Laid | None:
    """Shapes that own `share` of the tiles, within 15 % or one tile, and each at least one; None when they do not."""
    wanted = share * len(tiles)
    laid = [layout.lay(area) for area in _split(layout.rng, wanted, most)]
    shapes = tuple(shape for shape in laid if shape is not None)
    if len(shapes) < len(laid):
        return None
    parts = np.array([tile_share(shape, tiles) for shape in shapes])
    owned = (parts >= TUMOUR).sum(axis=1)
    if owned.min() < 1 or abs(owned.sum() - wanted) > max(1.0, 0.15 * wanted):
        return None
    return _Laid(shapes, parts.sum(axis=0))


@dataclass(frozen=True, eq=False)
class _Code:
    """How tissue becomes an embedding: directions shared by all slides of a world."""

    kinds: Floats
    subtypes: Floats
    mimic: Floats
    nuisance: Floats
    stain: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Code:
        basis = np.linalg.qr(rng.standard_normal((FEATURES, len(KINDS) + 1 + _SUBTYPES + 1 + 8 + 4)))[0].T
        kinds, tumour, own, other, nuisance, stain = np.split(basis, np.cumsum([len(KINDS), 1, _SUBTYPES, 1, 8]))
        return cls(
            kinds=2 * kinds,
            subtypes=7 * _towards(tumour, own, 0.9),
            mimic=7 * _towards(tumour, other, 0.5),
            nuisance=0.5 * nuisance,
            stain=0.2 * stain,
        )

    def embed(self, rng: np.random.Generator, place: Place) -> NDArray[np.float32]:
        """Embeddings (M, 64) of the tiles of one slide, whose tumour is of one subtype."""
        columns, rows = (place.tiles.xy // TILE).T
        at = steps(place.across, 1)
        x = self.kinds[place.kinds(at, at).argmax(axis=0)[rows, columns]]
        grade = rng.uniform(0.3, 1.0, (len(x), 1))
        subtype = self.subtypes[rng.integers(_SUBTYPES)]
        for share, what in ((place.tumour, subtype), (place.mimic, self.mimic)):
            x = np.where(share[:, None] >= TUMOUR, (1 - grade) * x + grade * what, x)
        x += SmoothField.draw(rng, (8,), place.across, 1.0)(at, at)[:, rows, columns].T @ self.nuisance
        x += rng.standard_normal(4) @ self.stain
        x += rng.standard_normal(x.shape, dtype=np.float32)
        return np.asarray(x, dtype=np.float32)


def _towards(direction: Floats, others: Floats, cosine: float) -> Floats:
    """Unit vectors with this cosine to a unit direction, each leaning towards its own orthogonal other."""
    return np.asarray(cosine * direction + np.sqrt(1 - cosine**2) * others)


def make_world(seed: int = 0, training: int = _TRAIN) -> World:
    """The whole cohort, training slides and 60 test slides, half of each positive.

    Five per cent of the training labels are flipped, as many each way; tile labels are always true.

    Parameters
    ----------
    seed : int
        The same seed gives the same world.
    training : int
        How many slides to train on.
    """
    rng = np.random.default_rng(seed)
    code = _Code.draw(rng)
    bags: list[Bag] = []
    places: dict[str, Place] = {}
    labels: dict[str, int] = {}
    splits: dict[str, Split] = {}
    sizes: tuple[tuple[Split, int], ...] = (("train", training), ("test", _TEST))
    for split, count in sizes:
        wrong = _FLIPPED * count if split == "train" else 0
        flipped = {i + side for side in (0, 1) for i in rng.choice(range(0, count, 2), round(wrong / 2), replace=False)}
        for i in range(count):
            slide_id, positive = f"{split}-{i + 1:03d}", i % 2 == 0
            place = _draw_place(rng, slide_id, positive)
            bags.append(
                in_memory_bag(
                    slide_id,
                    code.embed(rng, place),
                    place.tiles,
                    tile_labels=place.tumour.astype(np.float32),
                    encoder=ENCODER,
                    mpp=MPP,
                    slide_size=place.size,
                )
            )
            places[slide_id] = place
            labels[slide_id] = int(positive != (i in flipped))
            splits[slide_id] = split
    return World(Cohort(tuple(bags), labels, CLASS_NAMES, splits, None), places)
