"""Mean pooling: every tile weighs the same, so there is nothing to steady."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from napari_asmil.mil.base import AttentionMIL, Scored, Scorer
from napari_asmil.mil.layers import Size, width
from napari_asmil.mil.normalizers import wide


class MeanScorer(Scorer):
    """h = relu(W x), and the score 0 for every tile, which any normaliser makes 1 / M."""

    row_names = ("mean",)

    def __init__(self, n_features: int, dim: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(n_features, dim, bias=False)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return torch.relu(self.reduce(x))

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Zeros (1, M)."""
        return Scored(h, wide(h.new_zeros(1, len(h))))


class Model(AttentionMIL):
    """The mean of the tile embeddings and a linear classifier, or, the same, the mean of the tiles' logits.

    Parameters
    ----------
    dim : int
        D (None: by the features).
    """

    learns_scores = False
    source = "mean pooling"

    def __init__(self, n_features: int, n_classes: int, dim: Size | None = None) -> None:
        size = width(n_features, dim)
        super().__init__(MeanScorer(n_features, size), n_features, n_classes, size)
        self.classifier = nn.Linear(size, n_classes)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Mean (D,)."""
        return (alpha @ h)[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits
