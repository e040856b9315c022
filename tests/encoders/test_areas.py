"""Where tiles may lie: tissue as contours that can be edited, and contours instead of tissue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import tifffile

from napari_asmil.annotations import Contours, read_annotations, write_geojson
from napari_asmil.bags import read_bag
from napari_asmil.cli.bags import tissue as write_tissue
from napari_asmil.encoders import extract, extract_all
from napari_asmil.encoders.areas import tissue_contours
from napari_asmil.errors import InputError
from napari_asmil.slides import Slide, open_slide
from napari_asmil.slides.tissue import TissueRule, tissue_mask


def ragged(path: Path, mpp: float = 1.0) -> Path:
    """Pink blobs with ragged edges and holes on glass, 1013 x 847 px, so that mask px are no whole px of the slide."""
    y, x = np.mgrid[:847, :1013]
    field = np.sin(x / 61) + np.cos(y / 47) + np.sin((x + y) / 13) / 2
    holes = np.hypot(x % 120 - 60, y % 120 - 60) < 14
    pixels = np.where(((field > 0.3) & ~holes)[..., None], (215, 120, 170), (244, 243, 245)).astype(np.uint8)
    scale = (10000 / mpp, 10000 / mpp)
    tifffile.imwrite(path, pixels, photometric="rgb", resolution=scale, resolutionunit="CENTIMETER", metadata=None)
    return path


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return ragged(tmp_path / "slide.tif")


def tiles_of(slide: Path, out: Path, **options: Any) -> list[list[int]]:
    list(extract(slide, out, **options))
    tiles = read_bag(out).tiles
    assert tiles is not None
    return tiles.xy.tolist()


def drawn(path: Path, **groups: list[tuple[int, int, int, int]]) -> Path:
    """Rectangles (x0, y0, x1, y1) by class."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[a, b], [c, b], [c, d], [a, d], [a, b]]]},
            "properties": {"objectType": "annotation", "classification": {"name": group, "color": [1, 2, 3]}},
        }
        for group, boxes in groups.items()
        for a, b, c, d in boxes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("min_tissue", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("size", [16, 30])
def test_tiles_within_the_outlines_of_tissue_are_the_tiles_on_tissue(
    slide: Path, tmp_path: Path, size: int, min_tissue: float
) -> None:
    with open_slide(slide) as opened:
        write_geojson(tmp_path / "tissue.geojson", tissue_contours(opened))
    found = tiles_of(slide, tmp_path / "a.h5", size=size, min_tissue=min_tissue)
    within = tiles_of(slide, tmp_path / "b.h5", size=size, min_tissue=min_tissue, within=tmp_path / "tissue.geojson")
    assert len(found) > 100
    assert found == within


def test_outlines_cover_the_mask_and_nothing_else(slide: Path) -> None:
    with open_slide(slide) as opened:
        mask, (dy, dx) = tissue_mask(opened)
        contours = tissue_contours(opened)
    shapes = [shapely.Polygon(c.exterior, c.holes) for c in contours.polygons]
    assert all(shape.is_valid for shape in shapes)
    assert any(c.holes for c in contours.polygons)
    mask = mask[: int(847 / dy), : int(1013 / dx)]  # its last px reach beyond the slide, the outlines do not
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    middles = shapely.points((columns + 0.5).ravel() * dx, (rows + 0.5).ravel() * dy)
    inside = shapely.contains(shapely.union_all(shapes), middles)
    np.testing.assert_array_equal(inside.reshape(mask.shape), mask)
    assert [c.name for c in contours.polygons] == [f"tissue {k}" for k in range(1, len(shapes) + 1)]
    areas = [shapely.Polygon(c.exterior).area for c in contours.polygons]
    assert areas == sorted(areas, reverse=True)


def test_a_slide_without_tissue_is_told_with_the_rule_that_found_none(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "glass.tif", np.full((300, 300, 3), 245, np.uint8), photometric="rgb", metadata=None)
    with (
        open_slide(tmp_path / "glass.tif") as opened,
        pytest.raises(InputError, match=r"No tissue.*above a threshold of 0\.2"),
    ):
        tissue_contours(opened, TissueRule(threshold=0.2))


def test_within_takes_every_group_and_leaves_out_what_is_excluded(slide: Path, tmp_path: Path) -> None:
    areas = drawn(
        tmp_path / "areas.geojson",
        Tumor=[(0, 0, 200, 100)],
        Stroma=[(300, 0, 500, 100)],
        Exclusion=[(100, 0, 200, 100)],
    )
    assert tiles_of(slide, tmp_path / "a.h5", size=100, within=areas) == [[0, 0], [300, 0], [400, 0]]
    assert read_annotations(areas).roles["Stroma"] == "ignore"


def test_a_group_of_any_name_alone_is_an_area(slide: Path, tmp_path: Path) -> None:
    areas = drawn(tmp_path / "areas.geojson", Benign=[(0, 0, 100, 100)], Stroma=[(300, 0, 400, 100)])
    assert tiles_of(slide, tmp_path / "a.h5", size=100, within=areas) == [[300, 0]]


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ({}, "no area to lay tiles in"),
        ({"Tumor": [(5000, 5000, 6000, 6000)]}, r"areas\.geojson: None of its contours lies on the slide"),
        ({"Tumor": [(0, 0, 30, 30)]}, "No tile of 100 px holds 50% tissue"),
    ],
)
def test_areas_that_hold_no_tile_are_refused(slide: Path, tmp_path: Path, boxes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(extract(slide, tmp_path / "a.h5", size=100, within=drawn(tmp_path / "areas.geojson", **boxes)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cover": True, "within": "a.geojson"}, "not both"),
        ({"min_tissue": 1.5}, "from 0 to 1, not 1.5"),
        ({"min_tissue": float("nan")}, "from 0 to 1"),
    ],
)
def test_settings_of_where_tiles_lie_that_contradict_are_refused_first(tmp_path: Path, options: Any, says: str) -> None:
    for events in (extract("no.svs", "a.h5", size=9, **options), extract_all(["no.svs"], "a", size=9, **options)):
        with pytest.raises(InputError, match=says):
            next(events)


def test_the_bag_says_where_its_tiles_lie(slide: Path, tmp_path: Path) -> None:
    areas = drawn(tmp_path / "areas.geojson", Tumor=[(0, 0, 200, 100)])
    said = []
    for number, options in enumerate([{}, {"min_tissue": 0.25}, {"within": areas}, {"cover": True}]):
        list(extract(slide, tmp_path / f"{number}.h5", size=100, **options))  # type: ignore[arg-type]
        said.append(" ".join(read_bag(tmp_path / f"{number}.h5").derivation))
    assert "mean of 5 x 5 px, above Otsu's threshold; at least 0.5 of a tile" in said[0]
    assert "at least 0.25 of a tile" in said[1]
    assert "within the contours of areas.geojson" in said[2]
    assert "tiles over the whole image" in said[3]


def test_a_bag_of_other_areas_is_never_overwritten(slide: Path, tmp_path: Path) -> None:
    out, areas = tmp_path / "a.h5", drawn(tmp_path / "areas.geojson", Tumor=[(0, 0, 200, 100)])
    list(extract(slide, out, size=100, within=areas))
    drawn(areas, Tumor=[(0, 0, 300, 100)])
    with pytest.raises(InputError, match="other contours to lay tiles in"):
        list(extract(slide, out, size=100, within=areas))
    with pytest.raises(InputError, match="another least share of tissue, other contours to lay tiles in"):
        list(extract(slide, out, size=100, min_tissue=0.1))


def test_each_of_many_slides_has_the_areas_of_its_name_and_is_refused_without(tmp_path: Path) -> None:
    slides = [ragged(tmp_path / f"{name}.tif") for name in "ab"]
    folder = tmp_path / "areas"
    folder.mkdir()
    drawn(folder / "a.geojson", Tumor=[(0, 0, 200, 100)])
    *_, last = extract_all(slides, tmp_path / "bags", size=100, within=folder)
    assert last.why == "failed" and "b.tif: No contours to lay tiles in are named as it is" in last.message
    assert read_bag(tmp_path / "bags" / "a.h5").n_tiles == 2
    with pytest.raises(InputError, match="cannot hold the tissue of 2 slides"):
        next(extract_all(slides, tmp_path / "bags", size=100, within=folder / "a.geojson"))


def test_outlines_can_be_written_and_read_again(slide: Path, tmp_path: Path) -> None:
    with open_slide(slide) as opened:
        contours = tissue_contours(opened)
    write_geojson(tmp_path / "t.geojson", contours)
    again: Contours = read_annotations(tmp_path / "t.geojson")
    assert again.groups == {"tissue": len(contours.polygons)}
    for one, other in zip(contours.polygons, again.polygons, strict=True):
        np.testing.assert_array_equal(one.exterior, other.exterior)


def test_contours_may_count_from_the_scanned_area(slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned_from(monkeypatch, (100, 50))
    areas = drawn(tmp_path / "areas.geojson", Tumor=[(0, 0, 200, 100)])
    found = tiles_of(slide, tmp_path / "a.h5", size=50, within=areas, contours=areas, cropped=True, within_cropped=True)
    assert found == [[x, y] for y in (50, 100) for x in (100, 150, 200, 250)]
    labels = read_bag(tmp_path / "a.h5").tile_labels
    assert labels is not None and labels.tolist() == [1.0] * 8
    with pytest.raises(InputError, match="contours counted from another corner, contours to lay tiles in counted"):
        list(extract(slide, tmp_path / "a.h5", size=50, within=areas, contours=areas))


def test_the_areas_stay_where_they_are_when_the_contours_count_from_the_scanned_area(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned_from(monkeypatch, (100, 50))
    areas = drawn(tmp_path / "areas.geojson", Tumor=[(0, 0, 200, 100)])
    found = tiles_of(slide, tmp_path / "a.h5", size=50, within=areas, contours=areas, cropped=True)
    assert found == [[x, y] for y in (0, 50) for x in (0, 50, 100, 150)]
    labels = read_bag(tmp_path / "a.h5").tile_labels
    assert labels is not None and labels.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


def test_outlines_written_for_qupath_count_as_it_does(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned_from(monkeypatch, (100, 50))
    write_tissue(slide, tmp_path / "whole.geojson")
    assert "open the slide in QuPath with --no-crop, or write with --cropped" in capsys.readouterr().out
    write_tissue(slide, tmp_path / "cropped.geojson", cropped=True)
    whole, cropped = (read_annotations(tmp_path / f"{name}.geojson").polygons for name in ("whole", "cropped"))
    for one, other in zip(whole, cropped, strict=True):
        np.testing.assert_allclose(other.exterior, one.exterior - (100, 50))


def test_a_slide_that_is_scanned_whole_cannot_be_cropped(slide: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Leave --cropped out"):
        write_tissue(slide, tmp_path / "t.geojson", cropped=True)
    assert not (tmp_path / "t.geojson").exists()


def scanned_from(monkeypatch: pytest.MonkeyPatch, bounds: tuple[int, int]) -> None:
    """Let slides say that their scanned area begins there."""
    made = Slide.__init__

    def init(self: Slide, *given: Any, **options: Any) -> None:
        made(self, *given, **options)
        self.bounds = bounds

    monkeypatch.setattr(Slide, "__init__", init)
