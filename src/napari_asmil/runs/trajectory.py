"""One tile over the epochs of a run."""

from __future__ import annotations

from collections.abc import Iterator

from napari_asmil.errors import InputError
from napari_asmil.runs import schema
from napari_asmil.runs.reader import Run
from napari_asmil.runs.recorded import RunSlide


def trajectory(run: Run, slide_id: str, tile: int, begin: int = 0) -> Iterator[float]:
    """M·α of one tile of the map as stored, epoch by epoch from `begin` on, float64 (1 = uniform).

    An epoch that a damaged run has lost is NaN. Epochs that are committed meanwhile are given too.
    """
    epoch = begin
    while epoch < run.n_epochs:
        try:
            p = schema.probabilities(run.attention(epoch, slide_id))
            yield float(p[tile] * len(p))
        except InputError:
            yield float("nan")
        epoch += 1


def why_other_tiles(run: Run, slide: RunSlide) -> str:
    """Why tiles of `slide`, of another run, are not those of `run`, in words; "" where they are the very same."""
    here = next((s for s in run.slides if s.slide_id == slide.slide_id), None)
    if here is None:
        return f"it has not recorded {slide.slide_id}"
    why = slide.other_tiles(here)
    return f"it has other tiles: {why}" if why else ""
