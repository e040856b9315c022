"""Attention MIL models behind one interface, on tensors only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from napari_asmil.mil.anchor import Anchor as Anchor
    from napari_asmil.mil.base import AttentionMIL as AttentionMIL
    from napari_asmil.mil.base import Output as Output
    from napari_asmil.mil.base import Scored as Scored
    from napari_asmil.mil.base import Scorer as Scorer
    from napari_asmil.mil.ensemble import Ensemble as Ensemble
    from napari_asmil.mil.registry import build_model as build_model

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["losses", "methods", "normalizers"],
    submod_attrs={
        "anchor": ["Anchor"],
        "base": ["AttentionMIL", "Output", "Scored", "Scorer"],
        "ensemble": ["Ensemble"],
        "registry": ["build_model"],
    },
)
