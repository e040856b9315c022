"""Which device and how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from napari_asmil.errors import InputError

SMALL_STEP = 2**20
"""Below so many numbers in a bag, a second thread costs more than it brings."""


def available_devices() -> dict[str, str]:
    """Device names that can be used here, with words for a menu; "auto" is first."""
    found = {"auto": "auto", "cpu": "CPU"}
    for i in range(torch.cuda.device_count()):
        found[f"cuda:{i}"] = torch.cuda.get_device_name(i)
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes the first GPU there is.

    Raises
    ------
    InputError
        When this machine has no such device.
    """
    known = available_devices()
    if name == "auto":
        return torch.device(next((d for d in known if d not in ("auto", "cpu")), "cpu"))
    if name == "cuda" and "cuda:0" in known:
        name = "cuda:0"
    if name not in known:
        raise InputError(f"This machine has no device {name!r}.", remedy=f"Choose one of {', '.join(known)}.")
    return torch.device(name)


@contextmanager
def torch_threads(numbers_in_bag: int) -> Iterator[None]:
    """Torch's thread count while a job runs: one for small bags, else all cores but one for the window."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers_in_bag < SMALL_STEP else max(1, (os.cpu_count() or 2) - 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
