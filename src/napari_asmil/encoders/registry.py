"""Encoders by specification: a name, or a name, a colon, and the file or model it takes.

Adding one is a module that makes it and an entry in `FAMILIES`; other packages add theirs by an entry point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_asmil.encoders import licences
from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.colour import ColourEncoder
from napari_asmil.encoders.plugins import from_plugin, plugin_names
from napari_asmil.errors import InputError


@dataclass(frozen=True)
class Family:
    """Encoders of one kind.

    Attributes
    ----------
    make : callable
        Takes what stands after the colon, and the name of a device.
    takes : str
        What that is, as "WEIGHTS"; "" for nothing.
    words : str
        What it is.
    licence : str
        Of its weights.
    """

    make: Callable[[str, str], Encoder]
    takes: str
    words: str
    licence: str


def _resnet(kind: str) -> Callable[[str, str], Encoder]:
    def make(weights: str, device: str) -> Encoder:
        from napari_asmil.encoders.resnet import resnet
        from napari_asmil.mil.device import pick_device

        return resnet(kind, weights, pick_device(device))

    return make


def _exported(path: str, device: str) -> Encoder:
    from napari_asmil.encoders.exported import exported
    from napari_asmil.mil.device import pick_device

    return exported(Path(path).expanduser(), pick_device(device))


def _timm(name: str, device: str) -> Encoder:
    from napari_asmil.encoders.hub import from_timm
    from napari_asmil.mil.device import pick_device

    return from_timm(name, pick_device(device))


def _transformers(name: str, device: str) -> Encoder:
    from napari_asmil.encoders.hub import from_transformers
    from napari_asmil.mil.device import pick_device

    return from_transformers(name, pick_device(device))


_OF_THE_FILE = "that of the weights in the file; nothing is downloaded"

FAMILIES: dict[str, Family] = {
    "colour": Family(
        lambda argument, device: ColourEncoder(),
        "",
        "45 numbers of colour, stain and texture of a tile of any size",
        ColourEncoder.licence,
    ),
    "resnet18": Family(_resnet("resnet18"), "WEIGHTS", "512 features of tiles of 224 px", _OF_THE_FILE),
    "resnet50": Family(_resnet("resnet50"), "WEIGHTS", "2048 features of tiles of 224 px", _OF_THE_FILE),
    "resnet50_trunc": Family(
        _resnet("resnet50_trunc"), "WEIGHTS", "1024 features of tiles of 224 px: three stages, as in CLAM", _OF_THE_FILE
    ),
    "pt2": Family(
        _exported, "FILE.pt2", "an exported program of torch, with a FILE.json that says what it takes", _OF_THE_FILE
    ),
    "timm": Family(_timm, "NAME", "a model of timm, as hf-hub:OWNER/NAME or its own names", "told before its download"),
    "transformers": Family(_transformers, "OWNER/NAME", "a model of transformers", "told before its download"),
}
"""Encoders that come with this package, by name."""


def encoder_names() -> list[str]:
    """Names of encoders: this package's own, then those that other packages add."""
    return [*FAMILIES, *sorted(plugin_names().keys() - FAMILIES.keys())]


def get_encoder(spec: str, device: str = "auto") -> Encoder:
    """The encoder that a specification names; models of a hub are downloaded where they are not here yet.

    Parameters
    ----------
    spec : str
        As ``colour``, ``resnet50:weights.pth``, ``timm:hf-hub:MahmoodLab/UNI``; see `encoder_names`.
    device : str
        Where networks compute: auto, cpu, cuda:N or mps.

    Raises
    ------
    InputError
        When there is none of that name, or what it takes is missing or cannot be used.
    """
    name, argument = _split(spec)
    if name not in FAMILIES:
        return from_plugin(plugin_names()[name], argument)
    family = FAMILIES[name]
    if bool(argument) != bool(family.takes):
        wanted = f"{name}:{family.takes}" if family.takes else name
        raise InputError(f"The encoder {spec!r} is not complete.", remedy=f"It is written {wanted}.")
    return family.make(argument, device)


def licence_notice(spec: str) -> str:
    """What licence an encoder's weights have, in a line; known before anything is loaded or downloaded.

    Raises
    ------
    InputError
        When there is no encoder of that name.
    """
    name, argument = _split(spec)
    if name in ("timm", "transformers") and argument:
        return licences.notice(licences.page_name(name, argument))
    return FAMILIES[name].licence if name in FAMILIES else f"ask the package that adds {name}"


def downloads(spec: str) -> bool:
    """Whether an encoder may have to be downloaded."""
    return spec.partition(":")[0] in ("timm", "transformers")


def _split(spec: str) -> tuple[str, str]:
    name, _, argument = spec.strip().partition(":")
    if name not in FAMILIES and name not in plugin_names():
        raise InputError(f"There is no encoder {name!r}.", remedy=f"Known: {', '.join(encoder_names())}.")
    return name, argument.strip()


def feature_names(encoder: str) -> tuple[str, ...] | None:
    """What the features of an encoder are called, for those whose features mean something one by one."""
    return ColourEncoder.features if encoder == ColourEncoder.name else None
