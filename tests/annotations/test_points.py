from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_asmil.annotations.points import read_points, tiles_with_points
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid

TABLE = """image,x,y,cls
a,1.0,1.0,epithelial
a,0.15,500.0,epithelial
a,33.4,2.6,fibroblast
b.png,10,20,epithelial
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(TABLE)
    return path


def test_coordinates_count_from_one_and_are_rounded_and_clipped(table: Path) -> None:
    assert read_points(table, "a", (480, 500), ["epithelial"]).tolist() == [[0, 0], [0, 479]]


def test_only_the_classes_asked_for_are_kept(table: Path) -> None:
    assert read_points(table, "a", (500, 500), ["fibroblast"]).tolist() == [[32, 2]]
    assert len(read_points(table, "b", (500, 500), ["fibroblast"])) == 0


def test_the_image_may_be_named_with_its_file_ending(table: Path) -> None:
    assert read_points(table, "b", (500, 500), ["epithelial"]).tolist() == [[9, 19]]


def test_a_tile_holds_its_first_pixel_and_not_the_one_after_its_last() -> None:
    grid = TileGrid(np.array([(0, 0), (32, 0), (0, 32), (20, 32)]), 32)
    pixels = np.array([(31, 0), (32, 63)])
    assert tiles_with_points(grid, pixels).tolist() == [1, 0, 0, 1]


def test_every_tile_agrees_with_comparing_it_to_every_point() -> None:
    rng = np.random.default_rng(1)
    grid = TileGrid(rng.integers(0, 400, (200, 2)), 27)
    pixels = rng.integers(0, 430, (60, 2))
    inside = (pixels[None] >= grid.xy[:, None]) & (pixels[None] < grid.xy[:, None] + 27)
    np.testing.assert_array_equal(tiles_with_points(grid, pixels), inside.all(axis=2).any(axis=1))


def test_without_points_no_tile_holds_any() -> None:
    grid = TileGrid(np.array([(0, 0)]), 32)
    assert tiles_with_points(grid, np.empty((0, 2), dtype=np.int64)).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("image,x,cls\na,1,epithelial\n", "missing: y"),
        ("image,x,y,cls\nother,1,1,epithelial\n", "no point of the image 'a'"),
        ("image,x,y,cls\na,1,1,stroma\n", "stroma"),
        ("image,x,y,cls\na,one,1,epithelial\n", "no number"),
        ("image,x,y,cls\na,nan,1,epithelial\n", "not finite"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_points(path, "a", (500, 500), ["epithelial"])


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        read_points(tmp_path / "nowhere.csv", "a", (500, 500), ["epithelial"])
