"""Ctrl-C is never forgotten, and progress is told with and without a terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest
from PIL import Image

from napari_asmil import bags
from napari_asmil.cli import jobs
from napari_asmil.encoders import many
from napari_asmil.events import BatchDone, EpochDone, Event, Started


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_an_extraction_of_small_images_stops_and_says_so(
    command: Callable, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = many.extract

    def interrupted(*given: object, **options: object) -> Iterator[Event]:
        signal.raise_signal(signal.SIGINT)
        return extract(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(many, "extract", interrupted)
    code, said, _ = command("extract", images, "--size", 32, "--cover", "--out", tmp_path / "bags")
    assert code == 3 and "stopped before slide 2 of 3" in said


def test_an_interrupt_that_was_swallowed_stops_the_job_that_follows(
    train: Callable, make_cohort: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, read = make_cohort(), bags.read_cohort

    def swallow(*given: object, **options: object) -> object:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return read(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bags, "read_cohort", swallow)
    code, said, _ = train(cohort, tmp_path / "r.asmil")
    assert code == 3 and "nothing was written" in said
    assert not (tmp_path / "r.asmil").exists()


def test_before_there_is_a_job_the_command_ends_at_once(
    train: Callable, make_cohort: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = make_cohort()
    monkeypatch.setattr(bags, "read_cohort", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    code, _, told = train(cohort, tmp_path / "r.asmil")
    assert (code, told) == (130, "Stopped before anything was started.\n")
    assert not (tmp_path / "r.asmil").exists()


def test_afterwards_ctrl_c_is_as_it_was(command: Callable, images: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    command("info", images / "0.png")
    assert signal.getsignal(signal.SIGINT) is before


def test_without_a_terminal_a_line_is_told_every_so_often(
    train: Callable, make_cohort: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "EVERY", 0.0)
    told = train(make_cohort(), tmp_path / "r.asmil")[2].splitlines()
    assert "train r: train 8/8; 0 of 1 epochs done" in told
    assert told[0] == "train: check 1/8" or "8 bags of 9 tiles x 5 features" in told[0]


def test_without_a_terminal_a_refusal_stands_alone(train: Callable, make_cohort: Callable, tmp_path: Path) -> None:
    told = train(make_cohort(dict.fromkeys((f"s{s}" for s in range(8)), "a")), tmp_path / "r.asmil")[2]
    assert told.startswith(str(tmp_path / "labels.csv")) and len(told.splitlines()) == 1


def test_progress_names_the_run_that_is_written() -> None:
    state = jobs._State("demo")
    assert state.words == "demo: getting ready"
    for event in (Started(Path("runs/abmil_nsf.asmil"), 12), BatchDone(1, 3, 200), EpochDone(Path("x"), 1, 12, 0.1)):
        state.take(event)
    assert (state.words, state.done, state.total) == ("demo abmil_nsf: train 3/200", 1, 12)


def test_a_job_is_given_a_flag_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def events(stop: Flag) -> Iterator[Event]:
        seen.append(stop.is_set())
        yield from ()

    with jobs.interruptible(), suppress(ValueError):
        jobs.follow(events, "nothing")
    assert seen == [False]
