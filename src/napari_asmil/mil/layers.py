"""Parts that several methods share."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.errors import InputError
from napari_asmil.mil.base import AttentionMIL
from napari_asmil.mil.normalizers import full_precision as full_precision
from napari_asmil.mil.normalizers import wide

Size = Annotated[int, Gt(0)]
Count = Annotated[int, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]


class AttentionScores(nn.Module):
    """Attention network of Ilse et al. (ICML 2018): K rows of scores on embeddings.

    ``z = W (tanh(V h) * sigmoid(U h)) + b`` gated, ``z = W tanh(V h) + b`` plain (eqs. 8 and 9; the paper has
    no b, the code of the field does). `dropout` acts on both branches.
    """

    def __init__(self, dim: int, attention_dim: int, rows: int, gated: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.gated = gated
        self.gates = nn.Linear(dim, (2 if gated else 1) * attention_dim)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(attention_dim, rows)

    def forward(self, h: Tensor) -> Tensor:
        """Embeddings (M, D) to z (K, M), float32."""
        inner = self.gates(h)
        if self.gated:
            v, u = inner.chunk(2, dim=-1)
            inner = self.dropout(torch.tanh(v)) * self.dropout(torch.sigmoid(u))
        else:
            inner = self.dropout(torch.tanh(inner))
        with full_precision(inner):
            z: Tensor = self.score(wide(inner)).T
        return z


class ClassRows(AttentionMIL):
    """A method that has a row of scores for each class: its map is the row of the class it predicts."""

    row_join = "row of the predicted class"

    def row_weights(self, logits: Tensor) -> Tensor:
        """1 for the predicted class, 0 for the others (C,)."""
        return functional.one_hot(logits.argmax(), len(logits)).to(logits.dtype)


def class_row_names(n_classes: int) -> tuple[str, ...]:
    """Names of rows that are one for each class, counted as labels are."""
    return tuple(f"class {label}" for label in range(n_classes))


def one_output_a_row(layer: nn.Linear, rows: Tensor) -> Tensor:
    """Output c of the layer for row c alone (C,), from rows (C, D): a linear head for each class."""
    logits: Tensor = torch.linalg.vecdot(rows, layer.weight) + layer.bias
    return logits


def check_heads(dim: int, heads: int) -> None:
    """Refuse heads that do not divide the size.

    Raises
    ------
    InputError
    """
    if dim % heads:
        raise InputError(f"dim ({dim}) must be a multiple of heads ({heads}).")


def width(n_features: int, dim: int | None) -> int:
    """The inner size D: as given, or what the released code of ASMIL, AEM and ACMIL takes for these features.

    Half of D_in, 128 for the 384 of a ViT-S; always a multiple of 8 (heads).
    """
    if dim is not None:
        return dim
    return 128 if n_features == 384 else max(8, (n_features // 2 + 7) // 8 * 8)
