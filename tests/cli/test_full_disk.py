"""A disk that is full ends a command in a sentence; the room on it is simulated by a limit on the size of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

resource = pytest.importorskip("resource")


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_bag_that_does_not_fit_on_the_disk_is_told_and_leaves_nothing(command: Callable, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with room(4000):
        code, _, complaint = command("extract", tmp_path / "a.png", "--size", 16, "--cover", "--out", tmp_path / "bags")
    assert code == 2 and "a.h5: It cannot be written" in complaint and "room" in complaint
    assert not list((tmp_path / "bags").iterdir())


def test_a_training_that_does_not_fit_on_the_disk_is_told_and_leaves_no_started_run(
    train: Callable, make_cohort: Callable, tmp_path: Path
) -> None:
    cohort = make_cohort()
    with room(8000):
        code, _, complaint = train(cohort, tmp_path / "r.asmil")
    assert code == 2 and "cannot be written" in complaint and "room" in complaint
    assert not (tmp_path / "r.asmil").exists()
