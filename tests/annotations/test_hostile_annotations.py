"""Files that are broken, or made to break a reader: one sentence each, soon, and little memory."""

import json
import time

import numpy as np
import pytest
import shapely

from napari_asmil import read_annotations
from napari_asmil.annotations import asap, reading
from napari_asmil.annotations.roles import role_of_name
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from tests.annotations.dialects import DIALECTS, FRAME, OUTLINE, write

XML = ["ASAP", "ASAP without root", "Aperio", "HALO", "NDPA"]
TEXT = [name for name in DIALECTS if "mask" not in name and "UTF-16" not in name]


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_annotations(path, FRAME)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said


def polygon(*corners):
    return {"type": "Polygon", "coordinates": [list(corners)]}


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize("bomb", ['<!ENTITY a "aaaa">', '<!ENTITY a SYSTEM "file:///etc/passwd">'])
def test_entities_are_refused_in_every_xml(tmp_path, name, bomb):
    path = DIALECTS[name](tmp_path)
    text = path.read_text()
    head, body = text.split("?>", 1) if text.startswith("<?xml") else ("<?xml version='1.0'", text)
    assert "not valid" in refusal(write(path, f"{head}?><!DOCTYPE x [{bomb}]>{body.replace('Tumor', '&a;')}"))


@pytest.mark.parametrize("name", TEXT)
def test_a_file_that_breaks_off_is_refused(tmp_path, name):
    path = DIALECTS[name](tmp_path)
    whole = path.read_bytes()
    for share in (0.55, 0.8, 0.97):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "not valid" in refusal(path)


@pytest.mark.parametrize("depth", [2000, 200_000])
def test_json_that_is_nested_without_end_is_refused(tmp_path, depth):
    path = write(tmp_path / "a.json", '{"type": "Polygon", "coordinates": ' + "[" * depth)
    assert "nested too deeply" in refusal(path)
    nested = '{"type": "GeometryCollection", "geometries": [' * depth
    assert "nested too deeply" in refusal(write(path, nested))


def test_xml_that_is_nested_without_end_is_read_or_refused(tmp_path):
    depth = 100_000
    deep = "<x>" * depth + "</x>" * depth
    path = write(tmp_path / "a.xml", f"<ASAP_Annotations>{deep}</ASAP_Annotations>")
    assert read_annotations(path).polygons == []


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e400", "1" + "0" * 400, "1e300", "2e9", '"x"', "null", "[1]", "{}"]
)
def test_a_coordinate_is_a_number_that_a_slide_can_have(tmp_path, value):
    text = json.dumps(polygon(*OUTLINE)).replace("1400", value, 1)
    assert "not valid GeoJSON" in refusal(write(tmp_path / "a.json", text))


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "", "0x10"])
def test_a_coordinate_in_xml_is_a_number_that_a_slide_can_have(tmp_path, name, value):
    path = DIALECTS[name](tmp_path)
    text = path.read_text()
    first = text.index('X="') + 3 if 'X="' in text else text.index("<point><x>") + 10
    last = min(at for at in (text.find('"', first), text.find("<", first)) if at > 0)
    assert "not valid" in refusal(write(path, text[:first] + value + text[last:]))


@pytest.mark.parametrize(
    "content",
    [
        {"type": "Feature", "geometry": []},
        {"type": "Feature", "geometry": {"type": "Polygon"}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": 3}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [["12", "34", "56"]]}},
        {"type": "Feature", "properties": [], "geometry": {"type": ["Polygon"], "coordinates": [["ab"]]}, "id": 3},
        {"type": "FeatureCollection", "features": 3},
        {"type": "FeatureCollection", "features": [None]},
    ],
)
def test_json_of_another_form_is_refused_or_names_what_it_left_out(tmp_path, content):
    path = write(tmp_path / "a.json", json.dumps(content))
    try:
        contours = read_annotations(path)
    except InputError as error:
        assert "not valid GeoJSON" in str(error)
    else:
        assert contours.polygons == []
        assert contours.notes


def test_rings_of_too_few_corners_are_named_and_left_out(tmp_path):
    path = write(tmp_path / "a.json", json.dumps([{"type": "Polygon", "coordinates": []}, polygon(), polygon([1, 2])]))
    contours = read_annotations(path)
    assert contours.polygons == []
    assert contours.notes == ["left out: 3 Polygon of fewer than 3 corners"]


def test_a_file_too_large_to_parse_is_refused_before_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    for name in TEXT:
        assert "is read up to 0 MB" in refusal(DIALECTS[name](tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"<", b"{", b"[", b"\xff\xfe", b"\x00" * 100, b"<?xml version='1.0'?>", b"[]3"]
)
def test_a_file_of_next_to_nothing_is_refused(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert refusal(path)


def test_a_million_corners_are_read_and_laid_on_tiles_in_seconds(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 10**6, endpoint=False)
    radius = 30_000 * (1 + 0.05 * np.sin(400 * angle))
    corners = 40_000 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    path = write(tmp_path / "a.json", json.dumps(polygon(*corners.round(2).tolist())))
    x, y = np.meshgrid(np.arange(0, 80_000, 1000), np.arange(0, 80_000, 1000))
    begun = time.perf_counter()
    contours = read_annotations(path)
    share = contours.tile_share(TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), 1000))
    took = time.perf_counter() - begun
    assert share.sum() * 1000**2 == pytest.approx(shapely.Polygon(corners.round(2)).area)
    assert took < 60, f"{took:.0f} s"


# --- as many of one thing as there may be: each in seconds ---------------------------------------------------


def seconds(work):
    """Process time of a piece of work, which other work on the machine does not lengthen."""
    begun = time.process_time()
    return work(), time.process_time() - begun


def test_very_many_groups_and_kinds_of_things_left_out_take_seconds(tmp_path):
    square = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    drawn = [
        {"geometry": {"type": "Polygon", "coordinates": [square]}, "properties": {"classification": f"g{k}"}}
        for k in range(20_000)
    ]
    left = [{"type": f"kind {k}"} for k in range(20_000)]
    content = [{"type": "Feature", **one} for one in drawn] + left
    path = write(tmp_path / "a.geojson", json.dumps(content))
    contours, took = seconds(lambda: read_annotations(path))
    assert len(contours.notes) == 20_000
    roles, more = seconds(lambda: contours.with_roles(dict.fromkeys(contours.groups, "ignore")))
    said, most = seconds(roles.describe)
    assert len(roles.groups) == 20_000
    assert said
    assert took + more + most < 10


def test_of_a_long_chain_of_asap_groups_each_is_asked_for_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(asap, "role_of_name", lambda name: asked.append(name) or role_of_name(name))
    chain = "".join(f'<Group Name="g{k}" PartOfGroup="g{k + 1}" />' for k in range(5000))
    drawn = "".join(
        f'<Annotation Type="Polygon" PartOfGroup="{group}"><Coordinates>'
        + "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(OUTLINE))
        + "</Coordinates></Annotation>"
        for group in ("g0", "g2500")
    )
    body = f'{drawn}{chain}<Group Name="g5000" PartOfGroup="Tumor" />'
    path = write(tmp_path / "a.xml", f"<ASAP_Annotations>{body}</ASAP_Annotations>")
    assert read_annotations(path).roles == {"g0": "tumour", "g2500": "tumour"}
    assert len(asked) < 3 * 5000


def test_of_many_negative_regions_only_those_that_touch_a_region_are_cut_out_of_it(tmp_path, monkeypatch):
    def difference(whole, cut):
        corners.append(shapely.get_num_coordinates(cut))
        return less(whole, cut)

    corners, less = [], shapely.difference
    monkeypatch.setattr(shapely, "difference", difference)

    def region(x, y, edge, negative):
        corners = [(x, y), (x + edge, y), (x + edge, y + edge), (x, y + edge)]
        places = "".join(f'<Vertex X="{x}" Y="{y}" />' for x, y in corners)
        return f'<Region Type="0" NegativeROA="{negative}"><Vertices>{places}</Vertices></Region>'

    spots = [(100 * (k % 60), 100 * (k // 60)) for k in range(900)]
    body = "".join(region(x, y, 80, 0) + region(x + 20, y + 20, 40, 1) for x, y in spots)
    layer = f'<Annotation Name="Tumor"><Regions>{body}</Regions></Annotation>'
    path = write(tmp_path / "a.xml", f"<Annotations>{layer}</Annotations>")
    contours = read_annotations(path)
    assert sum(shapely.Polygon(c.exterior, c.holes).area for c in contours.polygons) == 900 * (80**2 - 40**2)
    assert corners == [5] * 900
