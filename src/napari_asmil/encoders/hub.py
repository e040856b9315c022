"""Networks by the names they have in timm and transformers, which are asked only when one is wanted.

Nothing that came with a model is run: code on its page is never trusted.
"""

from __future__ import annotations

from importlib import import_module
from traceback import walk_tb
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from napari_asmil.encoders.licences import Model, known, notice, page_name, page_url
from napari_asmil.encoders.torch_encoder import IMAGENET, TorchEncoder, digest
from napari_asmil.errors import InputError

SIZE = 224
"""Edge in px where a model does not say its own."""


def from_timm(name: str, device: torch.device) -> TorchEncoder:
    """An encoder by its name in timm, ``hf-hub:OWNER/NAME`` included.

    Raises
    ------
    InputError
        When timm is not here or does not work, or the model cannot be had.
    """
    timm = _package("timm")
    page = page_name("timm", name)
    facts = known(page) or Model("", mpp=None)
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, **_options(facts.options))
        data = import_module("timm.data").resolve_model_data_config(network)
        size, mean, std = int(data["input_size"][-1]), data["mean"], data["std"]
    except InputError:
        raise
    except Exception as error:  # whatever a package and the network beneath it raise
        raise _not_had(page, error) from error
    prefix = int(getattr(network, "num_prefix_tokens", 1))
    return _encoder(network, f"timm:{name}", facts, page, size, mean, std, device, prefix)


def from_transformers(name: str, device: torch.device) -> TorchEncoder:
    """An encoder by its name in transformers.

    Raises
    ------
    InputError
        As `from_timm`.
    """
    transformers = _package("transformers")
    page = page_name("transformers", name)
    facts = known(page) or Model("", mpp=None)
    try:
        network = transformers.AutoModel.from_pretrained(name, trust_remote_code=False)
        looks = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # whatever a package and the network beneath it raise
        raise _not_had(page, error) from error
    names = ("mean", "std")
    mean, std = (getattr(looks, f"image_{what}", None) or given for what, given in zip(names, IMAGENET, strict=True))
    prefix = 1 + int(getattr(network.config, "num_register_tokens", 0) or 0)
    return _encoder(network, f"transformers:{name}", facts, page, _edge(looks), mean, std, device, prefix)


class Pooled(nn.Module):
    """A network whose tokens or maps become one row a picture."""

    def __init__(self, network: nn.Module, *, joined: bool, prefix: int) -> None:
        super().__init__()
        self.network, self._joined, self._prefix = network, joined, prefix

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, s, s) to (N, D): the class token (with the mean of the patch tokens where joined), or pooled maps."""
        told = self.network(pictures)
        made: Tensor = getattr(told, "last_hidden_state", told)
        if made.ndim == 4:
            return made.mean(dim=(2, 3))
        if made.ndim != 3:
            return made
        first = made[:, 0]
        return torch.cat([first, made[:, self._prefix :].mean(dim=1)], dim=1) if self._joined else first


def _encoder(
    network: nn.Module,
    name: str,
    facts: Model,
    page: str,
    size: int,
    mean: Any,
    std: Any,
    device: torch.device,
    prefix: int,
) -> TorchEncoder:
    network = Pooled(network, joined=facts.joined, prefix=prefix).eval().to(device)
    return TorchEncoder(
        network,
        name=f"{name}-{digest(network.state_dict())}",
        size=size,
        mean=tuple(mean),
        std=tuple(std),
        mpp=facts.mpp,
        licence=notice(page),
        device=device,
    )


def _package(name: str) -> ModuleType:
    """A package that is not required; a torchvision that does not fit torch breaks either with an error of its own."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if _of_torchvision(error):
            raise InputError(
                f"Encoders of {name} need torchvision, and the one here does not fit torch {torch.__version__}"
                f" ({reason}).",
                remedy="Install one that does: pip install --upgrade --force-reinstall torchvision.",
            ) from error
        raise InputError(
            f"Encoders of {name} need a package that does not work here ({reason}).",
            remedy=f"Install it: pip install 'napari-asmil[{name}]'.",
        ) from error


def _of_torchvision(error: BaseException) -> bool:
    """Whether an import failed within torchvision, which then is here."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    broken = "torchvision" in str(error) or any(str(name).partition(".")[0] == "torchvision" for name in frames)
    return broken and not isinstance(error, ModuleNotFoundError)


def _options(options: dict[str, Any]) -> dict[str, Any]:
    """Options of timm, with its and torch's layers for their names."""
    made = dict(options)
    if "mlp_layer" in made:
        made["mlp_layer"] = getattr(import_module("timm.layers"), made["mlp_layer"])
    if "act_layer" in made:
        made["act_layer"] = getattr(nn, made["act_layer"])
    return made


def _edge(looks: Any) -> int:
    """Edge in px of what an image processor makes."""
    for field in ("crop_size", "size"):
        given = getattr(looks, field, None)
        if isinstance(given, int):
            return given
        for key in ("height", "shortest_edge"):
            edge = given.get(key) if isinstance(given, dict) else getattr(given, key, None)
            if edge:
                return int(edge)
    return SIZE


def _not_had(page: str, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    facts = known(page)
    gate = "Ask for access on that page and log in (hf auth login)" if facts and facts.gated else "Check the name"
    return InputError(
        f"The model {page} cannot be had ({type(error).__name__}: {reason}). Its page is {page_url(page)}.",
        remedy=f"{gate}; without a connection only what was downloaded before can be used.",
    )
