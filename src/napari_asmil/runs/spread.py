"""How far maps of one slide lie apart on each tile: over epochs, runs, rows, or the model and its anchor."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.dynamics import effective_tiles
from napari_asmil.errors import InputError
from napari_asmil.runs.contrast import check_attention, check_same_tiles
from napari_asmil.runs.lazy import LazyMaps, Limits
from napari_asmil.runs.reader import Run
from napari_asmil.runs.view import MapView, Source
from napari_asmil.words import counted, listed

QUANTITY, UNIT = "standard deviation of M·α", "× uniform"
AROUND = 4
"""Maps that are kept beside those of a window: the windows next to it are asked for before long."""
WEIGHT = 3
"""How much longer the deviation of maps takes than the maps."""
LEAST_REACH = 0.01
"""Colours reach at least so far: maps that differ by rounding alone show no pattern."""


class Spread(LazyMaps):
    """The standard deviation of M * p on each tile over several maps (M,) of the same tiles.

    It is that of the maps at hand (divided by their number n, not n - 1): of two maps, half their distance.
    """

    def __init__(self, like: MapView) -> None:
        super().__init__()
        self.like = like
        self.drawing, self.slide = like.drawing, like.slide
        self._reach: dict[int, float] = {}
        self._effective: dict[int, float] = {}

    @abstractmethod
    def maps(self, epoch: int) -> NDArray[np.float64]:
        """The maps at an epoch, float64 (n, M), each summing to 1.

        Raises
        ------
        InputError
            When there are none.
        """

    @abstractmethod
    def varied(self, epoch: int) -> str:
        """What was varied, and how many maps that are, in words."""

    @property
    def subject(self) -> str:
        """Run and attention of these maps, in words."""
        return f"{self.like.run.name}, {self.like.source_label}"

    @property
    def runs(self) -> tuple[Run, ...]:
        """The run of the map it is about."""
        return self.like.runs

    @property
    def cost(self) -> int:
        """Scores that are read to derive one epoch."""
        return self.like.cost

    @property
    def n_epochs(self) -> int:
        """Epochs of the map it is about."""
        return self.like.n_epochs

    @property
    def quantity(self) -> str:
        """A standard deviation."""
        return QUANTITY

    @property
    def unit(self) -> str:
        """Multiples of what a uniform map gives a tile."""
        return UNIT

    def stack(self, epoch: int) -> NDArray[np.float64]:
        """As `maps`, when they are at least two and all numbers.

        Raises
        ------
        InputError
            When they are not.
        """
        maps = self.maps(epoch)
        if len(maps) < 2:
            raise InputError(f"Here is {counted(len(maps), 'map')}: a spread needs two.")
        if not np.isfinite(maps).all():
            raise InputError(f"At epoch {epoch} some of these maps are not a number (NaN).")
        return maps

    def values(self, epoch: int) -> NDArray[np.float32]:
        """The standard deviation on each tile, float32 (M,)."""
        return self._derive(epoch).astype(np.float32)

    def effective(self, epoch: int) -> float:
        """Effective tiles of the mean of the maps: where that is flat, there is little that they could disagree on."""
        if epoch not in self._effective:
            self._derive(epoch)
        return self._effective[epoch]

    def limits(self, epoch: int | None = None) -> Limits:
        """Limits from 0 to the greatest of one epoch, or of all."""
        epochs = range(self.n_epochs) if epoch is None else [epoch]
        return 0.0, max([LEAST_REACH, *(self._reached(e) for e in epochs)])

    def refresh(self) -> int:
        """Take up newly committed epochs."""
        return self.like.refresh()

    def _derive(self, epoch: int) -> NDArray[np.float64]:
        """The standard deviation, float64 (M,); what else is asked of an epoch is kept."""
        maps = self.stack(epoch)
        mean = maps.mean(axis=0)
        apart = maps - mean
        spread = np.sqrt(np.einsum("ij,ij->j", apart, apart) / len(maps)) * len(mean)
        self._reach[epoch] = float(spread.max())
        self._effective[epoch] = float(effective_tiles(mean))
        return np.asarray(spread)

    def _reached(self, epoch: int) -> float:
        if epoch not in self._reach:
            try:
                self._derive(epoch)
            except InputError:
                return 0.0  # not kept: another run may reach the epoch later
        return self._reach[epoch]


class OverEpochs(Spread):
    """Over the last `window` epochs of one map, or as many as there have been."""

    def __init__(self, view: MapView, window: int) -> None:
        super().__init__(view)
        if window < 2:
            raise InputError(f"A window has at least 2 epochs, not {window}.")
        self.window = window
        self._maps: OrderedDict[int, NDArray[np.float64]] = OrderedDict()

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"spread over {self.window} epochs · {self.like.name}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return f"{QUANTITY} ({UNIT}) over the last {self.window} epochs · {self.like.label}"

    @property
    def cost(self) -> int:
        """Scores that are read to derive one epoch."""
        return WEIGHT * self.like.cost * self.window

    def maps(self, epoch: int) -> NDArray[np.float64]:
        """The maps of the window that ends at an epoch, float64 (n, M)."""
        return np.stack([self._map(e) for e in self._window(epoch)])

    def varied(self, epoch: int) -> str:
        """Which epochs these are."""
        epochs = self._window(epoch)
        short = f" (of {self.window}: there are no more yet)" if len(epochs) < self.window else ""
        return f"{counted(len(epochs), 'epoch')}, {epochs[0]} to {epochs[-1]}{short}"

    def _window(self, epoch: int) -> range:
        return range(max(0, epoch + 1 - self.window), epoch + 1)

    def _map(self, epoch: int) -> NDArray[np.float64]:
        """One of the maps; the next window shares all but one of them."""
        if epoch not in self._maps:
            self._maps[epoch] = self.like.probabilities(epoch)
            if len(self._maps) > self.window + AROUND:
                self._maps.popitem(last=False)
        self._maps.move_to_end(epoch)
        return self._maps[epoch]


class OverViews(Spread):
    """Over several maps of the same tiles at one epoch: of runs, or of a model and its anchor.

    Raises
    ------
    InputError
        When there are fewer than two, or their tiles are not the same.
    """

    def __init__(self, views: Sequence[MapView], names: Sequence[str]) -> None:
        if len(views) < 2:
            raise InputError("A spread needs two maps.")
        super().__init__(views[0])
        for view in views[1:]:
            check_same_tiles(views[0].slide, view.slide)
        check_attention(*views)
        self.views, self.names = tuple(views), tuple(names)

    @property
    def subject(self) -> str:
        """Run and attention of these maps, in words; a run only where all are of it."""
        runs = {view.run.name for view in self.views}
        return ", ".join([*(runs if len(runs) == 1 else ()), *dict.fromkeys(view.source_label for view in self.views)])

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all."""
        return tuple(run for view in self.views for run in view.runs)

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"spread over {' and '.join(self.names) if len(self.names) == 2 else f'{len(self.names)} runs'}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return f"{QUANTITY} ({UNIT}) over {len(self.views)} maps · " + " · ".join(view.label for view in self.views)

    @property
    def cost(self) -> int:
        """Scores that are read to derive one epoch."""
        return sum(view.cost for view in self.views)

    @property
    def n_epochs(self) -> int:
        """Epochs of the longest."""
        return max(view.n_epochs for view in self.views)

    def maps(self, epoch: int) -> NDArray[np.float64]:
        """The maps of those that have the epoch, float64 (n, M)."""
        there = self._there(epoch)
        return np.stack([view.probabilities(epoch) for view, _ in there]) if there else np.empty((0, 0))

    def varied(self, epoch: int) -> str:
        """Which maps these are, and which have no such epoch."""
        there = [name for _, name in self._there(epoch)]
        missing = [name for name in self.names if name not in there]
        without = f" ({listed(missing)} {'has' if len(missing) == 1 else 'have'} no epoch {epoch})" if missing else ""
        return f"{counted(len(there), 'map')}: {listed(there)}{without}"

    def refresh(self) -> int:
        """Take up newly committed epochs of all."""
        before = [view.n_epochs for view in self.views]
        if [view.refresh() for view in self.views] != before:  # an epoch that some had alone may be of more maps now
            self._forget()
            self._reach.clear()
            self._effective.clear()
        return self.n_epochs

    def _there(self, epoch: int) -> list[tuple[MapView, str]]:
        pairs = zip(self.views, self.names, strict=True)
        return [(view, name) for view, name in pairs if epoch < view.n_epochs]


class OverRows(Spread):
    """Over the rows (heads, tokens) of one model at one epoch, each normalised on its own.

    Raises
    ------
    InputError
        When the model has one row, or its raw scores were not recorded.
    """

    def __init__(self, view: MapView) -> None:
        run = view.run
        run.check_scores(view.slide.slide_id)
        if len(run.row_names) < 2:
            raise InputError("This model has one row, so there is nothing that its rows could disagree on.")
        self.normalizer = view.source.normalizer or run.normalizer
        super().__init__(MapView(run, view.slide.slide_id, Source(self.normalizer), view.transform_name))

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"spread over {len(self.like.run.row_names)} rows · {self.like.name}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return f"{QUANTITY} ({UNIT}) over {len(self.like.run.row_names)} rows · {self.like.label}"

    def maps(self, epoch: int) -> NDArray[np.float64]:
        """The map of each row, float64 (K, M)."""
        return self.normalizer.probabilities(self.like.run.scores(epoch, self.slide.slide_id))

    def varied(self, epoch: int) -> str:
        """Which rows these are."""
        names = self.like.run.row_names
        return f"{len(names)} rows, {names[0]} to {names[-1]}, each by {self.normalizer.label}"
