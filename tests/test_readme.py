"""The README's Python does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.bags import in_memory_bag, write_bag
from napari_asmil.geometry import TileGrid

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_snippet_runs_and_prints_a_line_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "features").mkdir()
    rng = np.random.default_rng(0)
    for s in range(4):
        bag = in_memory_bag(f"any{s}", rng.normal(size=(2, 3)), TileGrid([[0, 0], [64, 0]], 64))
        write_bag(tmp_path / "features" / f"any{s}.h5", bag)
    (tmp_path / "labels.csv").write_text("slide_id,label\n" + "".join(f"any{s},{s % 2}\n" for s in range(4)))
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    said: dict[str, object] = {}
    exec(snippet, said)
    assert len(capsys.readouterr().out.splitlines()) == 51
    assert np.exp(said["log_attention"]).sum() == pytest.approx(1, abs=1e-5)
