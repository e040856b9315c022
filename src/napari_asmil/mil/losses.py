"""Losses between maps."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["sum", "mean"]


def anchor_kl(log_alpha: Tensor, log_target: Tensor, reduction: Reduction = "sum") -> Tensor:
    """KL(target || alpha), mean over rows, in nats; the target takes no gradient.

    Parameters
    ----------
    log_alpha, log_target : Tensor (K, M)
        The online and the anchor's log-probabilities; the target may hold -inf.
    reduction : {"sum", "mean"}
        Over tiles. "sum" is the divergence (ASMIL, eq. 7); "mean" divides it by M, as the released code does.

    Notes
    -----
    Its gradient in the scores of a softmax row is ``alpha - target`` (eq. 8).
    """
    target = log_target.detach().exp()
    per_row = (torch.special.xlogy(target, target) - target * log_alpha).sum(dim=-1)
    loss: Tensor = per_row.mean()
    return loss / log_alpha.shape[-1] if reduction == "mean" else loss
