"""Attention of learned queries with the query folded into the key projection, for methods that have one.

``z = h (W_k^T q) + q . b_k``: keys and values of tiles are never formed (tiles are pooled before they are
projected, which is exact since probabilities sum to 1). The constant matters: NSF is not shift-invariant.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.mil.base import Scored, Scorer
from napari_asmil.mil.fused import embed, folded_scores
from napari_asmil.mil.normalizers import full_precision, wide


class FoldingScorer(Scorer):
    """A scorer whose scores are products of embeddings and folded queries."""

    normalize: bool

    def __init__(self, n_features: int, dim: int, heads: int, tokens: int, spread: float) -> None:
        super().__init__()
        self.heads = heads
        self.row_names = tuple(f"head {h + 1} / token {t + 1}" for t in range(tokens) for h in range(heads))
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.tokens = nn.Parameter(torch.randn(tokens, dim) * spread)

    def queries(self) -> tuple[Tensor, Tensor]:
        """Queries folded into the keys (N, H, D), and their constants (N, H)."""
        raise NotImplementedError

    def fold(self) -> tuple[Tensor, Tensor]:
        """The same as (N H, D) and (N H, 1), float32."""
        with full_precision(self.tokens):
            folded, constant = self.queries()
        return folded.reshape(-1, folded.shape[-1]), constant.reshape(-1, 1)

    def unfold(self, context: Tensor) -> Tensor:
        """What the rows pooled of `embed` (N H, D), as the values are made of it."""
        return context

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return embed(x, self.reduce.weight, normalize=self.normalize)

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (N H, M), token by token, heads within."""
        folded, constant = self.fold()
        with full_precision(h):
            return Scored(h, torch.addmm(constant, folded, wide(h).T))

    def scores(self, x: Tensor, context: Any = None) -> Tensor:
        """Block by block."""
        return folded_scores(x, self.reduce.weight, *self.fold(), normalize=self.normalize)


class PerTokenScorer(FoldingScorer):
    """Every token has projections of its own, as in the released layout of ASMIL."""

    normalize = False

    def __init__(self, n_features: int, dim: int, heads: int, tokens: int) -> None:
        super().__init__(n_features, dim, heads, tokens, 1e-6)
        self.query, self.key = PerToken(tokens, dim), PerToken(tokens, dim)

    def queries(self) -> tuple[Tensor, Tensor]:
        """Each token's query folded into its keys."""
        tokens, dim = self.tokens.shape
        depth = dim // self.heads
        q = self.query(self.tokens).view(tokens, self.heads, depth) / math.sqrt(depth)
        folded = torch.einsum("nhd,nhdi->nhi", q, self.key.weight.view(tokens, self.heads, depth, dim))
        return folded, (q * self.key.bias.view(tokens, self.heads, depth)).sum(dim=-1)


class PerToken(nn.Module):
    """A linear layer for each of N tokens: (N, D) to (N, D)."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dim)
        self.weight = nn.Parameter(torch.empty(tokens, dim, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(tokens, dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Each row by its own layer."""
        return torch.einsum("ni,noi->no", x, self.weight) + self.bias


class PerTokenFeat(nn.Module):
    """Values, output projection, dropout and layer norm of each token's own block."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.value, self.project = PerToken(tokens, dim), PerToken(tokens, dim)
        self.dropout = nn.Dropout(0.1)
        self.norm_weight = nn.Parameter(torch.ones(tokens, dim))
        self.norm_bias = nn.Parameter(torch.zeros(tokens, dim))

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """As `PaperFeat.forward`; the tokens themselves are not added."""
        n, heads, dim = context.shape
        weight = self.value.weight.view(n, heads, dim // heads, dim)
        values = torch.einsum("nhi,nhdi->nhd", context, weight).reshape(n, dim) + self.value.bias
        x = functional.layer_norm(self.dropout(self.project(values)), (dim,), eps=1e-6)
        return x * self.norm_weight + self.norm_bias
