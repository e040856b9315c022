"""A map's numbers over its epochs, computed from the probabilities that are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis import dynamics, localisation
from napari_asmil.render.facts import share, whole_map

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
            p = whole_map(view, epoch)
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
    word = dynamics.verdict(p)
    return row | ({"verdict": word} if word else {})


def blind_row(view: MapView) -> dict[str, str]:
    """The numbers of a map that looks at all tiles alike, as `table_row`: what any map has to beat."""
    tiles = view.slide.n_tiles
    row = {
        "method": "blind: all tiles alike",
        "JSD mean (bits)": "0",
        "norm. entropy": "1.000",
        "effective / M": "100 %",
        "top 1 % mass": f"{max(1, round(0.01 * tiles)) / tiles:.3f}",
    }
    if view.slide.tile_labels is None:
        return row
    tumour = float(localisation.is_tumour(view.slide.tile_labels).mean())
    by_chance = "0.500" if 0 < tumour < 1 else "–"
    top = f"{tumour:.3f}" if tumour > 0 else "–"
    return row | {"tile AUC": by_chance, "top-k recall": top, "tumour mass": f"{tumour:.3f}", "Dice": "–"}


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"
