"""What a long job says while it works: frozen, array-free events.

`training.fit`, `training.attend` and `encoders.extract` are generators of these; the window, the
command line and the tests consume the same stream. Whatever an event announces is already on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Started:
    """A job begins (or resumes) writing to `path`; `total` units of `unit` lie ahead in all."""

    path: Path
    total: int
    done: int = 0
    unit: str = "epochs"


@dataclass(frozen=True)
class BatchDone:
    """One batch of work is done: `step` of `steps` in this epoch (or slide) and `phase`."""

    epoch: int
    step: int
    steps: int
    phase: str = "train"
    loss: float | None = None


@dataclass(frozen=True)
class EpochDone:
    """Epoch `epoch` (0 is the initialisation) of `epochs` is committed to the run at `path`."""

    path: Path
    epoch: int
    epochs: int
    seconds: float
    curves: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpointed:
    """The checkpoint that `epoch` refers to is complete at `path`."""

    path: Path
    epoch: int


@dataclass(frozen=True)
class Finished:
    """The job is over: `why` is done, stopped (resumable) or failed, with a sentence."""

    path: Path
    why: Literal["done", "stopped", "failed"]
    message: str = ""


Event = Started | BatchDone | EpochDone | Checkpointed | Finished
