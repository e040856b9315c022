"""Training: recipes, the trainer as a generator of events, checkpoints, cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from napari_asmil.training.attend import attend as attend
    from napari_asmil.training.crossval import cross_validate as cross_validate
    from napari_asmil.training.presets import PRESETS as PRESETS
    from napari_asmil.training.presets import preset as preset
    from napari_asmil.training.recipe import AnchorRecipe as AnchorRecipe
    from napari_asmil.training.recipe import Recipe as Recipe
    from napari_asmil.training.trainer import fit as fit
    from napari_asmil.training.variants import STABILIZERS as STABILIZERS
    from napari_asmil.training.variants import changed_by as changed_by
    from napari_asmil.training.variants import split_variant as split_variant
    from napari_asmil.training.variants import variant_of as variant_of
    from napari_asmil.training.variants import variants as variants

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attend": ["attend"],
        "crossval": ["cross_validate"],
        "presets": ["PRESETS", "preset"],
        "recipe": ["AnchorRecipe", "Recipe"],
        "trainer": ["fit"],
        "variants": ["STABILIZERS", "changed_by", "split_variant", "variant_of", "variants"],
    },
)
