"""Batches of the size an encoder wants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Batch = tuple[NDArray[np.intp], NDArray[np.uint8]]
"""Indices (n,) of tiles and their pixels (n, s, s, 3)."""


def gathered(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """The same tiles in the same order, at least `count` at once but for the last; as they come where `count` is 1."""
    kept: list[Batch] = []
    for batch in batches:
        kept.append(batch)
        if sum(len(indices) for indices, _ in kept) >= count:
            yield _joined(kept)
            kept = []
    if kept:
        yield _joined(kept)


def _joined(kept: list[Batch]) -> Batch:
    if len(kept) == 1:
        return kept[0]
    return np.concatenate([indices for indices, _ in kept]), np.concatenate([tiles for _, tiles in kept])
