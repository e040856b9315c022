"""From a slide to its bag: lay the tiles, read them a block at a time, encode them, write one feature file."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event as Flag

import numpy as np
from numpy.typing import NDArray

from napari_asmil.annotations import Contours, Role, read_annotations
from napari_asmil.annotations.points import read_points, tiles_with_points
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.bags.trident import TRUTH
from napari_asmil.encoders import reading
from napari_asmil.encoders.areas import within as inside
from napari_asmil.encoders.base import Encoder
from napari_asmil.encoders.batches import gathered
from napari_asmil.encoders.kept import SETTINGS, fingerprint, keep_precision, made_before
from napari_asmil.encoders.registry import get_encoder
from napari_asmil.encoders.tile_edge import TileSize, tile_edge
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, Event, Finished, Started
from napari_asmil.files import why
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import Slide, open_slide, slide_name
from napari_asmil.slides.tissue import DEFAULT_RULE, stain_doubt, tile_grid, tissue_mask
from napari_asmil.words import counted, listed

POSITIVE_CLASSES = ("epithelial",)
"""Classes of nuclei that make a tile positive, where truth comes from a table of points."""
POSITIVE_SHARE = 0.5
"""Share of a tile inside tumour contours from which it counts as tumour."""
BESIDE = 2.0
"""Level-0 px by which contours may reach beyond the slide without a word."""
NOTE = "Note: "
"""Begins what is doubtful in the sentence that ends an extraction."""


def extract(
    slide_path: str | Path,
    out: str | Path,
    *,
    encoder: str | Encoder = "colour",
    device: str = "auto",
    tile_px: int | None = None,
    mpp: float | None = None,
    size: int | None = None,
    slide_mpp: float | None = None,
    stride: int | None = None,
    cover: bool = False,
    within: str | Path | None = None,
    min_tissue: float = 0.5,
    contours: str | Path | None = None,
    roles: Mapping[str, Role] | None = None,
    cropped: bool = False,
    within_cropped: bool = False,
    points: str | Path | None = None,
    stop: Flag | None = None,
) -> Iterator[Event]:
    """Write the bag of one slide to the file `out`; it appears there complete or not at all.

    A bag already there is kept when it was made from the same slide and truth with the same settings, and refused
    when it was not.

    Parameters
    ----------
    slide_path, out : path-like
        The slide or image, and the feature file to write (TRIDENT's layout, HDF5).
    encoder : str or Encoder
        What `get_encoder` takes, or has made.
    device : str
        Where networks compute: auto, cpu, cuda:N or mps.
    tile_px, mpp, size : optional
        Tile size: see `tile_edge`; what the encoder was made for where they are absent.
    slide_mpp : float, optional
        Micrometres per level-0 px, instead of what the slide says.
    stride : int, optional
        Step between tiles in level-0 px; the tile edge when absent.
    cover : bool
        Tiles over the whole image, without a tissue mask.
    within : path-like, optional
        An annotation file: tiles lie inside its contours, less those excluded, instead of on tissue found.
    min_tissue : float
        Share of a tile that must be tissue, or within; 0 takes every tile that has any.
    contours, points : path-like, optional
        Truth for the tiles: their share inside tumour contours, or 1 where they hold an epithelial nucleus.
    roles : mapping of str to str, optional
        What groups of contours count as, see `parse_roles`; groups that these contours lack are noted.
    cropped, within_cropped : bool
        Contours, or those of `within`, count from the corner of the scanned area: see `read_annotations`.
    stop : threading.Event, optional
        Looked at after every batch; a stopped extraction leaves no file.

    Yields
    ------
    Event
        A `BatchDone` of phase "tissue" before tissue is looked for, `Started` (in tiles), a `BatchDone` of phase
        "extract" counting tiles per batch, `Finished`.

    Raises
    ------
    InputError
        When the slide, the truth, the settings or `out` cannot be used.
    """
    slide_path, out = Path(slide_path), Path(out)
    if contours is not None and points is not None:
        raise InputError("Tile truth comes from contours or from points, not both.")
    check_area(cover=cover, within=within, min_tissue=min_tissue)
    if isinstance(encoder, str):
        encode = get_encoder(encoder, device)
        keep_precision(encode, out.parent)
    else:
        encode = encoder
    wanted = TileSize(size, tile_px, mpp).suited(encode)
    with open_slide(slide_path, mpp=slide_mpp) as slide:
        edge = tile_edge(slide, tile_px=wanted.tile_px, mpp=wanted.mpp, size=wanted.size, sees=encode.tile_px)
        made_from = {
            "slide": fingerprint(slide_path),
            "encoder": encode.name,
            "precision": getattr(encode, "precision", None),
            "tiles": edge.derivation,
            "slide_mpp": slide_mpp,
            "stride": stride,
            "cover": cover,
            "contours": None if contours is None else fingerprint(Path(contours)),
            "points": None if points is None else fingerprint(Path(points)),
            "within": None if within is None else fingerprint(Path(within)),
            "min_tissue": min_tissue,
            "roles": dict(roles or {}),
            "cropped": cropped,
            "within_cropped": within_cropped,
            "route": reading.ROUTE,
        }
        settings = json.dumps(made_from, sort_keys=True, allow_nan=False)
        if made_before(out, settings):
            yield Finished(out, "done", "It is there already, made with the same settings.")
            return
        _make_folder(out.parent)
        mask = None
        if not cover and within is None:
            yield BatchDone(0, 0, 1, phase="tissue")
            mask = tissue_mask(slide)
            if stop is not None and stop.is_set():
                yield Finished(out, "stopped", "Stopped before the first tile; nothing was written.")
                return
        share = None if within is None else inside(within, slide, cropped=within_cropped)
        grid = tile_grid(slide, edge.level0, stride=stride, cover=cover, mask=mask, share=share, min_tissue=min_tissue)
        doubt = "" if mask is None else stain_doubt(slide, mask)
        truth, said_of_truth = _truth(slide, grid, contours, roles, cropped, points)
        yield Started(out, len(grid), unit="tiles")
        features = np.empty((len(grid), encode.dim), dtype=np.float32)
        with closing(_encode(slide, grid, edge.px, encode, features)) as batches:
            for done in batches:
                yield BatchDone(0, done, len(grid), phase="extract")
                if stop is not None and stop.is_set() and done < len(grid):
                    yield Finished(out, "stopped", f"Stopped after {done} of {len(grid)} tiles; nothing was written.")
                    return
        bag = in_memory_bag(
            out.stem,
            features,
            grid,
            tile_labels=truth,
            encoder=encode.name,
            mpp=slide.mpp,
            tile_px=edge.px,
            slide_size=slide.shape[::-1],
            slide_path=slide_path,
            contours_path=None if contours is None else Path(contours),
        )
        laid = _area_words(slide, cover=cover, within=within, min_tissue=min_tissue)
    computed = f"encoder {encode.name}: {encode.how}" if encode.how else ""
    derivation = "; ".join(filter(None, (edge.derivation, laid, computed, doubt)))
    write_bag(out, bag, attrs={SETTINGS: settings, "derivation": derivation, TRUTH: _truth_words(contours, points)})
    said = f"{counted(len(grid), 'tile')} x {encode.dim} features; {edge.derivation}"
    if truth is not None:
        positive = int((truth >= POSITIVE_SHARE).sum())
        said += f"; {positive} of {len(grid)} tiles {_truth_name(contours, points)}"
    notes = "".join(f" {NOTE}{note}" for note in (doubt, *said_of_truth) if note)
    yield Finished(out, "done", f"{said}.{notes}")


def check_area(*, cover: bool, within: str | Path | None, min_tissue: float) -> None:
    """Refuse what says nothing of where tiles may lie, on any slide.

    Raises
    ------
    InputError
        When everything and a part are asked for at once, or a share is none.
    """
    if cover and within is not None:
        raise InputError("Tiles lie on the whole image (--cover) or within contours (--within), not both.")
    if not 0 <= min_tissue <= 1:
        raise InputError(f"The least share of tissue in a tile (--min-tissue) is from 0 to 1, not {min_tissue:g}.")


def _area_words(slide: Slide, *, cover: bool, within: str | Path | None, min_tissue: float) -> str:
    if cover:
        return "tiles over the whole image"
    where = DEFAULT_RULE.words(slide) if within is None else f"within the contours of {Path(within).name}"
    return f"{where}; at least {min_tissue:.3g} of a tile"


def _truth_name(contours: str | Path | None, points: str | Path | None) -> str:
    return f"tumour by {Path(contours).name}" if contours is not None else f"positive by {Path(points or '').name}"


def _truth_words(contours: str | Path | None, points: str | Path | None) -> str:
    if contours is not None:
        return "at least half of the tile lies inside tumour contours"
    return f"the tile holds a nucleus of class {' or '.join(POSITIVE_CLASSES)}" if points is not None else ""


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(
            f"The folder for the features cannot be made ({why(reason, folder / 'bag.h5')}).",
            remedy="Choose a folder you may write to.",
            path=folder,
        ) from reason


def _encode(
    slide: Slide, grid: TileGrid, tile_px: int, encode: Encoder, features: NDArray[np.float32]
) -> Generator[int]:
    """Fill `features`; yields how many tiles are done, after every batch. It reads ahead: close it before the slide."""
    done = 0
    for indices, tiles in gathered(reading.tile_batches(slide, grid, tile_px), encode.batch):
        features[indices] = encode(tiles)
        done += len(indices)
        yield done


def _truth(
    slide: Slide,
    grid: TileGrid,
    contours: str | Path | None,
    roles: Mapping[str, Role] | None,
    cropped: bool,
    points: str | Path | None,
) -> tuple[NDArray[np.float32] | None, list[str]]:
    """Truth for the tiles, and what is doubtful about it."""
    if points is not None:
        return tiles_with_points(grid, read_points(points, slide_name(slide.path), slide.shape, POSITIVE_CLASSES)), []
    if contours is None:
        return None, []
    drawn = read_annotations(contours, slide.frame, cropped=cropped)
    drawn.check_on(slide.frame.size)
    lacking = sorted(set(roles or {}) - drawn.groups.keys())
    drawn = drawn.with_roles({name: role for name, role in (roles or {}).items() if name in drawn.groups})
    share = drawn.tile_share(grid).astype(np.float32)
    return share, [
        *([f"no group of contours is called {listed(lacking)}."] if lacking else []),
        *_doubts_of(drawn, share, slide.frame.size),
    ]


def _doubts_of(drawn: Contours, share: NDArray[np.float32], size: tuple[int, int]) -> list[str]:
    """What speaks for contours of another slide, level or unit."""
    beyond = sum(
        bool((c.exterior < -BESIDE).any() or (c.exterior > np.add(size, BESIDE)).any()) for c in drawn.polygons
    )
    notes = []
    if beyond:
        notes.append(f"some contours reach beyond the slide of {size[0]} x {size[1]} px: are they in level-0 px of it?")
    if not drawn.tumour().is_empty and not (share >= POSITIVE_SHARE).any():
        notes.append("there are tumour contours, and none of the tiles is tumour: are they in level-0 px of the slide?")
    return notes
