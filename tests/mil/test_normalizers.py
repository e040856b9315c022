from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_asmil.analysis import normalizers as twin
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import normalizers

rows = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=60, deadline=None)
@given(rng=rows, tiles=st.integers(1, 300), spread=st.sampled_from([0.1, 1.0, 10.0]), offset=st.floats(-120, 120))
@pytest.mark.parametrize("name", ["softmax", "nsf"])
def test_torch_and_numpy_agree_and_sum_to_one(
    name: str, rng: np.random.Generator, tiles: int, spread: float, offset: float
) -> None:
    z = rng.normal(offset, spread, (2, tiles)).astype(np.float32)
    choice = Normalizer(name, temperature=0.7)  # type: ignore[arg-type]
    ours = normalizers.log_normalize(torch.from_numpy(z), choice).numpy()
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, choice.log(z), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(np.exp(choice.log(z)).sum(axis=1), 1, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(rng=rows, tiles=st.integers(1, 100), alpha=st.sampled_from([1.25, 1.5, 1.75, 2.0]))
def test_entmax_agrees_with_its_package(rng: np.random.Generator, tiles: int, alpha: float) -> None:
    z = rng.normal(0, 2, (3, tiles))
    np.testing.assert_allclose(
        twin.entmax(z, alpha), normalizers.entmax(torch.from_numpy(z), alpha).numpy(), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("scores", [-120.0, 0.0, 120.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_nsf_stays_a_distribution_where_a_sigmoid_over_its_sum_does_not(scores: float, dtype: torch.dtype) -> None:
    z = (torch.randn(1, 200_000, generator=torch.Generator().manual_seed(0)) + scores).to(dtype)
    p = normalizers.log_nsf(z).double().exp()
    assert torch.isfinite(p).all()
    assert p.sum().item() == pytest.approx(1, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(rng=rows, tiles=st.integers(1, 200), temperature=st.floats(0.2, 5), offset=st.floats(-8, 8))
@pytest.mark.parametrize("name", ["softmax", "nsf", "entmax"])
def test_what_an_anchor_draws_to_is_the_map_of_its_normaliser_with_every_number(
    name: str, rng: np.random.Generator, tiles: int, temperature: float, offset: float
) -> None:
    z = rng.normal(0, 3, (5, tiles)).astype(np.float32)
    choice = Normalizer(name, temperature, offset)  # type: ignore[arg-type]
    expected = np.exp(choice.log(z))
    target = normalizers.target_of(torch.from_numpy(z.copy()), choice)
    np.testing.assert_allclose(target.p.numpy(), expected, rtol=2e-4, atol=1e-7)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(expected > 0, expected * np.log(expected), 0).sum(axis=1)
    np.testing.assert_allclose(target.negative_entropy.numpy(), own, rtol=1e-4, atol=1e-5)


def test_softmax_ignores_the_level_of_the_scores_and_nsf_does_not() -> None:
    z = np.random.default_rng(0).normal(0, 2, (1, 500))
    np.testing.assert_allclose(twin.softmax(z + 7), twin.softmax(z), atol=1e-12)
    assert np.abs(twin.nsf(z + 7) - twin.nsf(z)).max() > 1e-3
    np.testing.assert_allclose(twin.nsf(z - 40), twin.softmax(z), rtol=1e-9)
    np.testing.assert_allclose(twin.nsf(z + 40), 1 / 500, rtol=1e-9)


def test_an_impossible_normaliser_is_refused() -> None:
    for given_name, numbers in [("sigmoid", {}), ("softmax", {"temperature": 0}), ("entmax", {"alpha": 1})]:
        with pytest.raises(InputError):
            Normalizer(given_name, **numbers)  # type: ignore[arg-type]


def test_a_tile_that_entmax_leaves_out_takes_no_gradient() -> None:
    z = torch.tensor([[0.0, 0.5, 9.0]], requires_grad=True)
    log_p = normalizers.log_normalize(z, Normalizer("entmax"))
    assert log_p[0, :2].tolist() == [-torch.inf, -torch.inf]
    log_p.exp().sum().backward()
    assert z.grad is not None
    np.testing.assert_allclose(z.grad, 0, atol=1e-6)
