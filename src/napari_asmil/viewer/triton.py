"""Triton, which torch for NVIDIA GPUs brings along, in a process whose window Mesa draws."""

import importlib
import os
import sys
from contextlib import suppress


def load_triton_beside_mesa() -> None:
    """Import Triton, if there is one, so that it keeps to the LLVM inside itself.

    torch imports it with the first optimiser. Mesa's OpenGL drivers have then put another LLVM into the process, and
    a Triton that is loaded as usual calls into that one: the process dies without a word.
    """
    keep_to_itself = getattr(os, "RTLD_DEEPBIND", 0)
    if not keep_to_itself:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | keep_to_itself)
    try:
        with suppress(ImportError):
            importlib.import_module("triton")
    finally:
        sys.setdlopenflags(flags)
