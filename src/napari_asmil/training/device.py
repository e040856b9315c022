"""Which device and how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from napari_asmil.mil.device import available_devices, pick_device

__all__ = ["available_devices", "pick_device", "torch_threads"]

SMALL_STEP = 2**20
"""Below so many numbers in a bag, a second thread costs more than it brings."""


@contextmanager
def torch_threads(numbers_in_bag: int) -> Iterator[None]:
    """Torch's thread count while a job runs: one for small bags, else all cores but one for the window."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers_in_bag < SMALL_STEP else max(1, (os.cpu_count() or 2) - 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
