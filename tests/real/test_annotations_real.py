"""CAMELYON16 and QuPath annotations against the same lesions as another project wrote them."""

import numpy as np
import pytest
import shapely

from napari_asmil import read_annotations
from napari_asmil.annotations import write_geojson
from napari_asmil.geometry import TileGrid


@pytest.mark.parametrize(("slide", "contours", "alike"), [("076", 39, 37), ("085", 50, 50)])
def test_asap_polygons_equal_those_of_ncrf_after_rounding(real_data, slide, contours, alike):
    ours = read_annotations(real_data / "annotations" / "camelyon16_asap" / f"tumor_{slide}.xml")
    theirs = read_annotations(real_data / "annotations" / "camelyon16_ncrf_json" / f"Tumor_{slide}.json")
    assert len(ours.polygons) == contours
    assert theirs.groups == {"positive": contours - (slide == "076")}
    found = 0
    for lesion in theirs.polygons:
        corners = lesion.exterior
        same = [c for c in ours.polygons if c.exterior.shape == corners.shape and abs(c.exterior - corners).max() < 1]
        found += bool(same)
    assert found == alike
    least = shapely.intersection(ours.tumour(), theirs.tumour()).area / ours.tumour().area
    assert least > 0.97


@pytest.mark.parametrize("slide", ["076", "085"])
def test_the_tumour_shares_of_a_full_grid_add_up_to_the_tumours_area(real_data, slide):
    contours = read_annotations(real_data / "annotations" / "camelyon16_asap" / f"tumor_{slide}.xml")
    assert "tumour: metastasis" in contours.describe()
    x0, y0, x1, y1 = contours.tumour().bounds
    starts = [np.arange(int(low) - 1, int(high) + 1, 512) for low, high in ((x0, x1), (y0, y1))]
    xy = np.stack(np.meshgrid(*starts), axis=-1).reshape(-1, 2)
    share = contours.tile_share(TileGrid(xy, 512))
    assert share.sum() * 512**2 == pytest.approx(contours.tumour().area)


def test_asap_contours_survive_being_written_for_qupath(real_data, tmp_path):
    contours = read_annotations(real_data / "annotations" / "camelyon16_asap" / "tumor_085.xml")
    write_geojson(tmp_path / "out.geojson", contours)
    back = read_annotations(tmp_path / "out.geojson")
    for old, new in zip(contours.polygons, back.polygons, strict=True):
        np.testing.assert_array_equal(old.exterior, new.exterior)
    assert back.describe() == contours.describe()


def test_qupath_features_are_read_and_points_are_kept_apart(real_data):
    folder = real_data / "annotations" / "qupath_geojson"
    rectangle = read_annotations(folder / "qupath-rectangle.json")
    assert rectangle.tumour().bounds == (26268, 15298, 26478, 15474)
    assert rectangle.segments()[0, 0].tolist() == [15297.5, 26267.5]
    assert read_annotations(folder / "qupath-polygon.json").tumour().area > 90_000
    points = read_annotations(folder / "qupath-multipoint.json")
    assert points.polygons == []
    assert points.points.tolist() == [[26833.53, 15424.94], [26807.1, 15451.72], [26843.88, 15449.94]]
    assert any(line.startswith("3 points") and "no part in tile labels" in line for line in points.describe())
