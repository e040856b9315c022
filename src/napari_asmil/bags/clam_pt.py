"""A bare tensor of features in a file of torch.save, as CLAM's ``pt_files/<slide>.pt`` and TRIDENT's are.

(M, D) float32 and nothing else; the tiles' corners are in the file of the same name in ``h5_files`` or ``patches``
beside it, in the same order (CLAM: extract_features_fp.py). A dict of the tensors ``features`` and ``coords`` (M, 2),
as people save both together, is read too: coordinates are top-left corners in level-0 px.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from napari_asmil.bags.arrays import corners
from napari_asmil.bags.bag import Bag
from napari_asmil.bags.clam import edge_beside, places_beside
from napari_asmil.bags.edges import placed, same_rows
from napari_asmil.bags.given import Given
from napari_asmil.bags.torch_file import coords_in, is_torch, loader, tensor_shape


def sniff(path: Path) -> bool:
    """Whether the file is one of torch.save."""
    return is_torch(path)


def read(path: Path, given: Given) -> Bag:
    """Read a bag, its tiles from the files of the same slide beside it; features stay in the file.

    Raises
    ------
    InputError
        When the file could run code, holds no tensor (M, D), or an edge given contradicts the files beside it.
    """
    slide_id = path.stem
    n_tiles, n_features = tensor_shape(path, slide_id)
    tiles, px = None, None
    own = coords_in(path)
    if own is None:
        xy, found, notes = places_beside(path, n_tiles)
    else:
        xy, found, notes = corners(own, path), None, ["corners: from coords in the file, taken as level-0 px"]
        same_rows(slide_id, n_tiles, len(xy), path)
    if xy is not None:
        if found is None:
            found, more = edge_beside(path, xy, given.tile_size)
            notes += [note for note in more if note not in notes]
        missing = f"neither it nor a file patches/{slide_id}.h5 beside it says their edge"
        tiles, derived = placed(xy, found, given, missing=missing, path=path)
        notes, px = [*derived, *notes], None if found is None else found.px
    return Bag(
        slide_id=slide_id,
        n_tiles=n_tiles,
        n_features=n_features,
        load=loader(path, slide_id),
        tiles=tiles,
        source=path,
        mpp=given.mpp,
        tile_px=px,
        derivation=notes,
        reread=partial(read, path),
    )
