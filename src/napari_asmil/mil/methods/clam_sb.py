"""CLAM with a single attention branch: one row of scores for all classes."""

from __future__ import annotations

from torch import Tensor

from napari_asmil.mil.clam import Clam


class Model(Clam):
    """CLAM-SB: an attention-weighted mean of the tiles and a linear classifier; parameters as for `Clam`."""

    branch_a_class = False

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Weighted mean (D,)."""
        return (alpha @ h)[0]

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        logits: Tensor = self.classifier(bag)
        return logits
