"""A recipe: the validated, serialisable description of one training. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil.names import method_names

LABELS = {
    "dtfd": "DTFD-MIL",
    "max": "max pooling",
    "mean": "mean pooling",
    "mha": "multi-head attention",
    "transmil": "TransMIL",
}
"""Names that are not the method's in capitals."""

HALF_LIFE = 2.85
"""Epochs in which the paper's anchor forgets half: m = .999 per step on the 243 training slides of CAMELYON16."""


class AnchorRecipe(BaseModel):
    """The anchor and how hard it pulls (ASMIL, ICLR 2026).

    Attributes
    ----------
    normalizer : Normalizer
        Of the anchor's map.
    beta : float
        Weight of the KL in the loss.
    momentum : float or None
        EMA factor per update; None takes the one whose half-life, in epochs, is the paper's (`HALF_LIFE`).
    kl_reduction : {"sum", "mean"}
        Over tiles; "mean" is what the released code does and weakens the KL by the number of tiles.
    kl_rows : {"each", "mean"}
        The mean of the rows' divergences, or the divergence of their mean maps.
    init, update
        "copy" and "step" are the method, "epoch" its ablation; "random" and "never" reproduce the released code.
    shares_embedding : bool
        Let the anchor score the model's own embedding: faster, and no longer the paper's anchor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    normalizer: Normalizer = Normalizer("nsf")
    beta: float = Field(0.01, ge=0)
    momentum: float | None = Field(None, ge=0, le=1)
    kl_reduction: Literal["sum", "mean"] = "sum"
    kl_rows: Literal["each", "mean"] = "each"
    init: Literal["copy", "random"] = "copy"
    update: Literal["step", "epoch", "never"] = "step"
    shares_embedding: bool = False

    def factor(self, n_train: int) -> float:
        """The EMA factor per update where an epoch has `n_train` steps."""
        if self.momentum is not None:
            return self.momentum
        return float(0.5 ** (1 / (HALF_LIFE * (max(n_train, 1) if self.update == "step" else 1))))


class EntropyRecipe(BaseModel):
    """Attention entropy maximisation (AEM, MICCAI 2025).

    Attributes
    ----------
    weight : float
        Lambda of the term in the loss.
    kind : {"entropy", "uniform"}
        Negative entropy, or KL(uniform || alpha).
    anneal : {"cosine", "none"}
        Whether lambda falls to 0 over the training along a cosine; the released code keeps it.
    normalized : bool
        Divide the entropy by log M, so that large slides weigh no more than small ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: float = Field(0.1, ge=0)
    kind: Literal["entropy", "uniform"] = "entropy"
    anneal: Literal["cosine", "none"] = "cosine"
    normalized: bool = False

    @model_validator(mode="after")
    def _felt(self) -> EntropyRecipe:
        if self.kind == "uniform" and self.normalized:
            raise ValueError("the divergence from uniform is not divided by log M (normalized)")
        return self


class EnsembleRecipe(BaseModel):
    """Temporal ensembling: each slide's map is drawn to the running mean of its own maps (ASMIL, eq. 34).

    Attributes
    ----------
    beta : float
        Weight of KL(alpha || mean before) in the loss; there is none at a slide's first visit.
    momentum : float
        Share of the mean before in the new mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    beta: float = Field(1.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)


class Recipe(BaseModel):
    """Everything that decides a training besides the bags and the device.

    Attributes
    ----------
    method : str
        A method of `mil`.
    settings : mapping
        The method's own, such as ``dim`` or ``heads``; `mil.registry.settings_of` names them.
    normalizer : Normalizer
        Of the model's own map.
    anchor, entropy, ensemble : optional
        What steadies the attention; they add up.
    subsample : float
        Share of a bag's tiles, drawn anew, that a training step sees.
    standardize : bool
        z-score the features with the training split's statistics.
    record : "all", "held-out" or slide ids
        Slides whose attention is recorded at every epoch; held-out falls back to all where nothing is held out.
    record_train : int
        With "held-out": so many training slides besides, evenly spaced in the cohort's order.
    watch : int or slide ids
        Recorded slides that keep raw scores of every row; all do when the model has one row.
    evidence : bool
        Record besides, of the slides that keep raw scores, what the bag's classifier says of each tile alone: a
        second map. Where the bag stage is long (ASMIL), it takes as long as many training steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = "asmil"
    preset: str = ""
    normalizer: Normalizer = Normalizer("softmax")
    anchor: AnchorRecipe | None = AnchorRecipe()
    entropy: EntropyRecipe | None = None
    ensemble: EnsembleRecipe | None = None
    subsample: float = Field(1.0, gt=0, le=1)
    settings: dict[str, bool | int | float | str] = {}
    epochs: int = Field(50, ge=0)
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip: float | None = Field(5.0, gt=0)
    standardize: bool = False
    seed: int = Field(0, ge=0)
    record: Literal["all", "held-out"] | tuple[str, ...] = "held-out"
    record_train: int = Field(6, ge=0)
    watch: int | tuple[str, ...] = 4
    evidence: bool = False

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in method_names():
            raise ValueError(f"unknown method {name!r}; known: {', '.join(method_names())}")
        return name

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        steadied = self.anchor or self.entropy or self.ensemble
        if steadied and self.normalizer.name == "entmax":
            raise ValueError("what steadies a map needs one that is nowhere 0; entmax leaves tiles out")
        if self.ensemble and self.subsample < 1:
            raise ValueError("ensembling compares a slide's maps over epochs, so no tile can be left out (subsample)")
        if self.anchor and self.anchor.init == "random" and self.anchor.update != "never":
            raise ValueError("an anchor that starts at random and then follows is of neither the paper nor its code")
        return self

    @classmethod
    def make(cls, given: Mapping[str, Any]) -> Recipe:
        """From plain values, as the form, the command line and a run's folder hold them.

        Raises
        ------
        InputError
            Naming every field that does not fit, and why.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            faults = [(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
            said = "; ".join(f"{field}: {fault}" for field, fault in faults)
            raise InputError(f"The recipe does not fit: {said}.") from None

    def changed(self, **values: Any) -> Recipe:
        """The same recipe with some fields changed, validated anew."""
        return self.make({**self.model_dump(), **values})

    @property
    def label(self) -> str:
        """How legends name it: the method and its anchor."""
        name = LABELS.get(self.method, self.method.upper().replace("_", "-"))
        with_anchor = self.anchor is not None and self.anchor.beta > 0
        added = []
        if self.anchor is not None and with_anchor and (self.method, self.anchor.normalizer.name) != ("asmil", "nsf"):
            kind = {"nsf": "NSF", "softmax": "softmax", "entmax": "entmax"}[self.anchor.normalizer.name]
            added.append(f"anchor ({kind})")
        if with_anchor and self.anchor is not None and self.anchor.shares_embedding:
            added.append("shared embedding")
        if with_anchor and self.anchor is not None and self.anchor.update == "never":
            added.append("anchor never moves")
        if self.entropy is not None:
            added.append("AEM" if self.entropy.kind == "entropy" else "KL from uniform")
        if self.ensemble is not None:
            added.append("ensembling")
        without = " without anchor" if self.method == "asmil" and not with_anchor else ""
        return " + ".join([name + without, *added])

    def as_json(self) -> dict[str, Any]:
        """Plain values; `make` reads them back."""
        return self.model_dump(mode="json")
