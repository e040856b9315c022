"""A lazy (epoch, y, x) array over a run: nothing is copied, nothing is trained again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.display import TRANSFORMS
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import schema
from napari_asmil.runs.reader import Branch, Run

MEAN = "mean"
CACHED_EPOCHS = 16
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
        A row name of the run, or "mean": the mean over rows of the normalised maps.
    branch : {"online", "anchor"}
        Whose map, as stored.
    """

    normalizer: Normalizer | None = None
    row: str = MEAN
    branch: Branch = "online"


def sources(run: Run, slide_id: str) -> tuple[list[Source], list[str]]:
    """What can be shown of a slide, with default numbers, and why the rest cannot."""
    offered, reasons = [Source()], []
    if run.has_anchor:
        offered.append(Source(branch="anchor"))
    else:
        reasons.append("No anchor map: this run was trained without an anchor.")
    if run.slide(slide_id).has_scores:
        rows = (MEAN, *run.row_names) if len(run.row_names) > 1 else (MEAN,)
        offered += [Source(Normalizer(name), row) for name in ("softmax", "nsf", "entmax") for row in rows]
    else:
        kept = [slide.slide_id for slide in run.slides if slide.has_scores]
        some = ", ".join(kept[:5]) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
        known = f" They are there for {some}." if kept else ""
        reasons.append(f"Only maps as stored: raw scores of this slide were not recorded (recipe `watch`).{known}")
    return offered, reasons


class MapView:
    """Array-like (epoch, y, x), float32, NaN where there is no tile; reads one epoch's row on access.

    Indexed, an epoch that a damaged run has lost is NaN everywhere; `image` and `probabilities` say why.

    Its length is the number of committed epochs as of the last `refresh`.

    Raises
    ------
    InputError
        When the slide has no coordinates, no common raster, or lacks what `source` needs.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, run: Run, slide_id: str, source: Source | None = None, transform: str = "m_alpha") -> None:
        self.run = run
        self.slide = run.slide(slide_id)
        if self.slide.tiles is None:
            raise InputError(
                f"The bag of {slide_id!r} has no tile coordinates, so its map has no place.", path=run.path
            )
        self.raster = self.slide.tiles.raster
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
        self.transform_name = transform or self.transform_name
        self.transform = TRANSFORMS[self.transform_name]
        self._images: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self._ranges: dict[int, tuple[float, float]] = {}

    def refresh(self) -> int:
        """Take up newly committed epochs; returns how many there are."""
        self._n_epochs = self.run.refresh()
        return self._n_epochs

    @property
    def shape(self) -> tuple[int, int, int]:
        """(committed epochs, rows, columns)."""
        return (self._n_epochs, *self.raster.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self._n_epochs

    def probabilities(self, epoch: int) -> NDArray[np.float64]:
        """The map before display, float64 (M,), summing to 1."""
        if self.source.normalizer is None:
            return schema.probabilities(self.run.attention(epoch, self.slide.slide_id, self.source.branch))
        z = self.run.scores(epoch, self.slide.slide_id)
        if self.source.row != MEAN:
            z = z[[self.run.row_names.index(self.source.row)]]
        return np.asarray(np.exp(self.source.normalizer.log(z)).mean(axis=0))

    def values(self, epoch: int) -> NDArray[np.float32]:
        """What is shown of each tile, float32 (M,), in the transform's unit."""
        return self.transform.values(self.probabilities(epoch)).astype(np.float32)

    def image(self, epoch: int) -> NDArray[np.float32]:
        """One epoch as an image (y, x), from a small cache."""
        if epoch in self._images:
            self._images.move_to_end(epoch)
        else:
            self._images[epoch] = self.raster.to_image(self.values(epoch))
            if len(self._images) > CACHED_EPOCHS:
                self._images.popitem(last=False)
        return self._images[epoch]

    def limits(self, epoch: int | None = None) -> tuple[float, float]:
        """Colour limits of one epoch, or locked over all committed ones; always lo < hi."""
        if self.transform.limits is not None:
            return self.transform.limits
        epochs = range(self._n_epochs) if epoch is None else [epoch]
        ranges = [r for e in epochs if np.isfinite(r := self._range(e)).all()] or [(0.0, 1.0)]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        low = max(low, LEAST_DECADE) if self.transform_name == "log10" else 0.0
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    @property
    def label(self) -> str:
        """All of what is shown, in words: run, method, slide, normaliser, row, transform and unit."""
        parts = [self.run.name, self.run.label, self.slide.slide_id, self.source_label]
        return " · ".join([*parts, f"{self.transform.label} ({self.transform.unit})"])

    @property
    def source_label(self) -> str:
        """Normaliser, row and branch in words."""
        rows = len(self.run.row_names)
        row = self.source.row if self.source.row != MEAN else ("one row" if rows == 1 else f"mean of {rows} rows")
        if self.source.normalizer is not None:
            return f"{self.source.normalizer.label}, {row}"
        if rows > 1:
            row = self.run.row_join.replace("the rows", f"{rows} rows")
        own = self.run.anchor_normalizer if self.source.branch == "anchor" else None
        return f"{self.run.map_words if own is None else f'anchor {own.label}'}, {row}, as stored"

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        epochs, within = _split(key)
        if isinstance(epochs, slice):
            chosen = range(*epochs.indices(self._n_epochs))
            stack = [self._drawn(e)[within] for e in chosen]
            return np.stack(stack) if stack else np.empty((0, *self.raster.shape), np.float32)[(slice(None), *within)]
        epoch = int(epochs)
        epoch += self._n_epochs if epoch < 0 else 0
        if not 0 <= epoch < self._n_epochs:
            raise IndexError(f"epoch {epoch} of {self._n_epochs} committed")
        return np.asarray(self._drawn(epoch)[within])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _drawn(self, epoch: int) -> NDArray[np.float32]:
        """The image, empty where a damaged run has lost it: a window goes on, and its legend says why."""
        try:
            return self.image(epoch)
        except InputError:
            return np.full(self.raster.shape, np.nan, dtype=np.float32)

    def _range(self, epoch: int) -> tuple[float, float]:
        if epoch not in self._ranges:
            p = self._extremes(epoch) if self.source == Source() else self._derived(epoch)
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


def _split(key: Any) -> tuple[Any, tuple[Any, ...]]:
    """Epoch index and the (y, x) rest of any basic key."""
    full = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [k if k is Ellipsis else None for k in full]:
        at = next(i for i, k in enumerate(full) if k is Ellipsis)
        full = (*full[:at], *[slice(None)] * (3 - len(full) + 1), *full[at + 1 :])
    full = (*full, *[slice(None)] * (3 - len(full)))
    return full[0], full[1:]
