from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.mil.base import join_rows
from napari_asmil.training import preset
from napari_asmil.training.state import Sizes, check_method


@pytest.fixture
def model() -> AttentionMIL:
    torch.manual_seed(0)
    return build_model("max", 6, 3, dim=8).double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def of_tiles(model: AttentionMIL, x: Tensor) -> Tensor:
    """Logits (M, C) tile by tile."""
    return torch.stack([model.scorer.instance(torch.relu(model.scorer.reduce.weight @ tile)) for tile in x])


def test_the_logit_of_a_class_is_the_highest_of_any_tile(model: AttentionMIL, x: Tensor) -> None:
    out = model(x)
    torch.testing.assert_close(out.z, of_tiles(model, x).T)
    torch.testing.assert_close(out.logits, of_tiles(model, x).amax(dim=0))
    torch.testing.assert_close(model.evidence(x), of_tiles(model, x))


def test_its_gradient_is_that_of_the_maximum(model: AttentionMIL, x: Tensor) -> None:
    expected = torch.autograd.grad(of_tiles(model, x).amax(dim=0).square().sum(), list(model.parameters()))
    found = torch.autograd.grad(model(x).logits.square().sum(), list(model.parameters()))
    for theirs, ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("normalizer", [Normalizer(), Normalizer("nsf"), Normalizer("entmax")])
def test_its_map_is_the_highest_tile_of_the_predicted_class(
    model: AttentionMIL, x: Tensor, normalizer: Normalizer
) -> None:
    out = model(x, normalizer)
    of_map = join_rows(out.log_rows, model.row_weights(out.logits)).exp()
    tile = of_tiles(model, x)[:, out.logits.argmax()].argmax()
    assert of_map.nonzero().flatten().tolist() == [tile]
    assert of_map[tile] == 1
    torch.testing.assert_close(out.alpha.sum(dim=1), torch.ones(3).double())


def test_of_equal_tiles_one_is_taken(model: AttentionMIL, x: Tensor) -> None:
    out = model(x[:1].expand(5, -1))
    torch.testing.assert_close(out.log_rows.exp().sum(dim=1), torch.ones(3).double())
    torch.testing.assert_close(out.logits, of_tiles(model, x[:1])[0])


def test_there_is_nothing_to_steady() -> None:
    with pytest.raises(InputError, match="max learns no attention scores"):
        check_method(preset("stable", "max_aem"), Sizes(6, 2, 10))
