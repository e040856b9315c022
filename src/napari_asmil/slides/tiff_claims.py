"""Whether the XML of a TIFF file claims numbers that would make a reader of it take memory for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

MOST_PLANES = 10**6
"""Planes, or labels along an axis, that a file may claim; tifffile makes a list of them."""


def is_bounded(description: str, pixels: int) -> bool:
    """Whether tifffile may read it, of a file whose first page has so many pixels.

    Entities are none of a slide's metadata, and tifffile's parser would expand them.
    """
    if "<!DOCTYPE" in description or "<!ENTITY" in description:
        return False
    if not description.lstrip("\ufeff \r\n\t").startswith("<"):
        return True
    try:
        elements = ElementTree.fromstring(description).iter()
        return all(_planes(one.tag.rpartition("}")[2], one.attrib, pixels) <= MOST_PLANES for one in elements)
    except ElementTree.ParseError:
        return True  # tifffile cannot read it either, and goes on without
    except (DefusedXmlException, ValueError, ZeroDivisionError, OverflowError):
        return False


def _planes(tag: str, said: Mapping[str, str], pixels: int) -> float:
    """How many planes one element of OME-XML or of Leica's claims."""
    if tag == "Pixels":
        return prod(int(said.get(f"Size{axis}", 1)) for axis in "XYZCT") / max(pixels, 1)
    if tag == "TiffData":
        return max((int(value) for value in said.values() if value.isdecimal()), default=0)
    if tag.startswith("Along") and "Start" in said:
        return (float(said["End"]) - float(said["Start"])) / float(said.get("Step", 1)) + 1
    if tag == "dimension":
        return (int(said.get("c", 0)) + 1) * (int(said.get("z", 0)) + 1)
    return 0
