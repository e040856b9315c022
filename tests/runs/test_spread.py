"""How far maps lie apart on each tile, against numpy's float64 standard deviation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.dynamics import effective_tiles
from napari_asmil.analysis.normalizers import Normalizer, log_nsf, log_softmax
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Run, RunWriter, Source, open_run
from napari_asmil.runs.spread import OverEpochs, OverRows, OverViews
from tests.conftest import RunMaker, header, random_z, record

TILES = 25


def softmax_maps(epochs: range, rows: int = 1) -> np.ndarray:
    """Maps of slide s1 as stored, from scores made anew."""
    return np.stack([np.exp(log_softmax(random_z(e, 1, rows, TILES))).mean(axis=0) for e in epochs])


def test_over_epochs_it_is_that_of_the_window_that_ends_at_the_epoch(make_run: RunMaker) -> None:
    shown = OverEpochs(MapView(open_run(make_run(epochs=6)), "s1"), 3)
    for epoch in (5, 2, 6):  # back and forth
        expected = (softmax_maps(range(epoch - 2, epoch + 1)) * TILES).std(axis=0)
        np.testing.assert_allclose(shown[epoch].ravel(), expected, rtol=1e-5)
    assert shown.varied(5) == "3 epochs, 3 to 5"


def test_the_first_windows_are_of_fewer_epochs_and_one_map_has_no_spread(make_run: RunMaker) -> None:
    shown = OverEpochs(MapView(open_run(make_run()), "s1"), 3)
    np.testing.assert_allclose(shown[1].ravel(), (softmax_maps(range(2)) * TILES).std(axis=0), rtol=1e-5)
    assert shown.varied(1) == "2 epochs, 0 to 1 (of 3: there are no more yet)"
    assert np.isnan(shown[0]).all()
    with pytest.raises(InputError, match="1 map: a spread needs two"):
        shown.values(0)


def test_over_runs_it_is_that_of_their_maps_at_the_epoch(make_run: RunMaker) -> None:
    views = [MapView(open_run(make_run(name, rows=rows)), "s1") for name, rows in (("a", 1), ("b", 2), ("c", 3))]
    shown = OverViews(views, "abc")
    maps = np.stack([np.exp(log_softmax(random_z(2, 1, rows, TILES))).mean(axis=0) for rows in (1, 2, 3)])
    np.testing.assert_allclose(shown[2].ravel(), (maps * TILES).std(axis=0), rtol=1e-5)
    assert shown.varied(2) == "3 maps: a, b, c"
    assert shown.effective(2) == pytest.approx(float(effective_tiles(maps.mean(axis=0))), rel=1e-6)


def test_a_run_that_has_not_the_epoch_is_left_out_and_named(make_run: RunMaker) -> None:
    views = [
        MapView(open_run(make_run(n, epochs=e, rows=r)), "s1") for n, e, r in (("a", 4, 1), ("b", 4, 2), ("c", 1, 3))
    ]
    shown = OverViews(views, "abc")
    maps = np.stack([np.exp(log_softmax(random_z(4, 1, rows, TILES))).mean(axis=0) for rows in (1, 2)])
    np.testing.assert_allclose(shown[4].ravel(), (maps * TILES).std(axis=0), rtol=1e-5)
    assert shown.varied(4) == "2 maps: a, b (c has no epoch 4)"


def test_a_run_that_catches_up_counts_from_then_on(make_run: RunMaker) -> None:
    path = make_run("c", epochs=1, planned=4, rows=3)
    views = [MapView(open_run(make_run("a", rows=1)), "s1"), MapView(open_run(path), "s1")]
    shown = OverViews(views, ["a", "c"])
    assert np.isnan(shown[2]).all()
    with RunWriter.resume(path) as writer:
        writer.write(record(2, 2, 3, TILES, False))
    shown.refresh()
    maps = np.stack([np.exp(log_softmax(random_z(2, 1, rows, TILES))).mean(axis=0) for rows in (1, 3)])
    np.testing.assert_allclose(shown[2].ravel(), (maps * TILES).std(axis=0), rtol=1e-5)


def test_over_rows_each_row_is_normalised_on_its_own(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=4))
    nsf = Normalizer("nsf", temperature=0.5)
    shown = OverRows(MapView(run, "s1", Source(nsf)))
    maps = np.exp(log_nsf(random_z(3, 1, 4, TILES), 0.5))
    np.testing.assert_allclose(shown[3].ravel(), (maps * TILES).std(axis=0), rtol=1e-5)
    assert OverRows(MapView(run, "s1")).varied(0) == "4 rows, head 1 to head 4, each by softmax T=1"


def test_between_a_model_and_its_anchor_it_is_half_their_distance(make_run: RunMaker) -> None:
    run = open_run(make_run(anchor=True))
    shown = OverViews([MapView(run, "s1"), MapView(run, "s1", Source(branch="anchor"))], ["online", "anchor"])
    z = random_z(2, 1, 1, TILES)[0]
    apart = np.abs(np.exp(log_softmax(z)) - np.exp(log_nsf(z))) * TILES / 2
    np.testing.assert_allclose(shown[2].ravel(), apart, rtol=1e-4, atol=1e-6)
    assert shown.name == "spread over online and anchor"


def test_limits_go_from_none_to_the_greatest_of_all_epochs(make_run: RunMaker) -> None:
    shown = OverEpochs(MapView(open_run(make_run()), "s1"), 2)
    assert shown.limits() == (0, pytest.approx(float(np.nanmax(shown[:])), rel=1e-6))
    assert shown.limits(2) == (0, pytest.approx(float(shown[2].max()), rel=1e-6))
    assert shown.limits(0)[1] > 0


def test_maps_that_do_not_differ_show_no_pattern_of_rounding(make_run: RunMaker) -> None:
    run = open_run(make_run())
    shown = OverViews([MapView(run, "s0"), MapView(run, "s0", Source(Normalizer("softmax")))], ["stored", "derived"])
    assert shown[1].max() < 1e-4 * shown.limits()[1]


def one_row(run: Run) -> None:
    OverRows(MapView(run, "s0"))


def one_epoch(run: Run) -> None:
    OverEpochs(MapView(run, "s0"), 1)


def one_run(run: Run) -> None:
    OverViews([MapView(run, "s0")], ["a"])


@pytest.mark.parametrize(
    ("make", "says"), [(one_row, "has one row"), (one_epoch, "at least 2 epochs"), (one_run, "needs two maps")]
)
def test_what_has_no_spread_is_refused(make_run: RunMaker, make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make(open_run(make_run()))  # type: ignore[operator]


def test_runs_of_other_tiles_are_refused(make_run: RunMaker, tmp_path: Path) -> None:
    path = tmp_path / "fewer.asmil"
    with RunWriter.create(path, header(1, 1, 4, 0, False)) as writer:
        writer.write(record(0, 1, 1, 16, False))
    with pytest.raises(InputError, match="16 tiles, not 25"):
        OverViews([MapView(open_run(make_run()), "s0"), MapView(open_run(path), "s0")], "ab")


def test_one_tile_has_no_spread_but_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.asmil"
    with RunWriter.create(path, header(1, 1, 1, 1, False)) as writer:
        for epoch in range(2):
            writer.write(record(epoch, 1, 1, 1, False))
    assert OverEpochs(MapView(open_run(path), "s0"), 2)[1].tolist() == [[0.0]]
