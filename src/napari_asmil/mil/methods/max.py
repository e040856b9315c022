"""Max pooling: each class's logit is the highest that any tile has, and its map is that tile alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import SOFTMAX, Output, Scored, Scorer
from napari_asmil.mil.layers import ClassRows, Size, class_row_names, full_precision, one_output_a_row, width
from napari_asmil.mil.normalizers import normalize, wide


class MaxScorer(Scorer):
    """h = relu(W x), and the tiles' own logits, a row for each class."""

    def __init__(self, n_features: int, n_classes: int, dim: int) -> None:
        super().__init__()
        self.row_names = class_row_names(n_classes)
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.instance = nn.Linear(dim, n_classes)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return torch.relu(self.reduce(x))

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to instance logits (C, M)."""
        with full_precision(h):
            return Scored(h, self.instance(wide(h)).T)


class Model(ClassRows):
    """The embedding of each class's highest tile, read by that class's linear head.

    Parameters
    ----------
    dim : int
        D (None: by the features).

    Notes
    -----
    The scores are the tiles' logits and `Output.alpha` their probabilities by the normaliser; pooling does not go
    by these but by `Output.log_map`, which is 0 at the highest tile of a row and -inf elsewhere.
    """

    learns_scores = False
    source = "max pooling"

    scorer: MaxScorer

    def __init__(self, n_features: int, n_classes: int, dim: Size | None = None) -> None:
        size = width(n_features, dim)
        super().__init__(MaxScorer(n_features, n_classes, size), n_features, n_classes, n_classes * size)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """One bag, by the highest tile of each class."""
        scored = self.scorer(prepared)
        highest = functional.one_hot(scored.z.argmax(dim=-1), scored.z.shape[-1]).to(scored.z.dtype)
        bag = self.pool(scored.h, highest)
        alpha = normalize(scored.z, normalizer)
        return Output(self.classify(bag), alpha, scored, bag, normalizer, log_map=highest.log())

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Each row's highest tile, one after the other (C D,)."""
        return h[alpha.argmax(dim=-1)].flatten()

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        return one_output_a_row(self.scorer.instance, bag.view(self.n_classes, -1))
