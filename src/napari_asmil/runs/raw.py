"""The score of each tile before any normaliser, as a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.runs.lazy import LazyMaps, Limits
from napari_asmil.runs.reader import Run
from napari_asmil.runs.view import MEAN, MapView


class RawScores(LazyMaps):
    """Raw score z of one row, or the mean over the rows that a name stands for.

    Of softmax only differences of scores matter, of NSF their level too: here both can be seen.

    Parameters
    ----------
    like : MapView
        Of the same run and slide; its source's row is shown.

    Raises
    ------
    InputError
        When raw scores of the slide were not recorded.
    """

    def __init__(self, like: MapView) -> None:
        super().__init__()
        self.like, self.run, self.slide, self.drawing = like, like.run, like.slide, like.drawing
        self.run.check_scores(self.slide.slide_id)
        self.row = like.source.row
        self._rows = like.rows
        self._ranges: dict[int, Limits] = {}

    @property
    def runs(self) -> tuple[Run, ...]:
        """The run."""
        return (self.run,)

    @property
    def cost(self) -> int:
        """Scores that are read for one epoch."""
        return self.slide.n_tiles * len(self.run.row_names)

    @property
    def n_epochs(self) -> int:
        """Epochs of the run."""
        return self.like.n_epochs

    @property
    def quantity(self) -> str:
        """The score, and of which rows."""
        if len(self.run.row_names) == 1:
            return "score z"
        return f"score z, {f'mean of {len(self._rows)} rows' if self.row == MEAN else self.row}"

    @property
    def unit(self) -> str:
        """A score has none."""
        return "before any normaliser"

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"{self.quantity} · {self.run.name}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return " · ".join([self.run.name, self.run.label, self.slide.slide_id, f"{self.quantity} ({self.unit})"])

    def values(self, epoch: int) -> NDArray[np.float32]:
        """The scores, float32 (M,)."""
        z = self.run.scores(epoch, self.slide.slide_id)
        return np.asarray(z[self._rows].mean(axis=0, dtype=np.float64), dtype=np.float32)

    def limits(self, epoch: int | None = None) -> Limits:
        """From the least to the greatest score of one epoch, or of all."""
        epochs = range(self.n_epochs) if epoch is None else [epoch]
        ranges = [found for e in epochs if np.isfinite(found := self._range(e)).all()] or [(0.0, 1.0)]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def refresh(self) -> int:
        """Take up newly committed epochs."""
        return self.like.refresh()

    def _range(self, epoch: int) -> Limits:
        if epoch not in self._ranges:
            try:
                z = self.values(epoch)
            except InputError:
                return float("nan"), float("nan")
            self._ranges[epoch] = float(z.min()), float(z.max())
        return self._ranges[epoch]
