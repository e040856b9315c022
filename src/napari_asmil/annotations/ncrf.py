"""NCRF JSON, CAMELYON's lesions as baidu-research/NCRF converts them: level-0 px, rounded to integers.

``{"positive": [{"name": ..., "vertices": [[x, y], ...]}, ...], "negative": [...]}``; what is negative is cut out.
"""

from __future__ import annotations

import re
from pathlib import Path

from napari_asmil.annotations.contours import Contour, Contours
from napari_asmil.annotations.reading import head, left_out, read_json, ring, speaking
from napari_asmil.frame import Frame

GROUPS = ("positive", "negative")


def sniff(path: Path) -> bool:
    """Whether the file is JSON that begins with one of the two lists."""
    return re.match(r'\{\s*"(positive|negative)"\s*:\s*\[\s*(\]|\{[^{}]*"vertices")', head(path)) is not None


def read(path: Path, frame: Frame | None = None) -> Contours:
    """Read both lists, a group each.

    Raises
    ------
    InputError
        When the file is no valid JSON of this form.
    """
    contours: list[Contour] = []
    without: list[str] = []
    with speaking(path, "NCRF JSON", "It holds a list of 'positive' and one of 'negative' outlines with 'vertices'."):
        content = read_json(path)
        for group in GROUPS:
            for lesion in content[group]:
                outline = ring(lesion["vertices"])
                if len(outline) >= 3:
                    contours.append(Contour(str(lesion.get("name", "")), group, outline))
                else:
                    without.append("outline of fewer than 3 corners")
    return Contours(contours, path, left_out(without))
