"""A recipe: the validated, serialisable description of one training. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil.names import method_names

LABELS = {"abmil": "ABMIL", "asmil": "ASMIL"}


class AnchorRecipe(BaseModel):
    """The anchor and how hard it pulls.

    Attributes
    ----------
    normalizer : Normalizer
        Of the anchor's map.
    beta : float
        Weight of the KL in the loss.
    momentum : float
        EMA factor per step.
    kl_reduction : {"sum", "mean"}
        Over tiles; "mean" is what the released code does and weakens the KL by the number of tiles.
    init, update
        "copy" and "step" are the method; "random" and "never" reproduce the released code's anchor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalizer: Normalizer = Normalizer("nsf")
    beta: float = Field(0.01, ge=0)
    momentum: float = Field(0.999, ge=0, le=1)
    kl_reduction: Literal["sum", "mean"] = "sum"
    init: Literal["copy", "random"] = "copy"
    update: Literal["step", "never"] = "step"


class Recipe(BaseModel):
    """Everything that decides a training besides the bags and the device.

    Attributes
    ----------
    method : str
        A method of `mil`.
    dim, attention_dim, heads, tokens, token_drop
        Sizes; a method takes those it knows.
    standardize : bool
        z-score the features with the training split's statistics.
    record : "all", "held-out" or slide ids
        Slides whose attention is recorded at every epoch; held-out falls back to all where nothing is held out.
    record_train : int
        With "held-out": so many training slides besides, evenly spaced in the cohort's order.
    watch : int or slide ids
        Recorded slides that keep raw scores of every row; all do when the model has one row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = "asmil"
    preset: str = ""
    normalizer: Normalizer = Normalizer("softmax")
    anchor: AnchorRecipe | None = AnchorRecipe()
    dim: int = Field(128, gt=0)
    attention_dim: int = Field(128, gt=0)
    heads: int = Field(8, gt=0)
    tokens: int = Field(8, gt=0)
    token_drop: float = Field(0.5, ge=0, le=1)
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

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in method_names():
            raise ValueError(f"unknown method {name!r}; known: {', '.join(method_names())}")
        return name

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        if self.anchor is not None and self.normalizer.name == "entmax":
            raise ValueError("an anchor needs a model whose map is nowhere 0; entmax leaves tiles out")
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
        name = LABELS.get(self.method, self.method.upper())
        if self.anchor is None or self.anchor.beta == 0:
            return f"{name} without anchor" if self.method == "asmil" else name
        kind = {"nsf": "NSF", "softmax": "softmax", "entmax": "entmax"}[self.anchor.normalizer.name]
        return name if self.method == "asmil" and kind == "NSF" else f"{name} + anchor ({kind})"

    def as_json(self) -> dict[str, Any]:
        """Plain values; `make` reads them back."""
        return self.model_dump(mode="json")
