"""What is written is complete under its name, or not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.errors import InputError
from napari_asmil.files import complete, json_text, replacing, write_text


def test_a_file_takes_the_place_of_the_older_one_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("older")
    with replacing(path) as partial:
        partial.write_text("newer")
        assert path.read_text() == "older"
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as partial:
        partial.mkdir()
        (partial / "one").write_text("1")
        assert not path.exists()
    assert (path / "one").read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
def test_what_is_broken_off_leaves_nothing_and_the_older_one(tmp_path: Path, make) -> None:
    path = tmp_path / "a"
    path.write_text("older")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        make(partial)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "older"


def test_a_folder_does_not_take_the_place_of_one_that_holds_something(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(InputError, match=r"a: It cannot be written"), complete(path) as partial:
        partial.mkdir()
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == [path / "kept"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as partial:
        left = partial
        partial.touch()
    left.mkdir()
    (left / "half").touch()
    write_text(path, "whole")
    assert path.read_text(encoding="utf-8") == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unfinished_file_is_not_taken_for_one_of_its_kind(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.h5") as partial:
        partial.touch()
        assert list(tmp_path.glob("*.h5")) == []


def test_the_reason_of_the_system_is_told_with_the_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.a\.txt: It cannot be written \(No such file or .*\)\. Choose"):
        write_text(tmp_path / "missing" / "a.txt", "text")


def test_json_holds_null_where_a_number_is_not_finite() -> None:
    nan, inf = float("nan"), float("inf")
    given = {"a": nan, "b": [1.5, -inf, (np.float64("nan"), 2)], "c": {"d": inf, "µ": "NaN"}, "e": None}
    text = json_text(given)
    told = json.loads(text, parse_constant=pytest.fail)
    assert told == {"a": None, "b": [1.5, None, [None, 2]], "c": {"d": None, "µ": "NaN"}, "e": None}
    assert "µ" in text
