"""What a benchmark yields, and how it measures: process CPU time, which a busy machine hardly moves."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Result:
    """One measured figure beside the limit it is held to; without a limit it is reported, not judged."""

    bench: str
    case: str
    value: float
    unit: str
    limit: float | None = None
    sense: Literal["at most", "at least"] = "at most"
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ok", self._keeps_limit())

    def _keeps_limit(self) -> bool:
        if not math.isfinite(self.value):
            return False
        if self.limit is None:
            return True
        return self.value <= self.limit if self.sense == "at most" else self.value >= self.limit

    def as_json(self) -> dict[str, object]:
        """Return what is printed: bench, case, value (4 digits; null when not finite), unit, limit, ok."""
        line = asdict(self)
        del line["sense"]
        line["value"] = float(f"{self.value:.4g}") if math.isfinite(self.value) else None
        return line


def cpu_ms(*steps: Callable[[], object], repeats: int = 30, warmup: int = 3) -> list[list[float]]:
    """Return, for each step, the CPU milliseconds of its `repeats` calls (user + system, all threads of the process).

    Several steps are taken in turn, so that a ratio of two compares the same moments of the machine.
    """
    for step in steps * warmup:
        step()
    rounds = [[_cpu_ms_once(step) for step in steps] for _ in range(repeats)]
    return [list(times) for times in zip(*rounds, strict=True)]


def _cpu_ms_once(step: Callable[[], object]) -> float:
    start = time.process_time()
    step()
    return (time.process_time() - start) * 1000


def median(values: Iterable[float]) -> float:
    """Return the 50th percentile."""
    return float(np.percentile(list(values), 50))


def p95(values: Iterable[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(list(values), 95))
