"""Opening what a person has: everything is read and checked before anything is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np

from napari_asmil.annotations import Contours, read_annotations
from napari_asmil.bags import Bag, Cohort, read_bag, read_cohort
from napari_asmil.errors import InputError
from napari_asmil.slides import open_slide
from napari_asmil.viewer.layers import slide_name

if TYPE_CHECKING:
    from napari_asmil.events import Event
    from napari_asmil.viewer.controller import Controller


@dataclass(frozen=True)
class Request:
    """Files to open together; what is None is left as it is."""

    slide: Path | None = None
    features: Path | None = None
    annotation: Path | None = None
    labels: Path | None = None
    label_column: str = "label"
    dask: bool = False


def open_request(controller: Controller, request: Request) -> list[str]:
    """Open files that belong together and say what each is and what was derived from it.

    Raises
    ------
    InputError
        Before anything is shown, when one of them cannot be used or does not fit the others.
    """
    if request == replace(Request(), label_column=request.label_column, dask=request.dask):
        raise InputError("Nothing is chosen.", remedy="Choose a slide, features or an annotation.")
    lines = []
    if request.slide is not None:
        with open_slide(request.slide) as slide:
            lines += [f"SLIDE {request.slide.name}", *slide.describe(), ""]
    contours = None if request.annotation is None else read_annotations(request.annotation)
    if contours is not None:
        lines += [f"ANNOTATION {request.annotation.name if request.annotation else ''}", *contours.describe(), ""]
    cohort = None if request.features is None else _cohort(request, request.features, contours)
    if cohort is not None:
        lines += ["FEATURES", *_describe(cohort)]
    if request.slide is not None:
        controller.open_slide(request.slide, dask=request.dask)
    if request.annotation is not None:
        controller.open_contours(request.annotation)
    if cohort is not None:
        controller.set_cohort(cohort)
    return lines


def _cohort(request: Request, features: Path, contours: Contours | None) -> Cohort:
    """The bags, each on the slide it belongs to where that is known."""
    if features.is_dir():
        cohort = read_cohort(features, request.labels, label=request.label_column)
    else:
        cohort = Cohort((read_bag(features),))
    if request.slide is None:
        return cohort
    names = [bag.slide_id for bag in cohort.bags]
    alone, wanted = len(names) == 1, slide_name(request.slide)
    if not alone and wanted not in names:
        raise InputError(
            f"No bag of this folder is of slide {wanted!r}.",
            remedy=f"The bags are of {', '.join(names[:5])}{' …' if len(names) > 5 else ''}.",
            path=features,
        )
    bags = []
    for bag in cohort.bags:
        here = alone or bag.slide_id == wanted
        bags.append(_placed(bag, request.slide, request.annotation, contours) if here else bag)
    return replace(cohort, bags=tuple(bags))


def _placed(bag: Bag, slide: Path, annotation: Path | None, contours: Contours | None) -> Bag:
    """A bag with its slide, and with its tiles' truth from the annotation where the file has none."""
    bag = bag.on_slide(slide)
    if contours is None:
        return bag
    bag = replace(bag, contours_path=annotation)
    if bag.tiles is None or bag.tile_labels is not None:
        return bag
    share = contours.tile_share(bag.tiles).astype(np.float32)
    notes = [*bag.derivation, "tile labels: share of each tile inside the tumour contours"]
    return replace(bag, tile_labels=share, derivation=notes)


def _describe(cohort: Cohort) -> list[str]:
    if len(cohort.bags) == 1:
        return cohort.bags[0].describe()
    lines = cohort.describe()
    if not cohort.labels:
        return [*lines, "no label table: these bags can be looked at and attended to, not trained on"]
    try:
        cohort.check()
    except InputError as error:
        lines.append(f"not fit for training: {error}")
    return lines


def take_features(controller: Controller, path: Path) -> None:
    """Take up a feature file that a job has just written."""
    slide = None if controller.slide is None else controller.slide.path
    contours = None if controller.contours is None else controller.contours.path
    bag = read_bag(path)
    same = slide is not None and slide_name(slide) == bag.slide_id
    controller.set_cohort(Cohort((_placed(bag, slide, contours, controller.contours) if same and slide else bag,)))


@dataclass(frozen=True)
class Extraction:
    """Tiles and features to be made from a slide; `size` in level-0 px, or `tile_px` at `mpp`."""

    slide: Path
    out: Path
    encoder: str = "colour"
    tile_px: int | None = None
    mpp: float | None = None
    size: int | None = None
    cover: bool = False
    contours: Path | None = None

    def events(self, stop: Flag) -> Iterator[Event]:
        """The job."""
        from napari_asmil.encoders import extract

        return extract(
            self.slide,
            self.out,
            encoder=self.encoder,
            tile_px=self.tile_px,
            mpp=self.mpp,
            size=self.size,
            cover=self.cover,
            contours=self.contours,
            stop=stop,
        )
