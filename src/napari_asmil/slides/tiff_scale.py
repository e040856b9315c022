"""What a TIFF file says of its scale: OME-XML, Aperio, Leica, Philips, Ventana, Hamamatsu, resolution tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from napari_asmil.slides import resolution

NDPI_LENS, NDPI_X, NDPI_Y = 65421, 65422, 65423
"""Hamamatsu's tags: magnification, and the image's middle from the glass's middle in nm."""

XMP = 700


@dataclass(frozen=True)
class Said:
    """What the metadata says of level 0: its mpp, and how many bits of a sample are used, where it does."""

    mpp: resolution.Claim
    bits: int | None


def read(tiff: Any, page: Any) -> Said:
    """What is said of that page of an open tifffile file, from what can be believed first."""
    try:
        pixels = _ome_pixels(tiff, page)
        bits = (pixels or {}).get("SignificantBits", "")
        claim = resolution.first_believed(_claims(tiff, page, pixels))
        return Said(claim, int(bits) if bits.isdecimal() else None)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, ArithmeticError) as error:
        return Said((None, f"unknown: the file's metadata cannot be read ({error})"), None)


def _ome_pixels(tiff: Any, page: Any) -> dict[str, str] | None:
    """Attributes of the OME ``Pixels`` element whose size is the page's; None where there is none."""
    if not tiff.is_ome:
        return None
    size = {"SizeX": str(page.imagewidth), "SizeY": str(page.imagelength)}  # a label or overview may come first
    found = (element for element in _parsed(tiff.ome_metadata).iter() if element.tag.endswith("Pixels"))
    return next((dict(one.attrib) for one in found if size.items() <= one.attrib.items()), None)


def centre_nm(page: Any) -> tuple[float, float] | None:
    """Hamamatsu: x and y of the image's middle from the glass's middle, in nanometres."""
    values = [page.tags.valueof(tag) for tag in (NDPI_X, NDPI_Y)]
    if not page.is_ndpi or not all(isinstance(value, int) for value in values):
        return None
    x, y = (value - 2**32 if value >= 2**31 else value for value in values)
    return float(x), float(y)


def _claims(tiff: Any, page: Any, pixels: dict[str, str] | None) -> Iterator[resolution.Claim | None]:
    if pixels is not None:
        yield resolution.from_ome(pixels)
    power = page.tags.valueof(NDPI_LENS) if page.is_ndpi else None
    if tiff.is_svs:
        yield resolution.from_aperio(page.description)
        found = re.search(r"\bAppMag\s*=\s*([0-9.]+)", page.description)
        power = None if found is None else float(found[1])
    if tiff.is_scn:
        yield _from_leica(tiff.pages.first.description, page)
    if tiff.is_philips:
        yield _from_philips(tiff.pages.first.description)
    if tiff.is_bif:
        for one in tiff.pages:
            yield _from_ventana(one.tags.valueof(XMP) or b"")
    x, y = (page.tags.valueof(name) for name in ("XResolution", "YResolution"))
    yield resolution.from_tags(x, y, page.tags.valueof("ResolutionUnit", default=2))
    if isinstance(power, int | float):
        yield resolution.from_objective(float(power))


def _from_leica(description: str, page: Any) -> resolution.Claim | None:
    """``<image><pixels sizeX sizeY/><view sizeX sizeY/></image>``: the view's size is in nanometres."""
    size = {"sizeX": str(page.imagewidth), "sizeY": str(page.imagelength)}
    for image in _parsed(description).iter():
        parts = {child.tag.rpartition("}")[2]: child.attrib for child in image}
        if size.items() <= parts.get("pixels", {}).items() and {"sizeX", "sizeY"} <= parts.get("view", {}).keys():
            across, down = (float(parts["view"][axis]) / float(size[axis]) / 1000 for axis in ("sizeX", "sizeY"))
            return resolution.settle(across, down, "the view's size in the Leica image description")
    return None


def _from_philips(description: str) -> resolution.Claim | None:
    """The first ``DICOM_PIXEL_SPACING`` of a level: rows, then columns, in millimetres, each in quotes."""
    for level in _parsed(description).iter("DataObject"):
        if level.get("ObjectType") != "PixelDataRepresentation":
            continue
        for attribute in level.iter("Attribute"):
            if attribute.get("Name") == "DICOM_PIXEL_SPACING" and attribute.text:
                down, across = (1000 * float(value) for value in attribute.text.replace('"', "").split())
                return resolution.settle(across, down, "DICOM_PIXEL_SPACING in the Philips image description")
    return None


def _from_ventana(xmp: bytes | str) -> resolution.Claim | None:
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp)
    found = re.search(r"<iScan\b[^>]*\bScanRes=\"([0-9.]+)\"", text)
    return None if found is None else resolution.settle(float(found[1]), float(found[1]), "ScanRes of Ventana's iScan")


def _parsed(text: str) -> Element:
    found: Element = ElementTree.fromstring(text)
    return found
