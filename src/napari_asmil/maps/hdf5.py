"""HDF5 files of scores with places, as CLAM's heatmaps write them.

``<slide>_blockmap.h5`` holds ``attention_scores`` (M, 1) and ``coords`` (M, 2), top-left corners in level-0 px, without
attributes (CLAM: create_heatmaps.py, vis_utils/heatmap_utils.py). The scores are raw, before the softmax; of CLAM-MB
those of one branch. ``<slide>_<overlap>_roi_*.h5`` has the same names, but with ``use_ref_scores`` its scores are
percentiles from 0 to 100: only numbers that cannot be percentiles tell them apart. The tile edge is that of
``patches/<slide>.h5`` where that file holds the same corners.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.clam import edge_beside, edge_of
from napari_asmil.bags.hdf5 import dataset, opened, whole_coords
from napari_asmil.errors import InputError
from napari_asmil.maps.names import LOGITS, SCORES, chosen
from napari_asmil.maps.places import place
from napari_asmil.maps.scoremap import Found, Known, slide_of
from napari_asmil.maps.values import Values

CLAM = "attention_scores"


def sniff(path: Path) -> bool:
    """Whether it is HDF5 with scores under a known name, and no features."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        names = set(file.keys())
    return "features" not in names and bool(names & set(SCORES))


def read(path: Path, known: Known) -> Found:
    """Scores, and places where the file has them.

    Raises
    ------
    InputError
        When an array is damaged, it is not clear which is meant, or the edge of a tile is not known.
    """
    slide_id = slide_of(path)
    with opened(path) as file:
        held = set(file.keys())  # `in file` follows links out of it
        name = chosen([name for name in SCORES if name in held], sorted(held), known.column, "array", path)
        found = dataset(file, name, path)
        if found.dtype.kind not in "fiu":
            raise InputError(f"Its {name} are no numbers ({found.dtype.name}).", path=path)
        scores = found[()]
        values: Values | None = "logits" if name in LOGITS or _clams(name, scores) else None
        if "coords" not in held:
            return Found(scores, values=values, name=known.column)
        xy = whole_coords(file, path)
        own = edge_of(file["coords"], path, "from the attributes of its coords")
    size = known.given.tile_size
    edge, notes = (own, []) if own is not None else edge_beside(path.with_name(f"{slide_id}.h5"), xy, size)
    missing = f"the file does not say their edge, and no patches/{slide_id}.h5 beside it does"
    tiles, facts = place(xy, edge, known, missing=missing, path=path, notes=notes)
    return Found(scores, tiles, values, known.column, facts)


def _clams(name: str, scores: NDArray[Any]) -> bool:
    """Whether they are CLAM's raw scores: floats under its name, and no percentiles."""
    with np.errstate(invalid="ignore"):  # of NaN that signals
        return name == CLAM and scores.dtype.kind == "f" and bool(((scores < 0) | (scores > 100)).any())
