"""Which methods there are, without importing any."""

from __future__ import annotations

import pkgutil

from napari_asmil.mil import methods


def method_names() -> tuple[str, ...]:
    """Names of the methods: the files in `mil/methods`."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(methods.__path__)))
