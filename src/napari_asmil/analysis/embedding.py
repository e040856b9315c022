"""Bag vectors (S, D) drawn in the plane: principal components, and t-SNE whose points move and do not jump.

References
----------
t-SNE: van der Maaten and Hinton, JMLR 2008; scikit-learn's implementation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_SLIDES = 5
"""Fewer points have no neighbourhoods to draw."""
MOST_NEIGHBOURS = 30
FIRST_ITERATIONS, ITERATIONS = 1000, 500
"""Of a t-SNE from principal components, and of one that goes on from the epoch before."""

Floats = NDArray[np.float64]


def refusal(vectors: ArrayLike) -> str:
    """Why vectors (S, D) cannot be drawn, in a sentence; "" where they can."""
    given = np.asarray(vectors, dtype=np.float64)
    if len(given) < LEAST_SLIDES:
        return f"An embedding needs at least {LEAST_SLIDES} slides, and there are {len(given)}."
    lost = int((~np.isfinite(given).all(axis=1)).sum())
    if lost:
        return f"The bag vectors of {lost} of {len(given)} slides are not numbers (NaN): the training went astray."
    if not np.ptp(given, axis=0).any():
        return f"The bag vectors of all {len(given)} slides are the same: there is nothing to draw."
    return ""


@dataclass(frozen=True, eq=False)
class Plane:
    """The two directions in which some vectors vary most: a fixed pair of axes for every epoch.

    Attributes
    ----------
    mean : float64 (D,)
    axes : float64 (2, D)
        Orthonormal; a second one that does not exist (D = 1) is 0. The greatest part of each is positive.
    share : float64 (2,)
        Of the variance of the vectors it is made from.
    """

    mean: Floats
    axes: Floats
    share: Floats

    @classmethod
    def of(cls, vectors: ArrayLike) -> Plane:
        """Of vectors (S, D) that `refusal` finds no fault with."""
        given = np.asarray(vectors, dtype=np.float64)
        mean = given.mean(axis=0)
        _, spread, directions = np.linalg.svd(given - mean, full_matrices=False)
        axes, share = np.zeros((2, given.shape[1])), np.zeros(2)
        kept = min(2, len(directions))
        axes[:kept], share[:kept] = directions[:kept], (spread**2 / (spread**2).sum())[:kept]
        greatest = axes[[0, 1], np.abs(axes).argmax(axis=1)]
        return cls(mean, axes * np.where(greatest < 0, -1.0, 1.0)[:, None], share)

    def project(self, vectors: ArrayLike) -> Floats:
        """Places (S, 2) of vectors (S, D), of any epoch."""
        return np.asarray((np.asarray(vectors, dtype=np.float64) - self.mean) @ self.axes.T)


def perplexity(slides: int) -> int:
    """How many neighbours t-SNE holds near: a third of the slides, at most `MOST_NEIGHBOURS`."""
    return max(1, min(MOST_NEIGHBOURS, slides // 3))


def tsne(vectors: ArrayLike, start: Floats | None = None, seed: int = 0) -> Floats:
    """Places (S, 2) of vectors (S, D) by t-SNE on Euclidean distances, centred.

    Parameters
    ----------
    vectors : (S, D)
        With which `refusal` finds no fault.
    start : float64 (S, 2), optional
        Places at the epoch before. It goes on from there, at that scale and without the early exaggeration that
        would tear them apart: points move about as much as their vectors do, and the divergence that is reached is
        that of an independent start. By default it starts from principal components, scaled as scikit-learn does.
    seed : int
    """
    from sklearn.manifold import TSNE

    given = np.asarray(vectors, dtype=np.float64)
    if start is None:
        begun = Plane.of(given).project(given)
        begun *= 1e-4 / begun[:, 0].std()
        exaggeration, iterations = 12.0, FIRST_ITERATIONS
    else:
        begun, exaggeration, iterations = start, 1.0, ITERATIONS
    model = TSNE(
        perplexity=perplexity(len(given)),
        init=begun.astype(np.float32),
        early_exaggeration=exaggeration,
        max_iter=iterations,
        random_state=seed,
    )
    places = model.fit_transform(given).astype(np.float64)
    return np.asarray(places - places.mean(axis=0))
