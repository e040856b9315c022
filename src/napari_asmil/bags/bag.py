"""A bag: the feature vectors of one slide's tiles, and where the tiles lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_asmil.bags.checks import checks, suspects
from napari_asmil.bags.given import Given, pixel_size
from napari_asmil.cache import ArrayCache
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import open_slide
from napari_asmil.words import counted

FEATURE_CACHE = ArrayCache(2**30)
"""Features read from files, of all bags."""
NOT_PLACED = "tiles are not placed"
"""So begins the line that says why a bag has no tiles."""
_UNKNOWN = f"{NOT_PLACED}: it is not known where they lie, so they can be trained on but not drawn"


@dataclass(frozen=True, eq=False, repr=False)
class Bag:
    """The M tiles of one slide as feature vectors, in one fixed order for ever.

    Attributes
    ----------
    slide_id : str
        What labels and splits call the slide.
    n_tiles, n_features : int
        M and D.
    load : callable
        Reads the features; use `features`.
    tiles : TileGrid or None
        Where the tiles lie; None when the file does not say.
    tile_labels : float32 (M,) or None
        Share of each tile that is tumour.
    tile_truth : str
        When a tile counts as positive, in words; empty when unknown.
    source : Path or None
        The feature file.
    encoder : str
        What made the features; empty when unknown.
    mpp : float or None
        Micrometres per level-0 px of the slide.
    from_um : bool
        Whether the file's coordinates are in µm, so that their place depends on `mpp`.
    tile_px : int or None
        Edge of a tile in the pixels the encoder saw.
    slide_size : (int, int) or None
        Width and height of the slide in level-0 px.
    slide_path, contours_path : Path or None
        The slide and annotation files, where known and present.
    derivation : list of str
        How the geometry was derived and what is doubtful, for `info`.
    reread : callable or None
        Reads the file again, given what is known now: for tiles that are not placed until their slide is.
    """

    slide_id: str
    n_tiles: int
    n_features: int
    load: Callable[[], NDArray[np.float32]]
    tiles: TileGrid | None = None
    tile_labels: NDArray[np.float32] | None = None
    tile_truth: str = ""
    source: Path | None = None
    encoder: str = ""
    mpp: float | None = None
    from_um: bool = False
    tile_px: int | None = None
    slide_size: tuple[int, int] | None = None
    slide_path: Path | None = None
    contours_path: Path | None = None
    derivation: list[str] = field(default_factory=list)
    reread: Callable[[Given], Bag] | None = None

    def __post_init__(self) -> None:
        if self.n_tiles == 0:
            raise InputError(
                f"The bag of slide {self.slide_id} has no tiles.",
                remedy="Extract its features again with a tissue mask that keeps some, or leave the slide out.",
                path=self.source,
            )
        for what, given in (("coordinates", self.tiles), ("tile labels", self.tile_labels)):
            if given is not None and len(given) != self.n_tiles:
                raise InputError(
                    f"Slide {self.slide_id} has {self.n_tiles} feature rows but {len(given)} {what}.",
                    remedy="Features and tiles must be written in one go; extract them again.",
                    path=self.source,
                )
        if self.slide_size is not None:
            self.check_inside(self.slide_size)
        elif self.tiles is not None:
            self._check_beyond_zero(self.tiles)

    def _check_beyond_zero(self, tiles: TileGrid) -> None:
        before = np.flatnonzero((tiles.xy + tiles.size / 2 < 0).any(axis=1))
        if len(before):
            x, y = tiles.xy[before[0]]
            raise InputError(
                f"{len(before)} of {self.n_tiles} tiles of slide {self.slide_id} lie left of or above any slide: tile"
                f" {before[0]} begins at x = {x}, y = {y}.",
                remedy="The coordinates must be the top-left corners in level-0 px.",
                path=self.source,
            )

    def __repr__(self) -> str:
        return f"Bag({self.slide_id}, {counted(self.n_tiles, 'tile')} x {self.n_features} features)"

    @property
    def tile_mpp(self) -> float | None:
        """Micrometres per px of the tiles as the encoder saw them; None when unknown."""
        if self.mpp is None or self.tiles is None or self.tile_px is None:
            return None
        return self.mpp * self.tiles.size / self.tile_px

    @property
    def unplaced(self) -> str:
        """Why the tiles have no place and what to give, as one sentence; "" where they have."""
        if self.tiles is not None:
            return ""
        line = next((line for line in self.derivation if line.startswith(NOT_PLACED)), _UNKNOWN)
        return f"{line[0].upper()}{line[1:]}."

    @cached_property
    def n_twice(self) -> int:
        """How many tiles lie exactly on another one."""
        return 0 if self.tiles is None else self.n_tiles - len(np.unique(self.tiles.xy, axis=0))

    def features(self) -> NDArray[np.float32]:
        """The feature vectors, float32 (M, D), read-only; read when first asked for and kept while there is room.

        Raises
        ------
        InputError
            When the file cannot be read any more, or holds NaN or infinite values.
        """
        return self.load()

    def content_hash(self) -> str:
        """SHA-256 (hex) over the features' and the coordinates' bytes: the same bag gives the same hash."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self.features(), dtype="<f4").data)
        if self.tiles is not None:
            digest.update(np.ascontiguousarray(self.tiles.xy, dtype="<i8").data)
        return digest.hexdigest()

    def check_inside(self, slide_size: tuple[int, int]) -> None:
        """Refuse tiles whose centre is outside a slide of `slide_size` (width, height) level-0 px.

        Raises
        ------
        InputError
            With how many there are, and the first of them.
        """
        if self.tiles is None:
            return
        outside = np.flatnonzero(self.tiles.outside(slide_size))
        if len(outside):
            x, y = self.tiles.xy[outside[0]]
            raise InputError(
                f"{len(outside)} of {self.n_tiles} tiles of slide {self.slide_id} lie outside it: the slide is"
                f" {slide_size[0]} x {slide_size[1]} px, tile {outside[0]} begins at x = {x}, y = {y}.",
                remedy=suspects(self.tiles, slide_size, self.mpp if self.from_um else None),
                path=self.source,
            )

    def on_slide(self, path: str | Path, *, mpp: float | None = None) -> Bag:
        """The same bag with the slide file at `path`: its size and, where unknown, its mpp.

        Tiles that could not be placed without the slide are placed now. With `mpp` the user says what it is.

        Raises
        ------
        InputError
            When the slide cannot be opened, has another size than the bag says, or lacks some of the tiles.
        """
        with open_slide(path, mpp=mpp) as slide:
            size, found, source = slide.frame.size, slide.mpp, slide.mpp_source
            given = Given(Path(path), slide.frame, mpp or self.mpp)
        said = (self.mpp, "known with the features"), (None if mpp else found, f"of the slide file ({source})")
        known, differing = pixel_size((mpp, "as given"), *said)
        if self.slide_size not in (None, size):
            raise InputError(
                f"It is {size[0]} x {size[1]} px, but the features of {self.slide_id} are of a slide of"
                f" {self.slide_size[0]} x {self.slide_size[1]} px.",
                remedy="Choose the slide the features were extracted from.",
                path=path,
            )
        bag = self
        if self.tiles is None and self.reread is not None:
            again = self.reread(given)
            bag = replace(self, tiles=again.tiles, mpp=again.mpp, tile_px=again.tile_px, derivation=again.derivation)
        notes = [*bag.derivation, *(line for line in differing if line not in bag.derivation)]
        note = f"mpp from {source if mpp else f'the slide file ({source})'}"
        if found is not None and self.mpp in (None, found) and note not in notes:
            notes.append(note)
        return replace(bag, slide_path=Path(path), slide_size=size, mpp=known, derivation=notes)

    def describe(self) -> list[str]:
        """Lines for `info`: what the bag holds and what was derived."""
        lines = [f"bag of slide {self.slide_id}: {counted(self.n_tiles, 'tile')} x {self.n_features} features"]
        lines.append(f"encoder: {self.encoder or 'unknown'}")
        if self.unplaced and not any(line.startswith(NOT_PLACED) for line in self.derivation):
            lines.append(_UNKNOWN)
        lines.append(f"pixel size: {f'{self.mpp:.4g} µm per level-0 px' if self.mpp else 'unknown'}")
        if self.tile_mpp is not None:
            lines.append(f"tiles as the encoder saw them: {self.tile_px} px at {self.tile_mpp:.4g} µm per px")
        lines += self.derivation
        lines += checks(self)
        if self.tile_labels is not None:
            rule = self.tile_truth or "a share of one half or more"
            positive = int((self.tile_labels >= 0.5).sum())
            lines.append(f"tile labels: {positive} of {counted(self.n_tiles, 'tile')} positive ({rule})")
        if self.slide_path is not None:
            lines.append(f"slide: {self.slide_path}")
        if self.contours_path is not None:
            lines.append(f"contours: {self.contours_path}")
        return lines


def in_memory_bag(
    slide_id: str,
    features: ArrayLike,
    tiles: TileGrid | None = None,
    *,
    tile_labels: ArrayLike | None = None,
    encoder: str = "",
    mpp: float | None = None,
    tile_px: int | None = None,
    slide_size: tuple[int, int] | None = None,
    slide_path: Path | None = None,
    contours_path: Path | None = None,
) -> Bag:
    """A bag of arrays; the parameters are the attributes of `Bag`, `features` (M, D).

    Raises
    ------
    InputError
        When shapes do not fit each other or a feature is not a finite number.
    """
    array = finite(np.array(features, dtype=np.float32), slide_id)
    array.setflags(write=False)
    return Bag(
        slide_id,
        n_tiles=array.shape[0],
        n_features=array.shape[1],
        load=partial(_given, array),
        tiles=tiles,
        tile_labels=None if tile_labels is None else np.array(tile_labels, dtype=np.float32),
        encoder=encoder,
        mpp=mpp,
        tile_px=tile_px,
        slide_size=slide_size,
        slide_path=slide_path,
        contours_path=contours_path,
    )


def finite(features: NDArray[np.float32], slide_id: str, path: Path | None = None) -> NDArray[np.float32]:
    """Features as they are, refused when they are no matrix or hold NaN or infinite values."""
    if features.ndim != 2:
        raise InputError(
            f"The features of slide {slide_id} have shape {features.shape}; one row a tile, (M, D), is needed.",
            path=path,
        )
    bad = ~np.isfinite(features)
    if bad.any():
        raise InputError(
            f"The features of slide {slide_id} hold {int(bad.sum())} NaN or infinite values, in"
            f" {int(bad.any(axis=1).sum())} of {len(features)} tiles.",
            remedy="Extract them again (an encoder in half precision can overflow), or leave the slide out.",
            path=path,
        )
    return features


def _given(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array
