"""A run with splits, unknown labels, missing truth, flat and collapsed maps, for the tests of the survey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_asmil.runs import EpochRecord, RunWriter, SlideRecord
from tests.conftest import header, random_z

SLIDES, SIDE, SIZE = 12, 5, 8
TILES = SIDE * SIDE
SPLITS = ("test",) * 8 + ("train",) * 4
FLAT, COLLAPSED = 2, 5
"""The slides whose maps are flat or collapsed from epoch 1 on."""
UNLABELLED = 7
WITHOUT_TRUTH = (1, 4)


def surveyed_header(epochs: int, *, slides: int = SLIDES, planned: int | None = None, anchor: bool = False) -> Any:
    usual = header(slides, 1, SIDE, epochs if planned is None else planned, anchor)
    changed = tuple(
        replace(
            slide,
            split=SPLITS[at % SLIDES],
            label=None if at == UNLABELLED else at % 2,
            labels=None if at in WITHOUT_TRUTH else slide.labels,
        )
        for at, slide in enumerate(usual.slides)
    )
    return replace(usual, slides=changed, bag_size=SIZE)


def surveyed_record(epoch: int, *, slides: int = SLIDES, anchor: bool = False) -> EpochRecord:
    """Slides whose bag vectors part by class as epochs go on, and whose logits are random."""
    found = {}
    for at in range(slides):
        rng = np.random.default_rng([11, epoch, at])
        z = random_z(epoch, at, 1, TILES)
        if epoch and at == FLAT:
            z = np.zeros_like(z)
        if epoch and at == COLLAPSED:
            z[0, 3] = 60.0
        log_p = z[0].astype(np.float64) - np.log(np.exp(z[0].astype(np.float64)).sum())
        vector = np.random.default_rng(at).normal(size=SIZE) + 2.0 * epoch * (at % 2) + rng.normal(0, 0.05, SIZE)
        found[f"s{at}"] = SlideRecord(
            log_p.astype(np.float32),
            rng.normal(size=2).astype(np.float32),
            vector.astype(np.float32),
            log_p.astype(np.float32)[::-1].copy() if anchor else None,
            z,
        )
    return EpochRecord(found, {"loss_ce": 1.0 / (epoch + 1)})


def write_surveyed(path: Path, *, epochs: int = 4, **options: Any) -> Path:
    """A finished run of `SLIDES` slides, or one with epochs still to come where `planned` is greater."""
    planned, slides = options.get("planned"), options.get("slides", SLIDES)
    anchor = options.get("anchor", False)
    with RunWriter.create(path, surveyed_header(epochs, slides=slides, planned=planned, anchor=anchor)) as writer:
        for epoch in range(epochs + 1):
            writer.write(surveyed_record(epoch, slides=slides, anchor=anchor))
    return path


def probabilities(run: Any, epoch: int, slide_id: str) -> np.ndarray:
    """The map as stored, float64 (M,), summing to 1: nothing of ours but the stored row."""
    p = np.exp(run.attention(epoch, slide_id).astype(np.float64))
    return p / p.sum()


def jsd(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits, from its definition."""
    m = (p + q) / 2

    def kl(a: np.ndarray) -> float:
        kept = a > 0
        return float((a[kept] * np.log2(a[kept] / m[kept])).sum())

    return (kl(p) + kl(q)) / 2


def entropy(p: np.ndarray) -> float:
    """In nats."""
    kept = p[p > 0]
    return float(-(kept * np.log(kept)).sum())
