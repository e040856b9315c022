"""ASMIL (ICLR 2026) as its paper draws it: FEAT tokens attend to tiles, a CLS token to the kept FEAT outputs.

One pre-norm encoder block on [tiles; FEAT] of which only the FEAT outputs are kept. The tiles' own query
rows are never used then, so the block is exactly cross-attention from the N FEAT tokens to the M tiles, and
each token's query can be folded into the key projection: ``z = h (W_k^T q) + q . b_k`` (the constant matters,
NSF is not shift-invariant). Keys and values of tiles are never formed.

Queries and keys start as Xavier with zero bias (as torch's own multi-head attention does), queries twice as
large, so that scores start with a standard deviation near 2: from smaller scores training may stay on the
plateau of uniform maps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.errors import InputError
from napari_asmil.mil.base import AttentionMIL, Scorer

QUERY_GAIN = 2.0


class TokenScorer(Scorer):
    """Embedding, FEAT tokens and the query and key projections: everything upstream of the scores."""

    def __init__(self, n_features: int, dim: int, heads: int, tokens: int) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"dim ({dim}) must be a multiple of heads ({heads}).")
        self.heads = heads
        self.row_names = tuple(f"head {h + 1} / token {t + 1}" for t in range(tokens) for h in range(heads))
        self.embed = nn.Linear(n_features, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        self.tokens = nn.Parameter(torch.randn(tokens, dim) * 0.02)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        for layer, gain in ((self.query, QUERY_GAIN), (self.key, 1.0)):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tiles (M, D_in) to normalised h (M, D) and z (N H, M), token by token, heads within."""
        h = self.norm(torch.relu(self.embed(x)))
        tokens, dim = self.tokens.shape
        depth = dim // self.heads
        q = self.query(self.norm(self.tokens)).view(tokens, self.heads, depth) / math.sqrt(depth)
        folded = torch.einsum("nhd,hdi->nhi", q, self.key.weight.view(self.heads, depth, dim)).reshape(-1, dim)
        constant = (q * self.key.bias.view(self.heads, depth)).sum(dim=-1).reshape(-1, 1)
        return h, torch.addmm(constant, folded, h.T).float()


class Model(AttentionMIL):
    """The rest of the FEAT block, random drop of FEAT outputs in training, and the CLS block.

    Parameters
    ----------
    token_drop : float
        Probability that a FEAT output is left out of a training step; at least one is kept.
    """

    scorer: TokenScorer

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: int = 128,
        heads: int = 8,
        tokens: int = 8,
        token_drop: float = 0.5,
    ) -> None:
        super().__init__(TokenScorer(n_features, dim, heads, tokens), n_features, n_classes)
        self.token_drop = token_drop
        self.heads = heads
        self.value = nn.Linear(dim, dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = _mlp(dim)
        self.cls = nn.Parameter(torch.randn(1, dim) * 0.02)
        self.cls_norm = nn.LayerNorm(dim)
        self.cls_in = nn.Linear(dim, 3 * dim)
        self.cls_project = nn.Linear(dim, dim)
        self.cls_mlp = _mlp(dim)
        self.out_norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, n_classes)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """The CLS vector (D,); `alpha` is (N H, M), each row summing to 1."""
        kept = self._drop(self._feat(h, alpha))
        sequence = self.cls_norm(torch.cat([self.cls, kept]))
        q, k, v = self.cls_in(sequence).view(len(sequence), 3, self.heads, -1).permute(1, 2, 0, 3)
        attended = functional.scaled_dot_product_attention(q[:, :1], k, v).reshape(1, -1)
        x = self.cls + self.cls_project(attended)
        return torch.as_tensor(self.out_norm(x + self.cls_mlp(x)))[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits

    def _feat(self, h: Tensor, alpha: Tensor) -> Tensor:
        """FEAT outputs (N, D): values of the pooled tiles (valid since alpha sums to 1), residual, MLP."""
        tokens = self.scorer.tokens
        n, dim = tokens.shape
        context = (alpha @ h).view(n, self.heads, dim)
        weight = self.value.weight.view(self.heads, dim // self.heads, dim)
        values = torch.einsum("nhi,hdi->nhd", context, weight).reshape(n, dim) + self.value.bias
        x = tokens + self.project(values)
        return torch.as_tensor(x + self.mlp(x))

    def _drop(self, outputs: Tensor) -> Tensor:
        if not self.training or self.token_drop == 0:
            return outputs
        draw = torch.rand(len(outputs), device=outputs.device)
        kept = draw >= self.token_drop
        kept[draw.argmax()] = True
        return outputs[kept]


def _mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
