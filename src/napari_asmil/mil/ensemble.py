"""Temporal ensembling: the running mean of a slide's own maps."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_asmil.mil.base import Output
from napari_asmil.mil.losses import kl
from napari_asmil.mil.normalizers import normalize


class Ensemble:
    """Running means of maps, (K, M) float32 on the CPU, by slide.

    Parameters
    ----------
    momentum : float
        rho of ``mean <- rho mean + (1 - rho) alpha``.

    References
    ----------
    ASMIL (ICLR 2026), eq. 34, with the mean of the visits before as the target: as written there, the target
    would hold the very map that is drawn to it.
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum
        self.means: dict[str, Tensor] = {}

    def loss(self, out: Output, slide_id: str) -> Tensor:
        """KL(alpha || mean), in nats, mean over rows; 0 at a slide's first visit. Takes up the new map.

        The means are of all tiles; those that take no part in a step leave its comparison alone.
        """
        alpha = normalize(out.z.detach(), out.normalizer).float().cpu()
        before = self.means.get(slide_id)
        self.means[slide_id] = alpha if before is None else torch.lerp(alpha, before, self.momentum)
        if before is None:
            return torch.zeros((), device=out.z.device)
        tiny = torch.finfo(torch.float32).tiny
        log_before = before.to(out.z.device).clamp_min(tiny).log()
        if out.scored.valid is not None:
            log_before = log_before.masked_fill(~out.scored.valid, -torch.inf).log_softmax(dim=-1)
        return kl(out.log_alpha, log_before)
