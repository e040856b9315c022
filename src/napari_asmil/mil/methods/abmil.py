"""Gated attention MIL (ABMIL; Ilse, Tomczak, Welling, ICML 2018): one row of scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_asmil.mil.base import AttentionMIL, Scorer


class GatedScorer(Scorer):
    """h = relu(W x);  z = w . (tanh(V h) * sigmoid(U h)) + b."""

    row_names = ("attention",)

    def __init__(self, n_features: int, dim: int, attention_dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, dim, bias=False)
        self.gates = nn.Linear(dim, 2 * attention_dim)
        self.score = nn.Linear(attention_dim, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tiles (M, D_in) to h (M, D) and z (1, M)."""
        h = torch.relu(self.embed(x))
        v, u = self.gates(h).chunk(2, dim=-1)
        return h, self.score(torch.tanh(v) * torch.sigmoid(u)).T.float()


class Model(AttentionMIL):
    """Attention-weighted mean of the tile embeddings and a linear classifier."""

    def __init__(self, n_features: int, n_classes: int, dim: int = 128, attention_dim: int = 128) -> None:
        super().__init__(GatedScorer(n_features, dim, attention_dim), n_features, n_classes)
        self.classifier = nn.Linear(dim, n_classes)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Weighted mean (D,)."""
        return (alpha @ h)[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits
