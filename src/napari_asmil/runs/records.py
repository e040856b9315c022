"""What a writer is given: a run's account of itself, and each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.normalizers import Normalizer


@dataclass(frozen=True, eq=False)
class SlideHeader:
    """A recorded slide as the run knows it; `xy` and `labels` are None where unknown, `watched` keeps raw z."""

    slide_id: str
    n_tiles: int
    label: int | None = None
    split: str = ""
    xy: NDArray[np.int64] | None = None
    tile_size: float | None = None
    labels: NDArray[np.float32] | None = None
    mpp: float | None = None
    slide_size: tuple[int, int] | None = None
    slide_path: str = ""
    contours_path: str = ""
    bag_hash: str = ""
    watched: bool = True


@dataclass(frozen=True, eq=False)
class RunHeader:
    """Everything a run says about itself before its first epoch.

    Attributes
    ----------
    bag_size : int
        D, length of a bag vector.
    row_join : str
        How the rows become the map as stored: "mean", or in words.
    map_words : str
        What the map as stored is, where it is not the normaliser of the scores.
    planned_epochs : int
        Epochs after the initialisation; arrays hold one row more.
    bag_hashes, labels, splits : mapping
        Content hash, class and split of every bag, by slide id: resuming on other data is refused.
    applied : str
        Which epoch of which run was applied, for the look of a trained model.
    evidence : bool
        Whether watched slides have evidence.
    imported : str
        Of a map from elsewhere what its file holds: "logits", "probabilities", "percentiles" or "scaled"; else empty.
        The last two are no attention over the tiles: such a run has values as stored, and neither maps nor scores.
    """

    method: str
    label: str
    recipe: Mapping[str, Any]
    class_names: tuple[str, ...]
    row_names: tuple[str, ...]
    slides: tuple[SlideHeader, ...]
    planned_epochs: int
    bag_size: int
    normalizer: Normalizer = field(default_factory=Normalizer)
    anchor_normalizer: Normalizer | None = None
    row_join: str = "mean"
    map_words: str = ""
    seed: int = 0
    device: str = "cpu"
    bag_hashes: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    applied: str = ""
    evidence: bool = False
    imported: str = ""


@dataclass(frozen=True, eq=False)
class SlideRecord:
    """One slide at one epoch: log maps (M,), raw scores z (K, M), logits (C,) and bag vector (D,).

    `evidence` (C, M) are the logits of each tile alone, `values` (M,) those of a file that holds no attention.
    """

    online: NDArray[np.float32]
    logits: NDArray[np.float32]
    bag: NDArray[np.float32]
    anchor: NDArray[np.float32] | None = None
    z: NDArray[np.float32] | None = None
    evidence: NDArray[np.float32] | None = None
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class EpochRecord:
    """One epoch: a `SlideRecord` for every recorded slide, and the commit's own numbers."""

    slides: Mapping[str, SlideRecord]
    curves: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    checkpoint: str = ""
