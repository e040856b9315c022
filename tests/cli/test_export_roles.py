"""What groups of an annotation count as, said on the command line, shows in the picture that is exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command
from tests.viewer.conftest import write_pictured_run, write_slide


def box(group: str, x0: int, y0: int, x1: int, y1: int) -> dict[str, object]:
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": group}},
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose slide has an annotation of two groups that say nothing."""
    contours = tmp_path / "slide.geojson"
    contours.write_text(json.dumps([box("A", 20, 20, 100, 100), box("B", 800, 800, 1000, 1000)]))
    write_slide(tmp_path / "slide.tif")
    write_pictured_run(tmp_path / "run.asmil", tmp_path / "slide.tif", contours, epochs=1, seed=0)
    return tmp_path / "run.asmil"


def pen(path: Path, x: int, y: int) -> tuple[int, ...]:
    with Image.open(path) as picture:
        return tuple(np.asarray(picture.convert("RGB"))[y, x].tolist())


def test_each_role_is_drawn_in_its_colour_and_said_in_the_file(command: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    given = ("export", run, "--out", out, "--slide", "slide", "--max-px", 1024)
    assert command(*given, "--role", "A=tumour", "--role", "B=exclude")[0] == 0
    assert pen(out, 60, 20) == (255, 255, 255)
    assert pen(out, 900, 800) == (255, 176, 0)
    with Image.open(out) as picture:
        said = picture.info["contours"]
    assert said == "2 from slide.geojson (A = tumour, B = exclude; tumour white, exclude amber, others grey)"
    assert command(*given)[0] == 0
    assert pen(out, 60, 20) == (160, 160, 160)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--role", "C=tumour"), "no group of contours called C. Its groups: A, B."),
        (("--role", "A"), "'A' is no role of a group. Write GROUP=ROLE"),
        (("--cropped",), "nothing was cropped off"),
    ],
)
def test_roles_that_cannot_be_used_are_refused(
    command: Command, run: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    code, _, complaint = command("export", run, "--out", tmp_path / "o.png", "--slide", "slide", *options)
    assert code == 2
    assert said in " ".join(complaint.split())
    assert not (tmp_path / "o.png").exists()


def test_a_role_where_no_contours_are_drawn_does_nothing_and_is_refused(
    command: Command, run: Path, tmp_path: Path
) -> None:
    for out, slide in (("o.geojson", "slide"), ("o.png", "other")):
        given = ("export", run, "--out", tmp_path / out, "--slide", slide, "--role", "A=tumour")
        code, _, complaint = command(*given)
        assert code == 2
        assert "--role does nothing" in complaint
