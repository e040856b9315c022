"""Bag vectors in the plane: axes that stay, points that move and do not jump."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from napari_asmil.analysis.embedding import LEAST_SLIDES, Plane, perplexity, refusal, tsne


def drifting(epochs: int = 4, slides: int = 24, size: int = 8) -> np.ndarray:
    """Two clouds that drift apart slowly: float64 (E, S, D)."""
    rng = np.random.default_rng(3)
    base, side = rng.normal(size=(slides, size)), np.arange(slides) % 2
    away = np.linspace(1.0, 3.0, epochs)[:, None, None] * side[None, :, None]
    return base + away + rng.normal(0, 0.02, (epochs, slides, size))


def movement(courses: list[np.ndarray]) -> float:
    """How far points move between epochs, as a share of how far they lie from the middle."""
    steps = [np.hypot(*(b - a).T).mean() / np.hypot(*b.T).mean() for a, b in pairwise(courses)]
    return float(np.mean(steps))


def test_points_of_an_aligned_start_move_less_than_those_of_independent_ones() -> None:
    vectors = drifting()
    alone = [tsne(v) for v in vectors]
    aligned: list[np.ndarray] = []
    for v in vectors:
        aligned.append(tsne(v, aligned[-1] if aligned else None))
    for places in (*alone, *aligned):
        assert places.shape == (24, 2) and places.dtype == np.float64
        assert np.isfinite(places).all()
        np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)
    assert movement(aligned) < 0.5 * movement(alone)


def test_an_aligned_start_still_follows_the_vectors() -> None:
    """Clouds that were one and part: the points part too, although they start from where they lay together."""
    rng = np.random.default_rng(0)
    together = rng.normal(size=(30, 6))
    apart = together + 12.0 * (np.arange(30) % 2)[:, None]
    places = tsne(apart, tsne(together))
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(distance.argmin(axis=1) % 2, np.arange(30) % 2)


def test_the_same_vectors_are_drawn_the_same_again() -> None:
    v = drifting(1)[0]
    np.testing.assert_array_equal(tsne(v), tsne(v))


def test_tsne_does_not_change_what_it_is_given() -> None:
    v = drifting(1)[0]
    start = tsne(v)
    before = v.copy(), start.copy()
    tsne(v, start)
    np.testing.assert_array_equal(v, before[0])
    np.testing.assert_array_equal(start, before[1])


@pytest.mark.parametrize("slides", [LEAST_SLIDES, 6, 12])
def test_few_slides_are_drawn_with_few_neighbours(slides: int) -> None:
    assert 1 <= perplexity(slides) < slides
    assert np.isfinite(tsne(drifting(1, slides)[0])).all()


def test_perplexity_grows_with_the_slides_to_a_bound() -> None:
    assert [perplexity(n) for n in (5, 40, 90, 2000)] == [1, 13, 30, 30]


def test_a_plane_is_that_of_the_greatest_variance() -> None:
    v = drifting(1, 40)[0]
    plane = Plane.of(v)
    values, vectors = np.linalg.eigh(np.cov(v.T))
    np.testing.assert_allclose(plane.share, values[::-1][:2] / values.sum(), rtol=1e-9)
    np.testing.assert_allclose(np.abs((plane.axes * vectors.T[::-1][:2]).sum(axis=1)), 1, rtol=1e-9)
    places = plane.project(v)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(places.var(axis=0, ddof=1), values[::-1][:2], rtol=1e-9)


def test_a_plane_has_one_orientation_and_its_axes_stay_for_other_epochs() -> None:
    first, second = drifting(2)
    plane = Plane.of(second)
    assert (plane.axes[[0, 1], np.abs(plane.axes).argmax(axis=1)] > 0).all()
    np.testing.assert_array_equal(Plane.of(second).axes, plane.axes)
    moved = plane.project(second) - plane.project(first)
    np.testing.assert_allclose(moved, (second - first) @ plane.axes.T, atol=1e-12)


def test_vectors_of_one_number_have_one_axis() -> None:
    plane = Plane.of(np.arange(6.0)[:, None])
    np.testing.assert_allclose(plane.share, [1, 0])
    np.testing.assert_array_equal(plane.project(np.arange(6.0)[:, None])[:, 1], 0)
    assert np.isfinite(tsne(np.arange(6.0)[:, None])).all()


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    v = drifting(1)[0]
    assert refusal(v) == ""
    assert refusal(v[:4]) == "An embedding needs at least 5 slides, and there are 4."
    lost = v.copy()
    lost[[2, 5], 0] = np.nan
    assert refusal(lost).startswith("The bag vectors of 2 of 24 slides are not numbers")
    assert refusal(np.ones((6, 3))).startswith("The bag vectors of all 6 slides are the same")
