"""From scores z (K, M) to probabilities over M, in torch; float32, and the log form is the primitive.

The log forms stay finite where ``sigmoid(z) / sum`` underflows or overflows: at z = -120 in float32, at
z = 6 over 100k tiles in float16. Formulas and sources: `napari_asmil.analysis.normalizers`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer


def log_normalize(z: Tensor, normalizer: Normalizer) -> Tensor:
    """Log-probabilities (..., M) by a named normaliser, at least float32 whatever the autocast state."""
    if normalizer.name == "softmax":
        return log_softmax(z, normalizer.temperature)
    if normalizer.name == "nsf":
        return log_nsf(z, normalizer.temperature, normalizer.offset)
    p = entmax(z, normalizer.alpha)
    used = p > 0  # the log of a tile that is left out is -inf, and its gradient 0 instead of NaN
    return torch.where(used, torch.where(used, p, 1.0).log(), -torch.inf)


def normalize(z: Tensor, normalizer: Normalizer) -> Tensor:
    """Probabilities (..., M) by a named normaliser, at least float32; what a model pools with."""
    if normalizer.name == "softmax":
        p = torch.softmax(wide(z) / normalizer.temperature, dim=-1)
        return p / p.detach().sum(dim=-1, keepdim=True)  # over 200k tiles torch's own sum is off by 1e-5
    if normalizer.name == "nsf":
        return log_nsf(z, normalizer.temperature, normalizer.offset).exp()
    return entmax(z, normalizer.alpha)


ROWS = 2
SUMS = {"mps": torch.float32}
"""Where sums over tiles cannot be taken in float64."""


class Target(NamedTuple):
    """A map that another is drawn to: p (K, M), and sum p log p of each row (K,)."""

    p: Tensor
    negative_entropy: Tensor


@torch.no_grad()
def target_of(z: Tensor, normalizer: Normalizer) -> Target:
    """The map of scores (K, M) with its entropy; it takes no gradient and is written over z.

    Softmax and NSF go row by row on a CPU, so that a row stays in its cache.
    """
    if normalizer.name == "entmax":
        p = entmax(z, normalizer.alpha)
        return Target(p, torch.special.xlogy(p, p).sum(dim=-1))
    p = wide(z)
    own = p.new_empty(len(p))
    step = ROWS if p.device.type == "cpu" else len(p)
    for start in range(0, len(p), step):
        rows = slice(start, start + step)
        log_p = p[rows] if normalizer.temperature == 1 else p[rows].div_(normalizer.temperature)
        if normalizer.name == "nsf":
            log_p = functional.logsigmoid(log_p if normalizer.offset == 0 else log_p.add_(normalizer.offset))
        top = log_p.amax(dim=-1, keepdim=True)
        weights = torch.sub(log_p, top).exp_()
        total = weights.sum(dim=-1, keepdim=True, dtype=SUMS.get(p.device.type, torch.float64)).to(p.dtype)
        weights.div_(total)
        own[rows] = (row_dots(weights, log_p) - top - total.log())[:, 0]
        p[rows] = weights
    return Target(p, own)


def row_dots(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two matrices (K, M), as (K, 1), without a third matrix; in their precision."""
    with full_precision(a):
        return torch.bmm(a[:, None, :], b[:, :, None])[:, :, 0]


def full_precision(like: Tensor) -> torch.autocast:
    """Context without autocast on the device of `like`: scores and maps are float32 whatever the rest is."""
    return torch.autocast(like.device.type, enabled=False)


def log_softmax(z: Tensor, temperature: float = 1.0) -> Tensor:
    """Log softmax(z / T) over the last axis."""
    return functional.log_softmax(wide(z) / temperature, dim=-1)


def log_nsf(z: Tensor, temperature: float = 1.0, offset: float = 0.0) -> Tensor:
    """Log of the normalised sigmoid of z / T + offset over the last axis."""
    log_sigmoid = functional.logsigmoid(wide(z) / temperature + offset)
    above = log_sigmoid - log_sigmoid.detach().amax(dim=-1, keepdim=True)  # near 0, where float32 is fine
    return above - torch.logsumexp(above, dim=-1, keepdim=True)


def softmax(z: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(z / T) over the last axis."""
    return log_softmax(z, temperature).exp()


def nsf(z: Tensor, temperature: float = 1.0, offset: float = 0.0) -> Tensor:
    """Normalised sigmoid of z / T + offset over the last axis."""
    return log_nsf(z, temperature, offset).exp()


def entmax(z: Tensor, alpha: float = 1.5) -> Tensor:
    """alpha-entmax over the last axis, as the package of that name computes it (exact at 1.5 and 2)."""
    from entmax import entmax15, entmax_bisect, sparsemax

    scores = wide(z)
    if alpha == 1.5:
        p = entmax15(scores, dim=-1)
    elif alpha == 2.0:
        p = sparsemax(scores, dim=-1)
    else:
        p = entmax_bisect(scores, alpha, dim=-1, n_iter=60)
    return torch.as_tensor(p)


def wide(z: Tensor) -> Tensor:
    """As float32, or float64 where it is."""
    return z if z.dtype == torch.float64 else z.float()
