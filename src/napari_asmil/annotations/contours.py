"""Contours drawn on a slide, and which of them are tumour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_asmil.annotations.coverage import covered
from napari_asmil.annotations.roles import UNGROUPED, Role, derive, shown
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.words import counted

CROSS = 16.0
"""Half the width of the cross that is drawn for a point, level-0 px: about a nucleus at 0.25 µm per px."""


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
class Mark:
    """What was drawn and has no area: points, or a line. It takes no part in what is tumour.

    Parameters
    ----------
    name, group : str
        As of a `Contour`.
    xy : float64 (N, 2)
        The points, coordinates as of a `Contour`.
    line : bool
        Whether they are joined, one after the other.
    """

    name: str
    group: str
    xy: NDArray[np.float64]
    line: bool = False


@dataclass(frozen=True, eq=False)
class Contours:
    """All that one annotation file holds.

    Parameters
    ----------
    polygons : list of Contour
        In the order of the file.
    path : Path or None
        The file.
    notes : list of str
        What was left out or done when it was read, in words.
    marks : list of Mark
        Points and lines.
    known : mapping of group to role
        What the file itself says of its groups, beyond their names.
    chosen : mapping of group to role
        What a person said of them; see `with_roles`.
    origin : (float, float)
        Where the file counts from, x and y in level-0 px; see `counted_from`.
    """

    polygons: list[Contour]
    path: Path | None = None
    notes: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    known: Mapping[str, Role] = field(default_factory=dict)
    chosen: Mapping[str, Role] = field(default_factory=dict)
    origin: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def groups(self) -> dict[str, int]:
        """How many contours each group has, in the order of the file."""
        return dict(Counter(contour.group for contour in self.polygons))

    @cached_property
    def roles(self) -> dict[str, Role]:
        """What each group counts as: tumour, exclude, ignore, or undecided."""
        return derive(self.groups, self.known, self.chosen)

    @property
    def points(self) -> NDArray[np.float64]:
        """The points that were marked, float64 (N, 2)."""
        return np.concatenate([np.empty((0, 2)), *(mark.xy for mark in self.marks if not mark.line)])

    @property
    def point_groups(self) -> list[str]:
        """The group of each of `points`."""
        return [mark.group for mark in self.marks if not mark.line for _ in mark.xy]

    @property
    def lines(self) -> list[NDArray[np.float64]]:
        """The lines that were drawn, float64 (N, 2) each."""
        return [mark.xy for mark in self.marks if mark.line]

    def with_roles(self, roles: Mapping[str, Role]) -> Contours:
        """The same contours with other roles of some groups.

        Raises
        ------
        InputError
            When a group is not among these.
        """
        strange = [name for name in roles if name not in self.groups]
        if strange:
            raise InputError(
                f"It has no group of contours called {shown(strange[0])}.",
                remedy=f"Its groups: {', '.join(map(shown, self.groups)) or 'none'}.",
                path=self.path,
            )
        return replace(self, chosen={**self.chosen, **roles})

    def counted_from(self, origin: tuple[float, float]) -> Contours:
        """The same contours where the file counts from `origin`, x and y in level-0 px: all of them move."""
        step = np.subtract(origin, self.origin)
        polygons = [
            replace(c, exterior=c.exterior + step, holes=[hole + step for hole in c.holes]) for c in self.polygons
        ]
        marks = [replace(mark, xy=mark.xy + step) for mark in self.marks]
        return replace(self, polygons=polygons, marks=marks, origin=(float(origin[0]), float(origin[1])))

    def tumour(self) -> BaseGeometry:
        """What is tumour: the union of the tumour groups less the excluded ones, in annotation coordinates.

        Raises
        ------
        InputError
            When a group is undecided: none is known to be tumour.
        """
        return self._tumour

    @cached_property
    def _tumour(self) -> BaseGeometry:
        undecided = [name for name, role in self.roles.items() if role == "undecided"]
        if undecided:
            raise InputError(
                f"None of its groups is known to be tumour: {', '.join(map(shown, self.groups))}.",
                remedy="Say which one is, as with --role GROUP=tumour (or exclude, or ignore), or name it 'Tumor'.",
                path=self.path,
            )
        tumour, exclusion = self._union("tumour"), self._union("exclude")
        return tumour if exclusion.is_empty else shapely.difference(tumour, exclusion)

    def _union(self, role: Role) -> BaseGeometry:
        shapes = [shapely.Polygon(c.exterior, c.holes) for c in self.polygons if self.roles[c.group] == role]
        apart = shapely.MultiPolygon(shapes)
        if apart.is_valid:  # none overlaps another, so there is nothing to unite, which may take minutes
            return apart
        return shapely.union_all(shapely.make_valid(np.array(shapes, dtype=object)))

    def check_on(self, slide_size: tuple[int, int]) -> None:
        """Refuse contours of which none touches a slide of `slide_size` (width, height) level-0 px.

        Raises
        ------
        InputError
            With where they are; a file without contours is a slide without tumour and is not refused.
        """
        shapes: list[BaseGeometry] = [shapely.Polygon(contour.exterior) for contour in self.polygons]
        shapes += [shapely.MultiPoint(mark.xy) for mark in self.marks]
        if not shapes:
            return
        drawn = np.array(shapes, dtype=object)
        if not shapely.intersects(shapely.make_valid(drawn), shapely.box(0, 0, *slide_size)).any():
            x0, y0, x1, y1 = shapely.total_bounds(drawn)
            raise InputError(
                f"None of its contours lies on the slide of {slide_size[0]} x {slide_size[1]} px: they are at x"
                f" {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f}.",
                remedy="They belong to another slide or level; coordinates must be level-0 px.",
                path=self.path,
            )

    def segments(self) -> NDArray[np.float64]:
        """All that is drawn as napari Vectors: (S, 2, 2), start and delta, each (y, x), in world coordinates.

        Outlines first, then lines and points, a cross each.
        """
        pairs = [(ring, np.roll(ring, -1, axis=0)) for contour in self.polygons for ring in _rings(contour)]
        pairs += [pair for mark in self.marks for pair in _strokes(mark)]
        if not pairs:
            return np.empty((0, 2, 2))
        starts = np.concatenate([start for start, _ in pairs])[:, ::-1] - 0.5
        ends = np.concatenate([end for _, end in pairs])[:, ::-1] - 0.5
        return np.stack([starts, ends - starts], axis=1)

    def segment_roles(self) -> NDArray[np.str_]:
        """The role of each of `segments`, str (S,); points and lines are ignored, as they have no area."""
        roles = [self.roles[contour.group] for contour in self.polygons]
        sizes = [sum(map(len, _rings(contour))) for contour in self.polygons]
        marks = sum(len(start) for mark in self.marks for start, _ in _strokes(mark))
        return np.repeat(np.array([*roles, "ignore"], dtype=np.str_), [*sizes, marks])

    def tile_share(self, grid: TileGrid) -> NDArray[np.float64]:
        """Share of each tile's area that is tumour, float64 (M,) in [0, 1].

        Raises
        ------
        InputError
            As `tumour`.
        """
        return covered(self.tumour(), grid)

    def describe(self) -> list[str]:
        """Lines for `info`: groups, and what counts as tumour."""
        groups = ", ".join(f"{shown(name)} ({number})" for name, number in self.groups.items())
        lines = [f"{counted(len(self.polygons), 'contour')}; groups: {groups or 'none'}", *self._said_of_marks()]
        lines += self.notes
        if any(self.origin):
            x, y = self.origin
            lines.append(f"counted from x = {x:g}, y = {y:g} (level-0 px), where the scanned area of the slide begins")
        of = {role: [name for name in self.groups if self.roles[name] == role] for role in set(self.roles.values())}
        if "undecided" in of:
            try:
                self.tumour()
            except InputError as error:
                return [*lines, f"tumour: unknown. {error}"]
        lines.append(self._said_of_tumour(of.get("tumour", []), of.get("exclude", [])))
        if of.get("ignore"):
            named = [_listed([name for name in of["ignore"] if name])] if any(of["ignore"]) else []
            lines.append(
                f"ignored: {' and '.join([*named, *(['contours without a group'] if '' in of['ignore'] else [])])}"
            )
        told = [f"{shown(name)} = {role}" for name, role in self.chosen.items()]
        return [*lines, *([f"roles as they were chosen: {', '.join(told)}"] if told else [])]

    def _said_of_tumour(self, tumour: Sequence[str], exclusion: Sequence[str]) -> str:
        if not tumour:
            return "tumour: none"
        said = [name for name in tumour if name in self.chosen or name in self.known]
        if not said and len(self.groups) == 1 and tumour[0].lower() in ("", UNGROUPED):
            return "tumour: everything, as nothing that is drawn has a group"
        return f"tumour: {_listed(tumour)}" + (f", less {_listed(exclusion)}" if exclusion else "")

    def _said_of_marks(self) -> list[str]:
        if not self.marks:
            return []
        lines = f" and {counted(len(self.lines), 'line')}" if self.lines else ""
        groups = _listed(dict.fromkeys(mark.group for mark in self.marks))
        drawn = f"{counted(len(self.points), 'point')}{lines} of {groups}"
        return [f"{drawn}: without area, so they take no part in tile labels"]


def _listed(groups: Sequence[str] | Mapping[str, None]) -> str:
    return ", ".join(sorted(map(shown, groups)))


def _rings(contour: Contour) -> list[NDArray[np.float64]]:
    return [contour.exterior, *contour.holes]


def _strokes(mark: Mark) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Starts and ends of what is drawn for a mark."""
    if mark.line:
        return [(mark.xy[:-1], mark.xy[1:])]
    arms = CROSS * np.array([(1.0, 0.0), (0.0, 1.0)])
    return [(mark.xy - arm, mark.xy + arm) for arm in arms]
