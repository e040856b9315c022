"""From scores z to probabilities over tiles, in numpy; the log form is the primitive.

`napari_asmil.mil.normalizers` holds the torch twins; a test keeps both equal.

References
----------
NSF, the normalised sigmoid: ASMIL (ICLR 2026), eq. 5, here with temperature and offset explicit.
entmax: Peters, Niculae, Martins, "Sparse sequence-to-sequence models", ACL 2019, eq. 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

from napari_asmil.errors import InputError

Name = Literal["softmax", "nsf", "entmax"]
LEAST_SIGMOID = -40.0
"""Below, the sigmoid of a score is its exponential to the last bit of a float64."""


@dataclass(frozen=True)
class Normalizer:
    """Which normaliser turns scores into probabilities, and its numbers.

    Parameters
    ----------
    name : {"softmax", "nsf", "entmax"}
    temperature : float
        T > 0 divides the scores (softmax, nsf).
    offset : float
        Added to z / T before the sigmoid (nsf only): unlike softmax, NSF feels the level of the scores.
    alpha : float
        Order of entmax, > 1: 2 is sparsemax, towards 1 softmax.
    """

    name: Name = "softmax"
    temperature: float = 1.0
    offset: float = 0.0
    alpha: float = 1.5

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise InputError(f"Unknown normaliser {self.name!r}.", remedy=f"Known: {', '.join(get_args(Name))}.")
        if not self.temperature > 0:
            raise InputError(f"The temperature must be positive, not {self.temperature}.")
        if not self.alpha > 1:
            raise InputError(f"The order alpha of entmax must exceed 1, not {self.alpha}.")

    @property
    def label(self) -> str:
        """How legends and exports name it, numbers included."""
        if self.name == "softmax":
            return f"softmax T={self.temperature:g}"
        if self.name == "nsf":
            return f"NSF T={self.temperature:g} offset={self.offset:g}"
        return f"entmax alpha={self.alpha:g}"

    def log(self, z: ArrayLike) -> NDArray[np.float64]:
        """Log-probabilities of scores z (..., M), float64 of the same shape."""
        if self.name == "softmax":
            return log_softmax(z, self.temperature)
        if self.name == "nsf":
            return log_nsf(z, self.temperature, self.offset)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(entmax(z, self.alpha)))

    def probabilities(self, z: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of scores z (..., M), float64 of the same shape; without the detour over logs.

        A row with a score that is NaN or infinity is NaN throughout.
        """
        if self.name == "entmax":
            return entmax(z, self.alpha)
        scaled = np.divide(z, self.temperature, dtype=np.float64)
        if self.name == "nsf":
            scaled += self.offset
        top = scaled.max(axis=-1, keepdims=True)
        top = np.where(np.isposinf(top), np.nan, top)
        p = expit(scaled) if self.name == "nsf" else np.exp(scaled - top)
        if self.name == "nsf" and (top < LEAST_SIGMOID).any():  # of such rows the sum may be too small to divide by
            p = np.where(top < LEAST_SIGMOID, np.exp(scaled - top), p)
        p /= np.where(np.isnan(top), np.nan, p.sum(axis=-1, keepdims=True))
        return np.asarray(p)

    def as_dict(self) -> dict[str, Any]:
        """As written to a run; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Normalizer:
        """Inverse of `as_dict`."""
        return cls(**given)


def log_softmax(z: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log softmax(z / T) over the last axis, float64."""
    scaled = np.asarray(z, dtype=np.float64) / temperature
    return np.asarray(scaled - logsumexp(scaled, axis=-1, keepdims=True))


def log_nsf(z: ArrayLike, temperature: float = 1.0, offset: float = 0.0) -> NDArray[np.float64]:
    """Log of the normalised sigmoid over the last axis, float64: finite for every finite z."""
    scaled = np.asarray(z, dtype=np.float64) / temperature + offset
    log_sigmoid = -np.logaddexp(0.0, -scaled)
    return np.asarray(log_sigmoid - logsumexp(log_sigmoid, axis=-1, keepdims=True))


def softmax(z: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """softmax(z / T) over the last axis, float64."""
    return np.exp(log_softmax(z, temperature))


def nsf(z: ArrayLike, temperature: float = 1.0, offset: float = 0.0) -> NDArray[np.float64]:
    """Normalised sigmoid of z / T + offset over the last axis, float64."""
    return np.exp(log_nsf(z, temperature, offset))


def entmax(z: ArrayLike, alpha: float = 1.5) -> NDArray[np.float64]:
    """alpha-entmax over the last axis, float64: ``[(a - 1) z - tau]_+ ** (1 / (a - 1))``, tau by bisection."""
    scaled = np.asarray(z, dtype=np.float64) * (alpha - 1)
    return np.asarray(np.apply_along_axis(_entmax_row, -1, scaled, alpha))


def _entmax_row(scaled: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    power, top = 1.0 / (alpha - 1), scaled.max()
    if not np.isfinite(top):
        return np.full_like(scaled, np.nan)
    low, high = top - 1.0, top - scaled.size ** (1 - alpha)
    used = np.flatnonzero(scaled > low)  # tau is no lower, so no other tile can have a share
    near = scaled[used]
    for _ in range(60):
        tau = (low + high) / 2
        if (np.maximum(near - tau, 0.0) ** power).sum() >= 1.0:
            low = tau
        else:
            high = tau
    p = np.zeros_like(scaled)
    p[used] = np.maximum(near - low, 0.0) ** power
    return np.asarray(p / p.sum())
