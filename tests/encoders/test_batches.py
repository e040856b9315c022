"""Tiles in batches of the size an encoder wants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from napari_asmil.encoders.batches import Batch, gathered


def of(sizes: list[int]) -> Iterator[Batch]:
    start = 0
    for size in sizes:
        indices = np.arange(start, start + size)
        yield indices, np.repeat(indices, 12).reshape(size, 2, 2, 3).astype(np.uint8)
        start += size


@pytest.mark.parametrize(("wanted", "sizes"), [(1, [2, 3, 1, 4]), (3, [5, 5]), (5, [5, 5]), (6, [6, 4]), (100, [10])])
def test_batches_are_gathered_in_order_until_there_are_enough(wanted: int, sizes: list[int]) -> None:
    found = list(gathered(of([2, 3, 1, 4]), wanted))
    assert [len(indices) for indices, _ in found] == sizes
    assert np.concatenate([indices for indices, _ in found]).tolist() == list(range(10))
    assert np.concatenate([tiles[:, 0, 0, 0] for _, tiles in found]).tolist() == list(range(10))
