from __future__ import annotations

import pytest
import torch

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.training import preset
from napari_asmil.training.state import Sizes, check_method


@pytest.fixture
def model() -> AttentionMIL:
    torch.manual_seed(0)
    return build_model("mean", 6, 3, dim=8).double().eval()


@pytest.mark.parametrize("normalizer", [Normalizer(), Normalizer("nsf"), Normalizer("entmax")])
def test_every_tile_weighs_the_same_by_any_normaliser(model: AttentionMIL, normalizer: Normalizer) -> None:
    out = model(torch.randn(20, 6), normalizer)
    torch.testing.assert_close(out.alpha, torch.full((1, 20), 1 / 20).double())
    assert not out.z.any()


def test_it_says_the_mean_of_what_it_says_of_its_tiles(model: AttentionMIL) -> None:
    x = torch.randn(20, 6, dtype=torch.float64)
    of_tiles = [model.classifier(torch.relu(model.scorer.reduce.weight @ tile)) for tile in x]
    torch.testing.assert_close(model(x).logits, torch.stack(of_tiles).mean(dim=0))
    torch.testing.assert_close(model.evidence(x), torch.stack(of_tiles))


def test_there_is_nothing_to_steady() -> None:
    with pytest.raises(InputError, match="mean learns no attention scores"):
        check_method(preset("stable", "mean_nsf"), Sizes(6, 2, 10))
