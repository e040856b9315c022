"""What CLAM's single and multiple attention branches share (Lu et al., Nature Biomedical Engineering 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.mil.base import AttentionMIL, Output, Scored, Scorer
from napari_asmil.mil.layers import AttentionScores, Share, Size, class_row_names, width
from napari_asmil.mil.normalizers import wide


class ClamScorer(Scorer):
    """h = relu(W x + b) and gated attention scores on h, with dropout on h and in both branches of the gate."""

    def __init__(
        self, n_features: int, dim: int, attention_dim: int, row_names: tuple[str, ...], dropout: float
    ) -> None:
        super().__init__()
        self.row_names = row_names
        self.reduce = nn.Sequential(nn.Linear(n_features, dim), nn.ReLU(), nn.Dropout(dropout))
        self.attention = AttentionScores(dim, attention_dim, len(row_names), dropout=dropout)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) to h (M, D)."""
        h: Tensor = self.reduce(x)
        return h

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings to z, (1, M) or (C, M)."""
        return Scored(h, self.attention(h))


class Clam(AttentionMIL):
    """Attention pooling that also learns to tell tiles it attends to from those it does not.

    Parameters
    ----------
    dim, attention_dim : int
        D (None: by the features) and the attention network's inner size.
    dropout : float
        Of embeddings and gates.
    instances : int
        k tiles at either end of a class's scores teach that class's instance classifier.
    bag_weight : float
        Share of the bags' loss; the instances' has the rest.
    """

    source = "Lu et al., Nature Biomedical Engineering 2021"
    paper: ClassVar[Mapping[str, Any]] = {
        "weight_decay": 1e-5,
        "epochs": 200,
        "settings": {"dim": 512, "attention_dim": 256},
    }
    branch_a_class: ClassVar[bool]

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: Size | None = None,
        attention_dim: Size = 128,
        dropout: Share = 0.25,
        instances: Size = 8,
        bag_weight: Share = 0.7,
    ) -> None:
        size = width(n_features, dim)
        names = class_row_names(n_classes) if self.branch_a_class else ("attention",)
        scorer = ClamScorer(n_features, size, attention_dim, names, dropout)
        super().__init__(scorer, n_features, n_classes, size * len(names))
        self.instances, self.bag_weight = instances, bag_weight
        self.classifier = nn.Linear(size, n_classes)
        self.instance_classifiers = nn.ModuleList(nn.Linear(size, 2) for _ in range(n_classes))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                both_gates = layer is scorer.attention.gates
                for weight in layer.weight.chunk(2) if both_gates else (layer.weight,):
                    nn.init.xavier_normal_(weight)
                nn.init.zeros_(layer.bias)

    def loss(self, out: Output, label: Tensor) -> Tensor:
        """Weighted sum of the bag's cross-entropy and `instance_loss`."""
        return self.bag_weight * super().loss(out, label) + (1 - self.bag_weight) * self.instance_loss(out, label)

    def instance_loss(self, out: Output, label: Tensor) -> Tensor:
        """Smooth top-1 SVM loss of the tiles with the k highest and lowest scores, a scalar.

        For the bag's class the highest are positive and the lowest negative. Of more than two classes the others
        take part too, since no bag is of two: their highest are negative, and the mean over classes is taken. No
        tile is at both ends, k <= M / 2; of a single tile nothing is learned, and the loss is 0.

        Notes
        -----
        With two outputs the loss ``log sum_j exp(x_j + [j != y]) - x_y`` (Berrada, Zisserman, Kumar, ICLR 2018,
        temperature 1) is softplus(1 - (x_y - x_other)).
        """
        k = min(self.instances, out.z.shape[-1] // 2)
        if k == 0:
            return out.logits.new_zeros(())
        order = out.z.detach().argsort(dim=-1, stable=True).expand(self.n_classes, -1)
        ends = torch.cat([order[:, -k:], order[:, :k]], dim=-1)
        x = torch.stack([of(out.scored.h[tiles]) for of, tiles in zip(self.instance_classifiers, ends, strict=True)])
        high, low = (wide(x[..., 1]) - wide(x[..., 0])).chunk(2, dim=-1)
        inside = (functional.softplus(1 - high) + functional.softplus(1 + low)).mean(dim=-1) / 2
        of_bag = torch.arange(self.n_classes, device=label.device) == label
        if self.n_classes == 2:
            return torch.where(of_bag, inside, 0.0).sum()
        return torch.where(of_bag, inside, functional.softplus(1 + high).mean(dim=-1)).mean()
