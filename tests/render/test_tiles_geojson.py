"""Tiles for QuPath: where they lie and what they measure."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.errors import InputError
from napari_asmil.render import export_tiles

from .conftest import LATTICE, uneven

M = len(LATTICE)


def test_tiles_are_the_level_0_squares_and_carry_the_map(tmp_path: Path, make_view) -> None:
    view = make_view([uneven(0, M), uneven(1, M)], truth=np.full(M, 0.25, np.float32))
    path = export_tiles(tmp_path / "t.geojson", view, 1)
    collection = json.loads(path.read_text())
    assert collection["type"] == "FeatureCollection"
    assert collection["napari_asmil"]["normaliser"] == "softmax T=1, one row, as stored"
    assert len(collection["features"]) == M
    p = view.probabilities(1)
    for index, feature in enumerate(collection["features"]):
        x, y = LATTICE[index].tolist()
        assert feature["geometry"]["coordinates"] == [[[x, y], [x + 148, y], [x + 148, y + 148], [x, y + 148], [x, y]]]
        assert feature["properties"]["objectType"] == "tile"
        measured = feature["properties"]["measurements"]
        which = "run epoch 1, softmax T=1, one row, as stored"
        assert measured[f"α (probability): {which}"] == pytest.approx(p[index])
        assert measured[f"M·α (× uniform): {which}"] == pytest.approx(p[index] * M)
        assert measured["tumour share of the tile"] == 0.25
    ids = {uuid.UUID(feature["id"]) for feature in collection["features"]}
    assert len(ids) == M


def test_a_slide_that_qupath_crops_moves_the_tiles(tmp_path: Path, make_view) -> None:
    path = export_tiles(tmp_path / "t.geojson", make_view([uneven(0, M)]), 0, bounds=(70, 30))
    first = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0][0]
    assert first == [4, 7]


def test_an_epoch_that_is_not_there_is_refused(tmp_path: Path, make_view) -> None:
    with pytest.raises(InputError, match="Epoch 5 is not there"):
        export_tiles(tmp_path / "t.geojson", make_view([uneven(0, M)]), 5)
