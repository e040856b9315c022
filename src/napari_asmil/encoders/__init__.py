"""From tiles to features: the `Encoder` protocol, the encoders there are, and extraction of bags from slides."""

from __future__ import annotations

from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.extract import extract
from napari_asmil.encoders.many import bag_path, extract_all
from napari_asmil.encoders.registry import encoder_names, get_encoder, licence_notice

__all__ = ["Encoder", "bag_path", "encoder_names", "extract", "extract_all", "get_encoder", "licence_notice"]
