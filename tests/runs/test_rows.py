"""Rows by their names, and by the parts that several share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer, nsf, softmax
from napari_asmil.errors import InputError
from napari_asmil.runs import EpochRecord, MapView, RunWriter, Source, open_run, sources
from napari_asmil.runs.rows import groups, rows_called
from tests.conftest import header, record

NAMES = tuple(f"head {h} / token {t}" for t in (1, 2) for h in (1, 2, 3))


def test_groups_are_the_parts_that_several_rows_share() -> None:
    assert groups(NAMES) == ("head 1", "head 2", "head 3", "token 1", "token 2")
    assert groups(("head 1", "head 2")) == () and groups(("row",)) == ()


def test_rows_are_found_by_name_and_by_part() -> None:
    assert rows_called(NAMES, "head 2 / token 2") == [4]
    assert rows_called(NAMES, "token 2") == [3, 4, 5] and rows_called(NAMES, "head 3") == [2, 5]
    assert rows_called(NAMES, "head") == [] and rows_called(NAMES, "token 22") == []


@pytest.fixture
def run_of_tokens(tmp_path: Path) -> Path:
    told = header(1, 6, 5, 1, False)
    object.__setattr__(told, "row_names", NAMES)
    with RunWriter.create(tmp_path / "tokens.asmil", told) as writer:
        for epoch in range(2):
            writer.write(EpochRecord(record(epoch, 1, 6, 25, False).slides))
    return tmp_path / "tokens.asmil"


@pytest.mark.parametrize(("row", "places"), [("mean", range(6)), ("token 2", (3, 4, 5)), ("head 1 / token 2", (3,))])
@pytest.mark.parametrize("name", ["softmax", "nsf"])
def test_a_group_s_map_is_the_mean_of_its_rows_maps(run_of_tokens: Path, row: str, places: object, name: str) -> None:
    run = open_run(run_of_tokens)
    view = MapView(run, "s0", Source(Normalizer(name), row))  # type: ignore[arg-type]
    maps = {"softmax": softmax, "nsf": nsf}[name](run.scores(1, "s0"))
    np.testing.assert_allclose(view.probabilities(1), maps[list(places)].mean(axis=0), rtol=1e-12)  # type: ignore[call-overload]
    assert row in view.source_label


def test_groups_are_offered_and_what_is_no_row_is_refused(run_of_tokens: Path, make_run: Callable[..., Path]) -> None:
    run = open_run(run_of_tokens)
    offered = {source.row for source in sources(run, "s0")[0]}
    assert {"mean", "head 3", "token 1", "head 3 / token 1"} <= offered
    with pytest.raises(InputError, match="no row 'head 4'"):
        MapView(run, "s0", Source(Normalizer(), "head 4"))
