"""How values are spread and where a tile stands, against numpy, scipy and shapely in float64."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.stats import rankdata

from napari_asmil.analysis.display import percentile
from napari_asmil.analysis.histogram import Bins, Interval, extent, highest, standing, ties_at_the_end
from napari_asmil.analysis.places import TileFinder, inside, outline
from napari_asmil.geometry import TileGrid

# ---- counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(-3.0, 3.0), (0.1, 0.7), (-1e-9, 2e-9), (1e5, 1e5 + 7)])
def test_counts_are_those_of_numpy_edges_included(low: float, high: float) -> None:
    bins = Bins(low, high, 31)
    values = np.r_[np.random.default_rng(0).uniform(low, high, 20_000), bins.edges, bins.edges]
    expected, edges = np.histogram(values, bins=31, range=(low, high))
    np.testing.assert_array_equal(bins.edges, edges)
    np.testing.assert_array_equal(bins.counts(values), expected)


def test_what_lies_beyond_is_counted_at_the_end_and_what_is_no_number_nowhere() -> None:
    counts = Bins(0.0, 1.0, 4).counts([-9.0, 0.3, 2.0, 1e300, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(counts, [1, 1, 0, 2])


def test_rows_are_pooled() -> None:
    z = np.random.default_rng(1).normal(size=(5, 100)).astype(np.float32)
    np.testing.assert_array_equal(Bins(-2, 2).counts(z), Bins(-2, 2).counts(z.ravel()))
    assert Bins(-2, 2).counts(z).sum() == 500


def test_the_extent_is_of_the_numbers_alone() -> None:
    assert extent([3.0, np.nan, -1.0, np.inf]) == (-1.0, 3.0)
    assert extent([[2.0, 5.0]]) == (2.0, 5.0)
    assert extent([np.nan, -np.inf]) is None


def test_an_interval_takes_both_ends_and_a_tile_with_any_row_inside() -> None:
    np.testing.assert_array_equal(Interval(1.0, 2.0).holds([0.9, 1.0, 1.5, 2.0, 2.1]), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(Interval(1.0, np.inf).holds([[0.0, 0.0, 3.0], [0.0, 1.0, 0.0]]), [0, 1, 1])


# ---- one among the others -------------------------------------------------------------------------


def test_rank_and_percentile_are_those_of_scipy_and_of_the_display() -> None:
    p = np.random.default_rng(2).integers(0, 20, 200) / 20.0  # many ties
    shares = percentile(p)
    best = rankdata(-p, method="min")
    for tile in range(0, 200, 7):
        found = standing(p, tile)
        assert found.rank == best[tile]
        assert found.ties == (p == p[tile]).sum() - 1
        assert found.percentile == pytest.approx(shares[tile], abs=1e-12)


def test_in_a_flat_map_every_tile_is_first_and_in_the_middle() -> None:
    found = standing(np.full(10, 0.1), 4)
    assert (found.rank, found.ties, found.percentile) == (1, 9, 50.0)
    assert standing([1.0], 0).percentile == 50.0


@pytest.mark.parametrize("k", [0, 1, 12, 199, 200, 999])
def test_the_highest_come_in_order_and_ties_by_index(k: int) -> None:
    p = np.random.default_rng(3).integers(0, 15, 200).astype(float)
    np.testing.assert_array_equal(highest(p, k), np.lexsort((np.arange(200), -p))[:k])


def test_ties_that_chance_leaves_out_are_counted() -> None:
    values = np.array([5.0, 1.0, 3.0, 3.0, 3.0])
    assert ties_at_the_end(values, highest(values, 2)) == 2
    assert ties_at_the_end(values, highest(values, 4)) == 0
    assert ties_at_the_end(values, highest(values, 0)) == 0


# ---- places ---------------------------------------------------------------------------------------


def covering(tiles: TileGrid, y: float, x: float) -> np.ndarray:
    """Every tile that covers a point, by looking at all of them."""
    corner = np.array([x, y]) + 0.5
    return np.flatnonzero(((tiles.xy <= corner) & (corner < tiles.xy + tiles.size)).all(axis=1))


@pytest.mark.parametrize("kind", ["lattice", "overlapping", "shifted", "scattered", "fraction", "one"])
def test_a_tile_is_found_where_looking_at_all_finds_it(kind: str) -> None:
    rng = np.random.default_rng(4)
    row, column = np.divmod(np.arange(120), 12)
    lattice = np.stack([column, row], axis=1)
    tiles = {
        "lattice": TileGrid(lattice * 64 + [128, 64], 64),
        "overlapping": TileGrid(lattice * 32, 64),
        "shifted": TileGrid(lattice * 64 + np.stack([row * 17, column * 0], axis=1), 64),
        "scattered": TileGrid(rng.integers(-500, 500, (300, 2)), 37),
        "fraction": TileGrid(lattice * 65, 64.4),
        "one": TileGrid(np.array([[10, 20]]), 5),
    }[kind]
    finder = TileFinder(tiles.xy, tiles.size)
    x0, y0, x1, y1 = tiles.bounds
    seen = 0
    points = rng.uniform((y0 - 40, x0 - 40), (y1 + 40, x1 + 40), (600, 2))
    for y, x in np.concatenate([points, tiles.centres[:50], tiles.xy[:50, ::-1] - 0.5]):
        among, found = covering(tiles, y, x), finder.at(y, x)
        if not len(among):
            assert found is None
            continue
        seen += 1
        assert found in among
        off = np.abs(tiles.centres[among] - (y, x)).max(axis=1)
        assert np.abs(tiles.centres[found] - (y, x)).max() == pytest.approx(off.min())
    assert seen > (0 if kind == "one" else 40)


def test_points_inside_a_path_are_those_of_shapely() -> None:
    rng = np.random.default_rng(5)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 90))
    path = np.stack([np.sin(angle), np.cos(angle)], axis=1) * rng.uniform(20, 90, (90, 1)) + 100
    points = rng.uniform(0, 200, (5000, 2))
    expected = shapely.contains_xy(shapely.Polygon(path), points[:, 0], points[:, 1])
    for turned in (path, path[::-1]):
        np.testing.assert_array_equal(inside(points, turned), expected)
    assert 500 < expected.sum() < 4500


def test_all_loops_of_a_path_that_crosses_itself_are_inside() -> None:
    eight = [(0, 0), (10, 10), (10, 0), (0, 10)]
    np.testing.assert_array_equal(inside([(2, 5), (8, 5), (5, 1), (5, 9)], eight), [1, 1, 0, 0])
    square = [(0, 0), (0, 10), (10, 10), (10, 0)]
    assert inside([(5, 5)], square * 2).all()  # twice round is round
    assert not inside([(5, 5)], square[:2]).any()


def test_an_outline_runs_between_what_is_chosen_and_what_is_not() -> None:
    segments = outline([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    ends = {tuple(map(float, np.r_[start, start + extent])) for start, extent in segments}
    assert ends == {(0.5, 0.5, 0.5, 2.5), (1.5, 0.5, 1.5, 2.5), (0.5, 0.5, 1.5, 0.5), (0.5, 2.5, 1.5, 2.5)}


def test_the_length_of_an_outline_is_the_number_of_neighbours_that_differ() -> None:
    chosen = np.random.default_rng(6).random((23, 31)) < 0.4
    padded = np.pad(chosen, 1)
    expected = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    segments = outline(chosen)
    assert np.abs(segments[:, 1]).sum() == expected
    assert len(segments) < expected
    assert outline(np.zeros((3, 3))).shape == (0, 2, 2)
    assert len(outline(np.ones((1, 1)))) == 4
