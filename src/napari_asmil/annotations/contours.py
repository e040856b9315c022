"""Contours drawn on a slide, and which of them are tumour."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.words import counted

TUMOUR = frozenset(
    {
        "tumor",
        "tumour",
        "metastasis",
        "metastases",
        "cancer",
        "carcinoma",
        "malignant",
        "lesion",
        "positive",
        "_0",
        "_1",
    }
)
"""Group names that mean tumour (CAMELYON16 ``_0`` and ``_1``, CAMELYON17 ``metastases``, QuPath ``Tumor``)."""

EXCLUSION = frozenset({"exclusion", "hole", "normal", "negative", "benign", "none", "_2"})
"""Group names cut out of the tumour (CAMELYON16 ``_2``, ASAP ``Exclusion`` and ``None``, CAMELYON17 ``normal``)."""

UNGROUPED = frozenset({"None"})
"""ASAP's name for contours of no group; where there are no others, they say nothing of what they are."""


@dataclass(frozen=True, eq=False)
class Contour:
    """One closed outline.

    Coordinates are continuous level-0 px, x then y, where slide pixel ``i`` covers ``[i, i + 1)``, as QuPath
    and ASAP write them; half a pixel less is the world coordinate of a layer.

    Parameters
    ----------
    name : str
        What the annotation is called; may be empty.
    group : str
        Its class (QuPath) or group (ASAP); empty when it has none.
    exterior : float64 (N, 2)
        Corners; the first is not repeated at the end.
    holes : list of float64 (N, 2)
        Outlines of what is cut out.
    """

    name: str
    group: str
    exterior: NDArray[np.float64]
    holes: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Contours:
    """All contours of one annotation file.

    Parameters
    ----------
    polygons : list of Contour
        In the order of the file.
    path : Path or None
        The file.
    notes : list of str
        What was left out when it was read, in words.
    """

    polygons: list[Contour]
    path: Path | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def groups(self) -> dict[str, int]:
        """How many contours each group has, in the order of the file."""
        names = [contour.group for contour in self.polygons]
        return {name: names.count(name) for name in dict.fromkeys(names)}

    @cached_property
    def _roles(self) -> tuple[set[str], set[str]]:
        tumour = {name for name in self.groups if name.lower() in TUMOUR}
        exclusion = {name for name in self.groups if name.lower() in EXCLUSION}
        alone = len(self.groups) == 1 and not exclusion - UNGROUPED
        if alone:
            return set(self.groups), set()
        if tumour or not self.groups.keys() - exclusion:
            return tumour, exclusion
        raise InputError(
            f"None of its groups is known to be tumour: {', '.join(name or '(no group)' for name in self.groups)}.",
            remedy="Name the group of tumour contours 'Tumor', and what is to be cut out of it 'Exclusion'.",
            path=self.path,
        )

    def tumour(self) -> BaseGeometry:
        """What is tumour: the union of the tumour groups less the exclusion groups, in annotation coordinates.

        Where no group name is known and there is one group only, all of it is tumour.

        Raises
        ------
        InputError
            When there are several groups and none of them is known to be tumour.
        """
        return self._tumour

    @cached_property
    def _tumour(self) -> BaseGeometry:
        tumour, exclusion = self._roles
        return shapely.difference(self._union(tumour), self._union(exclusion))

    def _union(self, groups: set[str]) -> BaseGeometry:
        shapes = [shapely.Polygon(c.exterior, c.holes) for c in self.polygons if c.group in groups]
        return shapely.union_all(shapely.make_valid(np.array(shapes, dtype=object)))

    def check_on(self, slide_size: tuple[int, int]) -> None:
        """Refuse contours of which none touches a slide of `slide_size` (width, height) level-0 px.

        Raises
        ------
        InputError
            With where they are; a file without contours is a slide without tumour and is not refused.
        """
        if not self.polygons:
            return
        shapes = np.array([shapely.Polygon(contour.exterior) for contour in self.polygons], dtype=object)
        if not shapely.intersects(shapely.make_valid(shapes), shapely.box(0, 0, *slide_size)).any():
            x0, y0, x1, y1 = shapely.total_bounds(shapes)
            raise InputError(
                f"None of its contours lies on the slide of {slide_size[0]} x {slide_size[1]} px: they are at x"
                f" {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f}.",
                remedy="They belong to another slide or level; coordinates must be level-0 px.",
                path=self.path,
            )

    def segments(self) -> NDArray[np.float64]:
        """The outlines as napari Vectors: (S, 2, 2), start and delta, each (y, x), in world coordinates."""
        rings = [ring for contour in self.polygons for ring in (contour.exterior, *contour.holes)]
        if not rings:
            return np.empty((0, 2, 2))
        starts = np.concatenate(rings)[:, ::-1] - 0.5
        ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])[:, ::-1] - 0.5
        return np.stack([starts, ends - starts], axis=1)

    def tile_share(self, grid: TileGrid) -> NDArray[np.float64]:
        """Share of each tile's area that is tumour, float64 (M,) in [0, 1].

        Raises
        ------
        InputError
            As `tumour`.
        """
        tumour = self.tumour()
        shapely.prepare(tumour)
        corner = grid.xy.astype(np.float64)
        tiles = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + grid.size, corner[:, 1] + grid.size)
        share = np.zeros(len(grid))
        touched = shapely.intersects(tumour, tiles)
        inside = touched & shapely.contains(tumour, tiles)
        share[inside] = 1.0
        edge = touched & ~inside
        share[edge] = shapely.area(shapely.intersection(tumour, tiles[edge])) / grid.size**2
        return share

    def describe(self) -> list[str]:
        """Lines for `info`: groups, and what counts as tumour."""
        groups = ", ".join(f"{name or '(no group)'} ({number})" for name, number in self.groups.items())
        lines = [f"{counted(len(self.polygons), 'contour')}; groups: {groups or 'none'}", *self.notes]
        try:
            tumour, exclusion = self._roles
        except InputError as error:
            return [*lines, f"tumour: unknown. {error}"]
        named = ", ".join(sorted(name or "(no group)" for name in tumour))
        if not tumour:
            return [*lines, "tumour: none"]
        if not any(name.lower() in TUMOUR for name in tumour):
            return [*lines, f"tumour: everything, as there is one group only and its name ({named}) is not known"]
        cut = f", less {', '.join(sorted(exclusion))}" if exclusion else ""
        unused = sorted(name or "(no group)" for name in self.groups.keys() - tumour - exclusion)
        return [*lines, f"tumour: {named}{cut}", *([f"neither: {', '.join(unused)}"] if unused else [])]
