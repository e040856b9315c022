"""ACMIL (Zhang et al., ECCV 2024): several attention branches that are kept apart, and top tiles masked at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.mil.base import AttentionMIL, Output, Scored, Scorer
from napari_asmil.mil.layers import AttentionScores, Count, Share, Size, width


class AcmilScorer(Scorer):
    """h = relu(W x) and N rows of gated attention scores on h; in training some top tiles take no part."""

    def __init__(
        self, n_features: int, dim: int, attention_dim: int, tokens: int, top_tiles: int, mask_share: float
    ) -> None:
        super().__init__()
        self.row_names = tuple(f"branch {branch + 1}" for branch in range(tokens))
        self.top_tiles, self.mask_share = top_tiles, mask_share
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.attention = AttentionScores(dim, attention_dim, tokens)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return torch.relu(self.reduce(x))

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (N, M), and in training to the tiles that take part."""
        z = self.attention(h)
        return Scored(h, z, self._taking_part(z.detach()) if self.training else None)

    def _taking_part(self, z: Tensor) -> Tensor | None:
        """Stochastic top-k instance masking (N, M), each row's own; at least one tile is left in a row."""
        rows, tiles = z.shape
        top = min(self.top_tiles, tiles)
        masked = min(int(top * self.mask_share), tiles - 1)
        if masked == 0:
            return None
        drawn = torch.rand(rows, top).argsort(dim=-1)[:, :masked].to(z.device)
        tops = z.topk(top, dim=-1).indices
        return torch.ones_like(z, dtype=torch.bool).scatter_(1, tops.gather(1, drawn), False)


class Model(AttentionMIL):
    """The mean of what the branches pool and a linear classifier; in training each branch has one of its own too.

    Parameters
    ----------
    dim, attention_dim : int
        D (None: by the features) and the attention network's inner size.
    tokens : int
        N branches.
    top_tiles : int
        Among so many tiles of the highest scores some are masked, in training.
    mask_share : float
        Share of them that is.
    """

    source = "Zhang et al., ECCV 2024"
    paper: ClassVar[Mapping[str, Any]] = {"optimizer": "adamw", "weight_decay": 1e-5}

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: Size | None = None,
        attention_dim: Size = 128,
        tokens: Size = 5,
        top_tiles: Count = 10,
        mask_share: Share = 0.6,
    ) -> None:
        size = width(n_features, dim)
        scorer = AcmilScorer(n_features, size, attention_dim, tokens, top_tiles, mask_share)
        super().__init__(scorer, n_features, n_classes, size)
        self.classifier = nn.Linear(size, n_classes)
        self.branch_classifiers = nn.ModuleList(nn.Linear(size, n_classes) for _ in range(tokens))

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Weighted mean by the mean of the rows (D,)."""
        return alpha.mean(dim=0) @ h

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits

    def loss(self, out: Output, label: Tensor) -> Tensor:
        """Cross-entropy of the bag, mean cross-entropy of the branches, and likeness of the rows."""
        pooled = out.alpha.to(out.scored.h.dtype) @ out.scored.h
        logits = torch.stack([of(branch) for of, branch in zip(self.branch_classifiers, pooled, strict=True)])
        branches = functional.cross_entropy(logits, label.expand(len(logits)))
        return super().loss(out, label) + branches + likeness(out.alpha)


def likeness(alpha: Tensor) -> Tensor:
    """Mean cosine of two rows of (N, M), each pair counted once; 0 for a single row.

    Of unit rows u the sum over pairs is ``(|sum u|^2 - N) / 2``.
    """
    rows = len(alpha)
    if rows == 1:
        return alpha.new_zeros(())
    unit = functional.normalize(alpha, dim=-1)
    return (unit.sum(dim=0).square().sum() - rows) / (rows * (rows - 1))
