"""Writers of folders and files of many slides, from the descriptions of their layouts."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

XY = np.array([[0, 0], [64, 0], [128, 0]])


def features(seed, rows=3, dim=4):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def clam(path, seed=0):
    """CLAM's h5_files: int32 corners and no attribute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = features(seed)
        file["coords"] = XY.astype(np.int32)


def tensor(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(torch.from_numpy(features(seed)), path)


LABELS = {"s0": 0, "s1": 1, "s2": 0, "s3": 1}


def save(path, name, values, ending):
    path.mkdir(parents=True, exist_ok=True)
    if ending == ".npy":
        np.save(path / f"{name}.npy", values)
    else:
        with h5py.File(path / f"{name}.h5", "w") as file:
            file[path.name.partition("_")[0] if path.name.startswith("features") else path.name] = values


def torchmil(root, ending=".npy", inner="features"):
    for seed, (name, label) in enumerate(LABELS.items()):
        save(root / inner, name, features(seed), ending)
        save(root / "labels", name, np.array([label]), ending)
        save(root / "patch_labels", name, np.array([0, label, 0]), ending)
        save(root / "coords", name, XY, ending)
    rows = [f"{name},{'test' if name == 's3' else 'train'}" for name in LABELS]
    (root / "splits.csv").write_text("\n".join(["bag_name,split", *rows]))
    return root


def one_file(path, labels=(0, 1, 0, 1), coords=XY):
    with h5py.File(path, "w") as file:
        for index, label in enumerate(labels):
            group = file.create_group(f"s{index}")
            group["feat"] = features(index).astype(np.float16)
            group["coords"] = coords
            if label is not None:
                group.attrs["label"] = label
    return path


def mil_set(path, **changes):
    arrays = {
        "features": features(0, rows=6),
        "bag_id": np.array([0, 0, 1, 2, 2, 2]),
        "bag_label": np.array([0, 1, 1]),
        **changes,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def dsmil(root):
    """A csv of features a slide in a folder a class, and the table that names them."""
    for seed, name in enumerate(("normal/a", "tumor/b")):
        path = root / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        rows = [",".join(f"{value:.4f}" for value in row) for row in features(seed)]
        path.write_text("\n".join(["0,1,2,3", *rows]) + "\n")
    (root / "c16.csv").write_text("0,label\ndatasets/c16/normal/a.csv,0\ndatasets/c16/tumor/b.csv,1\n")
    return root


def clam_folder(root):
    """CLAM's two folders of features."""
    for seed in range(3):
        clam(root / "h5_files" / f"s{seed}.h5", seed)
        tensor(root / "pt_files" / f"s{seed}.pt", seed)
    return root


def trident_job(root):
    """TRIDENT's job folder, with features of one encoder."""
    for seed in range(3):
        path = root / "20x_256px_0px_overlap" / "features_uni" / f"s{seed}.h5"
        clam(path, seed)
        with h5py.File(path, "a") as file:
            file["coords"].attrs.update({"patch_size": 64, "patch_size_level0": 64})
    return root


COLLECTIONS: dict[str, Callable[[Path], Path]] = {
    "CLAM folder": clam_folder,
    "TRIDENT job": trident_job,
    "DSMIL data set": dsmil,
    "torchmil": torchmil,
    "torchmil, HDF5": lambda root: torchmil(root, ".h5"),
    "ACMIL, one file": lambda root: one_file(root / "all.h5"),
    "classical MIL": lambda root: mil_set(root / "musk.npz"),
}
"""Writers by the name of the collection; each writes into an empty folder and returns what is read."""
