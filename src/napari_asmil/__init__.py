"""Watch what a slide model looks at while it learns.

The public names are imported on first use, so that ``import napari_asmil`` pulls in neither torch nor Qt.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_asmil.annotations import read_annotations
    from napari_asmil.bags import read_bag, read_cohort
    from napari_asmil.mil import build_model
    from napari_asmil.runs import open_run
    from napari_asmil.slides import open_slide
    from napari_asmil.training import fit

__version__ = "0.1.0"

_HOMES = {
    "build_model": "mil",
    "fit": "training",
    "open_run": "runs",
    "open_slide": "slides",
    "read_annotations": "annotations",
    "read_bag": "bags",
    "read_cohort": "bags",
}

__all__ = [
    "build_model",
    "fit",
    "open_run",
    "open_slide",
    "read_annotations",
    "read_bag",
    "read_cohort",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"napari_asmil.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
