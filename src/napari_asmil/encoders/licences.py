"""What is known of models that are downloaded, told before anything is: licence, gate, use, scale.

As their pages on huggingface.co said in 2026; the page decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NO_DERIVATIVES = "CC-BY-NC-ND-4.0"


@dataclass(frozen=True)
class Model:
    """A model on a hub.

    Attributes
    ----------
    licence : str
        Of its weights.
    gated : bool
        Whether its page must grant access first.
    commercial : bool
        Whether its licence lets it be used for a business.
    mpp : float or None
        Micrometres per px of the tiles it was trained on.
    joined : bool
        Features are the class token and the mean of the patch tokens, as its authors use it; the class token otherwise.
    options : dict
        What timm must be told besides the name.
    """

    licence: str
    gated: bool = False
    commercial: bool = True
    mpp: float | None = 0.5
    joined: bool = False
    options: dict[str, Any] = field(default_factory=dict)


_VIT = {"init_values": 1e-5, "dynamic_img_size": True}
_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}
_UNI2 = {
    **_SWIGLU,
    **_VIT,
    "img_size": 224,
    "patch_size": 14,
    "depth": 24,
    "num_heads": 24,
    "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2,
    "no_embed_class": True,
    "reg_tokens": 8,
}

KNOWN: dict[str, Model] = {
    "1aurent/vit_small_patch16_224.lunit_dino": Model("Lunit's licence", commercial=False),
    "1aurent/vit_small_patch8_224.lunit_dino": Model("Lunit's licence", commercial=False),
    "MahmoodLab/UNI": Model(NO_DERIVATIVES, gated=True, commercial=False, options=_VIT),
    "MahmoodLab/UNI2-h": Model(NO_DERIVATIVES, gated=True, commercial=False, options=_UNI2),
    "MahmoodLab/conch": Model(NO_DERIVATIVES, gated=True, commercial=False),
    "MahmoodLab/conchv1_5": Model(NO_DERIVATIVES, gated=True, commercial=False),
    "paige-ai/Virchow": Model("Apache-2.0", gated=True, joined=True, options=_SWIGLU),
    "paige-ai/Virchow2": Model(NO_DERIVATIVES, gated=True, commercial=False, joined=True, options=_SWIGLU),
    "prov-gigapath/prov-gigapath": Model("Apache-2.0 with conditions on its page", gated=True),
    "bioptimus/H-optimus-0": Model("Apache-2.0", options={"init_values": 1e-5, "dynamic_img_size": False}),
    "bioptimus/H-optimus-1": Model(
        NO_DERIVATIVES, gated=True, commercial=False, options={"init_values": 1e-5, "dynamic_img_size": False}
    ),
    "bioptimus/H0-mini": Model(NO_DERIVATIVES, gated=True, commercial=False, options=_SWIGLU),
    "owkin/phikon": Model("Owkin's licence", commercial=False),
    "owkin/phikon-v2": Model("Owkin's licence", commercial=False),
    "kaiko-ai/midnight": Model("MIT", joined=True),
    "SophontAI/OpenMidnight": Model("Apache-2.0"),
    "Astaxanthin/KEEP": Model("MIT"),
    "timm/resnet18.tv_in1k": Model("BSD-3-Clause", mpp=None),
    "timm/resnet50.tv_in1k": Model("BSD-3-Clause", mpp=None),
}
"""By the name of the page, whatever the case of its letters."""


def page_name(family: str, name: str) -> str:
    """The page of a model on huggingface.co, of a name as timm or transformers take it."""
    for start in ("hf-hub:", "hf_hub:"):
        name = name.removeprefix(start)
    return name if family == "transformers" or "/" in name else f"timm/{name}"


def page_url(page: str) -> str:
    """Where a person reads of a model."""
    return f"https://huggingface.co/{page}"


def known(page: str) -> Model | None:
    """What is known of a model, or None."""
    return next((model for name, model in KNOWN.items() if name.lower() == page.lower()), None)


def notice(page: str) -> str:
    """Licence, use and gate of a model in one line, for before it is downloaded."""
    model = known(page)
    if model is None:
        return f"licence unknown: see {page_url(page)}"
    use = "" if model.commercial else "; not for commercial use"
    gate = "; gated: ask for access on its page" if model.gated else ""
    return f"{model.licence}{use}{gate}; {page_url(page)}"
