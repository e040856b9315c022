"""torch for NVIDIA GPUs brings Triton, whose LLVM must not be mixed with that of Mesa's OpenGL drivers."""

import os
import sys

import pytest

from napari_asmil.viewer.triton import load_triton_beside_mesa

pytestmark = pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="Mesa and Triton meet on Linux with glibc")


@pytest.fixture
def triton(tmp_path, monkeypatch):
    """A Triton that notes how libraries are loaded while it is imported."""

    def install(code: str) -> None:
        (tmp_path / "triton.py").write_text(f"import sys\nsys.flags_at_import = sys.getdlopenflags()\n{code}")

    monkeypatch.setattr(sys, "flags_at_import", None, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    yield install
    sys.modules.pop("triton", None)


@pytest.mark.parametrize("code", ["", "raise ImportError('built for another torch')"])
def test_triton_is_loaded_with_its_own_symbols_and_nothing_after_it_is(triton, code):
    triton(code)
    before = sys.getdlopenflags()
    load_triton_beside_mesa()
    assert sys.flags_at_import == before | os.RTLD_DEEPBIND
    assert sys.getdlopenflags() == before


def test_without_triton_nothing_happens(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    before = sys.getdlopenflags()
    load_triton_beside_mesa()
    assert sys.getdlopenflags() == before
