"""Read every file named on stdin as a user's would be, and say what went wrong: run as a process of its own.

A line of JSON goes to stdout before each file (so that the one that kills the process is known) and one after it:
what was raised that is no `InputError`, how long it took, by how much the process's memory grew meanwhile at most.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch  # noqa: F401 (whose import would count as the first file's that needs it)

from napari_asmil import annotations, bags, maps, slides
from napari_asmil.bags import Given
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.info import describe, kind_of
from tests.memory import forget_peak, peak

SECONDS = 5
"""Of the processor's time that a file may take."""
PATIENCE = 60
"""Seconds after which a file is left."""
FRAME = Frame((4096, 4096), 0.5, centre_nm=(0.0, 0.0))


class TooLong(BaseException):
    """No `Exception`, which a reader may catch and turn into a sentence."""


def everything(path: Path) -> None:
    """All that is done with a file that somebody gives us."""
    attempts = (
        lambda: kind_of(path),
        lambda: describe(path),
        lambda: describe(path, mpp=0.5, tile_size=64),
        lambda: [bag.features() for bag in bags.read_bags(path, lambda slide: Given(mpp=0.5, tile_size=64.0))],
        lambda: maps.read_map(path) if maps.sniff(path) else None,
        lambda: _contours(path),
        lambda: _pixels(path),
    )
    for attempt in attempts:
        try:
            attempt()
        except InputError as error:
            assert str(error).strip(), "a refusal without a sentence"
            assert "\n" not in str(error).strip(), f"a refusal of several lines: {error}"


def _contours(path: Path) -> None:
    contours = annotations.read_annotations(path, FRAME)
    contours.describe()
    contours.segments()
    contours.tumour()


def _pixels(path: Path) -> None:
    with slides.open_slide(path) as slide:
        for level in range(len(slide.levels)):
            height, width = slide.levels[level].shape[:2]
            for y, x in ((0, 0), (max(height - 64, 0), max(width - 64, 0))):
                slide.read(level, y, y + 64, x, x + 64)


def main() -> None:
    """Read the names on stdin."""
    faulthandler.enable()
    warnings.simplefilter("error")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, _too_long)
    for name in sys.stdin.read().splitlines():
        print(json.dumps({"file": name}), flush=True)
        before, wrong, began = forget_peak(), "", time.process_time()
        signal.alarm(PATIENCE)
        try:
            everything(Path(name))
        except BaseException:  # noqa: BLE001 (whatever it is, it is what is looked for)
            wrong = traceback.format_exc()
        signal.alarm(0)
        told = {"wrong": wrong, "seconds": time.process_time() - began, "grown_mb": peak() - before}
        print(json.dumps(told), flush=True)


def _too_long(*_: object) -> None:
    raise TooLong(f"longer than {PATIENCE} s")


if __name__ == "__main__":
    main()
