"""Training as a generator of events; what an event announces is on disk already."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from napari_asmil.analysis.metrics import bag_metrics
from napari_asmil.bags import Bag, Cohort
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, Checkpointed, EpochDone, Event, Finished, Started
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideRecord, open_run
from napari_asmil.runs.schema import checkpoint_path
from napari_asmil.training.device import pick_device, torch_threads
from napari_asmil.training.epoch import fresh_state, sizes_of, train_epoch
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.recording import look, recorded_ids, run_header, slide_header
from napari_asmil.training.state import State, check_method
from napari_asmil.training.survey import Survey, survey
from napari_asmil.words import counted, listed

HELD_OUT: tuple[Literal["val", "test"], ...] = ("val", "test")


def fit(
    cohort: Cohort,
    recipe: Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Train one model and write every epoch to a run.

    A run of the same recipe and bags that is not finished yet is resumed from its last committed epoch, to
    the same weights as an unbroken training on the same device.

    Parameters
    ----------
    cohort : Cohort
        Bags with labels; those of the split "train" are trained on.
    recipe : Recipe
        What to train, how.
    out : path-like
        The run's folder, usually ``NAME.asmil``.
    device : str
        "auto", "cpu", "cuda:N" or "mps".
    stop : threading.Event, optional
        Looked at after every batch; when set, training ends and can be resumed.

    Returns
    -------
    iterator of Event
        Nothing happens before its first item is asked for, except that what can be checked at once is.

    Raises
    ------
    InputError
        When the cohort, the recipe or the folder cannot be used, or the loss is no longer finite.
    """
    chosen = pick_device(device)
    cohort.check()
    if not cohort.select("train"):
        raise InputError("No slide is in the split 'train', so there is nothing to train on.")
    _check_watch(recipe, recorded_ids(cohort, recipe))
    check_method(recipe, sizes_of(cohort))
    path = Path(out)
    if path.exists():
        if not (path / "zarr.json").is_file():
            what = "This folder exists already and is no run." if path.is_dir() else "This is a file."
            raise InputError(what, remedy="Choose a new name for the run, such as NAME.asmil.", path=path)
        _same_training(path, recipe, _told_of(cohort))
    return _Training(cohort, recipe, path, chosen, stop or threading.Event()).events()


def _check_watch(recipe: Recipe, recorded: tuple[str, ...]) -> None:
    unknown = set(recipe.watch) - set(recorded) if isinstance(recipe.watch, tuple) else ()
    if unknown:
        raise InputError(
            f"Raw scores of {listed(sorted(unknown))} are to be kept (watch), but no such slide is recorded.",
            remedy=f"Recorded: {listed(recorded)}.",
        )


def _same_training(path: Path, recipe: Recipe, told: dict[str, Any]) -> None:
    run = open_run(path)
    before, now = {**Recipe().as_json(), **run.recipe}, recipe.as_json()  # what it does not say is as by default
    differing = sorted(k for k in now if before.get(k) != now[k])
    if differing:
        raise InputError(
            f"This run was trained by another recipe (differs in {', '.join(differing)}).",
            remedy="Choose another folder, or remove this one.",
            path=path,
        )
    _same_data(path, run.attrs, told)


def _same_data(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for what in now:
        if before.get(what) == now[what]:
            continue
        named = what.replace("bag_hashes", "bags")
        why = f"The {named} are not those this run was started with."
        if what not in before:
            why = f"An older version wrote this run without noting its {named}, so it cannot be gone on with."
        raise InputError(why, remedy="Choose another folder.", path=path)


def _told_of(cohort: Cohort) -> dict[str, Any]:
    """Class and split of every bag, by slide id."""
    names = cohort.class_names
    labels = {slide_id: names[label] for slide_id, label in cohort.labels.items()}
    return {"labels": labels, "splits": dict(cohort.splits)}


@dataclass
class _Training:
    cohort: Cohort
    recipe: Recipe
    path: Path
    device: torch.device
    stop: threading.Event
    survey: Survey = field(default_factory=Survey)

    def events(self) -> Iterator[Event]:
        train = {b.slide_id for b in self.cohort.select("train")}
        bags = self.cohort.bags
        largest = max(b.n_tiles for b in bags) * bags[0].n_features
        with torch_threads(largest):
            for event in survey(bags, train, self.survey):
                yield event
                if self.stop.is_set():
                    yield Finished(self.path, "stopped", "Stopped while checking the bags; nothing was written.")
                    return
            state = fresh_state(self.cohort, self.recipe, self.survey, self.device)
            made = not self.path.exists()
            with self._writer(state) as writer:
                try:
                    yield from self._train(state, writer)
                except InputError:
                    if made and not writer.n_epochs:
                        shutil.rmtree(self.path, ignore_errors=True)
                    raise

    def _writer(self, state: State) -> RunWriter:
        """A new run, or the unfinished one with the state of its last committed epoch."""
        if not self.path.exists():
            return RunWriter.create(self.path, self._header(state))
        writer = RunWriter.resume(self.path)
        try:
            _same_data(self.path, writer.attrs, self._rests_on())
            if writer.n_epochs:
                state.load(checkpoint_path(self.path, writer.commit_of(writer.n_epochs - 1)["checkpoint"]))
        except InputError:
            writer.close()
            raise
        return writer

    def _rests_on(self) -> dict[str, Any]:
        """What must be the same when a run goes on: content, class and split of every bag, by slide id."""
        return {"bag_hashes": self.survey.hashes, **_told_of(self.cohort)}

    def _header(self, state: State) -> RunHeader:
        recorded = recorded_ids(self.cohort, self.recipe)
        watched = self._watched(state, recorded)
        by_id = {b.slide_id: b for b in self.cohort.bags}
        slides = [
            slide_header(
                by_id[i],
                self.path,
                label=self.cohort.labels[i],
                split=self.cohort.splits.get(i, "train"),
                watched=i in watched,
                digest=self.survey.hashes[i],
            )
            for i in recorded
        ]
        notes = f"features: {self.cohort.bags[0].encoder or 'encoder unknown'}"
        header = run_header(state, self.recipe, slides, self.cohort.class_names, self.device, notes=notes)
        return replace(header, **self._rests_on())

    def _watched(self, state: State, recorded: tuple[str, ...]) -> set[str]:
        """Raw scores: of every recorded slide where there is one row, else of the recipe's watch list."""
        if len(state.model.scorer.row_names) == 1:
            return set(recorded)
        watch = self.recipe.watch
        if isinstance(watch, tuple):
            return set(watch)
        drawn = [i for i in recorded for b in self.cohort.bags if b.slide_id == i and b.slide_path is not None]
        rest = [i for i in recorded if i not in drawn]
        return set((drawn + rest)[: max(watch, len(drawn))])

    def _train(self, state: State, writer: RunWriter) -> Iterator[Event]:
        recipe, done = self.recipe, writer.n_epochs
        yield Started(self.path, total=recipe.epochs, done=max(done - 1, 0))
        for epoch in range(done, recipe.epochs + 1):
            begun = time.perf_counter()
            curves: dict[str, float] = {}
            if epoch:
                for event in train_epoch(state, self.recipe, self.cohort, self.device, epoch, curves, self.path):
                    yield event
                    if self.stop.is_set():
                        yield self._stopped(writer)
                        return
            records: dict[str, SlideRecord] = {}
            for event in self._record(state, epoch, writer, records):
                yield event
                if self.stop.is_set():
                    yield self._stopped(writer)
                    return
            curves |= self._held_out_metrics(records)
            yield from self._commit(state, writer, epoch, records, curves, time.perf_counter() - begun)
        yield Finished(self.path, "done", _trained(writer.n_epochs - 1, done - 1))

    def _stopped(self, writer: RunWriter) -> Finished:
        last = writer.n_epochs - 1
        kept = f"epochs 0 to {last} are kept" if last >= 0 else "no epoch was finished"
        return Finished(self.path, "stopped", f"Stopped; {kept}. Train with the same recipe to go on.")

    def _record(
        self, state: State, epoch: int, writer: RunWriter, records: dict[str, SlideRecord]
    ) -> Iterator[BatchDone]:
        """Look at every recorded and every held-out slide once."""
        watched = {s["slide_id"]: s["score_offset"] is not None for s in writer.attrs["slides"]}
        held_out = {i for i, split in self.cohort.splits.items() if split in HELD_OUT}
        looked = [b for b in self.cohort.bags if b.slide_id in watched or b.slide_id in held_out]
        for i, bag in enumerate(looked):
            seen = watched.get(bag.slide_id, False)
            records[bag.slide_id] = look(state, self.recipe, bag, self.device, watched=seen)
            yield BatchDone(epoch=epoch, step=i + 1, steps=len(looked), phase="record")

    def _held_out_metrics(self, records: dict[str, SlideRecord]) -> dict[str, float]:
        found: dict[str, float] = {}
        for split in HELD_OUT:
            ids = [b.slide_id for b in self.cohort.select(split)]
            if ids:
                logits = np.stack([records[i].logits for i in ids])
                values = bag_metrics(logits, [self.cohort.labels[i] for i in ids])
                found |= {f"{split}_{name}": value for name, value in values.items()}
        return found

    def _commit(
        self,
        state: State,
        writer: RunWriter,
        epoch: int,
        records: dict[str, SlideRecord],
        curves: dict[str, float],
        seconds: float,
    ) -> Iterator[Event]:
        name = f"{epoch:06d}"
        folder = checkpoint_path(self.path, name)
        facts = {
            "epoch": epoch,
            "recipe": self.recipe.as_json(),
            "class_names": list(self.cohort.class_names),
            "expects": _expects(self.cohort.bags[0]),
        }
        state.save(folder, facts)
        writer.write(EpochRecord(records, curves, state.step, seconds, name))
        for old in folder.parent.iterdir():
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)
        yield Checkpointed(folder, epoch)
        yield EpochDone(self.path, epoch, self.recipe.epochs, seconds, curves)


def _trained(epochs: int, before: int) -> str:
    """How many epochs were trained, and how many of them before this time; -1 where not even epoch 0 was there."""
    if before < 0 or not epochs:
        return f"Trained {counted(epochs, 'epoch')}."
    if before == epochs:
        return f"Nothing to train: the run is finished ({counted(epochs, 'epoch')})."
    return f"Trained {counted(epochs - before, 'epoch')} more, {epochs} in all."


def _expects(bag: Bag) -> dict[str, object]:
    size = None if bag.tiles is None else bag.tiles.size
    return {
        "n_features": bag.n_features,
        "encoder": bag.encoder,
        "tile_um": None if size is None or bag.mpp is None else size * bag.mpp,
    }
