"""What the curves of a panel are, in words: what was averaged, in which order, what is missing and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from napari_asmil.analysis.spread import band_words, how_many
from napari_asmil.runs import Run, RunSlide
from napari_asmil.runs.courses import LAST, Courses
from napari_asmil.viewer.quantities import Quantity, damage, of_slides
from napari_asmil.viewer.scopes import (
    CLASS,
    EVERY,
    MOST_DASHED,
    ROWS,
    Drawn,
    Group,
    Want,
    course_of,
    find,
    of_class,
    slides_of,
    usable,
)
from napari_asmil.words import counted, listed


def words(quantity: Quantity, scope: str, slide_id: str | None, groups: Sequence[Group], drawn: Drawn) -> str:
    """Everything said of a panel's curves; the arguments are those of `scopes.draw`."""
    return " ".join(said for said in _words(quantity, scope, slide_id, groups, drawn) if said)


def unfinished(wants: Sequence[Want]) -> str:
    """How far the computing of what is drawn has come; "" when all is there."""
    left, total = sum(want.missing for want in wants), sum(want.total for want in wants)
    one = sum(len(want.slide_ids) for want in wants) == 1
    return f"Computing… {total - left} of {total} {'epochs' if one else 'maps'}." if left else ""


def _words(
    quantity: Quantity, scope: str, slide_id: str | None, groups: Sequence[Group], drawn: Drawn
) -> Iterator[str]:
    runs = [run for group in groups for run in group.runs]
    if not quantity.per_slide:
        yield f"{quantity.tip}{_over_seeds(drawn)}."
        return
    said = {EVERY: _every_words, CLASS: _class_words, ROWS: _row_words}.get(scope, _slide_words)(quantity, runs)
    alone = [group.runs[0] for group in groups if len(group.runs) == 1]
    band = _over_slides(quantity, alone) if scope == EVERY and alone else ""
    yield f"{said}{band}{_over_seeds(drawn)}."
    if quantity.course == LAST:
        yield _last_words(drawn.wants)
    if drawn.left_out:
        left = "the mean alone" if scope == ROWS else "the median and the band alone"
        yield f"{drawn.left_out} thin curves are too many to draw: {left}."
    yield from _missing(quantity, scope, slide_id, runs)
    yield unfinished(drawn.wants)


def _subject(quantity: Quantity, runs: Sequence[Run]) -> str:
    """The map, or the scores, that a number is of; where runs differ, `maps_words` tells of each."""
    if quantity.of_scores:
        return (
            "the one row" if all(len(run.row_names) == 1 for run in runs) else "each row, averaged over the rows first"
        )
    kinds = {_map_words(run) for run in runs}
    return kinds.pop() if len(kinds) == 1 else "the map as stored"


def slides_words(runs: Sequence[Run]) -> str:
    """How many slides are recorded and of which splits; where runs differ, of each run."""
    by_words: dict[str, list[str]] = {}
    for run in runs:
        splits = Counter(slide.split for slide in run.slides if slide.split)
        parts = ", ".join(f"{count} {split}" for split, count in splits.most_common())
        said = counted(len(run.slides), "recorded slide") + (f" ({parts})" if parts else "")
        by_words.setdefault(said, []).append(run.name)
    if len(by_words) == 1:
        return f"{next(iter(by_words))}."
    return "; ".join(f"{listed(names)}: {said}" for said, names in by_words.items()) + "."


def maps_words(runs: Sequence[Run]) -> str:
    """What the maps as stored are where the runs differ in it; else "", and every panel says so itself."""
    by_words: dict[str, list[str]] = {}
    for run in runs:
        by_words.setdefault(_map_words(run) if len(run.row_names) > 1 else "the one row", []).append(run.name)
    if len(by_words) < 2:
        return ""
    return "Maps as stored: " + "; ".join(f"{words} ({listed(names)})" for words, names in by_words.items()) + "."


def _map_words(run: Run) -> str:
    rows = len(run.row_names)
    if rows == 1:
        return "the map as stored"
    return f"the mean map of {rows} rows" if run.row_join == "mean of the rows" else f"the map of the {run.row_join}"


def _slide_words(quantity: Quantity, runs: Sequence[Run]) -> str:
    if quantity.of_scores and any(len(run.row_names) > 1 for run in runs):
        return "Mean over the rows of the slide"
    return f"Of {_subject(quantity, runs)}"


def _every_words(quantity: Quantity, runs: Sequence[Run]) -> str:
    counts = sorted({_known(run, quantity, slides_of(run, quantity)) for run in runs})
    some = counted(counts[0], "slide") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} slides"
    return f"Median over {some} of {_noun(quantity, runs)}"


def _over_slides(quantity: Quantity, runs: Sequence[Run]) -> str:
    """The band of runs that are curves for themselves; the band of seeds is another."""
    counts = {_known(run, quantity, slides_of(run, quantity)) for run in runs} - {0}
    return f"; band over slides: {_bands(counts)}" if counts else ""


def _class_words(quantity: Quantity, runs: Sequence[Run]) -> str:
    counts: dict[str, set[int]] = {}
    for run in runs:
        for name in run.class_names:
            counts.setdefault(name, set()).add(_known(run, quantity, of_class(run, quantity, name)))
    some = ", ".join(f"{name} {'–'.join(map(str, sorted(n)))}" for name, n in counts.items())
    return f"Median over the slides of each class ({some}) of {_noun(quantity, runs)}"


def _known(run: Run, quantity: Quantity, slides: Sequence[RunSlide]) -> int:
    """How many slides have a value at any epoch."""
    return how_many(of_slides(run, quantity, slides))


def _row_words(quantity: Quantity, runs: Sequence[Run]) -> str:
    rows = sorted({len(run.row_names) for run in runs} - {1})
    if not quantity.rows or not rows:
        why = "rows have no such number here" if rows else "there is but one row"
        return f"{_slide_words(quantity, runs)} ({why})"
    several = counted(rows[0], "row") if len(rows) == 1 else f"{rows[0]} to {rows[-1]} rows"
    each, whole = ("Dashed", "solid") if rows[-1] <= MOST_DASHED else ("Thin", "thick")
    if rows[0] <= MOST_DASHED < rows[-1]:
        each, whole = "Dashed or thin", "solid"
    if quantity.of_scores:
        return f"{each}: each of {several}; {whole}: mean over the rows"
    return (
        f"{each}: each of {several} by the model's normaliser; {whole}: mean of the rows' {quantity.called}, which is"
        f" not the {quantity.called} of the mean map"
    )


def _noun(quantity: Quantity, runs: Sequence[Run]) -> str:
    return f"the {quantity.called} of {_subject(quantity, runs)}"


def _over_seeds(drawn: Drawn) -> str:
    counts = sorted(set(drawn.over) - {0})
    if not counts:
        return ""
    some = counted(counts[0], "run") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} runs"
    return f"; of seeds then the median over {some} that came so far; band over runs: {_bands(counts)}"


def _bands(counts: Iterable[int]) -> str:
    return " or ".join(dict.fromkeys(band_words(count) for count in sorted(counts)))


def _last_words(wants: Sequence[Want]) -> str:
    ends = sorted({end for want in wants for end in Courses.of(want.run).reference(want.slide_ids)})
    if not ends:
        return ""
    return f"The last epoch is {ends[0]}." if len(ends) == 1 else f"The last epochs are {ends[0]} to {ends[-1]}."


def _missing(quantity: Quantity, scope: str, slide_id: str | None, runs: Sequence[Run]) -> Iterator[str]:
    """Why there is no curve of a run, or not of all slides."""
    for run in runs:
        kept = [slide.slide_id for slide in run.slides if slide.has_scores]
        there = f"they are there for {listed(kept)}" if kept else "of no slide"
        slide = find(run, slide_id)
        if scope in (EVERY, CLASS):
            if quantity.of_scores and len(kept) < len(run.slides):
                yield (
                    f"{run.name}: {len(kept)} of {len(run.slides)} slides, those whose raw scores were recorded"
                    " (recipe `watch`)."
                )
        elif slide is None:
            yield f"{run.name}: {slide_id or 'the slide'} is not recorded."
        elif not usable(run, quantity, scope, slide):
            yield f"{run.name}: raw scores of {slide_id} were not recorded (recipe `watch`); {there}."
        if quantity.name == "jsd_anchor" and not run.has_anchor:
            yield f"{run.name}: trained without an anchor."
        if not (course := course_of(run, quantity, scope)) and (broken := damage(run)):
            yield f"{run.name}: {broken}"
        lost = Courses.of(run).lost(course, [s.slide_id for s in run.slides]) if course else 0
        if lost:
            yield f"{run.name}: {counted(lost, 'map')} cannot be read, the run is damaged."
