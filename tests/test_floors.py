"""A room imports only from the rooms below it, and heavy packages stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "napari_asmil"

FLOORS = [
    {"errors", "events", "cache", "files", "words"},
    {"geometry", "frame", "analysis"},
    {"slides", "annotations", "mil", "runs"},
    {"bags"},
    {"encoders", "maps"},
    {"training"},
    {"render", "info"},
    {"demo"},
    {"viewer"},
    {"cli"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

ALLOWED_IN = {
    "torch": {"mil", "training", "encoders", "demo", "bags"},
    "napari": {"viewer"},
    "qtpy": {"viewer"},
    "magicgui": {"viewer"},
    "pyqtgraph": {"viewer"},
}


def imports(room: str) -> set[str]:
    """Return the dotted names of all modules that a room imports, at whatever place in its code."""
    paths = [*PACKAGE.glob(f"{room}.py"), *(PACKAGE / room).rglob("*.py")]
    names = set()
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{room} imports relative to itself"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_has_its_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__", "__main__"} <= FLOOR_OF.keys()


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_room_imports_only_from_rooms_below_it(room):
    inner = {name.split(".")[1] for name in imports(room) if name.startswith("napari_asmil.")}
    above = {other for other in inner & FLOOR_OF.keys() - {room} if FLOOR_OF[other] >= FLOOR_OF[room] > 0}
    assert above == set()


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_heavy_package_stays_in_its_rooms(room):
    outer = {name.split(".")[0] for name in imports(room)}
    assert {name for name in outer & ALLOWED_IN.keys() if room not in ALLOWED_IN[name]} == set()


def test_the_package_does_not_hide_its_room_of_annotations():
    # `from __future__ import annotations` would make napari_asmil.annotations that feature until the room is imported
    assert "__future__" not in (PACKAGE / "__init__.py").read_text()


BLOCKED = [
    ("napari_asmil", "torch napari qtpy zarr h5py"),
    (
        "napari_asmil.mil.anchor, napari_asmil.mil.losses, napari_asmil.mil.methods.asmil",
        "napari qtpy zarr h5py tifffile",
    ),
    ("napari_asmil.geometry, napari_asmil.analysis.dynamics", "torch napari qtpy zarr h5py"),
    ("napari_asmil.slides.tissue, napari_asmil.annotations, napari_asmil.bags", "torch napari qtpy magicgui pyqtgraph"),
    ("napari_asmil.runs, napari_asmil.render, napari_asmil.info", "torch napari qtpy magicgui pyqtgraph"),
    (
        "napari_asmil.encoders.extract, napari_asmil.training.trainer, napari_asmil.cli",
        "napari qtpy magicgui pyqtgraph",
    ),
]

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {blocked!r}.split():
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import {modules}
"""


@pytest.mark.parametrize(("modules", "blocked"), BLOCKED)
def test_a_room_imports_where_what_it_must_not_need_is_missing(modules, blocked):
    code = WITHOUT.format(modules=modules, blocked=blocked)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_room_that_needs_what_is_missing_would_be_noticed():
    code = WITHOUT.format(modules="napari_asmil.mil.anchor", blocked="torch")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: torch" in done.stderr
