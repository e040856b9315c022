"""A lazy array over the epochs of a run: nothing is copied, nothing is trained again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.display import AS_STORED, TRANSFORMS, Transform
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import schema
from napari_asmil.runs.imported import UNKNOWN_SCORES
from napari_asmil.runs.lazy import LazyMaps, Limits
from napari_asmil.runs.reader import Branch, Run
from napari_asmil.runs.rows import groups, rows_called
from napari_asmil.words import counted

MEAN = "mean"
LEAST_DECADE = -3.0
"""Colours of log10 M·α start here at the lowest: below a thousandth of uniform a tile is not used."""


@dataclass(frozen=True)
class Source:
    """Where a map comes from.

    Attributes
    ----------
    normalizer : Normalizer or None
        Applied to the raw scores; None takes the map as stored, by the model's own normaliser.
    row : str
        A row name of the run, a part that several share ("head 3"), or "mean": the mean of the normalised maps of
        these rows, or of all.
    branch : {"online", "anchor"}
        Whose map, as stored.
    """

    normalizer: Normalizer | None = None
    row: str = MEAN
    branch: Branch = "online"


def sources(run: Run, slide_id: str) -> tuple[list[Source], list[str]]:
    """What can be shown of a slide, with default numbers, and why the rest cannot."""
    offered, reasons = [Source()], []
    if run.imported and not run.slide(slide_id).has_scores:
        return offered, [run.no_attention or UNKNOWN_SCORES]
    if run.has_anchor:
        offered.append(Source(branch="anchor"))
    elif not run.imported:
        reasons.append("No anchor map: this run was trained without an anchor.")
    if run.slide(slide_id).has_scores:
        rows = (MEAN, *groups(run.row_names), *run.row_names) if len(run.row_names) > 1 else (MEAN,)
        offered += [Source(Normalizer(name), row) for name in ("softmax", "nsf", "entmax") for row in rows]
    else:
        kept = [slide.slide_id for slide in run.slides if slide.has_scores]
        some = ", ".join(kept[:5]) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
        known = f" They are there for {some}." if kept else ""
        reasons.append(f"Only maps as stored: raw scores of this slide were not recorded (recipe `watch`).{known}")
    return offered, reasons


@dataclass(frozen=True)
class When:
    """Which epoch belongs to a step of the slider: the same, one so many earlier, or one throughout.

    Attributes
    ----------
    earlier : int
        Epochs before that of the slider.
    fixed : int or None
        This epoch, whatever the slider says.
    """

    earlier: int = 0
    fixed: int | None = None

    def __post_init__(self) -> None:
        if self.earlier < 0 or (self.fixed is not None and self.fixed < 0):
            raise InputError("An epoch is counted from 0, and an earlier one lies 0 or more before the slider's.")

    def epoch(self, step: int) -> int:
        """The epoch at a step of the slider, whether or not it exists."""
        return step - self.earlier if self.fixed is None else self.fixed

    @property
    def label(self) -> str:
        """In words; empty for the slider's own epoch."""
        if self.fixed is not None:
            return f"always epoch {self.fixed}"
        return f"{counted(self.earlier, 'epoch')} earlier" if self.earlier else ""

    @property
    def short(self) -> str:
        """As `label`, for where there is little room: t is the slider's epoch."""
        if self.fixed is not None:
            return f"t={self.fixed}"
        return f"t−{self.earlier}" if self.earlier else ""


NOW = When()
WEIGHTS = {"softmax": 1.0, "nsf": 2.5, "entmax": 30.0}
"""How much longer a normaliser takes than softmax; entmax at its worst, near order 1."""


class MapView(LazyMaps):
    """A map of attention over epochs; reads one epoch's row on access.

    Parameters
    ----------
    run : Run
    slide_id : str
    source : Source, optional
        By default the map as stored.
    transform : str
        Display transform, a name in `TRANSFORMS`; of values that are no attention there is but one, as stored.
    when : When
        Which epoch the array has at a step of the slider; all methods but indexing take epochs of the run.
    along : sequence of Run
        Runs whose epochs the slider goes along, where that is not this run's own.

    Raises
    ------
    InputError
        When the slide has no coordinates, too many tiles that share no raster, or lacks what `source` needs.
    """

    def __init__(
        self,
        run: Run,
        slide_id: str,
        source: Source | None = None,
        transform: str = "m_alpha",
        when: When = NOW,
        along: Sequence[Run] = (),
    ) -> None:
        self.run, self.when = run, when
        self._along = tuple(along)
        self.slide = run.slide(slide_id)
        if self.slide.tiles is None:
            raise InputError(
                f"The tiles of slide {slide_id!r} were not placed when the run was made, so its map has no place.",
                remedy="Make the run again with what places them (--tile-size, --slides).",
                path=run.path,
            )
        self.drawing = self.slide.tiles.drawing
        self._n_epochs = run.n_epochs
        self._stored: NDArray[np.float64] = np.empty((0, 2))
        self.transform_name = transform
        self.source = source or Source()
        self.set(self.source, transform)

    def set(self, source: Source | None = None, transform: str | None = None) -> None:
        """Show another source or transform of the same run and slide."""
        new = source or self.source
        if new.normalizer is not None:
            self.run.check_scores(self.slide.slide_id)
        if new.row != MEAN:
            self.run.check_row(new.row)
        if new.row != MEAN and new.normalizer is None:
            raise InputError(
                f"The map as stored is the {self.run.row_join}.", remedy="Choose a normaliser to see one row."
            )
        if new.branch == "anchor" and new.normalizer is not None:
            raise InputError("Raw scores are of the model itself; the anchor's map is there as stored alone.")
        if new.branch == "anchor" and not self.run.has_anchor:
            raise InputError("This run has no anchor, so it has no anchor maps.", path=self.run.path)
        if transform is not None and transform not in TRANSFORMS:
            raise InputError(f"Unknown transform {transform!r}.", remedy=f"Known: {', '.join(TRANSFORMS)}.")
        self.source = new
        asked = transform or self.transform_name
        self.transform_name = asked if asked in self.transforms else next(iter(self.transforms))
        self.transform = self.transforms[self.transform_name]
        self._forget()
        self._ranges: dict[int, tuple[float, float]] = {}

    def refresh(self) -> int:
        """Take up newly committed epochs; returns how many there are."""
        self._n_epochs = self.run.refresh()
        return self._n_epochs

    @property
    def transforms(self) -> Mapping[str, Transform]:
        """Display transforms there are of this map, by name."""
        return AS_STORED.get(self.run.imported, TRANSFORMS)

    @property
    def n_epochs(self) -> int:
        """Committed epochs as of the last `refresh`."""
        return self._n_epochs

    @property
    def runs(self) -> tuple[Run, ...]:
        """The run, and those whose epochs the slider goes along."""
        return (self.run, *self._along)

    @property
    def cost(self) -> int:
        """Scores that are read to derive one epoch."""
        weight = 1.0 if self.source.normalizer is None else WEIGHTS[self.source.normalizer.name]
        return int(weight * self.slide.n_tiles * len(self.run.row_names))

    @property
    def steps(self) -> int:
        """Steps of the slider."""
        return self._n_epochs if self.when == NOW else max(run.n_epochs for run in (self._along or (self.run,)))

    def epoch_at(self, step: int) -> int:
        """Which epoch of the run is shown at a step of the slider.

        Raises
        ------
        InputError
            When the run has none there.
        """
        epoch = self.when.epoch(step)
        if epoch < 0:
            raise InputError(f"There is no map {self.when.label} at epoch {step}.")
        if epoch >= self._n_epochs:
            raise InputError(f"This run has no epoch {epoch}; its last is {self._n_epochs - 1}.")
        return epoch

    def probabilities(self, epoch: int) -> NDArray[np.float64]:
        """The map before display, float64 (M,), summing to 1.

        Raises
        ------
        InputError
            When what the run holds is no attention over the tiles.
        """
        if self.run.no_attention:
            raise InputError(self.run.no_attention, path=self.run.path)
        *_, p = self._deriving(epoch)
        return p

    def _deriving(self, epoch: int) -> Iterator[NDArray[np.float64]]:
        """Row by row; the map is the last."""
        if self.source.normalizer is None:
            yield schema.probabilities(self.run.attention(epoch, self.slide.slide_id, self.source.branch))
            return
        z = self.run.scores(epoch, self.slide.slide_id)
        p = np.zeros(z.shape[1])
        yield p
        for row in self.rows:
            p += self.source.normalizer.probabilities(z[row])
            yield p
        p /= len(self.rows)
        yield p

    def fetching(self, epoch: int) -> Iterator[None]:
        """As of all lazy maps: a row at a time."""
        images = self._images
        if epoch in images or self.run.no_attention:
            yield from super().fetching(epoch)
            return
        with suppress(InputError):
            for p in self._deriving(epoch):  # noqa: B007 the last is the map
                yield
            if images is self._images:  # else something else is shown by now
                self._keep(epoch, self.transform.values(p).astype(np.float32))

    @property
    def rows(self) -> list[int]:
        """Places of the rows that the source names."""
        if self.source.row == MEAN:
            return list(range(len(self.run.row_names)))
        return rows_called(self.run.row_names, self.source.row)

    def values(self, epoch: int) -> NDArray[np.float32]:
        """What is shown of each tile, float32 (M,), in the transform's unit."""
        if self.run.no_attention:
            return self.run.values(epoch, self.slide.slide_id)
        return self.transform.values(self.probabilities(epoch)).astype(np.float32)

    def limits(self, epoch: int | None = None) -> Limits:
        """Colour limits of one epoch, or locked over all committed ones; always lo < hi."""
        if self.transform.limits is not None:
            return self.transform.limits
        epochs = range(self._n_epochs) if epoch is None else [epoch]
        ranges = [r for e in epochs if np.isfinite(r := self._range(e)).all()] or [(0.0, 1.0)]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        low = max(low, LEAST_DECADE) if self.transform_name == "log10" else 0.0
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    @property
    def recorded_limits(self) -> bool:
        """Whether limits over all epochs are there without deriving any: with the map as stored."""
        return self.source == Source()

    @property
    def quantity(self) -> str:
        """The display transform."""
        return self.transform.label

    @property
    def unit(self) -> str:
        """Of the display transform."""
        return self.transform.unit

    @property
    def name(self) -> str:
        """Run and normaliser, and the epoch where that is not the slider's."""
        return " · ".join(filter(None, [self.run.name, self.when.short, self.source_label.split(",")[0]]))

    @property
    def label(self) -> str:
        """All of what is shown, in words: run, method, slide, normaliser, row, epoch, transform and unit."""
        parts = [self.run.name, self.run.label, self.slide.slide_id, self.source_label, self.when.label]
        return " · ".join([*filter(None, parts), f"{self.quantity} ({self.unit})"])

    @property
    def source_label(self) -> str:
        """Normaliser, row and branch in words."""
        rows = len(self.run.row_names)
        row = self.source.row if self.source.row != MEAN else ("one row" if rows == 1 else f"mean of {rows} rows")
        if self.source.row != MEAN and len(self.rows) > 1:
            row = f"{row}: mean of {len(self.rows)} rows"
        if self.source.normalizer is not None:
            return f"{self.source.normalizer.label}, {row}"
        if rows > 1:
            row = self.run.row_join.replace("the rows", f"{rows} rows")
        own = self.run.anchor_normalizer if self.source.branch == "anchor" else None
        return f"{self.run.map_words if own is None else f'anchor {own.label}'}, {row}, as stored"

    def _range(self, epoch: int) -> tuple[float, float]:
        if epoch not in self._ranges:
            p = self._extremes(epoch) if self.recorded_limits else self._derived(epoch)
            shown = self.transform.values(p)
            self._ranges[epoch] = (float(shown.min()), float(shown.max()))
        return self._ranges[epoch]

    def _derived(self, epoch: int) -> NDArray[np.float64]:
        try:
            return self.probabilities(epoch)
        except InputError:
            return np.full(self.slide.n_tiles, np.nan)

    def _extremes(self, epoch: int) -> NDArray[np.float64]:
        """A stand-in for the map as stored with its least and greatest probability, from the recorded scalars."""
        if len(self._stored) <= epoch:
            both = [self.run.scalars(name)[:, self.slide.index] for name in ("p_min", "p_max")]
            self._stored = np.stack(both, axis=1)
        low, high = self._stored[epoch]
        stand_in = np.full(self.slide.n_tiles, low)
        stand_in[-1] = high
        return stand_in
