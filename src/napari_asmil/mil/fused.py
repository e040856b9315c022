"""Embedding, softmax attention of folded queries and pooling in one step, block by block of tiles.

A block's embedding is used for everything while it is in the processor's cache, forward and backward. Backward
keeps the embedding and one map, and never holds the gradient of the whole embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

BLOCK = 2048
EPS = 1e-5


class Attended(NamedTuple):
    """What `folded_attention` gives.

    Attributes
    ----------
    h : Tensor (M, D)
        Embeddings; they take no gradient from outside.
    z, alpha : Tensor (K, M)
        Scores and their softmax over tiles; z takes a gradient (an anchor's KL), alpha none.
    context : Tensor (K, D)
        ``alpha h``.
    """

    h: Tensor
    z: Tensor
    alpha: Tensor
    context: Tensor


def folded_attention(x: Tensor, weight: Tensor, folded: Tensor, constant: Tensor, *, normalize: bool) -> Attended:
    """Attend to tiles with queries that are folded into the key projection.

    Parameters
    ----------
    x : Tensor (M, D_in)
        Tiles.
    weight : Tensor (D, D_in)
        Of the embedding ``h = relu(x weight^T)``.
    folded : Tensor (K, D)
        Folded queries: ``z = folded h^T + constant``.
    constant : Tensor (K, 1)
        Products of the queries with the key's bias.
    normalize : bool
        Normalise h as a layer norm without weight and bias does.
    """
    return Attended(*_FoldedAttention.apply(x, weight, folded, constant, normalize))  # type: ignore[no-untyped-call]


def embed(x: Tensor, weight: Tensor, *, normalize: bool) -> Tensor:
    """The embedding (M, D) alone."""
    h = torch.relu_(x @ weight.T)
    return functional.layer_norm(h, (len(weight),), eps=EPS) if normalize else h


@torch.no_grad()
def folded_scores(x: Tensor, weight: Tensor, folded: Tensor, constant: Tensor, *, normalize: bool) -> Tensor:
    """The scores (K, M) alone, without gradient."""
    z = x.new_empty(len(folded), len(x))
    for block in _blocks(x):
        torch.addmm(constant, folded, embed(x[block], weight, normalize=normalize).T, out=z[:, block])
    return z


class _FoldedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, folded: Tensor, constant: Tensor, normalize: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        h, z = x.new_empty(len(x), len(weight)), x.new_empty(len(folded), len(x))
        used = torch.empty_like(h, dtype=torch.bool) if normalize else None
        rstd = x.new_empty(len(x), 1) if normalize else None
        for block in _blocks(x):
            here = h[block]
            torch.mm(x[block], weight.T, out=here)
            here.relu_()
            if used is not None and rstd is not None:
                torch.gt(here, 0, out=used[block])
                here[:], _, rstd[block] = torch.native_layer_norm(here, (len(weight),), None, None, EPS)
            torch.addmm(constant, folded, here.T, out=z[:, block])
        alpha = torch.softmax(z, dim=-1)
        alpha.div_(alpha.sum(dim=-1, keepdim=True))  # over 200k tiles torch's own sum is off by 1e-5
        context = alpha @ h
        ctx.save_for_backward(x, weight, folded, h, alpha, context, used, rstd)
        ctx.mark_non_differentiable(h, alpha)
        ctx.set_materialize_grads(False)
        return h, z, alpha, context

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, _: None, dz: Tensor | None, __: None, dcontext: Tensor | None
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor, None]:
        x, weight, folded, h, alpha, context, used, rstd = ctx.saved_tensors
        rows = len(folded)
        dcontext = torch.zeros_like(folded) if dcontext is None else dcontext
        dots = (dcontext * context).sum(dim=1, keepdim=True)  # = sum over tiles of alpha * dalpha
        both, mixed = alpha.new_empty(2 * rows, min(len(x), _block(x))), torch.cat([folded, dcontext])
        dweight, dfolded, dconstant = torch.zeros_like(weight), torch.zeros_like(folded), alpha.new_zeros(rows, 1)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for block in _blocks(x):
            here, maps = h[block], alpha[:, block]
            filled = both[:, : len(here)]
            scores = filled[:rows]
            torch.mm(dcontext, here.T, out=scores)
            scores.sub_(dots).mul_(maps)
            if dz is not None:
                scores.add_(dz[:, block])
            filled[rows:] = maps
            dh = filled.T @ mixed
            if used is None or rstd is None:
                dh.mul_(here > 0)
            else:
                dh = _through_norm(dh, here, rstd[block]).mul_(used[block])
            dweight.addmm_(dh.T, x[block])
            dfolded.addmm_(scores, here)
            dconstant += scores.sum(dim=1, keepdim=True)
            if dx is not None:
                torch.mm(dh, weight, out=dx[block])
        return dx, dweight, dfolded, dconstant, None


def _through_norm(dh: Tensor, h: Tensor, rstd: Tensor) -> Tensor:
    """Gradient before a layer norm without weight, from that after it and its result."""
    along = (dh * h).mean(dim=1, keepdim=True)
    return dh.sub_(dh.mean(dim=1, keepdim=True)).addcmul_(h, along, value=-1).mul_(rstd)


def _block(x: Tensor) -> int:
    return BLOCK if x.device.type == "cpu" else len(x)


def _blocks(x: Tensor) -> Iterator[slice]:
    """Blocks that fit a processor's cache; a GPU takes all tiles at once."""
    step = max(1, _block(x))
    return (slice(start, start + step) for start in range(0, len(x), step))
