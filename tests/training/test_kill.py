"""A training that is killed outright, again and again, ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.events import EpochDone
from napari_asmil.runs import open_run
from napari_asmil.training import fit
from tests.training.cohorts import assert_same_run, small_cohort, small_recipe

KILLS = 20
EPOCHS = 16


def train_and_tell(path: str, pipe: Connection) -> None:
    """Train in a process of its own; say when it begins and each epoch it has announced."""
    events = fit(small_cohort(), small_recipe(epochs=EPOCHS), path, device="cpu")
    pipe.send("begun")
    for event in events:
        if isinstance(event, EpochDone):
            pipe.send(event.epoch)
    pipe.send("done")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "whole.asmil"
    for _ in fit(small_cohort(), small_recipe(epochs=EPOCHS), path, device="cpu"):
        pass
    return path


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "napari_asmil.training.trainer"])
    return context


def announced(pipe: Connection) -> list[object]:
    told = []
    try:
        while pipe.poll():
            told.append(pipe.recv())
    except EOFError:
        pass
    return told


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_training_resumes_to_the_same_weights_and_loses_no_epoch(
    kill: int, whole: Path, tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    path = tmp_path / "killed.asmil"
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=train_and_tell, args=(str(path), theirs))
    process.start()
    theirs.close()
    rng = np.random.default_rng(kill)
    last, told = kill % 8, []
    while last not in told:
        assert ours.poll(60)
        told.append(ours.recv())
    process.join(timeout=rng.uniform(0, 0.05))
    process.kill()
    process.join()
    told += announced(ours)
    assert process.exitcode == -signal.SIGKILL
    assert "done" not in told
    left, unbroken = open_run(path), open_run(whole)
    assert left.n_epochs >= len([epoch for epoch in told if isinstance(epoch, int)]) > last
    for epoch in range(left.n_epochs):
        np.testing.assert_array_equal(left.attention(epoch, "s2"), unbroken.attention(epoch, "s2"))
    for _ in fit(small_cohort(), small_recipe(epochs=EPOCHS), path, device="cpu"):
        pass
    assert_same_run(whole, path)
