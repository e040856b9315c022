"""Plain multi-head attention (Vaswani et al., NeurIPS 2017): one learned query attends to the tiles.

The block of ASMIL's released layout with a single token, whose output is the bag vector itself: neither residual
nor MLP, layer norm last. Keys and values of tiles are never formed, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from napari_asmil.mil.base import AttentionMIL
from napari_asmil.mil.folding import PerTokenFeat, PerTokenScorer
from napari_asmil.mil.layers import Size, check_heads, width


class MhaScorer(PerTokenScorer):
    """h = relu(W x) and a row of scores z = <q, W_k h + b_k> / sqrt(D / H) for each of H heads."""

    def __init__(self, n_features: int, dim: int, heads: int) -> None:
        super().__init__(n_features, dim, heads, tokens=1)
        self.row_names = tuple(f"head {head + 1}" for head in range(heads))


class Model(AttentionMIL):
    """What the heads pooled, projected and normalised, and a linear classifier.

    Parameters
    ----------
    dim, heads : int
        D (None: by the features) and H.
    """

    source = "Vaswani et al., NeurIPS 2017; the block of ASMIL's released layout with one token"
    paper: ClassVar[Mapping[str, Any]] = {"optimizer": "adamw", "weight_decay": 1e-5}
    """As AEM's code trains it, otherwise as the preset has it; the paper of multi-head attention is on translation."""

    scorer: MhaScorer

    def __init__(self, n_features: int, n_classes: int, dim: Size | None = None, heads: Size = 8) -> None:
        size = width(n_features, dim)
        check_heads(size, heads)
        super().__init__(MhaScorer(n_features, size, heads), n_features, n_classes, size)
        self.block = PerTokenFeat(1, size)
        self.classifier = nn.Linear(size, n_classes)

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """The block's output (D,) for heads that pool with `alpha` (H, M)."""
        bag: Tensor = self.block(self.scorer.tokens, (alpha @ h)[None])[0]
        return bag

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits
