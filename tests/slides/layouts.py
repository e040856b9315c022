"""Writers of slide files, from the descriptions of their formats (openslide.org/formats, the OME specifications)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

TILED = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate", "metadata": None}
STRIPS = {"photometric": "rgb", "metadata": None}
APERIO = "Aperio Image Library v11.2.1\r\n600x400 (128x128) |AppMag = 20|MPP = 0.4990|Left = 1"


def aperio(path: Path, area: NDArray[np.uint8]) -> Path:
    """An SVS of two levels, 1 and 4, with the mpp in the description only."""
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(area, description=APERIO, **options)
        writer.write(area[::8, ::8], description=APERIO, photometric="rgb", metadata=None)
        writer.write(area[::4, ::4], description=APERIO, **options)
    return path


def ome(path: Path, area: NDArray[np.uint8]) -> Path:
    """An OME-TIFF of three levels in SubIFDs, 250 nm per px."""
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(area, subifds=2, metadata={"axes": "YXS", **sizes}, **options)
        writer.write(area[::2, ::2], subfiletype=1, **options)
        writer.write(area[::4, ::4], subfiletype=1, **options)
    return path


def leica(path: Path, area: NDArray[np.uint8], second: NDArray[np.uint8] | None = None) -> Path:
    """A collection of an overview and one or two scanned areas, each of two levels, 0.25 µm per px."""
    images, pages = [("macro", area[:50, :60], 4000.0), ("main", area, 250.0)], []
    images += [] if second is None else [("other", second, 250.0)]
    text = '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="c">'
    for name, picture, nm in images:
        high, wide = picture.shape[:2]
        text += f'<image name="{name}"><pixels sizeX="{wide}" sizeY="{high}">'
        for r, step in enumerate((1, 4)):
            level = picture[::step, ::step]
            text += f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{r}" ifd="{len(pages)}"/>'
            pages.append(level)
        text += f'</pixels><view sizeX="{wide * nm:.0f}" sizeY="{high * nm:.0f}" offsetX="0" offsetY="0"/></image>'
    text += "</collection></scn>"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for index, page in enumerate(pages):
            writer.write(page, description=text if index == 0 else None, **TILED)
    return path


def philips(path: Path, area: NDArray[np.uint8]) -> Path:
    """Two levels of which the XML gives the spacing in millimetres, each in quotes, and a label."""
    spacings = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING">'
        f"&quot;{0.00025 * step}&quot; &quot;{0.00025 * step}&quot;</Attribute></DataObject>"
        for step in (1, 2)
    )
    text = f'<?xml version="1.0"?><DataObject ObjectType="DPUfsImport"><Array>{spacings}</Array></DataObject>'
    with tifffile.TiffWriter(path) as writer:
        writer.write(area, description=text, software="Philips DP v1.0", **TILED)
        writer.write(area[::2, ::2], subfiletype=1, **TILED)
        writer.write(area[:40, :50], description="Label", **STRIPS)
    return path


def ventana(path: Path, area: NDArray[np.uint8]) -> Path:
    """A label, then two levels; the scale is an attribute in the XMP tag."""
    xmp = b'<Metadata><iScan Magnification="40" ScanRes="0.2500"></iScan></Metadata>'
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        tag = (700, 1, len(xmp), xmp, True)
        writer.write(
            area[:40, :50], description="Label Image", software="ScanOutputManager 1.1", extratags=[tag], **STRIPS
        )
        writer.write(area, description="level=0 mag=40 quality=95", extratags=[tag], **TILED)
        writer.write(area[::2, ::2], description="level=1 mag=20 quality=95", **TILED)
    return path


def pyramid(path: Path, area: NDArray[np.uint8]) -> Path:
    """A generic TIFF of three levels, one page each."""
    with tifffile.TiffWriter(path) as writer:
        for index in range(3):
            writer.write(area[:: 2**index, :: 2**index], subfiletype=int(index > 0), **TILED)
    return path


def ome_zarr(path: Path, area: NDArray[np.uint8], version: str) -> Path:
    """Two levels of channels, in zarr 2 (version 0.4) or zarr 3 (0.5), half a µm per px."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for level, step in enumerate((1, 2)):
        pixels = np.moveaxis(area[::step, ::step], 2, 0)
        array = group.create_array(str(level), shape=pixels.shape, chunks=(1, 64, 64), dtype=pixels.dtype)
        array[:] = pixels
        scale = {"type": "scale", "scale": [1, 0.5 * step, 0.5 * step]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    about: dict[str, Any] = {"axes": [{"name": "c", "type": "channel"}, *space], "datasets": datasets}
    if version == "0.4":
        group.attrs["multiscales"] = [{**about, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [about]}
    return path


def picture(path: Path, area: NDArray[np.uint8]) -> Path:
    """A plain picture of the format that its ending names."""
    Image.fromarray(area).save(path)
    return path


Write = Callable[[Path, NDArray[np.uint8]], Path]


def _named(name: str, write: Write) -> Callable[[Path], Path]:
    def into(folder: Path) -> Path:
        area = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
        return write(folder / name, area)

    return into


SLIDES: dict[str, Callable[[Path], Path]] = {
    "Aperio SVS": _named("slide.svs", aperio),
    "Leica SCN": _named("slide.scn", leica),
    "Philips TIFF": _named("slide.tiff", philips),
    "Ventana BIF": _named("slide.bif", ventana),
    "OME-TIFF": _named("slide.ome.tif", ome),
    "pyramidal TIFF": _named("slide.tif", pyramid),
    "OME-Zarr 0.4": _named("slide.zarr", partial(ome_zarr, version="0.4")),
    "OME-Zarr 0.5": _named("slide.zarr", partial(ome_zarr, version="0.5")),
    **{kind: _named(f"slide.{kind.lower()}", picture) for kind in ("PNG", "JPEG", "WebP", "BMP")},
}
"""By the name of the format; each writes a picture of 600 x 400 px into a folder."""
