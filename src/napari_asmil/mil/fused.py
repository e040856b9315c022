"""Softmax attention of folded queries, pooled, with a backward that keeps one map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_asmil.mil.normalizers import row_dots


def folded_attention(h: Tensor, folded: Tensor, constant: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, their softmax over tiles, and the tiles pooled by it.

    Parameters
    ----------
    h : Tensor (M, D)
        Embeddings.
    folded : Tensor (K, D)
        Queries folded into the key projection.
    constant : Tensor (K, 1)
        Their products with the key's bias.

    Returns
    -------
    z, alpha : Tensor (K, M)
        ``h folded^T + constant`` and its softmax; alpha itself takes no gradient, z may (an anchor's KL).
    context : Tensor (K, D)
        ``alpha h``.
    """
    z, alpha, context = _FoldedAttention.apply(h, folded, constant)  # type: ignore[no-untyped-call]
    return z, alpha, context


class _FoldedAttention(torch.autograd.Function):
    """Autograd would keep scores and map, and reach h by two products and their sum instead of one product."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, folded: Tensor, constant: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = torch.addmm(constant, folded, h.T)
        alpha = torch.softmax(z, dim=-1)
        ctx.save_for_backward(h, folded, alpha)
        ctx.mark_non_differentiable(alpha)
        ctx.set_materialize_grads(False)
        return z, alpha, alpha @ h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor | None, _: None, dcontext: Tensor | None) -> tuple[Tensor | None, ...]:
        h, folded, alpha = ctx.saved_tensors
        rows = len(alpha)
        both = alpha.new_empty(2 * rows, alpha.shape[1])
        dscores, again = both[:rows], both[rows:]
        if dcontext is None:
            dcontext = torch.zeros_like(folded)
        torch.mm(dcontext, h.T, out=dscores)
        dscores.sub_(row_dots(dscores, alpha)).mul_(alpha)
        if dz is not None:
            dscores.add_(dz)
        again.copy_(alpha)
        dh = both.T @ torch.cat([folded, dcontext])
        return dh, dscores @ h, dscores.sum(dim=1, keepdim=True)
