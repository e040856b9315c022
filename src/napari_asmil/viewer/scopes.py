"""Which curves are drawn of a quantity: of one slide, of every slide, of each class or row; seeds together or apart.

`scope_words` says what was averaged and in which order. Knows no Qt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.spread import how_many, middle_and_band
from napari_asmil.runs import Run, RunSlide
from napari_asmil.runs.courses import Courses
from napari_asmil.runs.kin import differ_by_seed_alone
from napari_asmil.viewer.plots.lines import LOOKS, Series, Threads, style_of
from napari_asmil.viewer.quantities import Quantity, of_rows, of_run, of_slides
from napari_asmil.words import counted, listed

SLIDE, EVERY, CLASS, ROWS = "this slide", "every slide", "each class", "each row of this slide"
SCOPES = (SLIDE, EVERY, CLASS, ROWS)
MOST_POINTS = 100_000
"""So many points of thin curves a panel draws within a frame or two; of more, median and band alone."""
MOST_DASHED = LOOKS - 1
"""So many rows have a dash each; more are thin curves."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Runs that are one curve: one run, or the seeds of one recipe."""

    name: str
    runs: tuple[Run, ...]

    @property
    def short(self) -> str:
        """Its name in a sentence."""
        return self.runs[0].name if len(self.runs) == 1 else self.name


@dataclass(frozen=True)
class Want:
    """A course that is yet to be computed of these slides of a run."""

    run: Run
    course: str
    slide_ids: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many maps are left."""
        return Courses.of(self.run).missing(self.course, self.slide_ids)

    @property
    def total(self) -> int:
        """How many maps there are."""
        return self.run.n_epochs * len(self.slide_ids)


@dataclass(frozen=True)
class Drawn:
    """What a panel draws, how many thin curves were too many, and what is to be computed before it is whole.

    `over` tells of each curve of several seeds of how many runs it is: of those that have a value.
    """

    series: tuple[Series, ...]
    threads: tuple[Threads, ...]
    left_out: int
    wants: tuple[Want, ...]
    over: tuple[int, ...] = ()


@dataclass
class _Parts:
    """Curves of one run: a middle by name ("" or a class), its band, and the thin curves behind it."""

    middles: dict[str, Floats] = field(default_factory=dict)
    band: tuple[Floats, Floats] | None = None
    threads: tuple[Sequence[str], Floats, Sequence[Any]] | None = None


# ---- runs and seeds -------------------------------------------------------------------------------


def group_runs(runs: Iterable[Run], *, seeds: bool) -> list[Group]:
    """Each run for itself, or the runs that differ in nothing but the seed together."""
    groups: list[list[Run]] = []
    for run in runs:
        kin = next((group for group in groups if seeds and differ_by_seed_alone(group[0], run)), None)
        if kin is None:
            groups.append([run])
        else:
            kin.append(run)
    return [Group(_name(group), tuple(group)) for group in groups]


def _name(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return f"{runs[0].name} ({runs[0].label})"
    seeds = {run.recipe.get("seed", run.attrs.get("seed")) for run in runs}
    apart = "" if len(seeds) == len(runs) else f"{counted(len(runs), 'run')} of "
    return f"{runs[0].label}, {apart}{counted(len(seeds), 'seed')} ({listed((run.name for run in runs), 3)})"


def class_names(groups: Sequence[Group]) -> list[str]:
    """Classes of the recorded slides, in the order of the runs' own."""
    found: dict[str, None] = {}
    for run in (run for group in groups for run in group.runs):
        labels = {slide.label for slide in run.slides}
        found |= {name: None for at, name in enumerate(run.class_names) if at in labels}
    return list(found)


def key_rows(groups: Sequence[Group], scope: str) -> list[list[tuple[int, str]]]:
    """The key: a line for each group; with its classes or rows where those have curves with a dash."""
    dashes = _dashes(groups, scope)
    return [
        [(_style(at, dash, scope, dashes), name) for name, dash in {group.name: 0, **dashes[at]}.items()]
        for at, group in enumerate(groups)
    ]


def _dashes(groups: Sequence[Group], scope: str) -> list[dict[str, int]]:
    """The dash of each class or row by its name, for each group; the solid line, dash 0, is of the whole."""
    if scope == CLASS:
        classes = class_names(groups)
        return [{name: classes.index(name) + 1 for name in class_names([group])} for group in groups]
    rows = [group.runs[0].row_names if scope == ROWS and len(group.runs) == 1 else () for group in groups]
    return [
        {name: at for at, name in enumerate(names, start=1)} if 1 < len(names) <= MOST_DASHED else {} for names in rows
    ]


def _style(at: int, dash: int, scope: str, dashes: Sequence[dict[str, int]]) -> int:
    """A group has its colour everywhere; where its parts are drawn the dash tells which part, as in every group."""
    if scope not in (CLASS, ROWS):
        return at
    each = 1 + max((len(of_group) for of_group in dashes), default=0)
    return style_of(at, each * (at // LOOKS) + dash)


# ---- curves ---------------------------------------------------------------------------------------


def draw(quantity: Quantity, scope: str, slide_id: str | None, groups: Sequence[Group]) -> Drawn:
    """Curves of a quantity.

    Parameters
    ----------
    quantity : Quantity
    scope : str
        One of `SCOPES`.
    slide_id : str or None
        The slide that is looked at.
    groups : sequence of Group
    """
    series: list[Series] = []
    threads: list[Threads] = []
    over: list[int] = []
    dashes = _dashes(groups, scope)
    for at, group in enumerate(groups):
        each = [_parts(run, quantity, scope, slide_id) for run in group.runs]
        drawn = {name for parts in each for name in parts.middles}
        for name, dash in {"": 0, **dashes[at]}.items():
            if name in drawn:
                curve, runs = _curve(group, name, each, _style(at, dash, scope, dashes))
                series.append(curve)
                over += [runs] if len(each) > 1 else []
        if len(each) == 1 and each[0].threads is not None:
            lines, y, keys = each[0].threads
            whole = _style(at, 0, scope, dashes)
            if scope == ROWS and dashes[at]:
                styles = (_style(at, dash, scope, dashes) for dash in dashes[at].values())
                series += map(Series, (f"{group.short}, {line}" for line in lines), y, styles)
            else:
                threads.append(Threads([f"{line} · {group.short}" for line in lines], y, whole, keys))
    wants = tuple(want for group in groups for want in _wants(group.runs, quantity, scope, slide_id))
    too_many = sum(each_.y.size for each_ in threads) > MOST_POINTS
    left_out = sum(len(each_.y) for each_ in threads) if too_many else 0
    return Drawn(tuple(series), () if too_many else tuple(threads), left_out, wants, tuple(over))


def _curve(group: Group, name: str, each: Sequence[_Parts], style: int) -> tuple[Series, int]:
    """A curve, and of how many runs it is."""
    called = f"{group.short}, {name}" if name else group.short
    if len(each) == 1:
        return Series(called, each[0].middles[name], style, None if name else each[0].band), 1
    known = [parts.middles[name] for parts in each if name in parts.middles]
    together = np.full((max(len(y) for y in known), len(known)), np.nan)
    for column, y in enumerate(known):
        together[: len(y), column] = y
    middle, low, high = middle_and_band(together)
    return Series(called, middle, style, (low, high)), how_many(together)


def _parts(run: Run, quantity: Quantity, scope: str, slide_id: str | None) -> _Parts:
    if not quantity.per_slide:
        return _Parts({"": of_run(run, quantity)})
    if scope == EVERY:
        return _of_every(run, quantity)
    if scope == CLASS:
        members = {name: of_class(run, quantity, name) for name in run.class_names}
        return _Parts({name: _middle(run, quantity, slides) for name, slides in members.items() if slides})
    slide = find(run, slide_id)
    if slide is None or not usable(run, quantity, scope, slide):
        return _Parts({"": np.full(run.n_epochs, np.nan)})
    if by_row(run, quantity, scope):
        y = of_rows(run, quantity, slide)
        return _Parts({"": y.mean(axis=1)}, threads=(run.row_names, y.T, ()))
    return _Parts({"": of_slides(run, quantity, [slide])[:, 0]})


def _of_every(run: Run, quantity: Quantity) -> _Parts:
    slides = slides_of(run, quantity)
    y = of_slides(run, quantity, slides)
    middle, low, high = middle_and_band(y)
    keys = [(run, slide.slide_id) for slide in slides]
    return _Parts({"": middle}, (low, high), ([_titled(run, slide) for slide in slides], y.T, keys))


def _middle(run: Run, quantity: Quantity, slides: Sequence[RunSlide]) -> Floats:
    return middle_and_band(of_slides(run, quantity, slides))[0]


def slides_of(run: Run, quantity: Quantity) -> list[RunSlide]:
    """The recorded slides that can have it."""
    return [slide for slide in run.slides if usable(run, quantity, EVERY, slide)]


def of_class(run: Run, quantity: Quantity, name: str) -> list[RunSlide]:
    """Those of a class."""
    return [slide for slide in slides_of(run, quantity) if slide.label == run.class_names.index(name)]


def by_row(run: Run, quantity: Quantity, scope: str) -> bool:
    """Whether each row has a curve."""
    return scope == ROWS and bool(quantity.rows) and len(run.row_names) > 1


def usable(run: Run, quantity: Quantity, scope: str, slide: RunSlide) -> bool:
    """Whether a slide has what the quantity is derived from."""
    return slide.has_scores or not (quantity.of_scores or by_row(run, quantity, scope))


def course_of(run: Run, quantity: Quantity, scope: str) -> str:
    """The course it is derived from, "" where the run stores it."""
    return quantity.rows if by_row(run, quantity, scope) else quantity.course


def find(run: Run, slide_id: str | None) -> RunSlide | None:
    """The recorded slide of that name, if there is one."""
    return next((slide for slide in run.slides if slide.slide_id == slide_id), None)


def _titled(run: Run, slide: RunSlide) -> str:
    known = slide.label is not None and 0 <= slide.label < len(run.class_names)
    return f"{slide.slide_id} ({run.class_names[slide.label]})" if known and slide.label is not None else slide.slide_id


def _wants(runs: Iterable[Run], quantity: Quantity, scope: str, slide_id: str | None) -> Iterator[Want]:
    """What the curves need that the runs do not store."""
    for run in runs:
        course = course_of(run, quantity, scope)
        shown = find(run, slide_id)
        slides = slides_of(run, quantity) if scope in (EVERY, CLASS) else [] if shown is None else [shown]
        there = tuple(slide.slide_id for slide in slides if usable(run, quantity, scope, slide))
        if course and there:
            yield Want(run, course, there)
