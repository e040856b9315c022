"""Every layout of features of one slide, written from its description and not by our own code.

Each writer makes, in an empty folder, the files that the program of that name would leave there, and returns the one
that is opened. All hold the same twelve tiles.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
import zarr

SLIDE_ID = "slide_7"
SLIDE_SIZE = (4096, 3072)
"""Width and height in level-0 px."""
MPP = 0.5
"""Micrometres per level-0 px."""
EDGE = 512
"""Of a tile in level-0 px, which is 256 µm."""
XY = np.array([(256 + EDGE * column, 128 + EDGE * row) for row in range(3) for column in range(4)])
"""Top-left corners."""
FEATURES = np.random.default_rng(7).normal(size=(len(XY), 6)).astype(np.float16).astype(np.float32)
"""As float16 can hold them, since STAMP does."""

Attrs = dict[str, object]


def hdf5(path: Path, arrays: dict[str, np.ndarray], attrs: dict[str, Attrs] | None = None) -> Path:
    """An HDF5 file of datasets; attributes by the dataset's name, those of the file by ""."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        for name, given in (attrs or {}).items():
            (file[name] if name else file).attrs.update(given)
    return path


TRIDENT_ATTRS: Attrs = {
    "patch_size": 256,
    "patch_size_level0": EDGE,
    "level0_magnification": 20,
    "target_magnification": 10,
    "overlap": 0,
    "name": SLIDE_ID,
    "savetodir": "None",
    "level0_width": SLIDE_SIZE[0],
    "level0_height": SLIDE_SIZE[1],
}


def trident(folder: Path) -> Path:
    return hdf5(
        folder / "10x_256px_0px_overlap" / "features_uni_v1" / f"{SLIDE_ID}.h5",
        {"features": FEATURES, "coords": XY},
        {"coords": TRIDENT_ATTRS, "features": {"encoder": "uni_v1", "name": SLIDE_ID, "savetodir": "None"}},
    )


def trident_old(folder: Path) -> Path:
    """With one more axis, and without the edge in level-0 px."""
    attrs = {name: value for name, value in TRIDENT_ATTRS.items() if name != "patch_size_level0"}
    return hdf5(
        folder / f"{SLIDE_ID}.h5",
        {"features": FEATURES[None], "coords": XY[None]},
        {"coords": attrs, "features": {"encoder": "uni_v1"}},
    )


CLAM_ATTRS: Attrs = {
    "patch_size": 128,
    "patch_level": 1,
    "downsample": np.array((4.0001, 4.0003)),
    "downsampled_level_dim": np.array((1024, 768)),
    "level_dim": np.array((1024, 768)),
    "name": SLIDE_ID,
    "save_path": "patches",
}


def clam_patches(folder: Path, **attrs: object) -> Path:
    return hdf5(folder / "patches" / f"{SLIDE_ID}.h5", {"coords": XY}, {"coords": CLAM_ATTRS | attrs})


def clam(folder: Path) -> Path:
    clam_patches(folder)
    return clam_features(folder)


def clam_features(folder: Path) -> Path:
    """CLAM's file of features alone, which has no attribute."""
    arrays = {"features": FEATURES, "coords": XY.astype(np.int32)}
    return hdf5(folder / "features" / "h5_files" / f"{SLIDE_ID}.h5", arrays)


def clam_pt(folder: Path) -> Path:
    clam(folder)
    return tensor(folder / "features" / "pt_files" / f"{SLIDE_ID}.pt")


def tensor(path: Path, features: np.ndarray = FEATURES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(torch.from_numpy(features), path)
    return path


STAMP_ATTRS: Attrs = {
    "stamp_version": "2.3.0",
    "extractor": "virchow2",
    "unit": "um",
    "tile_size_um": 256.0,
    "tile_size_px": 224,
    "code_hash": "0" * 8,
    "feat_type": "tile",
}


def stamp(folder: Path, unit_um: float = 1.0, **attrs: object) -> Path:
    given = {name: value for name, value in (STAMP_ATTRS | attrs).items() if value is not None}
    coords = (XY * MPP / unit_um).astype(np.float32)
    return hdf5(folder / f"{SLIDE_ID}.h5", {"feats": FEATURES.astype(np.float16), "coords": coords}, {"": given})


def stamp_tile_size(folder: Path) -> Path:
    return stamp(folder, tile_size=256.0, tile_size_um=None, tile_size_px=None, feat_type=None, stamp_version=None)


def stamp_historic(folder: Path) -> Path:
    """Without a unit: 224 stand for 256 µm."""
    without = dict.fromkeys(STAMP_ATTRS)
    return stamp(folder, 256 / 224, **(without | {"extractor": "ctranspath"}))


def stamp_no_coords(folder: Path) -> Path:
    return hdf5(folder / f"{SLIDE_ID}.h5", {"patch_embeddings": FEATURES}, {"": {"encoder": "ctranspath"}})


def slideflow(folder: Path) -> Path:
    """Tiles by their centres, the size of a tile in a file for the whole folder."""
    np.savez(folder / f"{SLIDE_ID}.index.npz", XY + EDGE // 2)
    extractor = {"class": "slideflow.model.extractors.ctranspath.CTransPathFeatures", "kwargs": {"center_crop": True}}
    config = {"extractor": extractor, "normalizer": None, "num_features": 6, "tile_px": 299, "tile_um": 256}
    (folder / "bags_config.json").write_text(json.dumps(config))
    return tensor(folder / f"{SLIDE_ID}.pt")


def npz(folder: Path) -> Path:
    np.savez(folder / f"{SLIDE_ID}.npz", features=FEATURES, coords=XY, patch_size_level0=EDGE)
    return folder / f"{SLIDE_ID}.npz"


def csv(folder: Path) -> Path:
    path = folder / f"{SLIDE_ID}.csv"
    header = ",".join(["x", "y", *(f"feature_{column}" for column in range(FEATURES.shape[1]))])
    np.savetxt(path, np.hstack([XY, FEATURES]), delimiter=",", header=header, comments="", fmt="%.9g")
    return path


def dsmil(folder: Path) -> Path:
    """Features under their numbers, no places."""
    path = folder / f"{SLIDE_ID}.csv"
    header = ",".join(map(str, range(FEATURES.shape[1])))
    np.savetxt(path, FEATURES, delimiter=",", header=header, comments="", fmt="%.9g")
    return path


WSIDATA_ATTRS: Attrs = {
    "tile_spec": {
        "tiles": {
            "height": 256,
            "width": 256,
            "stride_height": 256,
            "stride_width": 256,
            "mpp": 1.0,
            "ops_level": 0,
            "ops_downsample": 2.0,
            "base_level": 0,
            "base_downsample": 2.0,
            "tissue_name": "tissues",
        }
    },
    "slide_properties": {"mpp": MPP, "magnification": 20, "shape": list(SLIDE_SIZE[::-1]), "n_level": 1},
    "spatialdata_attrs": {"version": "0.2"},
}


def wsidata(folder: Path, zarr_format: int = 3, tables: tuple[str, ...] = ("resnet50_tiles",)) -> Path:
    """SpatialData with tables of features; the shapes of tiles are not written, which is done with parquet."""
    path = folder / f"{SLIDE_ID}.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.attrs.update(WSIDATA_ATTRS)
    root.create_group("shapes")
    for name in tables:
        table = root.require_group("tables").create_group(name)
        table.attrs.update({"encoding-type": "anndata", "region": "tiles", "instance_key": "tile_id"})
        table.create_array("X", data=FEATURES, chunks=(5, 6)).attrs["encoding-type"] = "array"
        table.create_group("obs").create_array("tile_id", data=np.arange(len(XY)))
    return path


def wsidata_2(folder: Path) -> Path:
    return wsidata(folder, zarr_format=2)


Writer = Callable[[Path], Path]

LAYOUTS: dict[str, Writer] = {
    "TRIDENT": trident,
    "TRIDENT, old": trident_old,
    "CLAM": clam,
    "CLAM, .pt": clam_pt,
    "STAMP": stamp,
    "STAMP, tile_size": stamp_tile_size,
    "STAMP, historic": stamp_historic,
    "STAMP, no coordinates": stamp_no_coords,
    "slideflow": slideflow,
    "npz": npz,
    "csv": csv,
    "DSMIL": dsmil,
    "wsidata": wsidata,
    "wsidata, zarr 2": wsidata_2,
}
"""Writers by the name of the layout."""

ENCODERS = {
    "TRIDENT": "uni_v1",
    "TRIDENT, old": "uni_v1",
    "STAMP": "virchow2",
    "STAMP, tile_size": "virchow2",
    "STAMP, historic": "ctranspath",
    "STAMP, no coordinates": "ctranspath",
    "slideflow": "CTransPathFeatures",
    "wsidata": "resnet50",
    "wsidata, zarr 2": "resnet50",
}
"""What made the features, where the layout says so."""
NEEDS = {
    "STAMP": {"mpp": MPP},
    "STAMP, tile_size": {"mpp": MPP},
    "STAMP, historic": {"mpp": MPP},
    "slideflow": {"mpp": MPP},
    "csv": {"tile_size": EDGE},
}
"""What must be known besides to place the tiles."""
NO_PLACES = {"STAMP, no coordinates", "DSMIL", "wsidata", "wsidata, zarr 2"}
"""Layouts whose tiles cannot be placed: of wsidata's, not without pyarrow."""
SAYS = {
    "TRIDENT": "256 px at 10x = 512 level-0 px, from the attribute patch_size_level0",
    "TRIDENT, old": "256 px at 10x x 2 = 512 level-0 px, from level0_magnification 20x",
    "CLAM": "128 px at level 1 x 4.0 = 512 level-0 px, from ../../patches/slide_7.h5",
    "CLAM, .pt": "128 px at level 1 x 4.0 = 512 level-0 px, from ../../patches/slide_7.h5",
    "STAMP": "256 µm / 0.5 µm per px (as given) = 512 level-0 px; from the attribute tile_size_um",
    "STAMP, tile_size": "256 µm / 0.5 µm per px (as given) = 512 level-0 px; from the attributes tile_size and unit",
    "STAMP, historic": "an old file without a unit, whose tiles lie 224 apart: 224 to 256 µm",
    "slideflow": "256 µm / 0.5 µm per px (as given) = 512, cut to 512 level-0 px",
    "npz": "512 level-0 px, from patch_size_level0",
    "csv": "tile edge: 512 level-0 px, as given",
}
"""How the tile edge was derived, in words."""
