"""The same drawing in every dialect, each written from the description of its format.

A tumour in the form of an L with a square hole, on a slide of 4000 x 3000 px. Corners lie on multiples of 20 px, so
that a mask 20 times smaller draws them exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import tifffile
from PIL import Image, ImageDraw

from napari_asmil.frame import Frame

FRAME = Frame((4000, 3000), mpp=0.5, centre_nm=(1_500_000.0, -400_000.0))
"""The slide."""
OUTLINE = [(400, 600), (1400, 600), (1400, 1000), (1200, 1000), (1200, 1800), (400, 1800)]
HOLE = [(600, 800), (1000, 800), (1000, 1200), (600, 1200)]
SHAPE = shapely.Polygon(OUTLINE, [HOLE])
"""What every file describes, in level-0 px."""
FACTOR = 20
"""How much smaller a mask is than the slide."""

Corners = Sequence[tuple[float, float]]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


# --- QuPath -------------------------------------------------------------------------------------------------


def geojson_geometry() -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in (OUTLINE, HOLE)]}


def geojson_feature() -> dict[str, Any]:
    properties = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    return {"type": "Feature", "id": "b3", "geometry": geojson_geometry(), "properties": properties}


def geojson(content: Callable[[], Any], *, encoding: str = "utf-8") -> Callable[[Path], Path]:
    return lambda folder: write(folder / "a.geojson", json.dumps(content()), encoding)


def geojson_derived() -> dict[str, Any]:
    """As QuPath 0.2 wrote it: a legacy id and kind of object, a class derived from another."""
    properties = {"object_type": "annotation", "classification": {"names": ["Tumor", "Invasive"], "colorRGB": -3140401}}
    return {"type": "Feature", "id": "PathAnnotationObject", "geometry": geojson_geometry(), "properties": properties}


# --- XML ----------------------------------------------------------------------------------------------------


def asap_annotations(tumour: str = "Tumor", exclusion: str = "Exclusion") -> str:
    def one(group: str, corners: Corners) -> str:
        places = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(corners))
        return (
            f'<Annotation Name="a" Type="Polygon" PartOfGroup="{group}" Color="#F4FA58">'
            f"<Coordinates>{places}</Coordinates></Annotation>"
        )

    return f"<Annotations>{one(tumour, OUTLINE)}{one(exclusion, HOLE)}</Annotations>"


ASAP_GROUPS = (
    '<AnnotationGroups><Group Name="Tumor" PartOfGroup="None" Color="#f00"><Attributes /></Group></AnnotationGroups>'
)


def asap(folder: Path) -> Path:
    body = f"<ASAP_Annotations>{asap_annotations()}{ASAP_GROUPS}</ASAP_Annotations>"
    return write(folder / "a.xml", f'<?xml version="1.0"?>{body}')


def asap_utf16(folder: Path) -> Path:
    body = f"<ASAP_Annotations>{asap_annotations('_0', '_2')}</ASAP_Annotations>"
    return write(folder / "a.xml", f'<?xml version="1.0" encoding="utf-16"?>{body}', "utf-16")


def asap_without_root(folder: Path) -> Path:
    return write(folder / "a.xml", f'<?xml version="1.0"?>\n{asap_annotations()}{ASAP_GROUPS}')


def asap_of_subgroups(folder: Path) -> Path:
    groups = "".join(
        f'<Group Name="{name}" PartOfGroup="{above}" Color="#f00"><Attributes /></Group>'
        for name, above in (("Tumor", "None"), ("macro", "nodes"), ("nodes", "Tumor"), ("fold", "Exclusion"))
    )
    body = f"{asap_annotations('macro', 'fold')}<AnnotationGroups>{groups}</AnnotationGroups>"
    return write(folder / "a.xml", f"<ASAP_Annotations>{body}</ASAP_Annotations>")


def regions(region: str, vertex: str) -> str:
    def one(corners: Corners, negative: int) -> str:
        places = "".join(vertex.format(x=x, y=y) for x, y in corners)
        return region.format(negative=negative, vertices=f"<Vertices>{places}</Vertices>")

    return f"<Regions><RegionAttributeHeaders />{one(OUTLINE, 0)}{one(HOLE, 1)}</Regions>"


def aperio(folder: Path) -> Path:
    region = '<Region Id="1" Type="0" Zoom="0.1" Text="" NegativeROA="{negative}"><Attributes />{vertices}</Region>'
    body = regions(region, '<Vertex X="{x}" Y="{y}" Z="0" />')
    layer = f'<Annotation Id="1" Name="Tumor" Type="4">{body}</Annotation>'
    return write(folder / "a.xml", f'<Annotations MicronsPerPixel="0.5">{layer}</Annotations>')


def halo(folder: Path) -> Path:
    region = '<Region Type="Polygon" HasEndcaps="0" NegativeROA="{negative}">{vertices}<Comments /></Region>'
    body = regions(region, '<V X="{x}" Y="{y}" />')
    layer = f'<Annotation LineColor="65535" Name="Tumor">{body}</Annotation>'
    return write(folder / "a.annotations", f"<Annotations>{layer}</Annotations>")


def ndpa(folder: Path) -> Path:
    assert FRAME.mpp is not None
    assert FRAME.centre_nm is not None

    def nm(at: float, axis: int) -> int:
        return round((at - FRAME.size[axis] / 2) * 1000 * FRAME.mpp + FRAME.centre_nm[axis])

    def view(title: str, corners: Corners) -> str:
        places = "".join(f"<point><x>{nm(x, 0)}</x><y>{nm(y, 1)}</y></point>" for x, y in corners)
        drawn = (
            '<annotation type="freehand" displayname="AnnotateFreehand" color="#c80000"><measuretype>0</measuretype>'
            f"<closed>1</closed><pointlist>{places}</pointlist></annotation>"
        )
        return (
            f'<ndpviewstate id="1"><title>{title}</title><coordformat>nanometers</coordformat>'
            f"<x>0</x><y>0</y>{drawn}</ndpviewstate>"
        )

    body = f"<annotations>{view('Tumor', OUTLINE)}{view('Exclusion', HOLE)}</annotations>"
    return write(folder / "a.ndpi.ndpa", f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n{body}')


# --- JSON and masks -----------------------------------------------------------------------------------------


def ncrf(folder: Path) -> Path:
    content = {
        group: [{"name": "Annotation 0", "vertices": [list(corner) for corner in corners]}]
        for group, corners in (("positive", OUTLINE), ("negative", HOLE))
    }
    return write(folder / "a.json", json.dumps(content, indent=1))


def painted(value: int) -> np.ndarray:
    """Rows and columns of the mask; a pixel is painted where its centre lies inside."""
    width, height = FRAME.size
    fine = Image.new("L", (width, height))
    pen = ImageDraw.Draw(fine)
    for ring, ink in ((OUTLINE, value), (HOLE, 0)):
        pen.polygon(ring, fill=ink)
    return np.asarray(fine)[FACTOR // 2 :: FACTOR, FACTOR // 2 :: FACTOR]


def mask_png(folder: Path) -> Path:
    Image.fromarray(painted(255)).save(folder / "mask.png")
    return folder / "mask.png"


def mask_one_bit(folder: Path) -> Path:
    Image.fromarray(painted(1) > 0).save(folder / "mask.png")
    return folder / "mask.png"


def mask_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "mask.tif", painted(1), tile=(64, 64), compression="zlib")
    return folder / "mask.tif"


def mask_of_values(folder: Path) -> Path:
    values = painted(1).astype(np.uint16)
    values[:, values.shape[1] // 5 :] *= 2
    tifffile.imwrite(folder / "mask.tif", values)
    return folder / "mask.tif"


DIALECTS: dict[str, Callable[[Path], Path]] = {
    "QuPath Feature": geojson(geojson_feature),
    "QuPath list": geojson(lambda: [geojson_feature()]),
    "QuPath FeatureCollection": geojson(lambda: {"type": "FeatureCollection", "features": [geojson_feature()]}),
    "QuPath bare geometry": geojson(geojson_geometry),
    "QuPath GeometryCollection": geojson(lambda: {"type": "GeometryCollection", "geometries": [geojson_geometry()]}),
    "QuPath 0.2 derived class": geojson(geojson_derived),
    "QuPath UTF-8 with BOM": geojson(geojson_feature, encoding="utf-8-sig"),
    "QuPath UTF-16": geojson(geojson_feature, encoding="utf-16"),
    "ASAP": asap,
    "ASAP UTF-16": asap_utf16,
    "ASAP without root": asap_without_root,
    "ASAP subgroups": asap_of_subgroups,
    "Aperio": aperio,
    "HALO": halo,
    "NDPA": ndpa,
    "NCRF": ncrf,
    "mask PNG 255": mask_png,
    "mask PNG one bit": mask_one_bit,
    "mask TIFF 1": mask_tiff,
    "mask of two values": mask_of_values,
}
"""Each writes the drawing into a folder and returns the file; all but masks and NDPA are read without a frame."""
