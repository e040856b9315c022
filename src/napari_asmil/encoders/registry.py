from __future__ import annotations

from collections.abc import Callable

from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.colour import ColourEncoder
from napari_asmil.errors import InputError

ENCODERS: dict[str, Callable[[], Encoder]] = {"colour": ColourEncoder}
"""Encoders by name."""


def get_encoder(name: str) -> Encoder:
    """The encoder called `name`.

    Raises
    ------
    InputError
        When there is none.
    """
    if name not in ENCODERS:
        raise InputError(f"There is no encoder {name!r}.", remedy=f"Known: {', '.join(sorted(ENCODERS))}.")
    return ENCODERS[name]()


def feature_names(encoder: str) -> tuple[str, ...] | None:
    """What the features of an encoder are called, for those whose features mean something one by one."""
    return getattr(ENCODERS.get(encoder), "features", None)
