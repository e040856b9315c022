"""A map on a real slide file: the bright tile is where the slide has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_asmil.render import overlay_image
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.runs import EpochRecord, RunHeader, RunWriter, SlideHeader, SlideRecord, open_run
from napari_asmil.runs.view import MapView
from napari_asmil.slides import open_slide

EDGE = 240
PLANTED = (960, 1200)
"""Top-left corner (x, y) of the bright tile."""


@pytest.fixture
def view(tmp_path: Path) -> MapView:
    xy = np.array([(x, y) for y in range(0, 2880, EDGE) for x in range(0, 2160, EDGE)])
    with np.errstate(divide="ignore"):
        row = np.log((xy == PLANTED).all(axis=1).astype(np.float32))
    slide = SlideHeader("CMU-1", len(xy), xy=xy, tile_size=EDGE, slide_size=(2220, 2967))
    header = RunHeader("abmil", "ABMIL", {}, ("a", "b"), ("attention",), (slide,), 0, 1)
    with RunWriter.create(tmp_path / "run.asmil", header) as writer:
        one = SlideRecord(row, np.zeros(2, np.float32), np.zeros(1, np.float32), z=row[None])
        writer.write(EpochRecord({"CMU-1": one}))
    return MapView(open_run(tmp_path / "run.asmil"), "CMU-1")


@pytest.mark.parametrize("max_px", [2967, 1484, 802])
def test_a_planted_tile_is_found_within_half_a_pixel_and_the_tissue_around_it_is_the_files(
    real_data: Path, view: MapView, max_px: int
) -> None:
    path = real_data / "wsi" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        image = overlay_image(view, 0, slide=slide, max_px=max_px, opacity=0.0, legend=False)
        marked = overlay_image(view, 0, slide=slide, max_px=max_px, opacity=1.0, legend=False)
    bare, marked = np.asarray(image), np.asarray(marked)
    step = 2967 / max_px
    rows, columns = np.nonzero((marked == lookup_table("viridis")[-1]).all(axis=2))
    found = [(i.mean() + 0.5) * step - 0.5 for i in (columns, rows)]
    assert np.abs(np.array(found) - (np.array(PLANTED) + EDGE / 2 - 0.5)).max() <= 0.5 * step
    (x, y), pixels = PLANTED, tifffile.imread(path, key=0)
    tile = pixels[y : y + EDGE, x : x + EDGE]
    if step == 1:
        np.testing.assert_array_equal(bare[rows, columns], tile.reshape(-1, 3))
    else:
        assert np.abs(bare[rows, columns].mean(axis=0) - tile.mean(axis=(0, 1))).max() < 2
