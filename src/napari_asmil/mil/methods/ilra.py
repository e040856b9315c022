"""ILRA-MIL (Xiang, Zhang, ICLR 2023): tiles exchange what they know through a few latent vectors, twice.

In a gated low-rank block r latents attend to all tiles and all tiles attend back to them (eq. 16), so that its cost is
linear in tiles. Then a seed attends to the tiles, and what its heads pooled is classified. This last attention gives
the scores z, with the seed's query folded into the keys, and is the only one that the normaliser acts on.

Every attention ends in ``o = LN(q + A); o = LN(o + relu(W o))``, q the query and A what the heads pooled; in the blocks
o is multiplied by ``silu(W' x)``, x being what the query is made of. Where the released code has two linear maps in a
row, there is one. A tile that attends back to a single latent, the default, copies it whatever their scores: there are
neither queries nor keys then.
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


class Residual(nn.Module):
    """What follows every attention: ``o = LN(q + A); o = LN(o + relu(W o))``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.last = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, dim)

    def forward(self, query: Tensor, attended: Tensor) -> Tensor:
        """Queries and what they pooled, both (..., D), to (..., D)."""
        o = self.first(query + attended)
        return torch.as_tensor(self.last(o + torch.relu(self.linear(o))))


class CrossAttention(nn.Module):
    """Gated multi-head attention of some vectors to others; to a single one where `to_one`."""

    def __init__(self, dim_in: int, dim_context: int, dim: int, heads: int, to_one: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Linear(dim_in, dim)
        self.query = None if to_one else nn.Linear(dim, dim)
        self.key = None if to_one else nn.Linear(dim_context, dim, bias=False)
        self.value = nn.Linear(dim_context, dim)
        self.project = nn.Linear(dim, dim)
        self.residual = Residual(dim)
        self.gate = nn.Linear(dim_in, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Vectors (n, D_in) that attend to others (k, D_context): (n, D)."""
        embedded = self.embed(x)
        attended = self.value(context)
        if self.query is not None and self.key is not None:
            parts = (self.query(embedded), self.key(context), attended)
            q, k, v = (part.view(1, len(part), self.heads, -1).transpose(1, 2) for part in parts)
            pooled = functional.scaled_dot_product_attention(q, k, v)
            attended = pooled[0].transpose(0, 1).reshape(embedded.shape)
        gate = functional.silu(self.gate(x))
        return torch.as_tensor(self.residual(embedded, self.project(attended)) * gate)


class LowRankBlock(nn.Module):
    """Latents attend to tiles, tiles to latents."""

    def __init__(self, dim_in: int, dim: int, heads: int, latents: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(nn.init.xavier_uniform_(torch.empty(latents, dim)))
        self.gather = CrossAttention(dim, dim_in, dim, heads)
        self.spread = CrossAttention(dim_in, dim, dim, heads, to_one=latents == 1)

    def forward(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to (M, D)."""
        return torch.as_tensor(self.spread(x, self.gather(self.latents, x)))


class IlraScorer(Scorer):
    """Two low-rank blocks, and the seed's query and keys."""

    def __init__(self, n_features: int, dim: int, heads: int, latents: int) -> None:
        super().__init__()
        self.heads = heads
        self.row_names = tuple(f"head {h + 1}" for h in range(heads))
        self.blocks = nn.Sequential(
            LowRankBlock(n_features, dim, heads, latents), LowRankBlock(dim, dim, heads, latents)
        )
        self.seed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, dim)))
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.apply(_start)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in), all together, to h (M, D)."""
        h: Tensor = self.blocks(x)
        return h

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z (H, M)."""
        with full_precision(h):
            depth = h.shape[-1] // self.heads
            q = self.query(self.seed).view(self.heads, depth) / math.sqrt(depth)
            folded = torch.einsum("hd,hdi->hi", q, self.key.weight.view(self.heads, depth, -1))
            constant = (q * self.key.bias.view(self.heads, depth)).sum(dim=-1, keepdim=True)
            return Scored(h, torch.addmm(constant, folded, wide(h).T))


class Model(AttentionMIL):
    """Low-rank blocks, a seed that pools, and a linear classifier.

    Parameters
    ----------
    dim, heads : int
        D (None: by the features) and H.
    latents : int
        r, through how many vectors tiles exchange what they know.
    """

    source = "Xiang, Zhang, ICLR 2023"
    paper: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "epochs": 100,
        "settings": {"dim": 256},
    }
    """As the released code trains it."""

    scorer: IlraScorer

    def __init__(
        self, n_features: int, n_classes: int, dim: Size | None = None, heads: Size = 8, latents: Size = 1
    ) -> None:
        size = width(n_features, dim)
        check_heads(size, heads)
        super().__init__(IlraScorer(n_features, size, heads, latents), n_features, n_classes, size)
        self.value = nn.Linear(size, size)
        self.project = nn.Linear(size, size)
        self.residual = Residual(size)
        self.classifier = nn.Linear(size, n_classes)
        for part in (self.value, self.project, self.residual, self.classifier):
            part.apply(_start)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """What the seed's heads pooled by `alpha` (H, M), each row summing to 1, after the residual layers (D,)."""
        pooled = alpha @ h
        weight = self.value.weight.view(len(pooled), -1, pooled.shape[-1])
        values = torch.einsum("hi,hdi->hd", pooled, weight).reshape(-1) + self.value.bias
        return torch.as_tensor(self.residual(self.scorer.seed[0], self.project(values)))

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits


def _start(module: nn.Module) -> None:
    """Weights as Xavier, biases 0, as the released code starts."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
