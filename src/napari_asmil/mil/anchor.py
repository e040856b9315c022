"""The anchor: an exponential moving average of everything upstream of the scores."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.base import Scored, Scorer
from napari_asmil.mil.normalizers import Target, full_precision, log_normalize, target_of


class Anchor(nn.Module):
    """EMA copy of a scorer with its own normaliser: starts as a copy, float32, eval, takes no gradient.

    Parameters
    ----------
    scorer : Scorer
        The online scorer that is copied.
    normalizer : Normalizer
        Of the anchor's map; NSF in the paper.
    momentum : float
        m of ``anchor <- m anchor + (1 - m) online``, applied by every `update`.
    shares_embedding : bool
        Score the online embedding instead of the anchor's own: faster, and no longer the paper's anchor.

    References
    ----------
    ASMIL (ICLR 2026), section 4: the anchor is updated after every batch. Averaging in half precision
    loses the update, so the copy is float32 whatever the online model is.
    """

    def __init__(
        self, scorer: Scorer, normalizer: Normalizer, momentum: float, *, shares_embedding: bool = False
    ) -> None:
        super().__init__()
        self.shares_embedding = shares_embedding
        self.scorer = copy.deepcopy(scorer).float().requires_grad_(False).eval()
        self.normalizer = normalizer
        self.momentum = momentum
        self._average = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]

    def log_alpha(self, prepared: Tensor, online: Scored) -> Tensor:
        """The anchor's log map (K, M) of prepared features (M, D_in), on the rows of the online scorer."""
        return log_normalize(self.scores(prepared, online), self.normalizer)

    def target(self, prepared: Tensor, online: Scored) -> Target:
        """The same map as what the online one is drawn to, written over the anchor's scores."""
        return target_of(self.scores(prepared, online), self.normalizer)

    @torch.no_grad()
    def scores(self, prepared: Tensor, online: Scored) -> Tensor:
        """The anchor's scores (K, M), in float32 under autocast too."""
        with full_precision(prepared):
            if self.shares_embedding:
                return self.scorer.score(online.h.float(), online.context).z
            return self.scorer.scores(prepared.float(), online.context)

    @torch.no_grad()
    def update(self, online: Scorer) -> None:
        """Move a step towards the online scorer; buffers are copied."""
        mine = list(self.scorer.parameters())
        self._average(mine, [p.detach().float() for p in online.parameters()], 0)
        for own, new in zip(self.scorer.buffers(), online.buffers(), strict=True):
            own.copy_(new)

    @torch.no_grad()
    def distance(self, online: Scorer) -> float:
        """How far the online scorer's weights are from the anchor's, Euclidean, as a share of the online ones' length.

        With ``shares_embedding`` weights that the anchor does not use count too.
        """
        mine, theirs = (
            torch.cat([p.flatten().cpu() for p in scorer.parameters()]).double() for scorer in (self.scorer, online)
        )
        length = float(theirs.norm())
        return float((mine - theirs).norm()) / length if length > 0 else 0.0

    def train(self, mode: bool = True) -> Anchor:
        """Ignored: an anchor is always in evaluation mode."""
        return super().train(False)
