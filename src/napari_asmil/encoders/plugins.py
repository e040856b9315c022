"""Encoders of other packages: entry points of the group `GROUP`, each a factory that makes an `Encoder`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.encoders.base import Encoder
from napari_asmil.errors import InputError

GROUP = "napari_asmil.encoders"


def plugin_names() -> dict[str, EntryPoint]:
    """Entry points by name; nothing of them is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def from_plugin(point: EntryPoint, argument: str) -> Encoder:
    """What a factory makes of the text after the colon, or of nothing.

    Raises
    ------
    InputError
        When it raises, or makes no encoder.
    """
    try:
        factory = point.load()
        made = factory(argument) if argument else factory()
        return Guarded(made, point)
    except InputError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise _fault(point, error) from error


class Guarded:
    """A stranger's encoder: what it raises becomes a sentence, and what it makes is checked.

    Of `Encoder` it needs a name, a dim and to be called; the rest may be absent.
    """

    def __init__(self, encoder: Any, point: EntryPoint) -> None:
        self._encoder, self._point = encoder, point
        self.name, self.dim = str(encoder.name), int(encoder.dim)
        given = {what: getattr(encoder, what, None) for what in ("tile_px", "mpp", "licence", "batch", "how")}
        self.tile_px = None if given["tile_px"] is None else int(given["tile_px"])
        self.mpp = None if given["mpp"] is None else float(given["mpp"])
        self.licence = str(given["licence"] or f"ask {_whose(point)}")
        self.batch = int(given["batch"] or 1)
        self.how = str(given["how"] or "")
        if not callable(encoder) or self.dim < 1 or self.batch < 1 or (self.tile_px or 1) < 1 or (self.mpp or 1) <= 0:
            raise TypeError("it cannot be called, or its dim, batch, tile_px or mpp is not positive")

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of RGB tiles uint8 (N, s, s, 3).

        Raises
        ------
        InputError
            When the encoder raises, or makes something else.
        """
        try:
            found = np.asarray(self._encoder(tiles), dtype=np.float32)
        except InputError:
            raise
        except Exception as error:  # a stranger's code may raise anything
            raise _fault(self._point, error) from error
        if found.shape != (len(tiles), self.dim):
            raise InputError(
                f"The encoder {self._point.name} of {_whose(self._point)} makes {found.shape} of {len(tiles)} tiles,"
                f" not {(len(tiles), self.dim)}.",
                remedy="Tell its authors.",
            )
        return found


def _whose(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _fault(point: EntryPoint, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return InputError(
        f"The encoder {point.name} of {_whose(point)} does not work ({type(error).__name__}: {reason}).",
        remedy="Tell its authors.",
    )
