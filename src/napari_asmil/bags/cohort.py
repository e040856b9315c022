"""A cohort: bags with labels and splits, checked before hours are spent on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from napari_asmil.bags.bag import Bag
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed

Split = Literal["train", "val", "test"]
EDGE = "tile edge: "
"""So begins the line of a bag's derivation that says the edge of its tiles."""
MOST_WAYS = 3
"""So many ways in which edges were found are told of a cohort."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Bags with what is known of their slides.

    Attributes
    ----------
    bags : tuple of Bag
        In the order of their slide ids when read from files.
    labels : mapping of slide id to int
        Class index of each slide; empty when there are no labels.
    class_names : tuple of str
        Name of each class.
    splits : mapping of slide id to "train", "val" or "test"
        Empty when there are none; then every bag is for training.
    patients : mapping of slide id to str, or None
        Whose slide it is.
    source : Path or None
        The label table, or what brought its labels, named where something is wrong with it.
    notes : tuple of str
        What was left out, or taken from where, in words.
    """

    bags: tuple[Bag, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    patients: Mapping[str, str] | None = None
    source: Path | None = None
    notes: tuple[str, ...] = ()

    def select(self, split: Split) -> tuple[Bag, ...]:
        """The bags of a split, in order; without splits every bag is for training."""
        if not self.splits:
            return self.bags if split == "train" else ()
        return tuple(bag for bag in self.bags if self.splits[bag.slide_id] == split)

    def with_splits(self, splits: Mapping[str, Split]) -> Cohort:
        """The same cohort with other splits."""
        return replace(self, splits=dict(splits))

    def check(self) -> None:
        """Refuse what cannot be trained on, without reading features (`Bag.features` refuses NaN when read).

        Raises
        ------
        InputError
            No bags; a slide twice; bags without label or split; one class only (overall, or in training); a
            patient in two splits; different encoders or feature dimensions.
        """
        self._check_table()
        self._check_alike()

    def _check_table(self) -> None:
        ids = [bag.slide_id for bag in self.bags]
        if not ids:
            raise InputError("The cohort has no bags.", remedy="Give a folder of feature files.")
        refuse([name for name, times in Counter(ids).items() if times > 1], "more than one bag of slide", "Keep one.")
        refuse([i for i in ids if i not in self.labels], "no label for slide", "Add them to the label table.")
        if self.splits:
            refuse([i for i in ids if i not in self.splits], "no split for slide", "Say train, val or test for each.")
        self._check_classes()
        if self.patients and self.splits:
            places: dict[str, set[str]] = {}
            for slide in ids:
                places.setdefault(self.patients.get(slide, slide), set()).add(self.splits[slide])
            refuse(
                [patient for patient, found in places.items() if len(found) > 1],
                "slides in more than one split of patient",
                "Keep all slides of a patient in one split: otherwise the test is not one. If that column names no"
                " patients, rename it.",
                self.source,
            )

    def _check_classes(self) -> None:
        found = Counter(self.labels[bag.slide_id] for bag in self.bags)
        if len(found) > 2 and len(self.bags) < 2 * len(found):
            raise InputError(
                f"Its {counted(len(self.bags), 'slide')} are of {len(found)} classes ({listed(self.class_names)}): that"
                " is a measurement or a name, not a class.",
                remedy="Say which column holds the classes (--label).",
                path=self.source,
            )
        training = {self.labels[bag.slide_id] for bag in self.select("train")}
        if len(training) < 2:
            only = ", ".join(self.class_names[index] for index in training) or "none"
            raise InputError(
                f"The slides for training hold one class only ({only}), so there is nothing to tell apart.",
                remedy="Add slides of another class, or check the label column and the splits.",
                path=self.source,
            )

    def _check_alike(self) -> None:
        for what, values in (
            ("number of features a tile", {bag.slide_id: bag.n_features for bag in self.bags}),
            ("encoder", {bag.slide_id: bag.encoder for bag in self.bags if bag.encoder}),
        ):
            usual = next((value for value, _ in Counter(values.values()).most_common(1)), None)
            odd = [f"{value} in slide {slide}" for slide, value in values.items() if value != usual]
            if odd:
                raise InputError(
                    f"Not all bags have the same {what}: {usual} in most, {listed(odd)}.",
                    remedy="One model needs features of one encoder; extract them again.",
                )

    def describe(self) -> list[str]:
        """Lines for `info`: how many bags of which class and split, and what is doubtful."""
        tiles = sorted(bag.n_tiles for bag in self.bags)
        each = f"{tiles[0]} to {counted(tiles[-1], 'tile')}" if tiles[0] != tiles[-1] else counted(tiles[0], "tile")
        lines = [f"{counted(len(tiles), 'bag')} of {each} x {self.bags[0].n_features} features"]
        classes = [self.classes()] if self.labels else []
        return [*lines, *classes, *self.notes, *self.geometry(), *self.warnings()]

    def geometry(self) -> list[str]:
        """Where tile edges are from, of all bags in one line, and which bags have no places and why, in another."""
        placed: dict[str, list[str]] = {}
        for bag in self.bags:
            if bag.tiles is not None:
                placed.setdefault(_edge_of(bag, bag.tiles.size), []).append(bag.slide_id)
        ways = sorted(placed.items(), key=lambda way: -len(way[1]))
        told = [f"{how} (in {counted(len(of), 'bag')}: {listed(of, 3)})" for how, of in ways[:MOST_WAYS]]
        if len(ways) == 1:
            told = [f"{ways[0][0]} (in all {len(self.bags)})" if len(ways[0][1]) == len(self.bags) else told[0]]
        more = f"; and {counted(len(ways) - MOST_WAYS, 'other way', 'other ways')}" if len(ways) > MOST_WAYS else ""
        lines = [f"tile edge: {'; '.join(told)}{more}"] if told else []
        without = [bag for bag in self.bags if bag.tiles is None]
        if without:
            why = without[0].unplaced.partition(": ")[2]
            lines.append(
                f"{counted(len(without), 'bag has', 'bags have')} no places"
                f" ({listed(bag.slide_id for bag in without)}): {why}"
            )
        return lines

    def classes(self) -> str:
        """How many slides of which class there are, in training and held out, as one line."""
        parts = []
        for split in ("train", "val", "test") if self.splits else ("train",):
            parts.append(f"{split} {self.counts(self.select(split)) or 'none'}")
        if not self.splits:
            parts = [f"no split, so all are trained on and none tests the result: {self.counts(self.bags)}"]
        return f"{counted(len(self.class_names), 'class', 'classes')}; {'; '.join(parts)}"

    def counts(self, bags: Iterable[Bag]) -> str:
        """How many of these bags are of which class."""
        found = Counter(self.labels[bag.slide_id] for bag in bags if bag.slide_id in self.labels)
        return ", ".join(f"{self.class_names[index]} ({found[index]})" for index in sorted(found))

    def warnings(self) -> list[str]:
        """What does not forbid training but belongs beside its result."""
        found = []
        sizes = [bag.tile_mpp for bag in self.bags if bag.tile_mpp is not None]
        if sizes and max(sizes) > 1.05 * min(sizes):
            found.append(f"tiles differ in scale between slides: {min(sizes):.3g} to {max(sizes):.3g} µm per px")
        edges = [bag.tiles.size for bag in self.bags if bag.tiles is not None and bag.tile_mpp is None]
        if edges and max(edges) > min(edges):
            found.append(
                f"tiles differ in size between slides: {min(edges):g} to {max(edges):g} level-0 px (pixel size unknown)"
            )
        twice = [f"{bag.slide_id} ({bag.n_twice})" for bag in self.bags if bag.n_twice]
        if twice:
            found.append(f"tiles lie exactly on another one in slide {listed(twice)}")
        counts = Counter(self.labels.get(bag.slide_id) for bag in self.bags)
        alone = [name for index, name in enumerate(self.class_names) if counts[index] == 1]
        if alone:
            found.append(f"one slide only is of class {listed(alone)}: nothing can be learned of it and tested")
        return found


def _edge_of(bag: Bag, size: float) -> str:
    """Edge of a bag's tiles and where it is from, in words that are the same for bags that were made alike."""
    line = next((line for line in bag.derivation if line.startswith(EDGE)), f"{EDGE}{size:g} level-0 px")
    return re.sub(rf"/{re.escape(bag.slide_id)}(?=[._])", "/SLIDE", line.removeprefix(EDGE))


def refuse(names: Iterable[str], what: str, remedy: str, path: str | Path | None = None) -> None:
    """Raise a sentence that names the slides or patients, where there are any."""
    given = list(names)
    if given:
        raise InputError(f"There is {what} {listed(given)}.", remedy=remedy, path=path)
