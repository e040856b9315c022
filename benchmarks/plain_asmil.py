"""ASMIL's released layout written out plainly, as a yardstick: keys and values of every tile for every token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 8


class PlainBlock(nn.Module):
    """Cross-attention of one query to tiles, its projections spelled out; returns output and scores (H, M)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.project = (nn.Linear(dim, dim) for _ in range(4))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def scores(self, token: Tensor, h: Tensor) -> Tensor:
        q, k = self.query(token).view(1, HEADS, -1), self.key(h).view(len(h), HEADS, -1)
        return torch.einsum("qhd,mhd->hm", q, k) / q.shape[-1] ** 0.5

    def forward(self, token: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        z = self.scores(token, h)
        v = self.value(h).view(len(h), HEADS, -1)
        pooled = torch.einsum("hm,mhd->hd", z.softmax(dim=1), v).reshape(1, -1)
        return self.norm(functional.dropout(self.project(pooled), 0.1, self.training)), z


class PlainAsmil(nn.Module):
    """The whole network."""

    def __init__(self, n_features: int, dim: int, tokens: int, n_classes: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(n_features, dim, bias=False)
        self.tokens = nn.ParameterList(torch.randn(1, dim) * 1e-6 for _ in range(tokens))
        self.blocks = nn.ModuleList(PlainBlock(dim) for _ in range(tokens))
        self.cls = nn.Parameter(torch.zeros(1, dim))
        self.last = PlainBlock(dim)
        self.classifier = nn.Linear(dim, n_classes)

    def scores(self, x: Tensor) -> Tensor:
        """Scores (N H, M)."""
        h = torch.relu(self.reduce(x))
        return torch.cat([block.scores(t, h) for t, block in zip(self.tokens, self.blocks, strict=True)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (C,) and scores (N H, M)."""
        h = torch.relu(self.reduce(x))
        outputs, z = zip(*[block(t, h) for t, block in zip(self.tokens, self.blocks, strict=True)], strict=True)
        bag, _ = self.last(self.cls, torch.cat(outputs))
        return self.classifier(bag)[0], torch.cat(z)
