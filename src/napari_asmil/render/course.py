"""A map's numbers over its epochs, computed from the probabilities that are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis import dynamics, localisation
from napari_asmil.render.facts import share

if TYPE_CHECKING:
    from napari_asmil.runs.view import MapView


@dataclass(frozen=True)
class Course:
    """Float64 (E,) each: JSD to the epoch before in bits (NaN at epoch 0), effective tiles / M, normalised entropy."""

    jsd: NDArray[np.float64]
    effective_share: NDArray[np.float64]
    entropy: NDArray[np.float64]

    @classmethod
    def of(cls, view: MapView) -> Course:
        """All committed epochs of a view."""
        numbers, before = [], None
        for epoch in range(len(view)):
            p = view.probabilities(epoch)
            moved = np.nan if before is None else float(dynamics.jsd(before, p))
            numbers.append((moved, float(dynamics.effective_tiles(p)) / len(p), float(dynamics.normalized_entropy(p))))
            before = p
        return cls(*np.array(numbers).T)


def table_row(view: MapView, course: Course, epoch: int) -> dict[str, str]:
    """The numbers of one map at `epoch`, by column name; agreement with tile truth where there is any."""
    p = view.probabilities(epoch)
    mean = f"{course.jsd[1 : epoch + 1].mean():.3g}" if epoch else "–"
    row = {
        "method": view.run.label,
        "JSD mean (bits)": mean,
        "norm. entropy": f"{course.entropy[epoch]:.3f}",
        "effective / M": share(float(course.effective_share[epoch])),
        "top 1 % mass": f"{float(dynamics.top_mass(p)):.3f}",
    }
    truth = view.slide.tile_labels
    if truth is not None:
        row |= {
            "tile AUC": _number(localisation.tile_auc(p, truth)),
            "top-k recall": _number(localisation.topk_recall(p, truth)),
            "tumour mass": _number(localisation.tumour_mass(p, truth)),
            "Dice": _number(localisation.dice(p, truth)),
        }
    return row | {"verdict": dynamics.verdict(p)}


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"
