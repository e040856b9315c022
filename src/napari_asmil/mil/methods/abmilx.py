"""ABMILX ("Revisiting End-to-End Learning with Slide-level Supervision in Computational Pathology", section 3.2).

``h = dropout(gelu(W LN x))`` is split into heads. Local scores A (MHLA) come from one MLP that all heads share;
attention plus (A+) adds, to each tile's, the mean of those of tiles that look like it:
``z = A + alpha U A, U = softmax(Q K^T / sqrt(d))`` (eq. 4), alpha learned. Heads pool by softmax(z) (eq. 3).

U is never formed: U A is attention whose values have one column, and fused kernels keep a few numbers a row. Time
still grows with the square of the tiles. As in the released code no layer has a bias, Q and K see layer-normalised
heads, linear layers start as Xavier. The paper does not say where alpha starts; here at a small positive number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.mil.base import AttentionMIL, Scored, Scorer
from napari_asmil.mil.layers import Size, check_heads, full_precision, width
from napari_asmil.mil.normalizers import wide

START = 0.1
"""Of alpha: small, so that training starts near MHLA, and not 0, where Q and K would not learn."""


class AbmilxScorer(Scorer):
    """Embedding, the local scores of each head, and what attention plus adds."""

    def __init__(self, n_features: int, dim: int, heads: int, plus: bool) -> None:
        super().__init__()
        self.heads = heads
        self.row_names = tuple(f"head {h + 1}" for h in range(heads))
        depth = dim // heads
        self.norm = nn.LayerNorm(n_features, bias=False)
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.dropout = nn.Dropout(0.25)
        self.local = nn.Sequential(nn.Linear(depth, depth, bias=False), nn.GELU(), nn.Linear(depth, 1, bias=False))
        self.plus = AttentionPlus(depth) if plus else None
        self.apply(_start)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        h: Tensor = self.dropout(functional.gelu(self.reduce(self.norm(x))))
        return h

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (H, M)."""
        with full_precision(h):
            of_heads = wide(h).view(len(h), self.heads, -1).transpose(0, 1)
            local = self.local(of_heads)[..., 0]
            return Scored(h, local if self.plus is None else self.plus(of_heads, local))


class AttentionPlus(nn.Module):
    """A+: scores refined by those of similar tiles, with one query, key and alpha for all heads."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(depth, bias=False)
        self.query = nn.Linear(depth, depth, bias=False)
        self.key = nn.Linear(depth, depth, bias=False)
        self.alpha = nn.Parameter(torch.tensor(START))

    def forward(self, h: Tensor, local: Tensor) -> Tensor:
        """Tiles of each head (H, M, d) and their local scores (H, M) to refined scores (H, M)."""
        normed = self.norm(h)
        return local + self.alpha * attended_scores(self.query(normed), self.key(normed), local)


class Model(AttentionMIL):
    """Heads pool their part of the embedding; projection, layer norm and a linear classifier.

    Parameters
    ----------
    dim, heads : int
        D (None: by the features) and m.
    plus : bool
        Attention plus; without it the model is MHLA (alpha = 0 in the paper's tables).
    ffn : bool
        A residual MLP on the bag vector, which the paper keeps for its largest data set.
    """

    source = '"Revisiting End-to-End Learning with Slide-level Supervision in Computational Pathology"'
    paper: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adamw",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "epochs": 75,
        "settings": {"dim": 512},
    }
    """Its two-stage training of subtypes on features of foundation models (appendix B)."""

    scorer: AbmilxScorer

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: Size | None = None,
        heads: Size = 8,
        plus: bool = True,
        ffn: bool = False,
    ) -> None:
        size = width(n_features, dim)
        check_heads(size, heads)
        super().__init__(AbmilxScorer(n_features, size, heads, plus), n_features, n_classes, size)
        self.project = nn.Linear(size, size, bias=False)
        self.ffn = _mlp(size) if ffn else None
        self.norm = nn.LayerNorm(size, bias=False)
        self.classifier = nn.Linear(size, n_classes, bias=False)
        for part in (self.project, self.ffn, self.classifier):
            if part is not None:
                part.apply(_start)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """What the heads pooled by `alpha` (H, M), projected and normalised (D,)."""
        of_heads = h.view(len(h), self.scorer.heads, -1)
        bag = self.project(torch.einsum("hm,mhd->hd", alpha, of_heads).reshape(-1))
        if self.ffn is not None:
            bag = bag + self.ffn(bag)
        return torch.as_tensor(self.norm(bag))

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits


def attended_scores(q: Tensor, k: Tensor, scores: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) s of queries and keys (H, M, d) and scores (H, M): (H, M), in O(H M d) memory.

    Fused kernels want values as wide as keys and, on GPUs, a width that is a multiple of 8: zeros fill up.
    """
    depth = q.shape[-1]
    size = -(-depth // 8) * 8
    q, k, value = (functional.pad(part, (0, size - part.shape[-1])) for part in (q, k, scores[..., None]))
    attended = functional.scaled_dot_product_attention(q[None], k[None], value[None], scale=1 / math.sqrt(depth))
    return attended[0, ..., 0]


def _mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim, bias=False),
        nn.Linear(dim, 4 * dim, bias=False),
        nn.GELU(),
        nn.Linear(4 * dim, dim, bias=False),
    )


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
