"""What a run holds of its recorded slides at one epoch: the rows of a table of the cohort."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_asmil.analysis import metrics
from napari_asmil.analysis.dynamics import is_collapsed, is_flat
from napari_asmil.errors import InputError
from napari_asmil.files import comments
from napari_asmil.runs.reader import Run

UNKNOWN = -1
"""Class of a slide without a label or a prediction."""
COLUMNS = (
    "jsd",
    "effective_share",
    "normalized_entropy",
    "top1_mass",
    "jsd_anchor",
    "tumour_mass",
    "tile_auc",
    "topk_recall",
)
"""Recorded scalars of a table of slides."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SlideNumbers:
    """Every recorded slide at one epoch, (S,) each, in the run's order; NaN where there is no number.

    Attributes
    ----------
    predicted : int
        Class of the greatest logit, `UNKNOWN` where logits are no numbers or there is one class alone.
    probability : float64
        Softmax probability of that class.
    cross_entropy : float64
        Of the slide, in nats.
    judged, wrong : bool
        Whether label and prediction are known, and whether they differ.
    flat, collapsed : bool
        Whether the map as stored looks better than it is.
    scalars : mapping of float64
        Recorded scalars by name.
    logits : float64 (S, C)
    """

    epoch: int
    predicted: NDArray[np.intp]
    probability: Floats
    cross_entropy: Floats
    judged: Mask
    wrong: Mask
    flat: Mask
    collapsed: Mask
    scalars: Mapping[str, Floats]
    logits: Floats


@dataclass(frozen=True)
class Summary:
    """Some slides at one epoch: how many, metrics of the `tested` ones among them, medians of all of them.

    A metric that the slides cannot tell is NaN: one class alone has neither a macro F1 nor an AUC.
    """

    shown: int
    tested: int
    accuracy: float
    macro_f1: float
    auc: float
    jsd: float
    effective_share: float


class SlideTable:
    """The recorded slides of a run, and their numbers epoch by epoch.

    Attributes
    ----------
    run : Run
    slide_ids, splits : tuple of str
    labels : int (S,)
        `UNKNOWN` where there is none.
    tiles : int (S,)
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.slide_ids = tuple(s.slide_id for s in run.slides)
        self.splits = tuple(s.split for s in run.slides)
        given = [UNKNOWN if s.label is None else s.label for s in run.slides]
        classes = range(len(run.class_names))
        self.labels = np.array([label if label in classes else UNKNOWN for label in given], dtype=np.intp)
        self.tiles = np.array([s.n_tiles for s in run.slides], dtype=np.int64)
        self._seen = 0
        self._valued = np.zeros(len(run.scalar_names), dtype=bool)

    def __len__(self) -> int:
        return len(self.slide_ids)

    def valued(self) -> set[str]:
        """Names of the scalars that have a value on any slide at any committed epoch that can be read."""
        for epoch in range(self._seen, self.run.n_epochs):
            with suppress(InputError):
                self._valued |= np.isfinite(self.run.scalars_at(epoch)).any(axis=0)
        self._seen = self.run.n_epochs
        return {name for name, has in zip(self.run.scalar_names, self._valued, strict=True) if has}

    def at(self, epoch: int) -> SlideNumbers:
        """The numbers of a committed epoch.

        Raises
        ------
        InputError
            When a damaged run does not hold them any more.
        """
        logits = self.run.logits(epoch).astype(np.float64)
        scalars = dict(zip(self.run.scalar_names, self.run.scalars_at(epoch).T, strict=True))
        told = np.isfinite(logits).all(axis=1) & (logits.shape[1] > 1)
        predicted = np.full(len(self), UNKNOWN, dtype=np.intp)
        probability, entropy = np.full((2, len(self)), np.nan)
        predicted[told] = logits[told].argmax(axis=1)
        probability[told] = softmax(logits[told], axis=1).max(axis=1)
        judged = told & (self.labels != UNKNOWN)
        entropy[judged] = metrics.cross_entropies(logits[judged], self.labels[judged])
        return SlideNumbers(
            epoch=epoch,
            predicted=predicted,
            probability=probability,
            cross_entropy=entropy,
            judged=judged,
            wrong=judged & (predicted != self.labels),
            flat=is_flat(scalars["effective_share"], self.tiles),
            collapsed=is_collapsed(scalars["normalized_entropy"], self.tiles),
            scalars=scalars,
            logits=logits,
        )

    def summary(self, numbers: SlideNumbers, rows: NDArray[np.intp], split: str = "test") -> Summary:
        """What the slides `rows` say together; metrics are of those that are in `split` and judged."""
        tested = rows[numbers.judged[rows] & (np.array(self.splits, dtype=object)[rows] == split)]
        logits, labels = numbers.logits[tested], self.labels[tested]
        several = len(np.unique(labels)) > 1
        return Summary(
            shown=len(rows),
            tested=len(tested),
            accuracy=metrics.accuracy(logits, labels) if len(tested) else np.nan,
            macro_f1=metrics.macro_f1(logits, labels) if several else np.nan,
            auc=metrics.auc(logits, labels) if several else np.nan,
            jsd=_median(numbers.scalars["jsd"][rows]),
            effective_share=_median(numbers.scalars["effective_share"][rows]),
        )


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def verdict(numbers: SlideNumbers, row: int) -> str:
    """The word for a map that looks better than it is: "flat", "collapsed", or ""."""
    return "flat" if numbers.flat[row] else "collapsed" if numbers.collapsed[row] else ""


def csv_text(table: SlideTable, numbers: SlideNumbers, rows: NDArray[np.intp], facts: Mapping[str, str]) -> str:
    """Rows of the table in this order as CSV, under a comment line ``# name: text`` for each of `facts`.

    Numbers are written in full; what is not known is empty. Entropies are in nats, JSD in bits.
    """
    names = table.run.class_names
    scalars = [name for name in COLUMNS if name in table.valued()]
    out = io.StringIO()
    out.write(comments(f"{name}: {text}" for name, text in facts.items()))
    writer = csv.writer(out, lineterminator="\n")
    judged = ("label", "prediction", "probability", "correct", "cross_entropy")
    writer.writerow(["slide", "split", *judged, "map", *scalars, "tiles"])
    for row in rows:
        label, predicted = int(table.labels[row]), int(numbers.predicted[row])
        writer.writerow(
            [
                table.slide_ids[row],
                table.splits[row],
                "" if label == UNKNOWN else names[label],
                "" if predicted == UNKNOWN else names[predicted],
                _written(numbers.probability[row]),
                str(not numbers.wrong[row]).lower() if numbers.judged[row] else "",
                _written(numbers.cross_entropy[row]),
                verdict(numbers, row),
                *(_written(numbers.scalars[name][row]) for name in scalars),
                int(table.tiles[row]),
            ]
        )
    return out.getvalue()


def _written(value: np.float64) -> str:
    return repr(float(value)) if np.isfinite(value) else ""
