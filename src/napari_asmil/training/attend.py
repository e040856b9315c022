"""Apply a trained model to bags: a run of one epoch."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from napari_asmil.bags import Bag
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.runs import EpochRecord, RunWriter, SlideRecord, open_run
from napari_asmil.runs.schema import checkpoint_path, run_name
from napari_asmil.training.device import pick_device, torch_threads
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.recording import look, run_header, slide_header
from napari_asmil.training.state import Sizes, State
from napari_asmil.words import counted, listed


def attend(
    bags: Sequence[Bag],
    checkpoint: str | Path,
    out: str | Path,
    *,
    device: str = "auto",
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Write the attention of a trained model on `bags` to a new run of one epoch.

    Parameters
    ----------
    bags : sequence of Bag
        At least one; labels are not needed.
    checkpoint : path-like
        A run (its last epoch is taken) or one of its ``checkpoints`` folders.
    out : path-like
        The new run's folder.
    device, stop
        As for `fit`.

    Raises
    ------
    InputError
        When the checkpoint cannot be read, two bags are of one slide, or a bag is not what it was trained on, by
        encoder or number of features. Tiles of another scale are told of, in the run's notes and at the end.
    """
    folder = find_checkpoint(checkpoint)
    facts = read_facts(folder)
    if not bags:
        raise InputError("No bag was given to attend to.")
    first: dict[str, Bag] = {}
    for bag in bags:
        _check_fits(bag, facts["expects"], folder)
        if first.setdefault(bag.slide_id, bag) is not bag:
            raise InputError(
                f"There is more than one bag of slide {bag.slide_id}.", remedy="Keep one.", path=bag.source
            )
    path = Path(out)
    if path.exists():
        raise InputError("This folder exists already.", remedy="Choose another name or remove it.", path=path)
    return _events(bags, folder, facts, path, pick_device(device), stop or threading.Event())


def find_checkpoint(given: str | Path) -> Path:
    """The checkpoint folder of a run's last epoch, or the folder itself if it is one."""
    path = Path(given)
    if (path / "checkpoint.json").is_file():
        return path
    run = open_run(path)
    if run.n_epochs == 0 or not run.commit(run.n_epochs - 1)["checkpoint"]:
        raise InputError("This run has no checkpoint.", remedy="Choose a run that was trained here.", path=path)
    return checkpoint_path(path, run.commit(run.n_epochs - 1)["checkpoint"])


def read_facts(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: recipe, classes, epoch, and what it expects of a bag.

    Raises
    ------
    InputError
        When it lacks one of them or cannot be read.
    """
    try:
        facts = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        return {
            "recipe": Recipe.make(facts["recipe"]),
            "class_names": tuple(facts["class_names"]),
            "epoch": int(facts["epoch"]),
            "expects": {what: facts["expects"][what] for what in ("n_features", "encoder", "tile_um")},
        }
    except KeyError as error:
        raise InputError(f"This checkpoint does not say its {error.args[0]}.", path=folder) from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"This checkpoint cannot be read ({error}).", path=folder) from error


def _check_fits(bag: Bag, expects: dict[str, Any], folder: Path) -> None:
    differs = []
    if bag.n_features != expects["n_features"]:
        differs.append(f"{bag.n_features} features a tile, not {expects['n_features']}")
    if bag.encoder and expects["encoder"] and bag.encoder != expects["encoder"]:
        differs.append(f"encoder {bag.encoder!r}, not {expects['encoder']!r}")
    if differs:
        raise InputError(
            f"The bag of {bag.slide_id!r} is not what this model was trained on: {'; '.join(differs)}.",
            remedy="Extract the slide with the encoder and tile size of the training bags.",
            path=folder,
        )


def place_notes(bags: Sequence[Bag]) -> str:
    """Of which slides no map can be drawn; "" when of all."""
    unplaced = [bag.slide_id for bag in bags if bag.tiles is None]
    return f"no map of slide {listed(unplaced)}: its tiles are not placed, and info says why" if unplaced else ""


def scale_notes(bags: Sequence[Bag], expects: dict[str, Any]) -> str:
    """Words where tiles differ in scale from the training's by more than a tenth, or that is not known."""
    wanted = expects["tile_um"]
    own = {b.slide_id: None if b.mpp is None or b.tiles is None else b.tiles.size * b.mpp for b in bags}
    unknown = [slide for slide, side in own.items() if side is None]
    if wanted is None:
        whose = "of the training" + (" and of these slides" if unknown else "")
        return f"scale of tiles not compared: the pixel size {whose} is unknown"
    notes = [f"scale of tiles not compared: the pixel size of {listed(unknown)} is unknown"] if unknown else []
    other = [f"{slide} {side:.4g} µm" for slide, side in own.items() if side and abs(side / wanted - 1) > 0.1]
    if other:
        notes.append(f"tiles of another scale: {listed(other)}; trained on {wanted:.4g} µm")
    return "; ".join(notes)


def _events(
    bags: Sequence[Bag], folder: Path, facts: dict[str, Any], path: Path, device: torch.device, stop: threading.Event
) -> Iterator[Event]:
    recipe: Recipe = facts["recipe"].changed(epochs=0)
    begun = time.perf_counter()
    yield Started(path, total=len(bags), unit="slides")
    with torch_threads(max(b.n_tiles for b in bags) * bags[0].n_features):
        state = State.fresh(recipe, Sizes(facts["expects"]["n_features"], len(facts["class_names"]), 1), device)
        state.load(folder)
        records: dict[str, SlideRecord] = {}
        for i, bag in enumerate(bags):
            if stop.is_set():
                yield Finished(path, "stopped", "Stopped; nothing was written.")
                return
            records[bag.slide_id] = look(state, recipe, bag, device, watched=True)
            yield BatchDone(epoch=0, step=i + 1, steps=len(bags), phase="attend")
    slides = [slide_header(bag, path, label=None, split="", watched=True, digest=bag.content_hash()) for bag in bags]
    notes = "; ".join(note for note in (scale_notes(bags, facts["expects"]), place_notes(bags)) if note)
    told = "; ".join(n for n in (f"features: {bags[0].encoder or 'encoder unknown'}", notes) if n)
    applied = f"epoch {facts['epoch']} of {run_name(folder.parent.parent)}"
    header = run_header(state, recipe, slides, facts["class_names"], device, notes=told, applied=applied)
    seconds = time.perf_counter() - begun
    with RunWriter.create(path, header) as writer:
        writer.write(EpochRecord(records, step=state.step, seconds=seconds))
    yield EpochDone(path, 0, 0, seconds)
    yield Finished(path, "done", f"Attended to {counted(len(bags), 'slide')}." + (f" Note: {notes}." if notes else ""))
