"""What the documentation shows as code works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from napari_asmil.mil import methods
from napari_asmil.mil.names import method_names
from napari_asmil.runs import open_run
from napari_asmil.training import fit, preset, variants
from tests.training.cohorts import small_cohort

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture
def linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The method of the page, put beside the others."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "add-a-method.md").read_text(), re.DOTALL)
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "linear.py").write_text(code)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path / "methods")])
    monkeypatch.delitem(sys.modules, f"{methods.__name__}.linear", raising=False)
    return "linear"


def test_the_method_of_the_page_is_one_file_and_then_everything_knows_it(linear: str, tmp_path: Path) -> None:
    assert linear in method_names() and f"{linear}_nsf" in variants()
    recipe = preset("stable", f"{linear}_nsf:dim=8", epochs=2)
    for _ in fit(small_cohort(), recipe, tmp_path / "a.asmil"):
        pass
    run = open_run(tmp_path / "a.asmil")
    assert run.n_epochs == 3 and run.has_anchor and run.row_names == ("attention",)
