"""How much memory the process takes meanwhile, as the system counts it.

tracemalloc that stops while zarr's threads are at work crashes Python 3.11.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

WATCHABLE = os.access("/proc/self/clear_refs", os.W_OK)
needs_watching = pytest.mark.skipif(not WATCHABLE, reason="watches memory as Linux has it")


def forget_peak() -> float:
    """Begin to watch anew; how much there is now, in MB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most there was since `forget_peak`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
