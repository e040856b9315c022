"""DSMIL (Li, Li, Eliceiri, CVPR 2021): each class's critical tile, and a bag of the tiles that resemble it.

Queries are linear, as in the paper's equations, and tiles are pooled as they come, without an embedding, as in the
code of the field. Every method says one thing of a bag, and here that is the mean of what the two streams say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import SOFTMAX, Output, Scored, Scorer
from napari_asmil.mil.layers import ClassRows, Size, class_row_names, full_precision, width
from napari_asmil.mil.normalizers import wide


class Streams(NamedTuple):
    """Logits (C,) of the two streams: the highest of any tile, and those of the bag vectors."""

    highest: Tensor
    bag: Tensor


class DsmilScorer(Scorer):
    """z[c, i] = <q_i, q_m> / sqrt(D) with q = W x + b and m the critical tile of class c.

    That is the tile with the class's highest instance logit; its index for every class (C,) is the context, so
    that an anchor scores the likeness to the same tiles.
    """

    def __init__(self, n_features: int, n_classes: int, dim: int) -> None:
        super().__init__()
        self.row_names = class_row_names(n_classes)
        self.instance = nn.Linear(n_features, n_classes)
        self.query = nn.Linear(n_features, dim)

    def embed(self, x: Tensor) -> Tensor:
        """Tiles (M, D_in) as they are."""
        return x

    def score(self, h: Tensor, context: Tensor | None = None) -> Scored:
        """Tiles to z (C, M)."""
        critical = self._critical(h) if context is None else context
        q = wide(self.query(h))
        with full_precision(h):
            return Scored(h, q[critical] @ q.T / math.sqrt(q.shape[-1]), context=critical)

    @torch.no_grad()
    def _critical(self, h: Tensor) -> Tensor:
        with full_precision(h):
            return torch.as_tensor(self.instance(wide(h)).argmax(dim=0))


class Model(ClassRows):
    """One weighted mean of the tiles for each class, classified together; and the highest instance logits.

    Parameters
    ----------
    dim : int
        D, size of the queries (None: by the features).

    Notes
    -----
    `Output.logits` is the log of the mean of both streams' softmaxes, in training as in evaluation: softmax
    returns that mean. The loss is on the streams themselves (`Output.own`), half of each one's cross-entropy.
    """

    source = "Li, Li, Eliceiri, CVPR 2021"
    paper: ClassVar[Mapping[str, Any]] = {"weight_decay": 1e-3}

    scorer: DsmilScorer

    def __init__(self, n_features: int, n_classes: int, dim: Size | None = None) -> None:
        scorer = DsmilScorer(n_features, n_classes, width(n_features, dim))
        super().__init__(scorer, n_features, n_classes, n_classes * n_features)
        self.classifier = nn.Linear(n_classes * n_features, n_classes)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """One bag, by both streams."""
        out = super().attend(prepared, normalizer, label)
        highest = self.scorer.instance(prepared[out.scored.context]).diagonal()
        return out._replace(logits=_joined(highest, out.logits), own=Streams(highest, out.logits))

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """The classes' weighted means, one after the other (C D_in,)."""
        return (alpha @ h).flatten()

    def classify(self, bag: Tensor) -> Tensor:
        """Logits (C,) of the second stream."""
        logits: Tensor = self.classifier(bag)
        return logits

    def loss(self, out: Output, label: Tensor) -> Tensor:
        """Mean of the streams' cross-entropies."""
        streams = torch.stack(list(out.own))
        return functional.cross_entropy(streams, label.expand(2))

    @torch.no_grad()
    def evidence(self, prepared: Tensor) -> Tensor:
        """Logits (M, C) of each tile as if it were the whole bag: critical for every class, and all of the bag."""
        weight = self.classifier.weight.view(self.n_classes, self.n_classes, -1).sum(dim=1)
        return _joined(self.scorer.instance(prepared), functional.linear(prepared, weight, self.classifier.bias))


def _joined(highest: Tensor, bag: Tensor) -> Tensor:
    """Log of the mean of two softmaxes over the last axis."""
    logs = torch.stack([wide(highest), wide(bag)]).log_softmax(dim=-1)
    return torch.logsumexp(logs, dim=0) - math.log(2)
