"""The interface of every attention MIL model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.normalizers import log_normalize

SOFTMAX = Normalizer()


class Output(NamedTuple):
    """What one bag of M tiles gives: logits (C,), log alpha (K, M), z (K, M) and the bag vector (D,)."""

    logits: Tensor
    log_alpha: Tensor
    z: Tensor
    bag: Tensor


class Scorer(nn.Module):
    """Everything upstream of the scores, and what an anchor copies.

    ``forward(x)`` takes tiles (M, D_in) and returns their embedding h (M, D) and scores z (K, M), float32,
    before any normaliser. `row_names` names the K rows.
    """

    row_names: tuple[str, ...]


class AttentionMIL(nn.Module):
    """embed -> scores z (K, M) -> normalise -> pool -> classify; the normaliser is an argument.

    Parameters
    ----------
    scorer : Scorer
        Embeds and scores the tiles.
    n_features, n_classes : int
        D_in and C.
    """

    scorer: Scorer
    mean: Tensor
    scale: Tensor

    def __init__(self, scorer: Scorer, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.n_features = n_features
        self.n_classes = n_classes
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def standardize_with(self, mean: Tensor, scale: Tensor) -> None:
        """Subtract `mean` and multiply by `scale`, both (D_in,), before anything else; part of the weights."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def prepare(self, x: Tensor) -> Tensor:
        """Raw features (M, D_in) as the scorer, online or anchor, wants them."""
        return (x.float() - self.mean) * self.scale

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Embeddings (M, D) and probabilities (K, M) to the bag vector (D,)."""
        raise NotImplementedError

    def classify(self, bag: Tensor) -> Tensor:
        """Bag vector (D,) to logits (C,)."""
        raise NotImplementedError

    def row_weights(self, logits: Tensor) -> Tensor:
        """Weights (K,) that join the rows to one map; the mean unless a method says otherwise."""
        rows = len(self.scorer.row_names)
        return torch.full((rows,), 1 / rows, device=logits.device)

    def forward(self, x: Tensor, normalizer: Normalizer = SOFTMAX) -> Output:
        """One bag of raw features (M, D_in)."""
        return self.attend(self.prepare(x), normalizer)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX) -> Output:
        """One bag of features that `prepare` has seen."""
        h, z = self.scorer(prepared)
        log_alpha = log_normalize(z, normalizer)
        bag = self.pool(h, log_alpha.exp().to(h.dtype))
        return Output(self.classify(bag), log_alpha, z, bag)


def join_rows(log_alpha: Tensor, weights: Tensor) -> Tensor:
    """One log map (M,) from rows (K, M) and weights (K,) that sum to 1."""
    return torch.logsumexp(log_alpha + weights.log()[:, None], dim=0)
