"""CLAM with multiple attention branches: a row of scores, a bag vector and a linear head for each class."""

from __future__ import annotations

from torch import Tensor

from napari_asmil.mil.clam import Clam
from napari_asmil.mil.layers import ClassRows, one_output_a_row


class Model(ClassRows, Clam):
    """CLAM-MB: logit c is read from the tiles as row c weighs them; parameters as for `Clam`."""

    branch_a_class = True

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """The classes' weighted means, one after the other (C D,)."""
        return (alpha @ h).flatten()

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,)."""
        return one_output_a_row(self.classifier, bag.view(self.n_classes, -1))
