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
from tests.fuzz.hammer import SECONDS
from tests.fuzz.mutate import mutated
from tests.maps.layouts import LAYOUTS as MAPS
from tests.memory import needs_watching
from tests.slides.layouts import SLIDES

pytestmark = needs_watching
ROOT = Path(__file__).parents[2]
ROOMS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "slides": SLIDES,
    "bags": BAGS,
    "collections": COLLECTIONS,
    "annotations": DIALECTS,
    "maps": MAPS,
    "tables": TABLES,
}
SEEDS = range(12)
MOST_MB = 1024
"""Memory that one small file may cost."""


def hammer(paths: Sequence[Path | str], *program: str) -> list[dict[str, Any]]:
    """What became of each file; the process that reads them is another."""
    done = subprocess.run(
        [sys.executable, *(program or ("-m", "tests.fuzz.hammer"))],
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
    check(hammer(files))


def check(told: list[dict[str, Any]]) -> None:
    """Nothing but sentences, in time, in little memory."""
    wrong = [f"{one['file']}: {one['wrong']}" for one in told if one["wrong"]]
    assert not wrong, "\n".join(wrong)
    slow = [f"{one['file']}: {one['seconds']:.1f} s" for one in told if one["seconds"] >= SECONDS]
    assert not slow, "\n".join(slow)
    dear = [f"{one['file']}: {one['grown_mb']:.0f} MB" for one in told if one["grown_mb"] >= MOST_MB]
    assert not dear, "\n".join(dear)


FAULTY = """
import sys, time
import numpy as np
from napari_asmil.errors import InputError
from tests.fuzz import hammer

def everything(path):
    name = path.name
    if name == "hangs":
        try:
            time.sleep(30)
        except Exception as error:
            raise InputError("a sentence") from error
    if name.startswith("dear"):
        np.ones(2**26)
    if name == "slow":
        began = time.process_time()
        while time.process_time() < began + 0.5:
            pass

hammer.PATIENCE, hammer.everything = 1, everything
hammer.main()
"""
"""A reader that hangs, is slow, takes half a GB for each file called dear, and makes a sentence of what it catches."""


def test_what_hangs_is_noticed_though_it_turns_all_it_catches_into_a_sentence_and_each_dear_file_is():
    told = {
        one["file"]: one for one in hammer(["sound", "hangs", "slow", "dear", "sound too", "dear too"], "-c", FAULTY)
    }
    assert "TooLong" in told["hangs"]["wrong"]
    assert told["slow"]["seconds"] >= 0.5
    for name in ("sound", "sound too"):
        assert told[name]["wrong"] == ""
        assert told[name]["grown_mb"] < 100
    for name in ("dear", "dear too"):
        assert told[name]["grown_mb"] > 500
