"""Nuclei marked as points, and the tiles that hold them.

Reads tables with the columns ``image, x, y, cls``, one row per nucleus. Coordinates count from 1, as MATLAB does,
and may carry fractions: `read_points` subtracts 1, rounds and clips them into the image; x is the column.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid

COLUMNS = ("image", "x", "y", "cls")


def read_points(path: str | Path, image: str, shape: tuple[int, int], classes: Iterable[str]) -> NDArray[np.int64]:
    """Pixels (x, y), int64 (N, 2), of the nuclei of one image that belong to `classes`.

    Parameters
    ----------
    path : path-like
        The table.
    image : str
        Name in the column ``image``, there with or without a file ending.
    shape : (int, int)
        Height and width of the image in px, for clipping.
    classes : iterable of str
        Names in the column ``cls`` to keep.

    Raises
    ------
    InputError
        When the file cannot be read, lacks a column, holds no row of this image or of none of the classes at all,
        or a coordinate is no number.
    """
    path = Path(path)
    by_image, known = _table(path, _version(path))
    if image not in by_image:
        raise InputError(f"It holds no point of the image {image!r}.", path=path)
    wanted = set(classes)
    if not wanted & known:
        raise InputError(f"No point is of class {', '.join(wanted)}.", remedy=f"Classes: {sorted(known)}.", path=path)
    chosen = [row for row in by_image[image] if row["cls"] in wanted]
    try:
        given = np.array([(float(row["x"]), float(row["y"])) for row in chosen], dtype=np.float64).reshape(-1, 2)
    except ValueError as reason:
        raise InputError(f"A coordinate of {image!r} is no number: {reason}.", path=path) from reason
    if not np.isfinite(given).all():
        raise InputError(f"A coordinate of {image!r} is not finite.", path=path)
    height, width = shape
    return np.clip(np.rint(given - 1), 0, (width - 1, height - 1)).astype(np.int64)


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as reason:
        raise _unreadable(path, reason) from reason
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1)
def _table(path: Path, _: tuple[int, int]) -> tuple[dict[str, list[dict[str, str]]], set[str]]:
    """The rows by image, and all classes; kept until another file, or another version of it, is read."""
    by_image: dict[str, list[dict[str, str]]] = {}
    known: set[str] = set()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restval="")
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(
                    f"A table of points needs the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.",
                    path=path,
                )
            for row in table:
                by_image.setdefault(Path(row["image"]).stem.removesuffix(".ome"), []).append(row)
                known.add(row["cls"])
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise _unreadable(path, reason) from reason
    return by_image, known


def _unreadable(path: Path, reason: Exception) -> InputError:
    return InputError(f"The table of points cannot be read: {reason}.", path=path)


def tiles_with_points(grid: TileGrid, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """1 for every tile that holds at least one of the pixels (x, y), else 0; float32 (M,).

    A tile holds the pixels from its top-left corner up to, but not including, the corner plus its edge.
    """
    low, high = grid.xy - 0.5, grid.xy + grid.size - 0.5
    boxes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    hits = shapely.STRtree(boxes).query(shapely.points(pixels.astype(np.float64)), predicate="intersects")[1]
    held = np.zeros(len(grid), dtype=np.float32)
    held[hits] = 1
    return held
