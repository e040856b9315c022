"""What stands in a table of slides: its columns in words and numbers, and which slides pass. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_asmil.render.facts import share
from napari_asmil.runs.table import UNKNOWN, Floats, Mask, SlideNumbers, SlideTable, verdict
from napari_asmil.viewer.quantities import CONCENTRATION, LOCALISATION, divergences

NOTHING = "–"

PREDICTION = "Class with the greatest logit, and its softmax probability. Sorted by class, then by probability."
ERROR = "Whether the prediction is the label, and the cross-entropy of the slide in nats, by which it is sorted."
WORDS = "Says where a map is flat or collapsed: its JSD then says nothing."

Text = Callable[[SlideTable, SlideNumbers, int], str]
Key = Callable[[SlideTable, SlideNumbers], Floats]


@dataclass(frozen=True)
class Column:
    """A column: heading and meaning, a cell in words, and what it is sorted by (NaN is always last)."""

    title: str
    tip: str
    text: Text
    key: Key
    moves: bool = True
    """Whether it changes with the epoch."""
    right: bool = True


def columns_of(table: SlideTable) -> tuple[Column, ...]:
    """The columns that have a value in the run; each JSD stands between two measures of concentration."""
    has = table.valued()
    judged = len(table.run.class_names) > 1
    labelled = bool((table.labels != UNKNOWN).any())
    known = {q.name: q for q in (*divergences([table.run]), *CONCENTRATION, *LOCALISATION)}

    def scalar(name: str, title: str, text: Callable[[float], str] = "{:.3f}".format) -> list[Column]:
        if name not in has or name not in known:
            return []
        tip = f"{known[name].title} ({known[name].unit}). {known[name].tip}. Of the map as stored."
        return [Column(title, tip, _cell(name, text), lambda _, numbers: numbers.scalars[name])]

    return (
        Column("Slide", "Name of the slide, and its picture where the run knows one", _slide, _slide_key, False, False),
        Column("Eff. / M", f"{_tip('effective_share')} {WORDS}", _effective, _effective_key),
        *scalar("jsd", "JSD (bits)", "{:.3g}".format),
        *scalar("normalized_entropy", "Norm. entropy"),
        *scalar("jsd_anchor", "JSD to anchor (bits)", "{:.3g}".format),
        *scalar("top1_mass", "Top 1 % mass"),
        *([Column("Label", "Class of the slide", _label, _label_key, False, False)] if labelled else []),
        *([Column("Prediction", PREDICTION, _prediction, _prediction_key, True, False)] if judged else []),
        *([Column("Error (nats)", ERROR, _error, _error_key)] if judged and labelled else []),
        *scalar("tumour_mass", "Tumour mass"),
        *scalar("tile_auc", "Tile AUC"),
        *scalar("topk_recall", "Top-k recall"),
        Column("Tiles M", "Tiles of the slide, M", _tiles, lambda table, _: table.tiles.astype(float), False),
        *([Column("Split", "Split of the slide", _split, _split_key, False, False)] if any(table.splits) else []),
    )


def _tip(name: str) -> str:
    quantity = next(q for q in CONCENTRATION if q.name == name)
    return f"{quantity.title} ({quantity.unit}). {quantity.tip}."


def _cell(name: str, text: Callable[[float], str]) -> Text:
    def cell(_: SlideTable, numbers: SlideNumbers, row: int) -> str:
        value = numbers.scalars[name][row]
        return text(value) if np.isfinite(value) else NOTHING

    return cell


def _named(table: SlideTable, label: int) -> str:
    return NOTHING if label == UNKNOWN else table.run.class_names[label]


def _ranks(words: tuple[str, ...]) -> Floats:
    """Places of words in their order, NaN for none."""
    given = np.array([word.casefold() for word in words], dtype=object)
    ranks = np.unique(given, return_inverse=True)[1].astype(float)
    return np.where(given == "", np.nan, ranks)


def _slide(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    return table.slide_ids[row]


def _slide_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return _ranks(table.slide_ids)


def _split(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    return table.splits[row] or NOTHING


def _split_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return _ranks(table.splits)


def _label(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    return _named(table, table.labels[row])


def _label_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return np.where(table.labels == UNKNOWN, np.nan, table.labels)


def _prediction(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    name = _named(table, numbers.predicted[row])
    return name if name == NOTHING else f"{name} {numbers.probability[row]:.3f}"


def _prediction_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return numbers.predicted + numbers.probability / 2


def _error(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    if not numbers.judged[row]:
        return NOTHING
    return f"{'✗ wrong' if numbers.wrong[row] else 'correct'} {numbers.cross_entropy[row]:.3f}"


def _error_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return numbers.cross_entropy


def _effective(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    value, word = float(numbers.scalars["effective_share"][row]), verdict(numbers, row)
    return f"{word.upper()} {share(value)}".strip() if np.isfinite(value) else NOTHING


def _effective_key(table: SlideTable, numbers: SlideNumbers) -> Floats:
    return numbers.scalars["effective_share"]


def _tiles(table: SlideTable, numbers: SlideNumbers, row: int) -> str:
    return str(table.tiles[row])


@dataclass(frozen=True)
class Filter:
    """Which slides are shown; None and False let all pass."""

    text: str = ""
    split: str | None = None
    label: int | None = None
    wrong: bool = False
    flattered: bool = False
    """Those alone whose map is flat or collapsed."""

    @property
    def moves(self) -> bool:
        """Whether other slides may pass at another epoch."""
        return self.wrong or self.flattered

    def passing(self, table: SlideTable, numbers: SlideNumbers | None) -> Mask:
        """Which slides pass, bool (S,); by their numbers none does where there are none."""
        mask = np.ones(len(table), dtype=bool)
        if self.text:
            mask &= [self.text.casefold() in name.casefold() for name in table.slide_ids]
        if self.split is not None:
            mask &= [split == self.split for split in table.splits]
        if self.label is not None:
            mask &= table.labels == self.label
        if self.wrong:
            mask &= False if numbers is None else numbers.wrong
        if self.flattered:
            mask &= False if numbers is None else numbers.flat | numbers.collapsed
        return mask

    def describe(self, table: SlideTable) -> str:
        """The filter in words, "" where all pass."""
        parts = [
            f"name contains {self.text!r}" * bool(self.text),
            f"split {self.split or 'none'}" if self.split is not None else "",
            f"label {_named(table, self.label)}" if self.label is not None else "",
            "wrong only" * self.wrong,
            "flat or collapsed only" * self.flattered,
        ]
        return ", ".join(part for part in parts if part)
