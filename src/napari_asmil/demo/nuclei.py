"""Cell nuclei: a small bank of drawn shapes, stamped thousands at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

TURNS = 16
"""Orientations a nucleus is drawn in, over half a turn."""
_TAKES = 4


@dataclass(frozen=True)
class Look:
    """How nuclei of one cell type look: axes in micrometres, haematoxylin, and chromatin contrast."""

    length: float
    width: float
    stain: float
    chromatin: float
    vesicle: float = 0.0
    nucleolus: float = 0.0


LOOKS: dict[str, Look] = {
    "fibroblast": Look(11.0, 3.0, 0.48, 0.15),
    "epithelium": Look(7.5, 5.0, 0.50, 0.25),
    "lymphocyte": Look(5.6, 5.2, 0.66, 0.25),
    "tumour": Look(10.5, 7.2, 0.60, 0.45, vesicle=0.25, nucleolus=0.5),
    "dark tumour": Look(9.0, 6.4, 0.85, 0.30),
}


@cache
def bank(look: str, mpp: float) -> NDArray[np.float32]:
    """Haematoxylin of this look, (turns x takes, s, s) with s odd: the same each time it is asked for."""
    kind = LOOKS[look]
    rng = np.random.default_rng(len(look))
    half = int(np.ceil(0.6 * kind.length / mpp)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1] * mpp
    drawn = []
    for turn in range(TURNS):
        for _ in range(_TAKES):
            angle = np.pi * turn / TURNS
            scale = rng.uniform(0.8, 1.15) if kind.nucleolus else rng.uniform(0.9, 1.1)
            u = (np.cos(angle) * x + np.sin(angle) * y) / (kind.length / 2 * scale)
            v = (np.cos(angle) * y - np.sin(angle) * x) / (kind.width / 2 * scale * rng.uniform(0.85, 1.1))
            bump = ndimage.gaussian_filter(rng.standard_normal(x.shape), 1.2 / mpp)
            r = np.hypot(u, v) * (1 + 0.25 * bump)
            edge = np.clip((1 - r) * min(kind.width, 5.0) / (2 * mpp) + 0.5, 0, 1)
            grain = ndimage.gaussian_filter(rng.standard_normal(x.shape), 0.5 / mpp)
            inside = 1 + kind.chromatin * grain / grain.std() * 0.5 - kind.vesicle * (r < 0.7)
            spot = np.hypot(u - rng.uniform(-0.3, 0.3), v - rng.uniform(-0.3, 0.3))
            inside += kind.nucleolus * np.clip(1.5 - 5 * spot, 0, 1)
            drawn.append(kind.stain * edge * inside.clip(0.3, 1.6))
    return np.stack(drawn).astype(np.float32)


def stamp(
    plane: NDArray[np.float32], look: str, mpp: float, xy: Floats, angle: Floats, rng: np.random.Generator
) -> None:
    """Lay nuclei at `xy` (N, 2) px with orientation `angle` (N,) on the haematoxylin plane, darker winning."""
    shapes = bank(look, mpp)
    half = shapes.shape[1] // 2
    at = np.rint(xy).astype(np.intp)
    inside = ((at >= half) & (at < np.array(plane.shape[::-1]) - half)).all(axis=1)
    at, turn = at[inside], np.rint(angle[inside] / np.pi * TURNS).astype(np.intp) % TURNS
    chosen = shapes[turn * _TAKES + rng.integers(_TAKES, size=len(at))] * rng.uniform(0.8, 1.15, (len(at), 1, 1))
    around = np.arange(-half, half + 1)
    where = (at[:, 1, None, None] + around[:, None]) * plane.shape[1] + at[:, 0, None, None] + around
    flat = plane.reshape(-1)
    np.maximum.at(flat, where.ravel(), chosen.astype(np.float32).ravel())
