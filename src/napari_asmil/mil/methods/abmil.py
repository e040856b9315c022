"""Attention MIL (ABMIL; Ilse, Tomczak, Welling, ICML 2018), gated or plain: one row of scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from napari_asmil.mil.base import AttentionMIL, Scored, Scorer
from napari_asmil.mil.layers import AttentionScores, Size, width


class AbmilScorer(Scorer):
    """h = relu(W x), and one row of attention scores on h."""

    row_names = ("attention",)

    def __init__(self, n_features: int, dim: int, attention_dim: int, gated: bool) -> None:
        super().__init__()
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.attention = AttentionScores(dim, attention_dim, 1, gated)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return torch.relu(self.reduce(x))

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (1, M)."""
        return Scored(h, self.attention(h))


class Model(AttentionMIL):
    """Attention-weighted mean of the tile embeddings and a linear classifier.

    Parameters
    ----------
    dim, attention_dim : int
        D (None: by the features) and the attention network's inner size.
    gated : bool
        tanh times sigmoid, or tanh alone.
    """

    source = "Ilse, Tomczak, Welling, ICML 2018"

    def __init__(
        self, n_features: int, n_classes: int, dim: Size | None = None, attention_dim: Size = 128, gated: bool = True
    ) -> None:
        size = width(n_features, dim)
        super().__init__(AbmilScorer(n_features, size, attention_dim, gated), n_features, n_classes, size)
        self.classifier = nn.Linear(size, n_classes)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Weighted mean (D,)."""
        return (alpha @ h)[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits
