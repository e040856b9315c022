"""What a model says of each tile as if it were the whole bag: a map beside attention."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_asmil.errors import InputError
from napari_asmil.runs.lazy import LazyMaps, Limits
from napari_asmil.runs.reader import Run
from napari_asmil.runs.view import MapView


class TilesAlone(LazyMaps):
    """Probability of one class of each tile alone, 0 to 1; tiles need not sum to anything.

    Parameters
    ----------
    like : MapView
        Of the same run and slide.
    class_name : str, optional
        By default the last class, which of two is the positive one.

    Raises
    ------
    InputError
        When the run has no evidence of this slide, or no such class.
    """

    def __init__(self, like: MapView, class_name: str | None = None) -> None:
        super().__init__()
        names = like.run.class_names
        self.class_name = names[-1] if class_name is None else class_name
        if self.class_name not in names:
            raise InputError(f"This run has no class {self.class_name!r}.", remedy=f"Classes: {', '.join(names)}.")
        self.like, self.run, self.slide, self.drawing = like, like.run, like.slide, like.drawing
        self.run.check_evidence(self.slide.slide_id)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The run."""
        return (self.run,)

    @property
    def cost(self) -> int:
        """Logits that are read for one epoch."""
        return self.slide.n_tiles * len(self.run.class_names)

    @property
    def n_epochs(self) -> int:
        """Epochs of the run."""
        return self.like.n_epochs

    @property
    def quantity(self) -> str:
        """Of which class."""
        return f"P({self.class_name} | tile alone)"

    @property
    def unit(self) -> str:
        """A probability."""
        return "probability"

    @property
    def name(self) -> str:
        """What it is, for a layer."""
        return f"{self.class_name}, tile alone · {self.run.name}"

    @property
    def label(self) -> str:
        """All of what is shown, in words."""
        return " · ".join([self.run.name, self.run.label, self.slide.slide_id, f"{self.quantity} ({self.unit})"])

    def values(self, epoch: int) -> NDArray[np.float32]:
        """The probability, float32 (M,)."""
        logits = self.run.evidence(epoch, self.slide.slide_id).astype(np.float64)
        shown: NDArray[np.float64] = softmax(logits, axis=0)[self.run.class_names.index(self.class_name)]
        return shown.astype(np.float32)

    def limits(self, epoch: int | None = None) -> Limits:
        """All probabilities."""
        return 0.0, 1.0

    @property
    def recorded_limits(self) -> bool:
        """They are the same for every epoch."""
        return True

    def refresh(self) -> int:
        """Take up newly committed epochs."""
        return self.like.refresh()
