"""The edges of tiles, as few lines as they lie on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_asmil.analysis.places import edges


def test_a_lattice_has_as_many_edges_as_lines() -> None:
    rows, columns = np.divmod(np.arange(12), 4)
    found = edges(np.stack([columns * 10 + 5, rows * 10 + 7], axis=1), 10)
    assert len(found) == (3 + 1) + (4 + 1)
    across = found[found[:, 1, 0] == 0]
    np.testing.assert_array_equal(across[0], [[6.5, 4.5], [0, 40]])


def test_a_gap_parts_an_edge_and_an_overlap_does_not() -> None:
    apart = edges(np.array([(0, 0), (11, 0)]), 10)
    assert sorted(apart[apart[:, 1, 0] == 0][:, 1, 1]) == [10, 10, 10, 10]
    lapped = edges(np.array([(0, 0), (9, 0)]), 10)
    assert sorted(lapped[lapped[:, 1, 0] == 0][:, 1, 1]) == [19, 19]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=9, unique=True), st.integers(1, 5)
)
def test_every_edge_of_every_tile_is_drawn_and_nothing_else(corners: list[tuple[int, int]], size: int) -> None:
    def painted(segments: np.ndarray) -> set[tuple[int, int, bool]]:
        """Unit steps (y, x, whether it goes down) of line segments."""
        steps = set()
        for (y, x), (down, across) in np.round(segments + np.array([[[0.5], [0]]])).astype(int):
            steps |= {(y + i, x, True) for i in range(down)} | {(y, x + i, False) for i in range(across)}
        return steps

    xy = np.array(corners)
    found = edges(xy, size)
    wanted = set()
    for x, y in corners:
        for i in range(size):
            wanted |= {(y, x + i, False), (y + size, x + i, False), (y + i, x, True), (y + i, x + size, True)}
    assert painted(found) == wanted
    assert found[:, 1].sum() == len(wanted), "a piece is drawn twice"
