"""Whatever a file holds, it is read or refused with a sentence: no crash, no hang, no flood of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.annotations.dialects import DIALECTS
from tests.bags.collections import COLLECTIONS
from tests.bags.layouts import LAYOUTS as BAGS
from tests.bags.tables import TABLES
from tests.fuzz.mutate import mutated
from tests.maps.layouts import LAYOUTS as MAPS
from tests.slides.layouts import SLIDES

ROOT = Path(__file__).parents[2]
ROOMS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "slides": SLIDES,
    "bags": BAGS,
    "collections": COLLECTIONS,
    "annotations": DIALECTS,
    "maps": MAPS,
    "tables": TABLES,
}
SEEDS = range(24)
MOST_MB = 1024
"""Memory that one small file may cost."""


def hammer(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What became of each file; the process that reads them is another."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.hammer"],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        timeout=300,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"died of {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    return [{**before, **after} for before, after in zip(lines[::2], lines[1::2], strict=True)]


@pytest.mark.parametrize("room", ROOMS)
def test_mutated_files_are_read_or_refused_with_a_sentence(room: str, tmp_path: Path) -> None:
    files = []
    for number, write in enumerate(ROOMS[room].values()):
        folder = tmp_path / str(number)
        (folder / "sound").mkdir(parents=True)
        source = write(folder / "sound")
        files += [source, *(mutated(source, folder / str(seed), seed) for seed in SEEDS)]
    told = hammer(files)
    wrong = [f"{one['file']}: {one['wrong']}" for one in told if one["wrong"]]
    assert not wrong, "\n".join(wrong)
    peaks = [one["peak_mb"] for one in told]
    dearest = max(range(1, len(peaks)), key=lambda at: peaks[at] - peaks[at - 1])
    assert peaks[dearest] - peaks[dearest - 1] < MOST_MB, told[dearest]
