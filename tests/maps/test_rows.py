"""Rows of scores from arrays of any shape that people save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_asmil.errors import InputError
from napari_asmil.maps.rows import as_rows

HERE = Path("scores.npy")


@pytest.mark.parametrize("shape", [(5,), (5, 1), (1, 5), (1, 1, 5), (1, 5, 1)])
def test_axes_of_length_one_say_nothing(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(as_rows(np.arange(5.0).reshape(shape), 5, HERE), [[0, 1, 2, 3, 4]])


@given(st.integers(1, 7), st.integers(1, 40))
def test_rows_may_be_the_first_axis_or_the_last(rows: int, tiles: int) -> None:
    z = np.random.default_rng(rows).normal(size=(rows, tiles))
    if rows == tiles != 1:
        return
    np.testing.assert_array_equal(as_rows(z, tiles, HERE) if tiles > 1 or rows == 1 else z, z)
    if tiles > 1:
        np.testing.assert_array_equal(as_rows(z.T, tiles, HERE), z)


@pytest.mark.parametrize("shape", [(9, 9), (1, 8, 9, 9), (16, 16), (3, 16, 16)])
def test_attention_of_all_tokens_to_all_is_refused_with_what_to_save_instead(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"every token to every other.*row of the class token alone.*without padding"):
        as_rows(np.ones(shape), 9, HERE)


@pytest.mark.parametrize(
    ("shape", "held"),
    [((8,), "8 scores"), ((10, 1), "10 scores"), ((2, 8), r"shape \(2, 8\)"), ((2, 3, 9), r"shape \(2, 3, 9\)")],
)
def test_scores_of_other_tiles_than_the_places_are_refused(shape: tuple[int, ...], held: str) -> None:
    with pytest.raises(InputError, match=f"{held}, but the slide has 9 tiles. .*same order, without padding"):
        as_rows(np.ones(shape), 9, HERE)


def test_nan_is_counted_with_its_tiles() -> None:
    z = np.zeros((2, 9))
    z[0, 3] = z[1, 3] = np.nan
    z[1, 4] = 1e300  # what is infinite as float32, in which runs are kept
    with pytest.raises(InputError, match="3 NaN or infinite values, on 2 of 9 tiles"):
        as_rows(z, 9, HERE)


@pytest.mark.parametrize("dtype", [bool, complex, "U4", "datetime64[s]"])
def test_what_is_no_number_is_refused(dtype: str) -> None:
    with pytest.raises(InputError, match="are no numbers"):
        as_rows(np.zeros(9, dtype=dtype), 9, HERE)


def test_a_slide_of_one_tile_has_one_score() -> None:
    assert as_rows(np.array([[[2.5]]], dtype=np.float32), 1, HERE).tolist() == [[2.5]]
