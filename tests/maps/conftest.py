"""Files of scores opened with what each layout must be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_asmil.bags import Given
from napari_asmil.maps import ScoreMap, import_map, read_map
from napari_asmil.runs import Run
from tests.maps.layouts import HELP, LAYOUTS


def told(folder: Path, layout: str) -> dict[str, Any]:
    """What a person tells of a layout."""
    help_ = dict(HELP.get(layout, {}))
    if "features" in help_:
        help_["features"] = folder / str(help_["features"])
    if "tile_size" in help_:
        help_["given"] = Given(tile_size=help_.pop("tile_size"))
    return help_


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ScoreMap]:
    """Write a layout and read it."""

    def make(layout: str, **more: Any) -> ScoreMap:
        return read_map(LAYOUTS[layout](tmp_path), **told(tmp_path, layout) | more)

    return make


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Run]:
    """Write a layout and make a run of it."""

    def make(layout: str, **more: Any) -> Run:
        return import_map(LAYOUTS[layout](tmp_path), tmp_path / "map.asmil", **told(tmp_path, layout) | more)

    return make
