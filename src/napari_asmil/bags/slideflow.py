"""slideflow's layout: tile centres beside a tensor of features.

``<slide>.pt`` is a tensor (M, D), ``<slide>.index.npz`` holds ``arr_0`` (M, 2), x and y of the tiles' centres in
level-0 px, and ``bags_config.json`` in the same folder ``tile_px`` and ``tile_um`` (a number, or a magnification as
"20x"). slideflow cuts tile_um / mpp to whole px (slideflow: slide/wsi.py full_extract_px, model/features.py to_torch).
"""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import npz_array, npz_headers, points
from napari_asmil.bags.bag import NOT_PLACED, Bag
from napari_asmil.bags.edges import Edge, placed, same_rows, suggestion
from napari_asmil.bags.given import Given
from napari_asmil.bags.torch_file import is_torch, loader, tensor_shape
from napari_asmil.geometry import TileGrid

CONFIG = "bags_config.json"
LONGEST_CONFIG = 2**20
ASK = "give their edge in level-0 px (--tile-size)"


def sniff(path: Path) -> bool:
    """Whether the file is one of torch.save with slideflow's index beside it."""
    return is_torch(path) and "arr_0" in npz_headers(_index(path))


def read(path: Path, given: Given) -> Bag:
    """Read a bag; it has tiles when the slide's mpp is known, or the tile edge in level-0 px is.

    Raises
    ------
    InputError
        When the file could run code, rows do not match, or centres are no numbers.
    """
    slide_id, index = path.stem, _index(path)
    n_tiles, n_features = tensor_shape(path, slide_id)
    centres = centres_of(index)
    same_rows(slide_id, n_tiles, len(centres), path)
    tiles, notes, config = around(centres, index, given)
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, slide_id),
        tiles=tiles,
        source=path,
        encoder=_encoder(config),
        mpp=given.mpp,
        tile_px=_tile_px(config),
        derivation=notes,
        reread=partial(read, path),
    )


def centres_of(index: Path) -> NDArray[np.float64]:
    """Tile centres in level-0 px, float64 (M, 2), of an index; raises as `arrays.points`."""
    return points(npz_array(index, "arr_0", npz_headers(index)["arr_0"]), index).astype(np.float64)


def around(
    centres: NDArray[np.float64], index: Path, given: Given
) -> tuple[TileGrid | None, list[str], dict[str, Any]]:
    """The tiles around centres, None where their edge is not known; how they were placed; and the configuration."""
    config, notes = _config(index.parent / CONFIG)
    edge, missing = _edge(config, given)
    if edge is None and given.tile_size is None:
        apart = suggestion(np.round(centres).astype(np.int64))
        return None, [f"{NOT_PLACED}: {missing}", *apart, *notes], config
    size = given.tile_size if edge is None else edge.size
    exact = centres - (size or 0) / 2
    xy = np.floor(exact + 0.5).astype(np.int64)
    tiles, derived = placed(xy, edge, given, missing=missing, path=index)
    off = float(np.abs(exact - xy).max(initial=0))
    rounded = f", rounded to whole level-0 px, by {off:.2f} px at most" if off else ""
    return tiles, [*derived, f"corners: centres of {index.name} less half an edge{rounded}", *notes], config


def _index(path: Path) -> Path:
    return path.with_name(f"{path.stem}.index.npz")


def _config(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What bags_config.json says; a note where there is none or it cannot be read."""
    try:
        if path.stat().st_size > LONGEST_CONFIG:
            return {}, [f"{CONFIG} is too long to be one"]
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, [f"there is no {CONFIG} beside it"]
    except (OSError, ValueError, RecursionError):
        return {}, [f"{CONFIG} beside it cannot be read"]
    return (found, []) if isinstance(found, dict) else ({}, [f"{CONFIG} beside it is none of slideflow's"])


def _edge(config: dict[str, Any], given: Given) -> tuple[Edge | None, str]:
    """The edge, or what is missing for it."""
    um = config.get("tile_um")
    if not isinstance(um, int | float) or isinstance(um, bool) or not (0 < um < math.inf):
        return None, (
            f"{CONFIG} gives the tile size as {str(um)[:20]!r}, a magnification, not in µm: {ASK}"
            if isinstance(um, str)
            else f"the size of a tile in µm is not known: {ASK}"
        )
    if given.known_mpp is None:
        return None, f"tiles are {um:g} µm wide, so the slide, or its mpp, is needed (--slide-mpp)"
    exact = um / given.known_mpp
    size = max(int(exact), 1)
    how = f"{um:g} µm / {given.known_mpp:.6g} µm per px ({given.mpp_source}) = {exact:.6g}"
    return Edge(float(size), f"{how}, cut to {size} level-0 px as slideflow does, from tile_um in {CONFIG}"), ""


def _tile_px(config: dict[str, Any]) -> int | None:
    px = config.get("tile_px")
    return px if isinstance(px, int) and not isinstance(px, bool) and px > 0 else None


def _encoder(config: dict[str, Any]) -> str:
    extractor = config.get("extractor")
    name = extractor.get("class") if isinstance(extractor, dict) else extractor
    return name.rpartition(".")[2][:100] if isinstance(name, str) else ""
