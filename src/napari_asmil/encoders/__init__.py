"""From tiles to features: the `Encoder` protocol, the encoders there are, and `extract`."""

from __future__ import annotations

from napari_asmil.encoders.base import Encoder

# from napari_asmil.encoders.extract import ExtractSettings, bag_path, extract, extract_all
from napari_asmil.encoders.registry import ENCODERS, get_encoder

__all__ = ["ENCODERS", "Encoder", "get_encoder"]
