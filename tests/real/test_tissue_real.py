"""Tissue of a real slide: outlined, written, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_asmil.annotations import write_geojson
from napari_asmil.bags import read_bag
from napari_asmil.encoders import extract
from napari_asmil.encoders.areas import tissue_contours
from napari_asmil.slides import open_slide
from napari_asmil.slides.tissue import TissueRule, tissue_mask

OPTIONS = {"tile_px": 32, "mpp": 0.5}


@pytest.fixture
def slide(real_data: Path) -> Path:
    return real_data / "wsi" / "CMU-1-Small-Region.svs"


def test_tiles_within_the_outlines_are_the_2237_tiles_on_tissue(slide: Path, tmp_path: Path) -> None:
    with open_slide(slide) as opened:
        write_geojson(tmp_path / "tissue.geojson", tissue_contours(opened))
    list(extract(slide, tmp_path / "a.h5", **OPTIONS))
    list(extract(slide, tmp_path / "b.h5", within=tmp_path / "tissue.geojson", **OPTIONS))
    found, within = (read_bag(tmp_path / f"{name}.h5").tiles for name in "ab")
    assert found is not None and within is not None
    assert len(found) == 2237
    assert found.xy.tolist() == within.xy.tolist()


def test_small_pieces_and_holes_go_and_the_mask_stays_much_as_it_was(slide: Path) -> None:
    rule = TissueRule(smallest_piece=0.05, largest_hole=0.01)
    with open_slide(slide) as opened:
        before, after = tissue_mask(opened)[0], tissue_mask(opened, rule)[0]
        assert len(tissue_contours(opened).polygons) == 15
        assert len(tissue_contours(opened, rule).polygons) == 1
    assert 0 < (before != after).mean() < 0.03
