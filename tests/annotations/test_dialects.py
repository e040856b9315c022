"""Every dialect: one drawing, the same area and the same tile shares; and what each has of its own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

from napari_asmil import info, read_annotations
from napari_asmil.annotations import write_geojson
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.geometry import TileGrid
from tests.annotations.dialects import (
    DIALECTS,
    FRAME,
    HOLE,
    OUTLINE,
    SHAPE,
    asap_annotations,
    geojson_feature,
    write,
)

PLACED = [name for name in DIALECTS if name != "NDPA" and "mask" not in name]
"""Dialects that count in level-0 px themselves."""


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_area_that_was_drawn(tmp_path, name):
    contours = read_annotations(DIALECTS[name](tmp_path), FRAME)
    assert contours.tumour().area == pytest.approx(SHAPE.area)
    assert shapely.symmetric_difference(contours.tumour(), SHAPE).area < 1e-6
    x, y = np.meshgrid(np.arange(0, 4000, 250), np.arange(0, 3000, 250))
    grid = TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), 250)
    expected = [shapely.intersection(SHAPE, shapely.box(x, y, x + 250, y + 250)).area / 250**2 for x, y in grid.xy]
    np.testing.assert_allclose(contours.tile_share(grid), expected, atol=1e-9)
    assert any(line.startswith("tumour: ") for line in contours.describe())


@pytest.mark.parametrize("name", PLACED)
def test_what_counts_in_level_0_px_needs_no_slide_and_info_knows_it(tmp_path, name):
    path = DIALECTS[name](tmp_path)
    assert read_annotations(path).tumour().equals(read_annotations(path, FRAME).tumour())
    assert info.describe(path)[0] == "annotation file"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_told_by_its_content_alone(tmp_path, name):
    path = DIALECTS[name](tmp_path).rename(tmp_path / "drawing")
    assert read_annotations(path, FRAME).tumour().area == pytest.approx(SHAPE.area)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_can_be_written_for_qupath_and_read_back(tmp_path, name):
    contours = read_annotations(DIALECTS[name](tmp_path), FRAME)
    write_geojson(tmp_path / "out.geojson", contours)
    assert [c.exterior.tolist() for c in read_annotations(tmp_path / "out.geojson").polygons] == [
        c.exterior.tolist() for c in contours.polygons
    ]


# --- QuPath: kinds of objects, and the crop -----------------------------------------------------------------


def qupath_object(kind, outline=OUTLINE, legacy=None, **more):
    geometry = {"type": "Polygon", "coordinates": [[*outline, outline[0]]]}
    properties = {"classification": {"name": "Tumor"}, **more} | ({} if legacy else {"objectType": kind})
    return {"type": "Feature", **({"id": legacy} if legacy else {}), "geometry": geometry, "properties": properties}


def test_tiles_are_no_annotations_and_children_are_read(tmp_path):
    child = qupath_object("annotation", HOLE)
    content = [qupath_object("tile"), qupath_object("tmaCore"), qupath_object("annotation", childObjects=[child])]
    contours = read_annotations(write(tmp_path / "a.geojson", json.dumps(content)))
    assert [len(contour.exterior) for contour in contours.polygons] == [len(OUTLINE), len(HOLE)]
    assert {"left out: 1 tile", "left out: 1 TMA core"} <= set(contours.notes)


def test_cells_that_are_classed_tumour_are_no_tumour_region_and_are_counted(tmp_path):
    cells = [qupath_object("cell", HOLE), qupath_object("cell", HOLE), qupath_object("", HOLE, "PathCellObject")]
    nuclei = [qupath_object("detection", HOLE), qupath_object("", HOLE, "PathDetectionObject")]
    drawn = qupath_object("annotation", childObjects=[*cells, *nuclei])
    contours = read_annotations(write(tmp_path / "a.geojson", json.dumps([drawn])))
    assert contours.groups == {"Tumor": 1}
    assert contours.tumour().area == shapely.Polygon(OUTLINE).area
    assert contours.notes == ["left out: 3 cell", "left out: 2 detection"]


def test_lines_points_and_multiples_of_them_are_kept_with_their_group_and_written_back(tmp_path):
    geometries = [
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "MultiLineString", "coordinates": [[[0, 0], [5, 0], [5, 5]], [[9, 9], [8, 8]]]},
    ]
    content = [
        {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": "Nucleus"}}}
        for geometry in geometries
    ]
    contours = read_annotations(write(tmp_path / "a.geojson", json.dumps(content)))
    write_geojson(tmp_path / "b.geojson", contours)
    for one in (contours, read_annotations(tmp_path / "b.geojson")):
        assert one.points.tolist() == [[1, 2], [3, 4]]
        assert one.point_groups == ["Nucleus", "Nucleus"]
        assert [line.tolist() for line in one.lines] == [[[0, 0], [5, 0], [5, 5]], [[9, 9], [8, 8]]]
        assert one.tumour().is_empty


def test_points_are_drawn_as_crosses_and_lines_stay_open(tmp_path):
    content = [{"type": "Point", "coordinates": [100, 200]}, {"type": "LineString", "coordinates": [[0, 0], [5, 0]]}]
    contours = read_annotations(write(tmp_path / "a.geojson", json.dumps(content)))
    segments = contours.segments()
    assert segments.shape == (3, 2, 2)
    centres = segments[:, 0] + segments[:, 1] / 2
    np.testing.assert_array_equal(centres[:2], [[199.5, 99.5]] * 2)
    assert {tuple(np.sign(abs(delta))) for delta in segments[:2, 1]} == {(0, 1), (1, 0)}
    np.testing.assert_array_equal(segments[2], [[-0.5, -0.5], [0, 5]])
    assert set(contours.segment_roles()) == {"ignore"}


CROPPED = replace(FRAME, bounds=(300, 500))


def test_what_counts_from_the_scanned_area_is_said_and_never_guessed(tmp_path):
    path = DIALECTS["QuPath Feature"](tmp_path)
    contours = read_annotations(path, CROPPED)
    assert contours.tumour().equals(SHAPE)
    (said,) = [note for note in contours.notes if "scanned area" in note]
    assert "x = 300, y = 500" in said
    assert "--no-crop" in said
    assert "reach out" not in said
    outside = read_annotations(path, replace(FRAME, bounds=(500, 500)))
    assert any("1 of 1 contours reach out of that area" in note for note in outside.notes)


def test_contours_of_a_cropped_slide_move_by_the_scanned_areas_corner_and_back(tmp_path):
    path = DIALECTS["QuPath Feature"](tmp_path)
    moved = read_annotations(path, CROPPED, cropped=True)
    assert moved.tumour().equals(shapely.affinity.translate(SHAPE, 300, 500))
    assert any("counted from x = 300, y = 500" in line for line in moved.describe())
    assert moved.counted_from((0, 0)).tumour().equals(SHAPE)
    write_geojson(tmp_path / "b.geojson", moved)
    assert read_annotations(tmp_path / "b.geojson").tumour().equals(SHAPE)
    with pytest.raises(InputError, match="nothing was cropped off"):
        read_annotations(path, FRAME, cropped=True)


def test_other_dialects_count_from_the_corner_of_the_slide(tmp_path):
    assert not any("scanned area" in note for note in read_annotations(DIALECTS["ASAP"](tmp_path), CROPPED).notes)


# --- ASAP ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("TUMOR", "exclusion"), ("metastases", "normal"), (" Tumour", "None"), ("_1", "_2")])
def test_camelyon_groups_are_known_in_all_spellings(tmp_path, pair):
    path = write(tmp_path / "a.xml", f"<ASAP_Annotations>{asap_annotations(*pair)}</ASAP_Annotations>")
    assert read_annotations(path).tumour().equals(SHAPE)


@pytest.mark.parametrize("corners", [[(10, 20), (40, 60)], [(10, 20), (40, 20), (40, 60), (10, 60)]])
def test_a_rectangle_has_two_corners_or_four(tmp_path, corners):
    places = "".join(f'<Coordinate Order="{i}" X="{x},5" Y="{y},5" />' for i, (x, y) in enumerate(corners))
    drawn = f'<Annotation Type="Rectangle" PartOfGroup="Tumor"><Coordinates>{places}</Coordinates></Annotation>'
    path = write(tmp_path / "a.xml", f"<ASAP_Annotations><Annotations>{drawn}</Annotations></ASAP_Annotations>")
    assert read_annotations(path).tumour().bounds == (10.5, 20.5, 40.5, 60.5)


def test_groups_that_are_part_of_each_other_end_nowhere(tmp_path):
    groups = '<Group Name="a" PartOfGroup="b" /><Group Name="b" PartOfGroup="a" />'
    body = f"{asap_annotations('a', 'b')}<AnnotationGroups>{groups}</AnnotationGroups>"
    contours = read_annotations(write(tmp_path / "a.xml", f"<ASAP_Annotations>{body}</ASAP_Annotations>"))
    with pytest.raises(InputError, match="a, b"):
        contours.tumour()


# --- Aperio -------------------------------------------------------------------------------------------------


def aperio(folder, regions, layers="Tumor", mpp=0.5):
    body = "".join(
        f'<Region Type="{kind}" NegativeROA="{negative}" Text="n"><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" />' for x, y in corners)
        + "</Vertices></Region>"
        for kind, negative, corners in regions
    )
    layer = f'<Annotation Id="7" Name="{layers}"><Regions>{body}</Regions></Annotation>'
    return write(folder / "a.xml", f'<Annotations MicronsPerPixel="{mpp}">{layer}</Annotations>')


def test_an_aperio_ellipse_has_the_area_of_the_ellipse_in_its_box(tmp_path):
    contours = read_annotations(aperio(tmp_path, [(2, 0, [(100, 100), (300, 200)])]))
    assert contours.tumour().area == pytest.approx(np.pi * 100 * 50)
    assert contours.tumour().centroid.coords[0] == pytest.approx((200, 150))


def test_aperio_rulers_and_arrows_are_lines_and_a_box_has_two_corners(tmp_path):
    path = aperio(tmp_path, [(1, 0, [(10, 10), (30, 20)]), (4, 0, [(0, 0), (9, 9)]), (5, 0, [(3, 3)])])
    contours = read_annotations(path)
    assert contours.tumour().bounds == (10, 10, 30, 20)
    assert [line.tolist() for line in contours.lines] == [[[0, 0], [9, 9]]]
    assert contours.points.tolist() == [[3, 3]]


def test_a_negative_region_cuts_its_own_layer_only_and_that_is_said(tmp_path):
    path = aperio(tmp_path, [(0, 0, OUTLINE), (0, 1, [(300, 500), (500, 500), (500, 2000), (300, 2000)])])
    text = path.read_text().replace("</Annotations>", "")
    other = (
        text[text.index("<Annotation Id") :].replace("Tumor", "lesion").replace('NegativeROA="1"', 'NegativeROA="0"')
    )
    contours = read_annotations(write(path, f"{text}{other}</Annotations>"))
    assert "1 negative region cut out of the other regions of the same layer" in contours.notes
    assert contours.groups == {"Tumor": 1, "lesion": 2}
    assert contours.polygons[0].exterior[:, 0].min() == 500
    assert contours.tumour().bounds[0] == 300


def test_a_layer_without_name_is_called_by_its_attribute_or_number(tmp_path):
    path = aperio(tmp_path, [(0, 0, OUTLINE)], layers="")
    assert list(read_annotations(path).groups) == ["layer 7"]
    named = path.read_text().replace("<Regions>", '<Attributes><Attribute Value="Stroma" /></Attributes><Regions>')
    assert list(read_annotations(write(path, named)).groups) == ["Stroma"]


def test_an_aperio_file_of_another_pixel_size_is_doubted(tmp_path):
    path = aperio(tmp_path, [(0, 0, OUTLINE)], mpp=0.25)
    assert any("0.25" in note and "another slide or level" in note for note in read_annotations(path, FRAME).notes)
    assert read_annotations(aperio(tmp_path, [(0, 0, OUTLINE)], mpp=0.501), FRAME).notes == []


# --- NDPA ---------------------------------------------------------------------------------------------------


def view(drawn, title="Tumor", unit="nanometers"):
    head = f"<title>{title}</title><coordformat>{unit}</coordformat>"
    return f"<annotations><ndpviewstate>{head}{drawn}</ndpviewstate></annotations>"


def test_a_circle_a_pin_and_a_ruler_of_ndpview_lie_where_nanometres_say(tmp_path):
    drawn = (
        '<annotation type="circle"><x>1500000</x><y>-400000</y><radius>50000</radius></annotation>'
        '<annotation type="pin"><x>1500500</x><y>-399000</y></annotation>'
        '<annotation type="linearmeasure"><x1>1500000</x1><y1>-400000</y1><x2>1499500</x2><y2>-400500</y2></annotation>'
    )
    contours = read_annotations(write(tmp_path / "a.ndpa", view(drawn)), FRAME)
    assert contours.tumour().area == pytest.approx(np.pi * 100**2)
    assert contours.tumour().centroid.coords[0] == pytest.approx((2000, 1500))
    assert contours.points.tolist() == [[2001, 1502]]
    assert [line.tolist() for line in contours.lines] == [[[2000, 1500], [1999, 1499]]]


def test_an_open_line_of_ndpview_has_no_area_and_a_view_without_title_is_its_colour(tmp_path):
    points = "".join(f"<point><x>{x}</x><y>0</y></point>" for x in (0, 500, 900, 100))
    drawn = (
        f'<annotation type="freehand" color="#00ff00"><closed>0</closed><pointlist>{points}</pointlist></annotation>'
    )
    contours = read_annotations(write(tmp_path / "a.ndpa", view(drawn, title="")), FRAME)
    assert contours.polygons == []
    assert [(mark.group, mark.line, len(mark.xy)) for mark in contours.marks] == [("#00ff00", True, 4)]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (None, "the slide is needed to place them"),
        (Frame((10, 10), centre_nm=(0, 0)), "the slide does not say its pixel size"),
        (Frame((10, 10), mpp=0.5), "the slide does not say where the middle of the glass is"),
    ],
)
def test_nanometres_are_not_placed_by_guessing(tmp_path, frame, said):
    with pytest.raises(InputError, match=f"{said}.*GeoJSON"):
        read_annotations(DIALECTS["NDPA"](tmp_path), frame)


def test_ndpview_without_annotations_is_no_fault_and_other_units_are(tmp_path):
    assert read_annotations(write(tmp_path / "a.ndpa", "<annotations></annotations>")).polygons == []
    path = write(tmp_path / "b.ndpa", view("<annotation/>", unit="pixels"))
    with pytest.raises(InputError, match="'pixels', not nanometers"):
        read_annotations(path, FRAME)


# --- NCRF ---------------------------------------------------------------------------------------------------


def test_an_ncrf_file_needs_both_lists(tmp_path):
    path = write(tmp_path / "a.json", json.dumps({"positive": [{"name": "", "vertices": HOLE}]}))
    with pytest.raises(InputError, match=r"not valid NCRF JSON.*negative"):
        read_annotations(path)
    assert read_annotations(write(path, '{"positive": [], "negative": []}')).tumour().is_empty


# --- what each dialect could get wrong without its area changing ---------------------------------------------


def test_a_box_of_two_corners_does_not_cross_itself(tmp_path):
    (drawn,) = read_annotations(aperio(tmp_path, [(1, 0, [(10, 10), (30, 20)])])).polygons
    assert shapely.Polygon(drawn.exterior).is_valid
    assert shapely.Polygon(drawn.exterior).area == 20 * 10


def test_an_aperio_ellipse_may_have_four_corners(tmp_path):
    box = [(100, 100), (300, 100), (300, 200), (100, 200)]
    contours = read_annotations(aperio(tmp_path, [(2, 0, box)]))
    assert contours.tumour().area == pytest.approx(np.pi * 100 * 50)


def test_points_and_lines_of_a_cropped_slide_move_with_the_contours(tmp_path):
    content = [{"type": "Point", "coordinates": [1, 2]}, {"type": "LineString", "coordinates": [[0, 0], [5, 0]]}]
    path = write(tmp_path / "a.geojson", json.dumps(content))
    moved = read_annotations(path, CROPPED, cropped=True)
    assert moved.points.tolist() == [[301, 502]]
    assert moved.lines[0].tolist() == [[300, 500], [305, 500]]
    assert moved.counted_from((10, 10)).points.tolist() == [[11, 12]]


def test_a_group_that_is_part_of_none_is_not_what_none_is(tmp_path):
    groups = '<Group Name="macro" PartOfGroup="None" /><Group Name="fold" PartOfGroup="None" />'
    body = f"{asap_annotations('macro', 'fold')}<AnnotationGroups>{groups}</AnnotationGroups>"
    contours = read_annotations(write(tmp_path / "a.xml", f"<ASAP_Annotations>{body}</ASAP_Annotations>"))
    assert contours.roles == {"macro": "undecided", "fold": "undecided"}


def test_of_a_class_with_a_name_and_names_the_name_counts(tmp_path):
    one = geojson_feature()
    one["properties"]["classification"] = {"name": "Tumor", "names": ["Stroma", "Immune cells"]}
    assert list(read_annotations(write(tmp_path / "a.geojson", json.dumps(one))).groups) == ["Tumor"]
