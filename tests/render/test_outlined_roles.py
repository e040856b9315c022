"""Contours in pictures: a colour a role, lines that stay open, a cross for a point."""

from pathlib import Path

import numpy as np

from napari_asmil.annotations import Contours
from napari_asmil.annotations.contours import Mark
from napari_asmil.render import overlay_image
from tests.render.conftest import LATTICE, flat

M = len(LATTICE)
GREY, AMBER = (160, 160, 160), (255, 176, 0)


def pixels_of(picture, colour) -> np.ndarray:
    """Rows and columns (N, 2) of a colour."""
    return np.argwhere((np.asarray(picture) == colour).all(axis=2))


def test_outlines_of_what_is_excluded_are_amber_and_of_what_is_ignored_grey(
    make_view, make_slide, tissue, contours
) -> None:
    view, slide = make_view([flat(M)]), make_slide(tissue)
    for role, colour in (("exclude", AMBER), ("ignore", GREY)):
        picture = overlay_image(view, 0, slide=slide, contours=contours.with_roles({"Tumor": role}), legend=False)
        rows, columns = pixels_of(picture, colour).T
        assert abs(rows.min() - 200) <= 3
        assert abs(columns.max() - 500) <= 3


def test_a_line_stays_open_and_a_point_is_a_cross(make_view, make_slide, tissue) -> None:
    line = np.array([(100.0, 100), (300, 100), (300, 300)])
    marks = [Mark("", "", line, line=True), Mark("", "", np.array([(450.0, 250)]))]
    picture = overlay_image(
        make_view([flat(M)]), 0, slide=make_slide(tissue), contours=Contours([], Path("a"), marks=marks), legend=False
    )
    drawn = {tuple(place) for place in pixels_of(picture, GREY).tolist()}
    assert {(100, 200), (200, 300), (250, 440), (250, 460), (240, 450), (260, 450)} <= drawn
    assert (200, 200) not in drawn
