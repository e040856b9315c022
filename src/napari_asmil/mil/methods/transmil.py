"""TransMIL (Shao et al., NeurIPS 2021): Nyström attention among tiles and a CLS token, twice.

``x = relu(W x)``, made a square by repeating the first tiles; CLS before them; ``x += Nys(LN x)``; PPEG, convolutions
over the square; ``x += Nys(LN x)``; CLS is classified. Only the CLS row of the last attention is formed.

There is no score of which that row r would be a normaliser: it is a product of three softmaxes, slightly negative in
places. The scores z are the exact ones that r approximates, ``<q_cls, k_i> / sqrt(d)``, those an anchor steadies, and
`Output.log_map` is r itself: without CLS, padding (whose repeated tiles count for the tiles they repeat) and what is
not positive. The normaliser decides the map of z alone, never what is pooled. The square is of the tiles' order, not
of the slide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import SOFTMAX, AttentionMIL, Output, Scored, Scorer
from napari_asmil.mil.layers import Size, check_heads, full_precision, width
from napari_asmil.mil.normalizers import normalize, wide
from napari_asmil.mil.nystrom import (
    KERNEL,
    NystromAttention,
    attention_row,
    by_head,
    front_padded,
    segment_means,
)

AFTER = KERNEL // 2 + 1
"""Taps of the last layer's convolution that can see a token: CLS comes first."""


class TransmilScorer(Scorer):
    """Embedding, first attention, PPEG, and the last attention's norm, queries and keys."""

    def __init__(self, n_features: int, dim: int, heads: int, landmarks: int) -> None:
        super().__init__()
        self.heads = heads
        self.row_names = tuple(f"head {h + 1}" for h in range(heads))
        self.reduce = nn.Linear(n_features, dim)
        self.cls = nn.Parameter(torch.randn(1, dim))
        self.first = NystromAttention(dim, heads, landmarks)
        self.position = Ppeg(dim)
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        return torch.relu(self.reduce(x))

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (H, M)."""
        return Scored(h, self.cls_scores(self.norm(self.tokens(h)), len(h)))

    def tokens(self, h: Tensor) -> Tensor:
        """Embeddings (M, D) to CLS and the square of tiles (1 + a^2, D) that reach the last layer."""
        side = math.isqrt(len(h) - 1) + 1
        sequence = torch.cat([self.cls.to(h.dtype), h, h[: side**2 - len(h)]])
        sequence = sequence + checkpoint(self.first, sequence, use_reentrant=False)
        return torch.cat([sequence[:1], self.position(sequence[1:], side)])

    def cls_scores(self, normed: Tensor, tiles: int) -> Tensor:
        """Of normalised tokens (1 + a^2, D), the scores of the M tiles for CLS (H, M); CLS is folded into the keys."""
        with full_precision(normed):
            q = by_head(self.query(wide(normed[:1])), self.heads) / math.sqrt(normed.shape[-1] // self.heads)
            folded = torch.einsum("hnd,hdi->hi", q, self.key.weight.view(self.heads, -1, normed.shape[-1]))
            return folded @ wide(normed[1 : tiles + 1]).T


class Ppeg(nn.Module):
    """Pyramid position encoding: ``x + conv7 x + conv5 x + conv3 x``, depthwise, here as one convolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seven, self.five, self.three = (nn.Conv2d(dim, dim, size, groups=dim) for size in (7, 5, 3))

    def forward(self, x: Tensor, side: int) -> Tensor:
        """Tokens (a^2, D), row after row, to (a^2, D)."""
        dim = x.shape[-1]
        square = x.view(1, side, side, dim).permute(0, 3, 1, 2)
        identity = self.seven.weight.new_ones(dim, 1, 1, 1)
        kernels = (identity, self.three.weight, self.five.weight, self.seven.weight)
        kernel = torch.stack([functional.pad(k, [(7 - k.shape[-1]) // 2] * 4) for k in kernels]).sum(dim=0)
        bias = torch.stack([b for b in (self.three.bias, self.five.bias, self.seven.bias) if b is not None]).sum(dim=0)
        mixed = functional.conv2d(square, kernel, bias, padding=3, groups=dim)
        return mixed.permute(0, 2, 3, 1).reshape(x.shape)


class Model(AttentionMIL):
    """Two Nyström attention layers with PPEG between them.

    Parameters
    ----------
    dim, heads : int
        D (None: by the features) and H.
    landmarks : int
        m (None: D / 2).
    """

    map_words = "Nyström attention of CLS"
    source = "Shao et al., NeurIPS 2021"
    paper: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "lr": 2e-4,
        "weight_decay": 1e-5,
        "clip": None,
        "epochs": 200,
        "settings": {"dim": 512},
    }
    """With Adam instead of Lookahead on RAdam, and without early stopping."""

    scorer: TransmilScorer

    def __init__(
        self, n_features: int, n_classes: int, dim: Size | None = None, heads: Size = 8, landmarks: Size | None = None
    ) -> None:
        size = width(n_features, dim)
        check_heads(size, heads)
        self.landmarks = landmarks or max(1, size // 2)
        super().__init__(TransmilScorer(n_features, size, heads, self.landmarks), n_features, n_classes, size)
        self.value = nn.Linear(size, size, bias=False)
        self.conv = nn.Parameter(torch.empty(heads, AFTER).uniform_(-1, 1) / math.sqrt(KERNEL))
        self.project = nn.Linear(size, size)
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(size)
        self.classifier = nn.Linear(size, n_classes)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """As `AttentionMIL.attend`; `Output.log_map` is the CLS row."""
        h = self.scorer.embed(prepared)
        tokens = self.scorer.tokens(h)
        padded = front_padded(self.scorer.norm(tokens), self.landmarks)
        normed = padded[-len(tokens) :]
        scored = Scored(h, self.scorer.cls_scores(normed, len(h)))
        row = self._row(padded, normed[:1])[:, -len(tokens) :]
        bag = self._bag(tokens[0], self._values(row.to(normed.dtype) @ normed + self._nearby(normed)))
        log_map = folded_log_map(row.detach(), len(h))
        return Output(self.classify(bag), normalize(scored.z, normalizer), scored, bag, normalizer, log_map=log_map)

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits

    @torch.no_grad()
    def evidence(self, prepared: Tensor) -> Tensor:
        """Logits (M, C) if a tile were all that CLS attends to in the last layer, in evaluation mode."""
        was, _ = self.training, self.eval()
        tokens = self.scorer.tokens(self.scorer.embed(prepared))
        normed = self.scorer.norm(tokens)
        values = self.value(normed[1 : len(prepared) + 1]) + self._values(self._nearby(normed))
        logits = self.classify(self._bag(tokens[0], values))
        self.train(was)
        return logits

    def _row(self, padded: Tensor, cls: Tensor) -> Tensor:
        """What each of all tokens (n, D) weighs for CLS (1, D): (H, n), at least float32."""
        marks = segment_means(padded, self.landmarks)
        query, key = self.scorer.query, self.scorer.key
        parts = (query(cls), query(marks), key(marks), key(padded))
        return attention_row(*(by_head(part, self.scorer.heads) for part in parts))

    def _nearby(self, normed: Tensor) -> Tensor:
        """What the convolution adds at CLS to the pooled tokens: (H, D)."""
        near = normed[: self.conv.shape[1]]
        return self.conv[:, : len(near)] @ near

    def _values(self, pooled: Tensor) -> Tensor:
        """What each head pooled (H, D) to values (D,)."""
        weight = self.value.weight.view(len(pooled), -1, pooled.shape[-1])
        return torch.einsum("hi,hdi->hd", pooled, weight).reshape(-1)

    def _bag(self, cls: Tensor, values: Tensor) -> Tensor:
        """CLS (D,) and values (..., D) to bag vectors (..., D)."""
        bag: Tensor = self.norm(cls + self.dropout(self.project(values)))
        return bag


def folded_log_map(row: Tensor, tiles: int) -> Tensor:
    """Log-probabilities (H, M) of the CLS row (H, 1 + a^2).

    CLS is left out, a repeated tile counts for the tile it repeats, what is not positive becomes as good as 0, and
    each row is divided by its sum; a row without anything positive is uniform.
    """
    of_tiles = row[:, 1 : tiles + 1].clone()
    repeated = row[:, tiles + 1 :]
    of_tiles[:, : repeated.shape[1]] += repeated
    return of_tiles.clamp_min(torch.finfo(row.dtype).tiny).log().log_softmax(dim=-1)
