"""Contours: dialects, what counts as tumour, where outlines are drawn, and how much of a tile they cover."""

import json
import uuid

import numpy as np
import pytest
import shapely

from napari_asmil import read_annotations
from napari_asmil.annotations import Contour, Contours, write_geojson
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid

SQUARE = [[10, 20], [110, 20], [110, 120], [10, 120], [10, 20]]
HOLE = [[30, 40], [50, 40], [50, 60], [30, 60], [30, 40]]


def feature(geometry, **properties):
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


def polygon(*rings):
    return {"type": "Polygon", "coordinates": [*rings]}


@pytest.fixture
def geojson(tmp_path):
    def write(content):
        path = tmp_path / "a.geojson"
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def asap(tmp_path):
    def write(*annotations, head="", tail=""):
        body = "".join(
            f'<Annotation Name="a{i}" Type="{kind}" PartOfGroup="{group}"><Coordinates>'
            + "".join(f'<Coordinate Order="{k}" X="{x}" Y="{y}" />' for k, (x, y) in corners)
            + "</Coordinates></Annotation>"
            for i, (kind, group, corners) in enumerate(annotations)
        )
        path = tmp_path / "a.xml"
        path.write_text(f"{head}<ASAP_Annotations><Annotations>{body}</Annotations>{tail}</ASAP_Annotations>")
        return path

    return write


def ordered(ring):
    return list(enumerate(ring[:-1]))


def square(x, y, side, group):
    return Contour("", group, np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float))


# --- GeoJSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: [one],
        lambda one: {"type": "FeatureCollection", "features": [one]},
        lambda one: {
            "type": "FeatureCollection",
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}},
            "features": [one],
        },
    ],
)
def test_a_feature_a_list_and_a_collection_read_alike_and_a_crs_is_ignored(geojson, wrap):
    path = geojson(wrap(feature(polygon(SQUARE, HOLE), name="n", classification={"name": "Tumor", "color": [9, 9, 9]})))
    (contour,) = read_annotations(path).polygons
    assert (contour.name, contour.group) == ("n", "Tumor")
    np.testing.assert_array_equal(contour.exterior, SQUARE[:-1])
    np.testing.assert_array_equal(contour.holes[0], HOLE[:-1])
    assert contour.exterior.dtype == np.float64


@pytest.mark.parametrize(
    ("classification", "group"),
    [
        ("Tumor", "Tumor"),
        ({"name": "Tumor"}, "Tumor"),
        ({"names": ["Tumor", "Necrosis"]}, "Tumor: Necrosis"),
        (None, ""),
    ],
)
def test_a_classification_is_a_word_or_an_object(geojson, classification, group):
    path = geojson(feature(polygon(SQUARE), classification=classification))
    assert read_annotations(path).polygons[0].group == group


def test_multipolygons_and_collections_give_every_part_and_what_has_no_area_is_kept_apart(geojson):
    parts = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [HOLE]]}
    mixed = {"type": "GeometryCollection", "geometries": [polygon(HOLE), {"type": "Point", "coordinates": [1, 2]}]}
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    contours = read_annotations(geojson([feature(parts), feature(mixed), feature(line), feature(None)]))
    assert len(contours.polygons) == 3
    np.testing.assert_array_equal(contours.points, [[1, 2]])
    np.testing.assert_array_equal(contours.lines, [[[0, 0], [1, 1]]])
    said = "\n".join(contours.describe())
    assert "1 point and 1 line of (no group): without area, so they take no part in tile labels" in said
    assert "left out: 1 feature without geometry" in said


@pytest.mark.parametrize(
    "text",
    ['{"type": "Feature", "geometry": ', '{"type": "FeatureCollection"}', '[{"type": "Feature"}, 3]'],
)
def test_broken_geojson_is_refused_with_the_file_and_a_remedy(tmp_path, text):
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.geojson.*Export"):
        read_annotations(path)


def test_coordinates_that_are_no_finite_numbers_are_refused(geojson):
    with pytest.raises(InputError, match="finite"):
        read_annotations(geojson(feature(polygon([[0, 0], [1, float("nan")], [2, 2], [0, 0]]))))


def test_written_contours_read_back_equal_and_are_in_qupaths_dialect(tmp_path):
    contours = Contours(
        [
            Contour("one", "Tumor", np.array(SQUARE[:-1]) + 0.25, [np.array(HOLE[:-1], float)]),
            Contour("", "Stroma", np.array(HOLE[:-1], float)),
        ]
    )
    path = tmp_path / "out.geojson"
    write_geojson(path, contours)
    for old, new in zip(contours.polygons, read_annotations(path).polygons, strict=True):
        assert (old.name, old.group) == (new.name, new.group)
        np.testing.assert_array_equal(old.exterior, new.exterior)
        assert len(old.holes) == len(new.holes)
    content = json.loads(path.read_text())
    assert content["type"] == "FeatureCollection"
    ids = set()
    for one in content["features"]:
        ids.add(uuid.UUID(one["id"]))
        assert one["properties"]["objectType"] == "annotation"
        assert set(one["properties"]["classification"]) == {"name", "color"}
        assert all(ring[0] == ring[-1] for ring in one["geometry"]["coordinates"])
        assert shapely.from_geojson(json.dumps(one["geometry"])).is_valid
    assert len(ids) == 2


def test_a_failed_writing_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_geojson(tmp_path / "taken" / "out.geojson", Contours([]))
    write_geojson(tmp_path / "good.geojson", Contours([]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.geojson", "taken"]


# --- ASAP ---------------------------------------------------------------------------------------------------


def test_asap_corners_are_taken_in_their_order_with_name_and_group(asap):
    contours = read_annotations(asap(("Polygon", "_0", ordered(SQUARE)[::-1])))
    assert (contours.polygons[0].name, contours.polygons[0].group) == ("a0", "_0")
    np.testing.assert_array_equal(contours.polygons[0].exterior, SQUARE[:-1])


def test_asap_splines_count_as_polygons_and_dots_point_sets_and_measures_are_kept_apart(asap):
    drawn = [
        ("Spline", "Tumor", ordered(SQUARE)),
        ("Dot", "Tumor", ordered(HOLE)[:1]),
        ("PointSet", "nuclei", ordered(HOLE)[1:3]),
        ("Measurement", "None", ordered(HOLE)[:2]),
        ("Cube", "Tumor", ordered(HOLE)),
    ]
    contours = read_annotations(asap(*drawn))
    assert len(contours.polygons) == 1
    np.testing.assert_array_equal(contours.points, HOLE[:3])
    assert contours.point_groups == ["Tumor", "nuclei", "nuclei"]
    np.testing.assert_array_equal(contours.lines, [HOLE[:2]])
    said = "\n".join(contours.describe())
    assert "1 Spline read as the polygon of its points" in said
    assert "left out: 1 Cube" in said


def test_asap_groups_themselves_are_no_contours(asap):
    groups = (
        '<AnnotationGroups><Group Name="Tumor" PartOfGroup="None" Color="#000"><Attributes/></Group></AnnotationGroups>'
    )
    assert len(read_annotations(asap(("Polygon", "Tumor", ordered(SQUARE)), tail=groups)).polygons) == 1


def test_xml_with_entities_is_refused(asap):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa">]>'
    with pytest.raises(InputError, match=r"a\.xml.*not valid ASAP XML"):
        read_annotations(asap(("Polygon", "&a;", ordered(SQUARE)), head=bomb))


def test_a_coordinate_without_a_number_is_refused(asap):
    with pytest.raises(InputError, match="not valid"):
        read_annotations(asap(("Polygon", "_0", [(0, ("here", 1)), *ordered(SQUARE)])))


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such annotation file"):
        read_annotations(tmp_path / "none.xml")
    (tmp_path / "x.json").write_text('{"train": []}')
    with pytest.raises(InputError, match="no annotation file that can be read"):
        read_annotations(tmp_path / "x.json")


# --- what is tumour -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "area"),
    [
        (["Tumor", "Exclusion"], 100**2 - 50**2),
        (["_0", "_2"], 100**2 - 50**2),
        (["_0", "_1"], 100**2),
        (["metastases", "normal"], 100**2 - 50**2),
        (["Tumor", "None"], 100**2 - 50**2),
        (["Tumor", "Stroma"], 100**2),
        (["normal", "normal"], 0),
        (["", ""], 100**2),
        (["None", "None"], 100**2),
    ],
)
def test_tumour_is_the_tumour_groups_less_the_exclusions(groups, area):
    contours = Contours([square(0, 0, 100, groups[0]), square(0, 0, 50, groups[1])])
    assert contours.tumour().area == area


@pytest.mark.parametrize("group", ["", "None"])
def test_where_nothing_has_a_group_all_is_tumour_and_that_is_said(group):
    (said,) = (line for line in Contours([square(0, 0, 9, group)]).describe() if line.startswith("tumour"))
    assert said == "tumour: everything, as nothing that is drawn has a group"


def test_several_unknown_groups_are_not_guessed_at():
    contours = Contours([square(0, 0, 9, "A"), square(0, 0, 9, "B")])
    with pytest.raises(InputError, match=r"A, B.*Tumor"):
        contours.tumour()
    assert any("unknown" in line for line in contours.describe())


def test_holes_and_outlines_that_cross_themselves_keep_their_area():
    ring = Contour("", "Tumor", np.array(SQUARE[:-1], float), [np.array(HOLE[:-1], float)])
    bow = Contour("", "Tumor", np.array([[200, 0], [210, 10], [210, 0], [200, 10]], float))
    assert Contours([ring, bow]).tumour().area == pytest.approx(100**2 - 20**2 + 50)


def test_segments_close_every_ring_in_world_coordinates():
    contours = Contours([Contour("", "Tumor", np.array(SQUARE[:-1], float), [np.array(HOLE[:-1], float)])])
    segments = contours.segments()
    assert segments.shape == (8, 2, 2)
    np.testing.assert_array_equal(segments[0], [[19.5, 9.5], [0, 100]])
    ends = segments[:, 0] + segments[:, 1]
    for ring in (slice(0, 4), slice(4, 8)):
        np.testing.assert_array_equal(ends[ring], np.roll(segments[ring, 0], -1, axis=0))
    assert Contours([]).segments().shape == (0, 2, 2)


def test_a_contour_around_one_pixel_is_drawn_around_its_centre():
    segments = Contours([square(7, 3, 1, "Tumor")]).segments()
    np.testing.assert_array_equal(segments[:, 0].mean(axis=0), [3, 7])


def test_the_share_of_a_tile_inside_the_tumour_equals_counting_pixels():
    rng = np.random.default_rng(0)
    contours = Contours([square(40, 60, 130, "Tumor"), square(90, 30, 70, "Tumor"), square(120, 130, 37, "Exclusion")])
    painted = np.zeros((300, 300))
    painted[60:190, 40:170] = 1
    painted[30:100, 90:160] = 1
    painted[130:167, 120:157] = 0
    xy = rng.integers(0, 236, (200, 2))
    counted = [painted[y : y + 64, x : x + 64].mean() for x, y in xy]
    share = contours.tile_share(TileGrid(xy, 64))
    assert share.dtype == np.float64
    np.testing.assert_allclose(share, counted, atol=1e-12)
    assert {0.0, 1.0} < set(share)


def test_without_tumour_every_share_is_zero():
    grid = TileGrid([[0, 0], [64, 0]], 64)
    np.testing.assert_array_equal(Contours([]).tile_share(grid), [0, 0])
    np.testing.assert_array_equal(Contours([square(0, 0, 64, "normal")]).tile_share(grid), [0, 0])
