"""One reading of every bag before anything starts: is it sound, what is it, what are its statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags import Bag
from napari_asmil.events import BatchDone


@dataclass
class Survey:
    """What one reading of the bags has shown.

    Attributes
    ----------
    hashes : dict
        Content hash of every bag.
    mean, scale : float32 (D_in,)
        Mean and reciprocal standard deviation of the training tiles; 1 where a feature is constant.
    """

    hashes: dict[str, str] = field(default_factory=dict)
    _count: int = 0
    _sum: NDArray[np.float64] | None = None
    _squares: NDArray[np.float64] | None = None

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean of the training tiles."""
        assert self._sum is not None
        return (self._sum / self._count).astype(np.float32)

    @property
    def scale(self) -> NDArray[np.float32]:
        """1 / standard deviation of the training tiles."""
        assert self._sum is not None and self._squares is not None
        variance = np.maximum(self._squares / self._count - (self._sum / self._count) ** 2, 0)
        deviation = np.sqrt(variance)
        return np.where(deviation < 1e-6, 1.0, 1 / np.maximum(deviation, 1e-6)).astype(np.float32)

    def add(self, features: NDArray[np.float32]) -> None:
        """Count one training bag in."""
        wide = features.astype(np.float64)
        self._count += len(wide)
        self._sum = wide.sum(axis=0) + (0 if self._sum is None else self._sum)
        self._squares = (wide**2).sum(axis=0) + (0 if self._squares is None else self._squares)


def survey(bags: Sequence[Bag], training: set[str], found: Survey) -> Iterator[BatchDone]:
    """Read every bag once into `found`; a bag with NaN features, for instance, is refused here by its name.

    Raises
    ------
    InputError
        At the first bag that cannot be read or holds values that are not finite.
    """
    for i, bag in enumerate(bags):
        found.hashes[bag.slide_id] = bag.content_hash()
        if bag.slide_id in training:
            found.add(bag.features())
        yield BatchDone(epoch=0, step=i + 1, steps=len(bags), phase="check")
