"""Encoders that other packages add: found by entry point, made by a factory, and never a traceback."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_asmil.encoders import encoder_names, get_encoder, plugins
from napari_asmil.errors import InputError

TILES = np.zeros((3, 16, 16, 3), np.uint8)


class Mean:
    """The least that an encoder of another package must be."""

    name, dim = "mean of red", 1

    def __init__(self, argument: str = "none") -> None:
        self.argument = argument

    def __call__(self, tiles: Any) -> Any:
        return tiles[..., 0].mean(axis=(1, 2))[:, None]


class Breaks(Mean):
    def __call__(self, tiles: Any) -> Any:
        raise KeyError("layer")


class TooFew(Mean):
    dim = 4


def angry(argument: str = "") -> None:
    raise ZeroDivisionError("division\nby zero")


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("stranger")
    made = {"mean": Mean, "breaks": Breaks, "few": TooFew, "angry": angry, "nothing": lambda: 7, "colour": Breaks}
    vars(module).update(made)
    monkeypatch.setitem(sys.modules, "stranger", module)
    points = [EntryPoint(name, f"stranger:{name}", plugins.GROUP) for name in made]
    points.append(EntryPoint("gone", "no_such_module_at_all:x", plugins.GROUP))
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == plugins.GROUP else [])


def test_an_encoder_of_another_package_is_known_by_its_name() -> None:
    assert encoder_names()[:1] == ["colour"] and "mean" in encoder_names()
    encoder = get_encoder("mean")
    assert (encoder.name, encoder.dim, encoder.tile_px, encoder.mpp, encoder.batch) == ("mean of red", 1, None, None, 1)
    assert encoder(TILES + np.uint8(9)).tolist() == [[9.0]] * 3


def test_what_stands_after_the_colon_is_given_to_the_factory() -> None:
    assert get_encoder("mean: weights.pt")._encoder.argument == "weights.pt"  # type: ignore[attr-defined]


def test_ours_cannot_be_taken_over() -> None:
    assert get_encoder("colour").dim == 45


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("angry", r"encoder angry of stranger:angry does not work \(ZeroDivisionError: division\)"),
        ("nothing", r"does not work \(AttributeError"),
        ("gone", r"does not work \(ModuleNotFoundError"),
        ("nothing:x", r"does not work \(TypeError"),
    ],
)
def test_a_factory_that_fails_is_a_sentence(spec: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as told:
        get_encoder(spec)
    assert "\n" not in str(told.value)


def test_an_encoder_that_fails_or_makes_something_else_is_a_sentence() -> None:
    with pytest.raises(InputError, match=r"breaks of .* does not work \(KeyError"):
        get_encoder("breaks")(TILES)
    with pytest.raises(InputError, match=r"makes \(3, 1\) of 3 tiles, not \(3, 4\)"):
        get_encoder("few")(TILES)
