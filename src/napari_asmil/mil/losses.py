"""Losses between and on maps, in nats."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from napari_asmil.mil.base import Output
from napari_asmil.mil.normalizers import Target, row_dots

Reduction = Literal["sum", "mean"]
Rows = Literal["each", "mean"]


def anchor_kl(out: Output, target: Target, reduction: Reduction = "sum", rows: Rows = "each") -> Tensor:
    """KL(target || alpha) of a model's map, in nats; the target takes no gradient.

    Parameters
    ----------
    out : Output
        Of the online model; tiles that take no part leave both distributions.
    target : Target
        The anchor's map (K, M), may hold 0.
    reduction : {"sum", "mean"}
        Over tiles. "sum" is the divergence (ASMIL, eq. 7); "mean" divides it by M, as the released code does.
    rows : {"each", "mean"}
        The mean of the rows' divergences, or the divergence of the rows' mean maps.

    Notes
    -----
    Its gradient in the scores of a softmax row is ``alpha - target`` (eq. 8).
    """
    valid = out.scored.valid
    if rows == "each" and valid is None and out.normalizer.name == "softmax":
        loss = _softmax_kl(out, target)
    else:
        p, log_alpha = target.p, out.log_alpha
        if valid is not None:
            p = torch.where(valid, p, 0.0)
            p = p / p.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny)  # a row may lose all it had
        if rows == "mean":
            if valid is not None:
                log_alpha = log_alpha.masked_fill(~valid.any(dim=0), 0.0)  # p is 0 there; -inf alone has no gradient
            p, log_alpha = p.mean(dim=0, keepdim=True), _mean_of_rows(log_alpha)
        loss = (torch.special.xlogy(p, p) - p * log_alpha.masked_fill(p == 0, 0.0)).sum(dim=-1).mean()
    return loss / out.z.shape[-1] if reduction == "mean" else loss


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of log-probabilities (K, M), mean over rows; where p is 0 nothing is counted."""
    p = log_p.exp()
    used = p > 0
    terms = p * (log_p - log_q.masked_fill(~used, 0.0)).masked_fill(~used, 0.0)
    return terms.sum(dim=-1).mean()


def negative_entropy(out: Output, *, normalized: bool = False) -> Tensor:
    """Sum alpha log alpha, mean over rows, <= 0 (AEM, MICCAI 2025); `normalized` divides by log M (0 for M = 1)."""
    log_alpha = out.log_alpha
    alpha = log_alpha.exp()
    per_row = (alpha * log_alpha.masked_fill(alpha == 0, 0.0)).sum(dim=-1)
    if normalized:
        per_row = per_row / _tiles(out).log().clamp_min(math.log(2))  # the entropy of one tile is 0 anyway
    return per_row.mean()


def kl_from_uniform(out: Output) -> Tensor:
    """KL(uniform || alpha) = -log M - mean log alpha, mean over rows.

    KL(alpha || uniform) is log M minus the entropy, so its gradient would be the negative entropy's.
    """
    log_alpha = out.log_alpha
    if out.scored.valid is not None:
        log_alpha = log_alpha.masked_fill(~out.scored.valid, 0.0)
    tiles = _tiles(out)
    return -(tiles.log() + log_alpha.sum(dim=-1) / tiles).mean()


def _tiles(out: Output) -> Tensor:
    """How many tiles take part in each row (K,)."""
    rows, tiles = out.z.shape
    return out.z.new_full((rows,), tiles) if out.scored.valid is None else out.scored.valid.sum(dim=-1).to(out.z.dtype)


def _mean_of_rows(log_rows: Tensor) -> Tensor:
    return (torch.logsumexp(log_rows, dim=0) - torch.log(torch.tensor(float(len(log_rows)))))[None]


def _softmax_kl(out: Output, target: Target) -> Tensor:
    temperature = out.normalizer.temperature
    loss: Tensor = _SoftmaxKL.apply(out.z, out.alpha.detach(), *target, temperature)  # type: ignore[no-untyped-call]
    return loss


class _SoftmaxKL(torch.autograd.Function):
    """KL(p || softmax(z / T)), mean over rows, from the map that pooling has made already.

    Forward needs no log map: ``sum p log p - sum p z / T + logsumexp(z / T)``, the last from the largest score and
    its probability. Backward is ``(alpha - p) / (K T)``.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, alpha: Tensor, p: Tensor, own: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(alpha, p)
        ctx.temperature = temperature
        log_sum = z.amax(dim=-1) / temperature - alpha.amax(dim=-1).log()
        return torch.as_tensor((own - row_dots(p, z)[:, 0] / temperature + log_sum).mean())

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        alpha, p = ctx.saved_tensors  # type: ignore[attr-defined]
        temperature: float = ctx.temperature  # type: ignore[attr-defined]
        return (alpha - p).mul_(grads[0] / (len(alpha) * temperature)), None, None, None, None
