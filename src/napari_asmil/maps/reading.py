"""Reading a file of scores in any layout, and checking that its tiles lie where tiles can."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_asmil.bags import Bag, Given, read_bag
from napari_asmil.bags import sniff as is_bag
from napari_asmil.bags.checks import checks
from napari_asmil.bags.slide_files import asked_of_names
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.maps import arrays, hdf5, table
from napari_asmil.maps.places import from_bag
from napari_asmil.maps.rows import as_rows
from napari_asmil.maps.scoremap import Known, ScoreMap, slide_of
from napari_asmil.maps.values import settle

LAYOUTS: tuple[Any, ...] = (hdf5, arrays, table)
"""In the order in which they are asked."""


MOST_LOOKED_AT = 200
"""So many entries of a folder are looked into for files of scores, at each depth."""


def sniff(path: Path) -> bool:
    """Whether it is a file of scores; an npy file of features looks the same, so bags are asked for first."""
    return path.is_file() and any(layout.sniff(path) for layout in LAYOUTS)


def in_folder(folder: Path) -> list[Path]:
    """The files of scores in a folder; none of features."""
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    except OSError:  # it may not be looked into
        return []
    return [path for path in files if sniff(path) and not is_bag(path)]


def in_any(folder: Path) -> bool:
    """Whether it is a folder with files of scores, none of which is damaged."""
    try:
        return folder.is_dir() and bool(in_folder(folder))
    except InputError:
        return False


def folders_with_any(folder: Path) -> list[str]:
    """Folders in a folder for which `in_any` holds: three levels deep, as CLAM's are (experiment, class, slide)."""
    found = (path for depth in ("*", "*/*", "*/*/*") for path in islice(folder.glob(depth), MOST_LOOKED_AT))
    folders = sorted(path for path in found if not path.name.startswith(".") and path.is_dir())
    return [path.relative_to(folder).as_posix() for path in folders if in_any(path)]


def read_map(
    path: str | Path,
    *,
    values: str | None = None,
    given: Given | None = None,
    features: str | Path | Bag | None = None,
    column: str = "",
) -> ScoreMap:
    """Read the scores of one slide; the parameters are those of `import_map`.

    Raises
    ------
    InputError
        As `import_map`.
    """
    path, given = Path(path), given or Given()
    if not path.is_file():
        raise InputError("There is no such file of scores.", remedy="Check the path.", path=path)
    bag = _bag(features, given)
    layout = next((layout for layout in LAYOUTS if layout.sniff(path)), None)
    if layout is None and column and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        layout = table
    if layout is None:
        raise InputError(
            "This is no file of attention scores that can be read.",
            remedy="Save scores and places as csv with the columns x, y and attention, as HDF5 with attention_scores"
            " and coords, or the scores alone as npy, and name the features.",
            path=path,
        )
    found = layout.read(path, Known(given, bag, column))
    tiles, facts = found.tiles, found.facts
    if tiles is None:
        tiles, facts = from_bag(Known(given, bag), path)
    if not len(tiles):
        raise InputError("It holds no tiles.", path=path)
    scores = as_rows(found.scores, len(tiles), path)
    kind, how = settle(scores, values, found.values, path)
    placed = _on_slide(path, scores, tiles, bag, given)
    asked = asked_of_names(given.slide, slide_of(path), f"the scores {path.name}")
    digest = ""
    if bag is not None and bag.tiles is not None and not _same(bag.tiles, tiles):
        facts = (*facts, f"the features of {bag.slide_id} are of other tiles and say nothing more here")
    elif bag is not None:
        with suppress(InputError):  # features that cannot be trained on still say where tiles lie
            digest = bag.content_hash()
    return ScoreMap(path, scores, kind, found.name, placed, given, digest, (how, *facts, *checks(placed), *asked))


def _bag(features: str | Path | Bag | None, given: Given) -> Bag | None:
    if isinstance(features, Bag):
        return features if given.slide is None else features.on_slide(given.slide, mpp=given.mpp)
    if features is None:
        return None
    return read_bag(features, slide=given.slide, mpp=given.mpp, tile_size=given.tile_size)


def _on_slide(path: Path, scores: NDArray[np.float64], tiles: TileGrid, bag: Bag | None, given: Given) -> Bag:
    """A bag of these tiles on their slide, which refuses tiles outside it."""
    size = None if given.frame is None else given.frame.size
    if bag is not None and bag.tiles is not None and _same(bag.tiles, tiles):
        return replace(bag, mpp=given.mpp or bag.mpp)
    name = bag.slide_id if bag is not None else slide_of(path)
    return Bag(
        slide_id=name if given.slide is None else given.slide.stem.removesuffix(".ome"),
        n_tiles=len(tiles),
        n_features=len(scores),
        load=partial(_features, scores),
        tiles=tiles,
        source=path,
        mpp=given.known_mpp if bag is None else given.mpp or bag.mpp or given.known_mpp,
        slide_size=size,
        slide_path=given.slide,
    )


def _same(one: TileGrid, other: TileGrid) -> bool:
    return one.size == other.size and np.array_equal(one.xy, other.xy)


def _features(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    return scores.T.astype(np.float32)
