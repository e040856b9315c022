"""Models by name."""

from __future__ import annotations

import inspect
from importlib import import_module

from napari_asmil.errors import InputError
from napari_asmil.mil import methods
from napari_asmil.mil.base import AttentionMIL
from napari_asmil.mil.names import method_names


def build_model(method: str, n_features: int, n_classes: int, **sizes: float) -> AttentionMIL:
    """A fresh model, initialised from torch's global random state.

    Parameters
    ----------
    method : str
        One of `method_names()`.
    n_features, n_classes : int
        D_in and C.
    **sizes
        Sizes such as ``dim`` or ``heads``; what the method does not know is left out.

    Raises
    ------
    InputError
        When there is no such method or the sizes do not fit together.
    """
    if method not in method_names():
        raise InputError(f"Unknown method {method!r}.", remedy=f"Known: {', '.join(method_names())}.")
    model = import_module(f"{methods.__name__}.{method}").Model
    known = inspect.signature(model).parameters
    made = model(n_features, n_classes, **{k: v for k, v in sizes.items() if k in known})
    assert isinstance(made, AttentionMIL)
    return made
