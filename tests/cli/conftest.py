"""The command line in this process, and bags to give it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil import cli
from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.geometry import TileGrid

Command = Callable[..., tuple[int, str, str]]
CohortMaker = Callable[..., tuple[Path, Path]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line: exit code, what it printed, what it complained about."""

    def run(*given: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["napari-asmil", *map(str, given)])
        try:
            cli.main()
        except SystemExit as left:
            code = int(left.code or 0)
        else:
            code = 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def make_cohort(tmp_path: Path) -> CohortMaker:
    """Factory: a folder of bags and a label table of the given rows."""

    def make(
        rows: dict[str, str] | None = None, header: str = "slide_id,label", slides: int = 8, tiles: int = 9
    ) -> tuple[Path, Path]:
        features, table = tmp_path / "features", tmp_path / "labels.csv"
        features.mkdir(exist_ok=True)
        places = TileGrid(np.stack(np.divmod(np.arange(tiles), 3)[::-1], axis=1) * 64, 64)
        for s in range(slides):
            x = np.random.default_rng(s).normal(size=(tiles, 5))
            write_bag(features / f"s{s}.h5", in_memory_bag(f"s{s}", x, places, encoder="test", mpp=0.5))
        given = rows or {f"s{s}": "tumour" if s % 2 else "normal" for s in range(slides)}
        table.write_text("\n".join([header, *(f"{slide},{rest}" for slide, rest in given.items())]))
        return features, table

    return make


SMALL = ("--preset", "demo", "--method", "abmil", "--epochs", "1", "--device", "cpu")


@pytest.fixture
def train(command: Command) -> Command:
    """Run a training of one epoch on what `make_cohort` made."""

    def run(cohort: tuple[Path, Path], out: Path, *options: object) -> tuple[int, str, str]:
        return command("train", cohort[0], "--labels", cohort[1], "--out", out, *SMALL, *options)

    return run
