"""Opening what a person has: everything is read and checked before anything is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_warning

from napari_asmil.annotations import Contours, Role, read_annotations
from napari_asmil.bags import Bag, Cohort, holds_many, read_bag, read_cohort
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.slides import open_slide
from napari_asmil.slides.slide import USER
from napari_asmil.viewer import footprint
from napari_asmil.viewer.fields import in_fields
from napari_asmil.viewer.imported import NOT_LAID, Made, prepare, show
from napari_asmil.viewer.layers import slide_name
from napari_asmil.words import listed

if TYPE_CHECKING:
    from napari_asmil.events import Event
    from napari_asmil.viewer.controller import Controller


LABEL = "label"
FROM_CONTOURS = "tile labels: share of each tile inside the tumour contours"


@dataclass(frozen=True)
class Request:
    """Files to open together; what is None is left as it is.

    `label_column` is that of the table of labels, and another name also that of a table of scores. `tile_size` (level-0
    px), `mpp` (micrometres per level-0 px) and `values` (what `scores` of someone's own model are) are what a person
    knows and the files do not say.
    """

    slide: Path | None = None
    features: Path | None = None
    annotation: Path | None = None
    labels: Path | None = None
    label_column: str = LABEL
    tile_size: float | None = None
    mpp: float | None = None
    dask: bool = False
    scores: Path | None = None
    values: str | None = None


def open_request(controller: Controller, request: Request) -> list[str]:
    """Open files that belong together, or to what is open, and say what each is and what was derived from it.

    What is asked in it (a line that ends in a question mark) is said over the canvas too.

    Without another slide, features and annotation belong to the slide that is shown; features do where their name is
    the slide's.

    Raises
    ------
    InputError
        Before anything is shown, when one of them cannot be used or does not fit the others.
    """
    if not any((request.slide, request.features, request.annotation, request.scores)):
        raise InputError("Nothing is chosen.", remedy="Choose a slide, features or an annotation.")
    found = _read(controller, request)
    if found.ends_contours:
        controller.stage.put("contours", None)
    if request.slide is not None:
        controller.open_slide(request.slide, mpp=request.mpp, dask=request.dask)
    if request.annotation is not None:
        controller.open_contours(request.annotation)
    if found.cohort is not controller.cohort:
        controller.set_cohort(found.cohort)
    if found.made is not None:
        show(controller, found.made)
    (footprint.show if controller.map is None else footprint.hide)(controller)
    controller.opened, controller.asked = _merged(controller, request), Request()
    controller.tell(found.lines)
    doubts = [line for line in found.lines if line.endswith("?")]
    if doubts:
        show_warning(in_fields("; ".join(doubts)))
    return found.lines


@dataclass(frozen=True)
class _Found:
    """What was read and fits together, and what is said of it."""

    lines: list[str]
    cohort: Cohort | None
    made: Made | None
    ends_contours: bool


def _read(controller: Controller, request: Request) -> _Found:
    on, about_slide, drawn, found = _on(controller), list[str](), list[str](), list[str]()
    if request.slide is not None:
        with open_slide(request.slide, mpp=request.mpp) as slide:
            about_slide = [f"SLIDE {request.slide.name}", *slide.describe()]
            on = _On(request.slide, slide.frame, request.mpp)
    contours, ended = controller.contours, ""
    if request.slide is not None and request.annotation is None:
        contours, ended = _that_stay(controller, on)
        about_slide += [ended] if ended else []
    if request.annotation is not None:
        contours = read_annotations(request.annotation, on.frame)
        if on.frame is not None:
            contours.check_on(on.frame.size)
        drawn = [f"ANNOTATION {request.annotation.name}", *contours.describe()]
    cohort = controller.cohort if request.features is None else _cohort(request, request.features)
    if cohort is not None:
        cohort, bag = _with_slide(cohort, request, on, contours)
        if request.features is not None:
            found = ["FEATURES", *_describe(cohort)]
            if bag is None and on.path is not None:
                found.append(NOT_LAID.format(on.path.name))
        if bag is not None and (request.features is None or len(cohort.bags) > 1):
            found += [f"FEATURES on {bag.slide_id}", *bag.describe()]
    made = None if request.scores is None else _made(controller, request, request.scores, cohort)
    parts = [[] if made is None else made.lines, found, drawn, about_slide]
    lines = [line for part in parts if part for line in (*part, "")][:-1]
    return _Found(lines, cohort, made, bool(ended))


def _that_stay(controller: Controller, on: _On) -> tuple[Contours | None, str]:
    """The contours that are drawn, where they can be of the slide that comes, or that they are taken away."""
    contours, shown = controller.contours, controller.slide
    if contours is None or on.path is None or on.frame is None:
        return contours, ""
    named = contours.path is not None and slide_name(contours.path) == slide_name(on.path)
    if (shown is None or shown.path == on.path or named) and _lie_on(contours, on.frame):
        return contours, ""
    return None, "the contours that were drawn were of another slide and are taken away"


@dataclass(frozen=True)
class _On:
    """The slide that things come to lie on; `mpp` is the user's word, where there is one."""

    path: Path | None = None
    frame: Frame | None = None
    mpp: float | None = None


def _on(controller: Controller) -> _On:
    slide = controller.slide
    if slide is None:
        return _On()
    return _On(slide.path, slide.frame, slide.mpp if slide.mpp_source == USER else None)


def _made(controller: Controller, request: Request, scores: Path, cohort: Cohort | None) -> Made:
    alone = cohort is not None and request.features is not None and len(cohort.bags) == 1
    return prepare(
        controller,
        scores,
        slide=request.slide,
        features=cohort.bags[0] if cohort is not None and alone else None,
        cohort=cohort,
        values=request.values,
        column="" if request.label_column == LABEL else request.label_column,
        tile_size=request.tile_size,
        mpp=request.mpp,
        contours=request.annotation,
    )


def _lie_on(contours: Contours, frame: Frame) -> bool:
    try:
        contours.check_on(frame.size)
    except InputError:
        return False
    return True


def _merged(controller: Controller, request: Request) -> Request:
    """What is open now; another slide ends what a person knew of the one before."""
    before, slide, contours = controller.opened, controller.slide, controller.contours
    now = replace(
        request,
        scores=None,
        values=None,
        slide=None if slide is None else slide.path,
        annotation=None if contours is None else contours.path,
    )
    if request.slide is None:
        now = replace(now, mpp=request.mpp or before.mpp)
    if request.features is None:
        now = replace(now, features=before.features, labels=before.labels, tile_size=before.tile_size)
    return now


def _cohort(request: Request, features: Path) -> Cohort:
    if features.is_dir() or holds_many(features):
        return read_cohort(features, request.labels, label=request.label_column, tile_size=request.tile_size)
    return Cohort((read_bag(features, tile_size=request.tile_size, mpp=request.mpp),))


def _with_slide(cohort: Cohort, request: Request, on: _On, contours: Contours | None) -> tuple[Cohort, Bag | None]:
    """The cohort with the bag that is of this slide lying on it, and that bag.

    One bag that is chosen together with a slide is of that slide, whatever its name.
    """
    if on.path is None:
        return cohort, None
    chosen = request.slide is not None and request.features is not None
    names, wanted = [bag.slide_id for bag in cohort.bags], slide_name(on.path)
    at = 0 if chosen and len(names) == 1 else names.index(wanted) if wanted in names else None
    if at is None:
        if chosen:
            raise InputError(
                f"No bag of this folder is of slide {wanted!r}.",
                remedy=f"The bags are of {listed(names)}.",
                path=request.features,
            )
        return cohort, None
    bag = cohort.bags[at].on_slide(on.path, mpp=on.mpp)
    bag = bag if contours is None else with_truth(bag, contours)
    return replace(cohort, bags=(*cohort.bags[:at], bag, *cohort.bags[at + 1 :])), bag


def with_truth(bag: Bag, contours: Contours) -> Bag:
    """A bag with its tiles' truth from contours, unless its file has one; none where what is tumour is undecided."""
    if bag.contours_path != contours.path:
        bag = replace(bag, contours_path=contours.path)
    if bag.tiles is None or (bag.tile_labels is not None and FROM_CONTOURS not in bag.derivation):
        return bag
    notes = [note for note in bag.derivation if note != FROM_CONTOURS]
    if "undecided" in contours.roles.values():
        return replace(bag, tile_labels=None, derivation=notes)
    share = contours.tile_share(bag.tiles).astype(np.float32)
    return replace(bag, tile_labels=share, derivation=[*notes, FROM_CONTOURS])


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


@dataclass(frozen=True)
class Extraction:
    """Tiles and features to be made from a slide; `size` in level-0 px, or `tile_px` at `mpp`."""

    slide: Path
    out: Path
    encoder: str = "colour"
    device: str = "auto"
    tile_px: int | None = None
    mpp: float | None = None
    size: int | None = None
    slide_mpp: float | None = None
    cover: bool = False
    within: Path | None = None
    min_tissue: float = 0.5
    contours: Path | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    cropped: bool = False
    within_cropped: bool = False

    def events(self, stop: Flag) -> Iterator[Event]:
        """The job."""
        from napari_asmil.encoders import extract

        return extract(
            self.slide,
            self.out,
            encoder=self.encoder,
            device=self.device,
            tile_px=self.tile_px,
            mpp=self.mpp,
            size=self.size,
            slide_mpp=self.slide_mpp,
            cover=self.cover,
            within=self.within,
            min_tissue=self.min_tissue,
            contours=self.contours,
            roles=self.roles,
            cropped=self.cropped,
            within_cropped=self.within_cropped,
            stop=stop,
        )
