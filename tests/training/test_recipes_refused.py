"""Combinations that can do nothing, or nothing good, are refused with the reason."""

from __future__ import annotations

import pytest

from napari_asmil.errors import InputError
from napari_asmil.training import preset
from napari_asmil.training.state import Sizes, check_method


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        ("abmil_nsf:alpha=2", "nsf has no alpha"),
        ("abmil_softmax:offset=1", "softmax has no offset"),
        ("abmil_aem:kind=uniform,normalized=true", "not divided by log M"),
        ("abmil:lr=Infinity", "lr"),
        ("abmil_nsf:online=entmax", "nowhere 0"),
        ("abmil_ensemble:subsample=0.5", "no tile can be left out"),
        ("abmil_nsf:init=random", "neither the paper nor its code"),
        ("transmil:online=nsf", "does not pool by its scores"),
        ("mean_nsf", "learns no attention scores"),
        ("asmil:dim=10", "multiple of heads"),
        ("asmil:colour=blue", "has no setting colour"),
        ("asmil:heads=true", "heads"),
    ],
)
def test_it_is_refused_with_the_reason(variant: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_method(preset("stable", variant), Sizes(384, 2, 10))


def test_the_model_s_own_normaliser_can_be_chosen_and_the_order_of_changes_does_not_matter() -> None:
    assert preset("stable", "abmil_nsf:online=nsf").normalizer.name == "nsf"
    one, other = (
        preset("stable", f"abmil_nsf:{c}").anchor
        for c in ("temperature=2,normalizer=softmax", "normalizer=softmax,temperature=2")
    )
    assert one is not None and one == other and one.normalizer.temperature == 2
