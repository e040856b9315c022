"""DTFD-MIL (Zhang et al., CVPR 2022): attention within random pseudo-bags, and again on what is distilled of each.

Tier 1 is one gated ABMIL on each of G pseudo-bags, with the slide's label. From each, tiles or a vector are distilled
and tier 2, another gated ABMIL, classifies these. Each tier learns from its own loss alone: tier 2 sees the distilled
vectors detached, and both losses are known before any step.

Tiles are ranked by what tier 1 says of them, ``p = softmax over classes of w_c . (a_k h_k)`` for the slide's
class: the true one in training, elsewhere that of the largest mean logit of the pseudo-bags. (The released code takes
the last class.)

The scores z and the map are tier 1's on the whole bag, whatever the partition: a softmax of the same scores over all
tiles. The normaliser is that of the map and, within each pseudo-bag, of tier 1; tier 2 weighs no tiles and stays
softmax. The partition is drawn anew in every step of a training, and is one and the same for a bag elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import SOFTMAX, AttentionMIL, Output
from napari_asmil.mil.layers import AttentionScores, Size, width
from napari_asmil.mil.methods.abmil import AbmilScorer
from napari_asmil.mil.normalizers import normalize

Distill = Literal["MaxS", "MaxMinS", "MAS", "AFS"]


class Model(AttentionMIL):
    """Two tiers of gated attention, and what goes from the first to the second.

    Parameters
    ----------
    dim, attention_dim : int
        D (None: by the features) and the attention networks' inner size.
    pseudo_bags : int
        G; a bag of fewer tiles is split into single tiles.
    distill : {"MaxS", "MaxMinS", "MAS", "AFS"}
        Of each pseudo-bag: the tile of largest probability; those of largest and smallest; that of largest
        attention; the attention-weighted mean.
    """

    source = "Zhang et al., CVPR 2022"
    paper: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 1e-4,
        "clip": 5.0,
        "epochs": 200,
        "settings": {"dim": 512},
    }
    """With a cosine instead of one drop of the rate at half time, and one optimiser for both tiers."""

    scorer: AbmilScorer

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        dim: Size | None = None,
        attention_dim: Size = 128,
        pseudo_bags: Size = 4,
        distill: Distill = "AFS",
    ) -> None:
        size = width(n_features, dim)
        super().__init__(AbmilScorer(n_features, size, attention_dim, gated=True), n_features, n_classes, size)
        self.pseudo_bags = pseudo_bags
        self.distill = distill
        self.tier1 = nn.Linear(size, n_classes)
        self.attention = AttentionScores(size, attention_dim, 1)
        self.classifier = nn.Linear(size, n_classes)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """As `AttentionMIL.attend`; `Output.own` holds the pseudo-bags' logits (G, C)."""
        scored = self.scorer(prepared)
        parts = [part.to(scored.h.device) for part in self._partition(len(prepared))]
        tiles = [scored.h[part] for part in parts]
        alphas = [normalize(scored.z[:, part], normalizer).to(scored.h.dtype) for part in parts]
        pooled = torch.cat([alpha @ h for alpha, h in zip(alphas, tiles, strict=True)])
        of_parts = self.tier1(pooled)
        ranked_by = of_parts.mean(dim=0).argmax() if label is None else label
        with torch.no_grad():
            if self.distill == "AFS":
                distilled = pooled.detach()
            else:
                distilled = torch.cat([self._chosen(*part, ranked_by) for part in zip(tiles, alphas, strict=True)])
        bag = self.pool(distilled, torch.softmax(self.attention(distilled), dim=-1).to(distilled.dtype))
        alpha = normalize(scored.z, normalizer)
        return Output(self.classify(bag), alpha, scored, bag, normalizer, own=of_parts)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Weighted mean of what was distilled (D,); of a tile alone, the tile."""
        return (alpha @ h)[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,) of tier 2."""
        logits: Tensor = self.classifier(bag)
        return logits

    def loss(self, out: Output, label: Tensor) -> Tensor:
        """Cross-entropy of tier 2, and its mean over the pseudo-bags of tier 1."""
        of_parts: Tensor = out.own
        return super().loss(out, label) + functional.cross_entropy(of_parts, label.expand(len(of_parts)))

    def _partition(self, tiles: int) -> tuple[Tensor, ...]:
        """G random parts of M tiles, as equal as can be; drawn on the CPU."""
        generator = None if self.training else torch.Generator().manual_seed(0)
        return torch.randperm(tiles, generator=generator).tensor_split(min(self.pseudo_bags, tiles))

    def _chosen(self, h: Tensor, alpha: Tensor, label: Tensor) -> Tensor:
        """Tiles (1 or 2, D) that stand for a pseudo-bag of tiles (m, D) with probabilities (1, m)."""
        if self.distill == "MAS":
            return h[alpha.argmax(dim=-1)]
        rank = class_rank(functional.linear(alpha.T * h, self.tier1.weight), label)
        best = rank.argmax(keepdim=True)
        return h[best] if self.distill == "MaxS" else h[torch.cat([best, rank.argmin(keepdim=True)])]


def class_rank(activation: Tensor, label: Tensor) -> Tensor:
    """``C - 1 / p`` of each tile (m,) from activations (m, C): it orders tiles as their probability p of a class does.

    Activations hold a tile's attention and are nearly 0 in large bags, where probabilities all round to 1 / C;
    the same number as ``sum of 1 - exp(s_c - s_label)`` keeps them apart.
    """
    of_class = activation.index_select(1, label.reshape(1))
    return -torch.expm1(activation - of_class).sum(dim=1)
