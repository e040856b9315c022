"""A picture is under its name whole, or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from napari_asmil.errors import InputError
from napari_asmil.render import export_overlay, export_tiles, figure, film
from napari_asmil.runs.view import MapView

from .conftest import LATTICE, uneven

WRITERS: dict[str, Callable[[Path, MapView], Any]] = {
    ".png": lambda path, view: export_overlay(path, view, 0),
    ".gif": lambda path, view: film(path, [view]),
    ".figure.png": lambda path, view: figure(path, [view.run], "s0"),
    ".geojson": lambda path, view: export_tiles(path, view, 0),
}


@pytest.fixture(params=WRITERS)
def case(request: pytest.FixtureRequest, make_view) -> tuple[str, Callable[[Path], Any]]:
    view = make_view([uneven(0, len(LATTICE)), uneven(1, len(LATTICE))])
    return request.param, lambda path: WRITERS[request.param](path, view)


def test_what_is_written_is_all_that_is_left_in_the_folder(case, tmp_path: Path) -> None:
    suffix, write = case
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / f"a{suffix}"
    path.write_text("older")
    assert write(path) == path
    assert [p.name for p in folder.iterdir()] == [path.name]
    assert path.read_bytes() != b"older"


def test_a_missing_folder_is_named_with_the_reason(case, tmp_path: Path) -> None:
    suffix, write = case
    with pytest.raises(InputError, match=r"missing.* cannot be written \(No such file or directory\)"):
        write(tmp_path / "missing" / f"a{suffix}")


def test_another_ending_is_refused(case, tmp_path: Path) -> None:
    _, write = case
    with pytest.raises(InputError, match=r"a\.bmp: This file is written as \."):
        write(tmp_path / "a.bmp")
    assert not (tmp_path / "a.bmp").exists()


def test_a_disk_that_fills_up_leaves_the_old_file_and_no_half_one(
    case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix, write = case
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / f"a{suffix}"
    path.write_text("older")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if suffix == ".geojson":
        monkeypatch.setattr("napari_asmil.render.geojson.json_text", full)
    else:
        save = Image.Image.save

        def half(self: Image.Image, target: Path, *, format: str, **_: Any) -> None:  # noqa: A002 - Pillow's name
            save(self.crop((0, 0, 4, 4)), target, format=format)
            full()

        monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(InputError, match=r"No space left on device"):
        write(path)
    assert [p.name for p in folder.iterdir()] == [path.name]
    assert path.read_text() == "older"
