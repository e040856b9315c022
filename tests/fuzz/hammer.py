"""Read every file named on stdin as a user's would be, and say what went wrong: run as a process of its own.

A line of JSON goes to stdout before each file (so that the one that kills the process is known) and one after it:
what was raised that is no `InputError`, how long it took, how much memory the process has had at most.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from napari_asmil import annotations, bags, maps, slides
from napari_asmil.bags import Given
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.info import describe, kind_of

SECONDS = 5
FRAME = Frame((4096, 4096), 0.5, centre_nm=(0.0, 0.0))


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
        began, wrong = time.monotonic(), ""
        signal.alarm(SECONDS)
        try:
            everything(Path(name))
        except BaseException:  # noqa: BLE001 (whatever it is, it is what is looked for)
            wrong = traceback.format_exc()
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"wrong": wrong, "seconds": time.monotonic() - began, "peak_mb": peak}), flush=True)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"longer than {SECONDS} s")


if __name__ == "__main__":
    main()
