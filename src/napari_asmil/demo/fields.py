"""Smooth random fields and smooth closed shapes: what the demo's slides are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SmoothField:
    """White noise on unit nodes under a Gaussian: a random field that can be asked anywhere.

    Parameters
    ----------
    weights : float64 (..., n, n)
        One standard normal a node; leading axes are independent fields.
    width : float
        Standard deviation of the Gaussian in node distances; the field's correlation length is 1.4 times that.
    """

    weights: Floats
    width: float

    @classmethod
    def draw(cls, rng: np.random.Generator, fields: tuple[int, ...], extent: float, width: float) -> SmoothField:
        """Fields over [0, extent]^2 with mean 0 and variance 1."""
        nodes = int(np.ceil(extent)) + 1 + 2 * cls._reach(width)
        return cls(rng.standard_normal((*fields, nodes, nodes)), width)

    @staticmethod
    def _reach(width: float) -> int:
        return int(np.ceil(3 * width))

    def _basis(self, at: Floats) -> Floats:
        nodes = np.arange(self.weights.shape[-1]) - self._reach(self.width)
        basis = np.exp(-0.5 * ((at[:, None] - nodes) / self.width) ** 2)
        return np.asarray(basis / np.sqrt((basis**2).sum(axis=1, keepdims=True)))

    def __call__(self, y: Floats, x: Floats) -> Floats:
        """Values (..., len(y), len(x)) on the lattice that `y` (n,) and `x` (m,) span."""
        return np.asarray(self._basis(y) @ self.weights @ self._basis(x).T)


@dataclass(frozen=True, eq=False)
class Blob:
    """A smooth closed shape: ``r(angle) = radius * (1 + sum_k a_k cos(k angle + phase_k))``, k = 2, 3, ..."""

    radius: float
    amplitudes: Floats
    phases: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, area: float) -> Blob:
        """A blob of exactly this area."""
        amplitudes = rng.uniform(0.0, 0.32, 4) / np.arange(2, 6)
        radius = np.sqrt(area / np.pi / (1 + (amplitudes**2).sum() / 2))
        return cls(float(radius), amplitudes, rng.uniform(0, 2 * np.pi, 4))

    def edge(self, angle: Floats) -> Floats:
        """Distance of the edge from the origin in each direction."""
        order = np.arange(2, 6).reshape(-1, *(1,) * angle.ndim)
        waves = np.cos(order * angle + self.phases.reshape(order.shape))
        return np.asarray(self.radius * (1 + np.tensordot(self.amplitudes, waves, axes=1)))

    def outline(self, corners: int = 96) -> Floats:
        """Corners (x, y) around the origin, float64 (corners, 2)."""
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        return np.asarray(self.edge(angle)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]))
