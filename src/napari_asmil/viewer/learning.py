"""Training and applying as jobs of the window; everything heavy happens in the worker thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

from napari_asmil.errors import InputError
from napari_asmil.runs import open_run

if TYPE_CHECKING:
    from napari_asmil.bags import Bag, Cohort
    from napari_asmil.events import Event
    from napari_asmil.training import Recipe


@dataclass(frozen=True)
class Training:
    """A training to start or to go on with; `open_slide` is recorded whatever the recipe says."""

    cohort: Cohort
    recipe: Recipe
    out: Path
    device: str = "auto"
    open_slide: str | None = None

    @property
    def title(self) -> str:
        """What the job does, in a few words."""
        return f"Training {self.recipe.label} on {len(self.cohort.select('train'))} bags"

    def events(self, stop: Flag) -> Iterator[Event]:
        """The job."""
        from napari_asmil.training import fit

        return fit(self.cohort, self._recording(), self.out, device=self.device, stop=stop)

    def _recording(self) -> Recipe:
        """The recipe with the open slide recorded; a run that exists goes on recording what it recorded."""
        from napari_asmil.training.recording import recorded_ids

        if self.out.exists():
            return self.recipe.changed(record=open_run(self.out).recipe["record"])
        recorded = recorded_ids(self.cohort, self.recipe)
        known = {bag.slide_id for bag in self.cohort.bags}
        if self.open_slide not in known - set(recorded):
            return self.recipe
        return self.recipe.changed(record=(*recorded, self.open_slide))


@dataclass(frozen=True)
class Applying:
    """A trained run to be applied to bags."""

    bags: Sequence[Bag]
    trained: Path
    out: Path
    device: str = "auto"

    @property
    def title(self) -> str:
        """What the job does, in a few words."""
        return f"Applying {self.trained.name.removesuffix('.asmil')} to {_counted(self.bags)}"

    def events(self, stop: Flag) -> Iterator[Event]:
        """The job."""
        from napari_asmil.training import attend

        return attend(self.bags, self.trained, self.out, device=self.device, stop=stop)


def prospect(out: Path, epochs: int) -> str:
    """Say what starting a training of so many epochs in a folder would do; "" for a new folder."""
    if not out.exists():
        return ""
    try:
        done = open_run(out).n_epochs
    except InputError as error:
        return str(error)
    if done > epochs:
        return f"This run is finished: {done - 1} epochs. Choose another folder, or more epochs to go on."
    return f"This run has {max(0, done - 1)} of {epochs} epochs; Start goes on from there."


def bags_to_apply_to(cohort: Cohort | None, open_slide: str | None) -> tuple[Bag, ...]:
    """Choose the bag of the open slide, or all bags where none is of it."""
    if cohort is None:
        return ()
    return tuple(bag for bag in cohort.bags if bag.slide_id == open_slide) or cohort.bags


def about_bags(bags: Sequence[Bag]) -> str:
    """Say which bags these are."""
    return "No bags: open features in Open slide and bags." if not bags else f"To be applied to {_counted(bags)}."


def _counted(bags: Sequence[Bag]) -> str:
    return f"the bag of {bags[0].slide_id}" if len(bags) == 1 else f"{len(bags)} bags"
