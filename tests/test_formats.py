"""docs/formats.md says what opens: each row names files that are written here and read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_asmil.annotations import read_annotations
from napari_asmil.info import describe, kind_of
from tests.annotations.dialects import DIALECTS, FRAME
from tests.bags.collections import COLLECTIONS
from tests.bags.layouts import LAYOUTS
from tests.bags.tables import TABLES
from tests.maps.layouts import LAYOUTS as MAPS
from tests.slides.layouts import SLIDES

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
Writers = dict[str, Callable[[Path], Path]]
SECTIONS: dict[str, tuple[Writers, str]] = {
    "Slides": (SLIDES, "slide"),
    "Features of one slide": (LAYOUTS, "features"),
    "Features of many slides": (COLLECTIONS, "features"),
    "Attention of your own model": (MAPS, "map"),
    "Annotations": (DIALECTS, "annotation"),
    "Tables": (TABLES, "table"),
}
ALL = [(section, name) for section, (writers, _) in SECTIONS.items() for name in writers]


def rows(section: str) -> list[str]:
    """The names in the first column of the table of a section, some rows having several."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    first = re.findall(r"^\| ([^|]+) \|", part, flags=re.MULTILINE)[1:]
    return [name.strip() for cell in first for name in cell.split(";")]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_lists_what_is_written_here_and_no_more(section: str) -> None:
    assert sorted(rows(section)) == sorted(SECTIONS[section][0])


@pytest.mark.parametrize(("section", "name"), ALL)
def test_what_the_page_lists_is_told_by_content_and_read(section: str, name: str, tmp_path: Path) -> None:
    writers, kind = SECTIONS[section]
    path = writers[name](tmp_path)
    if name.startswith("mask"):
        assert read_annotations(path, FRAME).polygons
        return
    assert kind_of(path) == kind
    if name == "NDPA":
        assert read_annotations(path, FRAME).polygons
    elif kind != "map":  # tests/maps gives each what it asks for
        assert describe(path)
