"""Models by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from napari_asmil.errors import InputError
from napari_asmil.mil import methods
from napari_asmil.mil.base import AttentionMIL
from napari_asmil.mil.names import method_names


def model_class(method: str) -> type[AttentionMIL]:
    """The class of a method.

    Raises
    ------
    InputError
        When there is no such method.
    """
    if method not in method_names():
        raise InputError(f"Unknown method {method!r}.", remedy=f"Known: {', '.join(method_names())}.")
    found: type[AttentionMIL] = import_module(f"{methods.__name__}.{method}").Model
    return found


def settings_of(method: str) -> dict[str, Any]:
    """A method's own settings and their defaults: the keyword arguments of its class."""
    known = list(inspect.signature(model_class(method)).parameters.values())[2:]
    return {parameter.name: parameter.default for parameter in known}


def build_model(method: str, n_features: int, n_classes: int, **settings: Any) -> AttentionMIL:
    """A fresh model, initialised from torch's global random state.

    Parameters
    ----------
    method : str
        One of `method_names()`.
    n_features, n_classes : int
        D_in and C.
    **settings
        Of `settings_of(method)`.

    Raises
    ------
    InputError
        When there is no such method or setting, or the settings do not fit together.
    """
    known = settings_of(method)
    if unknown := sorted(settings.keys() - known.keys()):
        raise InputError(
            f"The method {method} has no setting {', '.join(unknown)}.", remedy=f"It has: {', '.join(known) or 'none'}."
        )
    make: Any = model_class(method)
    hints = get_type_hints(make.__init__, include_extras=True)
    checked = {name: _checked(method, name, hints[name], value) for name, value in settings.items()}
    model: AttentionMIL = make(n_features, n_classes, **checked)
    return model


def _checked(method: str, name: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value, strict=isinstance(value, bool))
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise InputError(f"The setting {name} = {value!r} of {method} does not fit: {why}.") from None
