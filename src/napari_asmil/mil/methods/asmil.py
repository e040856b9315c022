"""ASMIL (ICLR 2026): FEAT tokens attend to tiles, a CLS token to the kept FEAT outputs; two layouts.

"paper" is what its text and figure say: one pre-norm encoder block of which only the FEAT outputs are kept. The
tiles' own query rows are never used then, so the block is cross-attention from the N FEAT tokens. The paper does
not say whether FEAT tokens are keys too; here the tiles alone are, so that attention is over tiles, and there is
no dropout. "released" is what its code does: an attention block of its own for every
FEAT token, with neither residual nor MLP, layer norm last.

Either way each token's query is folded into the key projection, ``z = h (W_k^T q) + q . b_k`` (the constant
matters, NSF is not shift-invariant), and tiles are pooled before they are projected (alpha sums to 1): keys and
values of tiles are never formed, which is exact.

In the paper layout queries and keys start, by our choice, as Xavier with zero bias (as torch's own multi-head
attention does), queries twice as large, so that scores start with a standard deviation near 2: from smaller
scores training may stay on the plateau of uniform maps. The released layout starts as its code does, with nearly
constant scores.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil.base import SOFTMAX, AttentionMIL, Output, Scored
from napari_asmil.mil.folding import FoldingScorer, PerTokenFeat, PerTokenScorer
from napari_asmil.mil.fused import EPS, folded_attention
from napari_asmil.mil.layers import Count, Share, Size, check_heads, width

QUERY_GAIN = 2.0
Layout = Literal["paper", "released"]


class TokenScorer(FoldingScorer):
    """The paper layout's: layer-normed tiles and FEAT tokens, one query and one key projection.

    The norm's weight g and bias b are folded too: ``u . (g n + b) = (u g) . n + u . b``.
    """

    normalize = True

    def __init__(self, n_features: int, dim: int, heads: int, tokens: int) -> None:
        super().__init__(n_features, dim, heads, tokens, 0.02)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        for layer, gain in ((self.query, QUERY_GAIN), (self.key, 1.0)):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
            nn.init.zeros_(layer.bias)

    def queries(self) -> tuple[Tensor, Tensor]:
        """Queries folded into the keys and the norm."""
        tokens, dim = self.tokens.shape
        depth = dim // self.heads
        q = self.query(self.norm(self.tokens)).view(tokens, self.heads, depth) / math.sqrt(depth)
        folded = torch.einsum("nhd,hdi->nhi", q, self.key.weight.view(self.heads, depth, dim))
        constant = (q * self.key.bias.view(self.heads, depth)).sum(dim=-1) + folded @ self.norm.bias
        return folded * self.norm.weight, constant

    def unfold(self, context: Tensor) -> Tensor:
        """The norm's weight and bias; valid since a row's probabilities sum to 1."""
        return context * self.norm.weight + self.norm.bias


class PaperFeat(nn.Module):
    """Values, residual and MLP of the FEAT block."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = _mlp(dim)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """FEAT tokens (N, D) and what their heads pooled (N, H, D) to FEAT outputs (N, D)."""
        n, heads, dim = context.shape
        weight = self.value.weight.view(heads, dim // heads, dim)
        values = torch.einsum("nhi,hdi->nhd", context, weight).reshape(n, dim) + self.value.bias
        x = tokens + self.project(values)
        return torch.as_tensor(x + self.mlp(x))


class PaperBag(nn.Module):
    """A pre-norm encoder block on [CLS; FEAT outputs], its CLS output normalised."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.cls = nn.Parameter(torch.randn(1, dim) * 0.02)
        self.norm = nn.LayerNorm(dim)
        self.project_in = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = _mlp(dim)
        self.out_norm = nn.LayerNorm(dim)

    def forward(self, outputs: Tensor) -> Tensor:
        """Kept FEAT outputs (N, D) to the bag vector (D,)."""
        sequence = self.norm(torch.cat([self.cls, outputs]))
        q, k, v = self.project_in(sequence).view(len(sequence), 3, self.heads, -1).permute(1, 2, 0, 3)
        attended = functional.scaled_dot_product_attention(q[:, :1], k, v).reshape(1, -1)
        x = self.cls + self.project(attended)
        return torch.as_tensor(self.out_norm(x + self.mlp(x)))[0]


class ReleasedBag(nn.Module):
    """Cross-attention of CLS, zero at the start, to the FEAT outputs; dropout and layer norm last."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.cls = nn.Parameter(torch.zeros(1, dim))
        self.query, self.key, self.value, self.project = (nn.Linear(dim, dim) for _ in range(4))
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, outputs: Tensor) -> Tensor:
        """Kept FEAT outputs (N, D) to the bag vector (D,)."""
        parts = ((self.query, self.cls), (self.key, outputs), (self.value, outputs))
        q, k, v = (layer(x).view(len(x), self.heads, -1).transpose(0, 1) for layer, x in parts)
        attended = functional.scaled_dot_product_attention(q, k, v).reshape(1, -1)
        return torch.as_tensor(self.norm(self.dropout(self.project(attended))))[0]


class Model(AttentionMIL):
    """FEAT stage, random drop of FEAT outputs in training, CLS stage.

    Parameters
    ----------
    dim, heads, tokens : int
        D (None: by the features), H and N.
    layout : {"paper", "released"}
    token_drop : float
        Probability that a FEAT output is left out of a training step; at least one is kept.
    drop_count : int
        Leave out exactly so many instead, as the released code does.
    """

    source = "ASMIL, ICLR 2026"

    scorer: FoldingScorer

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: Size | None = None,
        heads: Size = 8,
        tokens: Size = 8,
        layout: Layout = "paper",
        token_drop: Share = 0.5,
        drop_count: Count = 0,
    ) -> None:
        size, paper = width(n_features, dim), layout == "paper"
        check_heads(size, heads)
        if not 0 <= drop_count < tokens:
            raise InputError(f"drop_count ({drop_count}) must leave at least one of {tokens} tokens.")
        scorer = (TokenScorer if paper else PerTokenScorer)(n_features, size, heads, tokens)
        super().__init__(scorer, n_features, n_classes, size)
        self.token_drop, self.drop_count = token_drop, drop_count
        self.heads = heads
        self.feat = PaperFeat(size) if paper else PerTokenFeat(tokens, size)
        self.bag = (PaperBag if paper else ReleasedBag)(size, heads)
        self.classifier = nn.Linear(size, n_classes)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """As every method; with the plain softmax in full precision all at once."""
        if normalizer != SOFTMAX or torch.is_autocast_enabled(prepared.device.type):
            return super().attend(prepared, normalizer, label)
        scorer = self.scorer
        h, z, alpha, context = folded_attention(
            prepared, scorer.reduce.weight, *scorer.fold(), normalize=scorer.normalize
        )
        bag = self._bag_of(context)
        return Output(self.classify(bag), alpha, Scored(h, z), bag, normalizer)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """The CLS vector (D,); `alpha` is (N H, M), each row summing to 1."""
        return self._bag_of(alpha @ h)

    def _bag_of(self, context: Tensor) -> Tensor:
        """What the rows pooled (N H, D) to the CLS vector (D,)."""
        scorer = self.scorer
        outputs = self.feat(scorer.tokens, scorer.unfold(context).view(-1, self.heads, context.shape[-1]))
        bag: Tensor = self.bag(self._drop(outputs))
        return bag

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits

    def _drop(self, outputs: Tensor) -> Tensor:
        """Drawn on the CPU, so that a training is the same on every device."""
        if not self.training or (self.token_drop == 0 and self.drop_count == 0):
            return outputs
        draw = torch.rand(len(outputs))
        if self.drop_count:
            kept = draw.argsort() >= self.drop_count
        else:
            kept = draw >= self.token_drop
            kept[draw.argmax()] = True
        return outputs[kept.nonzero()[:, 0].to(outputs.device)]  # by a mask, a GPU would be waited for


def _mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
