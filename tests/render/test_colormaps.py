"""Colour maps are the published ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_asmil.errors import InputError
from napari_asmil.render.colormaps import COLORMAPS, OKABE_ITO, lookup_table


@pytest.mark.parametrize("name", ["viridis", "magma", "inferno", "PiYG"])
def test_tables_are_those_napari_shows_within_two_in_255(name: str) -> None:
    from napari.utils.colormaps import ensure_colormap

    theirs = ensure_colormap(name).map(np.linspace(0, 1, 256))[:, :3] * 255
    assert np.abs(lookup_table(name) - theirs).max() <= 2


@pytest.mark.parametrize("name", [n for n in COLORMAPS if n not in ("BrBG", "PiYG")])
def test_sequential_maps_grow_lighter_all_the_way_so_that_they_read_in_grey(name: str) -> None:
    linear = (lookup_table(name) / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance[::8]) > 0)


@pytest.mark.parametrize("name", ["BrBG", "PiYG"])
def test_diverging_maps_are_lightest_in_the_middle_and_as_dark_at_both_ends(name: str) -> None:
    table = lookup_table(name).astype(float)
    middle = table[127:129].mean()
    assert middle > 240
    assert np.all(np.diff(table[:128:8].sum(axis=1)) > 0) and np.all(np.diff(table[128::8].sum(axis=1)) < 0)
    assert abs(table[0].mean() - table[-1].mean()) < 40


def test_no_two_line_colours_are_alike() -> None:
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in OKABE_ITO])
    distance = np.abs(colours[:, None] - colours).sum(axis=2)
    assert distance[~np.eye(len(colours), dtype=bool)].min() > 80


def test_an_unknown_map_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"Unknown colour map 'jet'.*viridis"):
        lookup_table("jet")
