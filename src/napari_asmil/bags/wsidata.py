"""wsidata's (lazyslide's) layout: a folder ``<slide>.zarr`` of SpatialData.

``tables/<model>_<tiles>`` is an AnnData table: ``X`` (M, D) features, ``obs/tile_id``. Attributes of the folder:
``tile_spec`` with, for each set of tiles, ``width`` and ``base_downsample`` (level-0 px of a px), and
``slide_properties`` with ``mpp`` and ``shape`` (height, width). The tiles lie in ``shapes/<tiles>/shapes.parquet``,
columns ``tile_id``, ``x``, ``y``, top-left in level-0 px: read where pyarrow is installed (wsidata: io/_elems.py
add_tiles, add_features).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags.arrays import FAULTS, corners, kept, rows_and_columns
from napari_asmil.bags.bag import Bag
from napari_asmil.bags.edges import Edge, placed
from napari_asmil.bags.given import Given, pixel_size
from napari_asmil.bags.zarr_folder import attributes, is_array, is_group, metadata, open_array, read_array
from napari_asmil.errors import InputError
from napari_asmil.words import listed

SPEC, PROPERTIES = "tile_spec", "slide_properties"
EXPORT = "copy the whole folder, or export features and coords to npz"


def sniff(path: Path) -> bool:
    """Whether it is a zarr folder with a table of AnnData, or with tables and what wsidata says of slide or tiles."""
    if not is_group(path) or not (path / "tables").is_dir():
        return False
    try:
        return bool({SPEC, PROPERTIES} & set(attributes(path, path))) or any(
            (table / "X").is_dir() and (table / "obs").is_dir() for table in _tables(path)
        )
    except (InputError, OSError):
        return False


def read(path: Path, given: Given) -> Bag:
    """Read the one table of features; they stay in the folder until they are asked for.

    Raises
    ------
    InputError
        When there is none or more than one, it is no plain array, or rows do not match.
    """
    slide_id, attrs = path.stem, attributes(path, path)
    table = _table(path, attrs)
    x = open_array(table / "X", path)
    n_tiles, n_features = rows_and_columns(x.shape, x.dtype.kind, slide_id, path)
    key = _tiles_of(table, path, attrs)
    properties = _dict(attrs.get(PROPERTIES))
    said, size = _number(properties.get("mpp")), _size(properties.get("shape"))
    mpp, differing = pixel_size((given.mpp, "as given"), (said, "of slide_properties of the folder"))
    spec = _dict(_dict(attrs.get(SPEC)).get(key))
    tiles, notes = None, []
    xy, box, how = _corners(path, table, key, n_tiles)
    if xy is None:
        notes.append(f"tiles are not placed: {how}")
    else:
        missing = f"neither tile_spec of {key} nor the boxes of its shapes say their edge"
        tiles, notes = placed(xy, _edge(spec, box, key), given, missing=missing, path=path)
        notes += [how] if how else []
    unsaid = [name for name in (SPEC, PROPERTIES) if not _dict(attrs.get(name))]
    if unsaid:
        notes.append(f"the folder does not hold {' or '.join(unsaid)}, which lazyslide writes")
    notes += differing
    if given.mpp is None and said is not None:
        notes.append("mpp from slide_properties of the folder")
    px = _number(spec.get("width"))
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=partial(load_features, path, slide_id, table.name),
        tiles=tiles,
        source=path,
        encoder=table.name.removesuffix(f"_{key}"),
        mpp=mpp,
        tile_px=int(px) if px else None,
        slide_size=size,
        derivation=notes,
        reread=partial(read, path),
    )


def load_features(path: Path, slide_id: str, table: str) -> NDArray[np.float32]:
    """The features, float32 (M, D); raises as `arrays.kept`."""
    folder = path / "tables" / table / "X"
    return kept(path, slide_id, lambda: read_array(folder, path), within=table, folder=folder)


def _table(path: Path, attrs: dict[str, Any]) -> Path:
    """The one table of tiles' features."""
    keys = _keys(path, attrs)
    tables = _tables(path)
    found = [table for table in tables if any(table.name.endswith(f"_{key}") for key in keys)] or tables
    if len(found) == 1:
        if "shape" not in metadata(found[0] / "X", path):
            raise InputError(
                f"Its table {found[0].name} holds no plain array X of features: X is missing or sparse.",
                remedy="Give a folder of lazyslide with the features of tiles, or export them to npz.",
                path=path,
            )
        return found[0]
    if not found:
        raise InputError("It holds no table of features.", remedy="Extract features with lazyslide first.", path=path)
    raise InputError(
        f"It holds {len(found)} tables of features, and which is meant is not known: {listed(t.name for t in found)}.",
        remedy="Keep one, or export the one that is meant to a file of its own (npz with features and coords).",
        path=path,
    )


def _tables(path: Path) -> list[Path]:
    return sorted(folder for folder in (path / "tables").iterdir() if not folder.is_symlink() and is_group(folder))


def _keys(path: Path, attrs: dict[str, Any]) -> list[str]:
    """Names of the sets of tiles: of tile_spec, else of the folder's shapes."""
    named = [*_dict(attrs.get(SPEC))]
    shapes = path / "shapes"
    return named or (sorted(entry.name for entry in shapes.iterdir() if entry.is_dir()) if shapes.is_dir() else [])


def _tiles_of(table: Path, path: Path, attrs: dict[str, Any]) -> str:
    """The name of the set of tiles that the table's rows are."""
    keys = [key for key in _keys(path, attrs) if table.name.endswith(f"_{key}")]
    return max(keys, key=len, default="tiles")


def _corners(path: Path, table: Path, key: str, n_tiles: int) -> tuple[NDArray[np.int64] | None, float | None, str]:
    """Corners in the order of the table's rows, the edge of the first tile's box, and what is to be said of them."""
    file = path / "shapes" / key / "shapes.parquet"
    if "/" in key or "\\" in key or key in ("", ".", "..") or not file.is_file():
        return None, None, f"there is no shapes/{key[:60]}/shapes.parquet, which lazyslide writes: {EXPORT}"
    if not file.resolve().is_relative_to(path.resolve()):
        return None, None, f"shapes/{key}/shapes.parquet is a link, and links are not followed"
    try:
        from pyarrow import parquet
    except ImportError:
        wanted = "places of tiles are a parquet file, which needs pyarrow: pip install 'napari-asmil[wsidata]'"
        return None, None, f"{wanted}, or export features and coords to npz"
    try:
        shapes = parquet.ParquetFile(file)
        if shapes.metadata.num_rows != n_tiles:
            return None, None, f"shapes/{key} has {shapes.metadata.num_rows} rows for {n_tiles} rows of features"
        columns = shapes.read(columns=["tile_id", "x", "y", "geometry"])
        ids, x, y = (columns.column(name).to_numpy() for name in ("tile_id", "x", "y"))
        box = _box(columns.column("geometry")[0].as_py()) if "geometry" in columns.column_names and n_tiles else None
    except FAULTS as error:
        return None, None, f"shapes/{key}/shapes.parquet cannot be read ({error})"
    order, how = _order(ids, table, path)
    if order is None:
        return None, None, how
    return corners(np.stack([x, y], axis=1), path)[order], box, how


def _box(geometry: Any) -> float | None:
    """Width of a box in well-known binary."""
    import shapely

    if not isinstance(geometry, bytes):
        return None
    try:
        x0, _, x1, _ = shapely.from_wkb(geometry).bounds
    except (shapely.GEOSException, ValueError):
        return None
    return _number(x1 - x0)


def _order(ids: NDArray[Any], table: Path, path: Path) -> tuple[NDArray[np.intp] | None, str]:
    """Which tile of `ids` each row of the table is, and what is to be said of it; None where that is not known."""
    folder = table / "obs" / "tile_id"
    if not folder.exists() and not folder.is_symlink():
        return np.arange(len(ids)), f"corners: row by row those of shapes, as {table.name} has no tile_id"
    if not is_array(folder, path):
        return None, f"tile_id of {table.name} is no plain array (but categories, or numbers of which some are missing)"
    try:
        rows = read_array(folder, path)
    except InputError as error:
        return None, f"tile_id of {table.name} is not read: {error.sentence}"
    other = "the ids of tiles in the table are not those of shapes"
    if rows.shape != ids.shape or rows.dtype.kind not in "iu" or len(np.unique(ids)) != len(ids):
        return None, other
    order = np.argsort(ids, kind="stable")
    at = order[np.clip(np.searchsorted(ids, rows, sorter=order), 0, max(len(ids) - 1, 0))]
    return (at, "") if (ids[at] == rows).all() else (None, other)


def _edge(spec: dict[str, Any], box: float | None, key: str) -> Edge | None:
    """The edge that tile_spec says, and the box of a tile confirms; the box's where it does not."""
    width, height, down = (_number(spec.get(name)) for name in ("width", "height", "base_downsample"))
    if width is None or down is None:
        return None if box is None else Edge(box, f"{box:g} level-0 px, from the boxes of shapes/{key}")
    doubts = [] if height in (None, width) else [f"tiles are {width:g} x {height:g} px, and are drawn as squares"]
    size = width * down
    if box is not None and abs(box - size) > 1:
        doubts.append(f"the folder contradicts itself: tile_spec says {size:g} level-0 px, the boxes of shapes {box:g}")
        size = box
        return Edge(size, f"{size:g} level-0 px, from the boxes of shapes/{key}", tuple(doubts))
    return Edge(size, f"{width:g} px x {down:g} = {size:g} level-0 px, from tile_spec of {key}", tuple(doubts))


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _number(found: Any) -> float | None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 2**40:
        return None
    return found


def _size(shape: Any) -> tuple[int, int] | None:
    """Width and height of a (height, width)."""
    if not isinstance(shape, list) or len(shape) != 2 or not all(_number(length) for length in shape):
        return None
    return int(shape[1]), int(shape[0])
