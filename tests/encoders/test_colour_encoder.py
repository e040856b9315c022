from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_asmil.encoders import get_encoder
from napari_asmil.encoders.colour import FEATURES, ColourEncoder
from napari_asmil.errors import InputError
from tests.encoders.plain_features import one_by_one


def tissue_like(count: int, edge: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blurred noise between haematoxylin, eosin and white, so that no statistic is trivial."""
    rng = np.random.default_rng(seed)
    inks = np.array([(70, 50, 130), (220, 130, 180), (250, 248, 252)], dtype=float)
    share = rng.dirichlet((0.4, 0.6, 0.5), size=(count, edge, edge))
    smooth = (share + np.roll(share, 1, axis=1) + np.roll(share, 1, axis=2)) / 3
    return np.clip(smooth @ inks + rng.normal(0, 3, (count, edge, edge, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("edge", [8, 27, 32])
def test_every_number_equals_a_plain_computation_tile_by_tile(edge: int) -> None:
    tiles = tissue_like(5, edge)
    expected = np.array([one_by_one(tile) for tile in tiles])
    np.testing.assert_allclose(ColourEncoder()(tiles), expected, rtol=2e-4, atol=2e-5)


def test_a_tile_has_the_same_numbers_in_any_batch() -> None:
    tiles = tissue_like(150, 32)
    together = ColourEncoder()(tiles)
    alone = np.concatenate([ColourEncoder()(tile[None]) for tile in tiles])
    np.testing.assert_array_equal(together, alone)


def test_the_numbers_do_not_depend_on_how_the_tiles_lie_in_memory() -> None:
    tiles = tissue_like(4, 16)
    strided = np.repeat(tiles, 2, axis=2)[:, :, ::2]
    np.testing.assert_array_equal(ColourEncoder()(strided), ColourEncoder()(tiles))


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_even_tile_has_finite_numbers_and_no_texture(grey: int) -> None:
    found = dict(zip(FEATURES, ColourEncoder()(np.full((1, 32, 32, 3), grey, dtype=np.uint8))[0], strict=True))
    assert np.isfinite(list(found.values())).all()
    for name in ("red sd", "grey sobel mean", "grey |LoG| sd", "red-blue correlation", "grey skewness"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["LBP 8 bits"] == 1


def test_there_are_45_names_and_none_twice() -> None:
    assert ColourEncoder.dim == len(set(FEATURES)) == 45


def test_no_tile_gives_no_row() -> None:
    assert ColourEncoder()(np.empty((0, 32, 32, 3), dtype=np.uint8)).shape == (0, 45)


@pytest.mark.parametrize(
    "tiles",
    [
        np.zeros((2, 32, 32, 3)),
        np.zeros((2, 32, 16, 3), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_tiles_that_are_not_square_rgb_bytes_of_some_size_are_refused(tiles: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"uint8|too small"):
        ColourEncoder()(tiles)


def test_an_unknown_encoder_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="colour"):
        get_encoder("clairvoyant")


def test_a_tile_of_32_px_costs_less_than_three_quarters_of_a_millisecond() -> None:
    tiles = tissue_like(256, 32)
    ColourEncoder()(tiles)
    began = time.process_time()
    ColourEncoder()(tiles)
    assert (time.process_time() - began) / len(tiles) < 0.75e-3
