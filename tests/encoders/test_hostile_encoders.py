"""Damaged files of weights and programs: whatever bytes they hold, a sentence or an encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from napari_asmil.encoders import get_encoder
from napari_asmil.encoders.weights import read_weights
from napari_asmil.errors import InputError
from tests.encoders.test_exported import SIDECAR, rewrite

SEEDS = range(40)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x)).flatten(2).mean(dim=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    module = Small().eval()
    torch.save(module.state_dict(), folder / "new.pt")
    torch.save(module.state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(module.state_dict(), folder / "net.safetensors")
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "net.pt2")
    return folder


def damaged(content: bytes, seed: int) -> bytes:
    """A few bytes changed, cut out, doubled, or the end gone."""
    rng = np.random.default_rng(seed)
    made = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        at, length = int(rng.integers(len(made))), int(rng.integers(1, 9))
        kind = rng.integers(4)
        if kind == 0:
            made[at : at + length] = rng.bytes(length)
        elif kind == 1:
            del made[at : at + length]
        elif kind == 2:
            made[at:at] = made[at : at + length]
        elif at > 16:
            del made[at:]
    return bytes(made)


def respelt(content: bytes, seed: int) -> bytes:
    """A few letters of a JSON changed to others."""
    rng, made = np.random.default_rng(seed), bytearray(content)
    for at in rng.integers(0, len(made), 3):
        made[at] = ord(rng.choice(list('0123456789abxyz_.{}[]",:')))
    return bytes(made)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["new.pt", "old.pt", "net.safetensors"])
def test_damaged_weights_are_read_or_refused(files: Path, tmp_path: Path, name: str) -> None:
    outcomes = set()
    for seed in SEEDS:
        path = tmp_path / name
        path.write_bytes(damaged((files / name).read_bytes(), seed))
        try:
            read_weights(path)
            outcomes.add("read")
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", ["", "models/model.json", "data/weights/model_weights_config.json"])
def test_damaged_programs_are_run_or_refused(files: Path, tmp_path: Path, part: str) -> None:
    content = (files / "net.pt2").read_bytes()
    (tmp_path / "net.json").write_text(json.dumps({**SIDECAR, "dim": None}))
    path, outcomes = tmp_path / "net.pt2", set()
    for seed in SEEDS:
        path.write_bytes(content if part else damaged(content, seed))
        if part:  # with a sum that fits, so that what was damaged is read
            rewrite(path, lambda name, entry, seed=seed: respelt(entry, seed) if name == part else entry)
        try:
            get_encoder(f"pt2:{path}", "cpu")
            outcomes.add("run")
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert "refused" in outcomes


def test_a_sidecar_of_any_bytes_is_a_sentence(files: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes((files / "net.pt2").read_bytes())
    good = json.dumps({**SIDECAR, "dim": 4}).encode()
    for seed in SEEDS:
        (tmp_path / "net.json").write_bytes(damaged(good, seed))
        try:
            get_encoder(f"pt2:{tmp_path / 'net.pt2'}", "cpu")
        except InputError as error:
            assert "\n" not in str(error)
