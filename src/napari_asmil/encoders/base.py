from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns tiles into feature vectors, each tile on its own: the batch it comes in changes nothing.

    Attributes
    ----------
    name : str
        As bags record it; a change of what is computed changes the name.
    dim : int
        Features per tile, D.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of RGB tiles uint8 (N, s, s, 3)."""
        ...
