"""A window in a process of its own, closed in the middle of its work."""

import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

CLOSE = """
import os, sys, time

def close(viewer):
    with open(sys.argv[1], "w") as noted:
        noted.write(f"{time.time()} {sum(os.times()[:4])}")
    viewer.close()

"""


class Leaving(NamedTuple):
    """How a process left: exit status, what it said, and what it still took once its window was closed."""

    status: int
    stderr: str
    wall_seconds: float
    cpu_seconds: float


def leave(code: str, noted: Path, *args: object) -> Leaving:
    """Run `code`, which ends by `close(viewer)`, with `args` as ``sys.argv[2:]``."""
    before = _children_cpu()
    command = [sys.executable, "-c", CLOSE + textwrap.dedent(code), str(noted), *map(str, args)]
    ended = subprocess.run(command, timeout=300, capture_output=True, text=True)
    wall, cpu = map(float, noted.read_text().split())
    return Leaving(ended.returncode, ended.stderr, time.time() - wall, _children_cpu() - before - cpu)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
