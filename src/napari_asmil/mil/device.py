"""Which device."""

from __future__ import annotations

import torch

from napari_asmil.errors import InputError


def available_devices() -> dict[str, str]:
    """Device names that can be used here, with words for a menu; "auto" is first."""
    found = {"auto": "auto", "cpu": "CPU"}
    for i in range(torch.cuda.device_count()):
        found[f"cuda:{i}"] = torch.cuda.get_device_name(i)
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes the first GPU there is.

    Raises
    ------
    InputError
        When this machine has no such device.
    """
    known = available_devices()
    if name == "auto":
        return torch.device(next((d for d in known if d not in ("auto", "cpu")), "cpu"))
    if name == "cuda" and "cuda:0" in known:
        name = "cuda:0"
    if name not in known:
        raise InputError(f"This machine has no device {name!r}.", remedy=f"Choose one of {', '.join(known)}.")
    return torch.device(name)
