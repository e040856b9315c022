"""Pictures of the demo's slides, as a scanner and a pathologist would leave them: pyramid and contours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.annotations import Contour, Contours, write_geojson
from napari_asmil.demo.histology import Painter
from napari_asmil.demo.world import ENCODER, MPP, Place
from napari_asmil.files import complete

BLOCK = 256
SMALLEST = 512
"""Edge in px that the last level does not exceed."""


def write_slide(path: Path, place: Place, rng: np.random.Generator) -> None:
    """Paint a slide and write it as a tiled pyramidal OME-TIFF (JPEG, SubIFDs); it appears whole or not at all."""
    levels = [Painter(place, rng).paint()]
    while max(levels[-1].shape) > SMALLEST:
        levels.append(_halved(levels[-1]))
    options = {"tile": (BLOCK, BLOCK), "photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 88}}
    described = {
        "axes": "YXS",
        "Name": place.slide_id,
        "Description": f"Drawn, not scanned. Its features are {ENCODER}.",
        **{f"PhysicalSize{axis}": MPP for axis in "XY"},
        **{f"PhysicalSize{axis}Unit": "µm" for axis in "XY"},
    }
    with complete(path) as partial, tifffile.TiffWriter(partial, ome=True) as file:
        file.write(levels[0], subifds=len(levels) - 1, metadata=described, **options)
        for level in levels[1:]:
            file.write(level, subfiletype=1, **options)


def write_contours(path: Path, place: Place) -> None:
    """Write the outlines of the tumour foci as QuPath GeoJSON."""
    foci = [Contour(f"focus {i}", "Tumor", shape) for i, shape in enumerate(place.foci, 1)]
    write_geojson(path, Contours(foci))


def _halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).reduce(2))
