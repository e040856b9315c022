"""A lazy array over epochs of one number a tile: what napari draws, whatever the number is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileRaster

if TYPE_CHECKING:
    from napari_asmil.geometry import TileQuads
    from napari_asmil.runs.reader import Run

CACHED_EPOCHS = 16

Limits = tuple[float, float]


class LazyMaps(ABC):
    """Array-like, float32, NaN where there is no tile; one epoch is derived on access.

    It is (step, y, x) on a raster, and (step, rectangle) of tiles that share none.

    Indexed, an epoch that is not there (lost by a damaged run, or not among those of the run) is NaN everywhere;
    `values` and `image` say why.

    Attributes
    ----------
    drawing : TileRaster or TileQuads
        Where the tiles are drawn.
    """

    dtype = np.dtype(np.float32)
    drawing: TileRaster | TileQuads

    def __init__(self) -> None:
        self._forget()

    # ---- what a kind of map says --------------------------------------------------------------

    @property
    @abstractmethod
    def runs(self) -> tuple[Run, ...]:
        """What it is derived from; it may grow when any of them does."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """How many scores by softmax take as long as deriving one epoch does."""

    @property
    @abstractmethod
    def n_epochs(self) -> int:
        """How many epochs `values` knows, as of the last `refresh`."""

    @property
    @abstractmethod
    def quantity(self) -> str:
        """What number it is."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """The unit of that number."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name, for a layer."""

    @property
    @abstractmethod
    def label(self) -> str:
        """All of what is shown, in words."""

    @abstractmethod
    def values(self, epoch: int) -> NDArray[np.float32]:
        """What is shown of each tile, float32 (M,), in `unit`.

        Raises
        ------
        InputError
            When the epoch is not there, or lost.
        """

    @abstractmethod
    def limits(self, epoch: int | None = None) -> Limits:
        """Colour limits of one epoch, or locked over all; always lo < hi."""

    @abstractmethod
    def refresh(self) -> int:
        """Take up newly committed epochs; returns how many there are."""

    @property
    def recorded_limits(self) -> bool:
        """Whether limits over all epochs are there without deriving any."""
        return False

    def epoch_at(self, step: int) -> int:
        """Which epoch is shown at a step of the slider.

        Raises
        ------
        InputError
            When there is none.
        """
        if step >= self.n_epochs:
            raise InputError(f"There is no epoch {step} here; the last is {self.n_epochs - 1}.")
        return step

    # ---- the array ----------------------------------------------------------------------------

    @property
    def raster(self) -> TileRaster:
        """The raster on which the tiles are drawn.

        Raises
        ------
        InputError
            When they share none.
        """
        if not isinstance(self.drawing, TileRaster):
            raise InputError("These tiles share no raster: each is drawn on its own.")
        return self.drawing

    @property
    def steps(self) -> int:
        """Steps of the slider."""
        return self.n_epochs

    @property
    def shape(self) -> tuple[int, ...]:
        """(steps of the slider, rows, columns), or (steps, rectangles)."""
        return (self.steps, *self.drawing.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def image(self, epoch: int) -> NDArray[np.float32]:
        """One epoch as it is drawn: an image (y, x), or one value a rectangle; from a small cache."""
        if epoch in self._images:
            self._images.move_to_end(epoch)
        else:
            self._keep(epoch, self.values(epoch))
        return self._images[epoch]

    def fetching(self, epoch: int) -> Iterator[None]:
        """Have an epoch's image at hand, in steps that are short where deriving it is long."""
        if epoch not in self._images:
            with suppress(InputError):
                self.image(epoch)
            yield

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        steps, within = _split(key, self.ndim)
        count = self.shape[0]
        if isinstance(steps, slice):
            stack = [self._drawn(step)[within] for step in range(*steps.indices(count))]
            return np.stack(stack) if stack else np.empty((0, *self.drawing.shape), np.float32)[(slice(None), *within)]
        step = int(steps)
        step += count if step < 0 else 0
        if not 0 <= step < count:
            raise IndexError(f"epoch {step} of {count} committed")
        return np.asarray(self._drawn(step)[within])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _drawn(self, step: int) -> NDArray[np.float32]:
        """The image at a step, empty where there is none: a window goes on, and its legend says why."""
        try:
            return self.image(self.epoch_at(step))
        except InputError:
            return np.full(self.drawing.shape, np.nan, dtype=np.float32)

    def _keep(self, epoch: int, values: NDArray[np.float32]) -> None:
        self._images[epoch] = self.drawing.to_image(values)
        if len(self._images) > CACHED_EPOCHS:
            self._images.popitem(last=False)

    def _forget(self) -> None:
        """Something else is shown from now on."""
        self._images: OrderedDict[int, NDArray[np.float32]] = OrderedDict()


def _split(key: Any, ndim: int) -> tuple[Any, tuple[Any, ...]]:
    """Step and the rest of any basic key."""
    full = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [k if k is Ellipsis else None for k in full]:
        at = next(i for i, k in enumerate(full) if k is Ellipsis)
        full = (*full[:at], *[slice(None)] * (ndim - len(full) + 1), *full[at + 1 :])
    full = (*full, *[slice(None)] * (ndim - len(full)))
    return full[0], full[1:]
