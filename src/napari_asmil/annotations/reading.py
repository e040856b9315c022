"""What all dialects share: text of any encoding, numbers that are checked, faults told in a sentence."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
from numpy.typing import NDArray

from napari_asmil.errors import InputError

HEAD = 65536
"""Bytes from which a dialect is told."""
MOST_BYTES = 200 * 2**20
"""A text file that is larger is refused: parsed it would take several times as much memory."""
FARTHEST = 1e9
"""No slide has a pixel beyond this coordinate."""

_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    ElementTree.ParseError,
    DefusedXmlException,
)


def head(path: Path) -> str:
    """The beginning of a text file, without what comes before its first word; of no text, something unreadable.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(HEAD)
    except OSError as error:
        raise InputError(f"It cannot be read ({error.strerror or error}).", path=path) from error
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")
    return start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")


def root_tag(start: str) -> str:
    """The name of the first element in the head of an XML file; "" where it is no XML."""
    found = re.search(r"<([A-Za-z_][\w.:-]*)", start) if start.startswith("<") else None
    return "" if found is None else found[1]


@contextmanager
def speaking(path: Path, dialect: str, remedy: str) -> Iterator[None]:
    """Tell whatever is wrong with a file in one sentence.

    Raises
    ------
    InputError
        In place of any fault in the block.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(
                f"It has {path.stat().st_size / 2**20:.0f} MB; {dialect} is read up to {MOST_BYTES // 2**20} MB.",
                remedy="Export annotations only, without the cells or tiles that were detected.",
                path=path,
            )
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"It cannot be read ({error.strerror or error}).", path=path) from error
    except _FAULTS as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise InputError(f"It is not valid {dialect} ({why}).", remedy=remedy, path=path) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file in UTF-8, UTF-16 or UTF-32."""
    return json.loads(path.read_bytes())


def read_xml(path: Path) -> Element:
    """The root of an XML file without entities; one that has several roots is put under one."""
    try:
        return _rooted(ElementTree.parse(path).getroot())
    except ElementTree.ParseError as error:
        if "junk after document element" not in str(error):
            raise
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    text = re.sub(r"^\s*<\?xml.*?\?>", "", content.decode(encoding).lstrip("\ufeff"), count=1, flags=re.DOTALL)
    return _rooted(ElementTree.fromstring(f"<several>{text}</several>"))


def _rooted(root: Any) -> Element:
    if root is None:
        raise ValueError("it is empty")
    found: Element = root
    return found


def number(text: str | None) -> float:
    """A number of an XML file, with a decimal point or comma."""
    if text is None:
        raise ValueError("a coordinate is missing")
    return float(text.replace(",", "."))


def places(points: Sequence[Any] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Points as float64 (N, 2), checked; of more than two numbers a point, the first two.

    Raises
    ------
    ValueError
        When they are no finite numbers, or beyond any slide.
    """
    if isinstance(points, np.ndarray):
        xy = points.astype(np.float64)
    else:
        xy = np.array([point[:2] for point in points] or np.empty((0, 2)), dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError("a point is not two numbers")
    if not np.isfinite(xy).all():
        raise ValueError("a coordinate is not a finite number")
    if (np.abs(xy) > FARTHEST).any():
        raise ValueError(f"a coordinate is beyond {FARTHEST:.0e} px, where no slide reaches")
    return xy


def ring(points: Sequence[Any] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a closed outline, as `places`; the first is not repeated at the end."""
    outline = places(points)
    return outline[:-1] if len(outline) > 1 and (outline[0] == outline[-1]).all() else outline


def rectangle(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four corners of a rectangle that may be given by two opposite ones."""
    if len(outline) != 2:
        return outline
    (x0, y0), (x1, y1) = outline
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(centre: NDArray[np.float64], radii: NDArray[np.float64], corners: int = 128) -> NDArray[np.float64]:
    """An upright ellipse as a polygon of the same area, float64 (corners, 2)."""
    angle = 2 * np.pi * np.arange(corners) / corners
    same_area = np.sqrt(2 * np.pi / corners / np.sin(2 * np.pi / corners))
    turned: NDArray[np.float64] = centre + same_area * radii * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return turned


def left_out(kinds: Sequence[str]) -> list[str]:
    """Notes on what could not be used, by kind."""
    return [f"left out: {number} {kind}" for kind, number in Counter(kinds).items()]
