"""What napari finds of us: the manifest, menus, reader and commands."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import npe2
import pytest
from npe2 import PluginManifest

from napari_asmil.errors import InputError
from napari_asmil.viewer import layers, window
from napari_asmil.viewer.controller import Controller
from tests.viewer.conftest import Pictured

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(ROOT / "src" / "napari_asmil" / "napari.yaml")


def test_the_manifest_is_valid_and_all_it_names_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_manifest_at_the_top_is_the_one_in_the_package() -> None:
    assert (ROOT / "napari.yaml").resolve() == ROOT / "src" / "napari_asmil" / "napari.yaml"


def test_dock_titles_begin_with_a_verb_and_are_found_in_the_layers_menu(manifest: PluginManifest) -> None:
    titles = [widget.display_name for widget in manifest.contributions.widgets]
    to_read = ["Explore attention", "Read dynamics", "Inspect tiles", "Survey the cohort"]
    assert titles == ["Open slide and bags", "Train", *to_read]
    menus = {name: [item.command for item in items] for name, items in manifest.contributions.menus.items()}
    assert set(menus) == {"napari/layers/visualize", "napari/layers/classify"}
    widgets = {widget.command for widget in manifest.contributions.widgets}
    assert widgets <= {command for items in menus.values() for command in items}


def test_docks_open_by_their_names(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer(show=True)  # its fixture fails when a shown window is kept alive
    for title in ("Open slide and bags", "Explore attention"):
        _, dock = viewer.window.add_plugin_dock_widget("napari-asmil", title)
        assert dock.controller is Controller.of(viewer)


def test_a_run_folder_is_read_as_slide_map_and_contours_and_taken_up(
    make_napari_viewer: Callable[..., Any], pictured: Pictured
) -> None:
    viewer = make_napari_viewer()
    viewer.open(str(pictured.runs[0]), plugin="napari-asmil")
    assert [layers.entry(layer)["kind"] for layer in viewer.layers] == ["slide", "map", "contours"]
    controller = Controller.of(viewer)
    assert controller.current is not None
    assert controller.current[0].path == pictured.runs[0]
    assert list(controller.runs) == [controller.current[0]]
    assert controller.epoch == 5
    viewer.open(str(pictured.runs[1]), plugin="napari-asmil")
    assert len(viewer.layers) == 3
    assert controller.current[0].path == pictured.runs[1]
    assert len(controller.runs) == 2


def test_a_run_is_read_without_any_window(pictured: Pictured) -> None:
    npe2.PluginManager.instance().discover()
    found = npe2.read([str(pictured.runs[0])], stack=False, plugin_name="napari-asmil")
    assert [kind for _, _, kind in found] == ["image", "image", "vectors"]


def test_the_folder_of_a_sample_is_there_until_the_process_ends() -> None:
    code = (
        "from napari_asmil.viewer.sample import sample_folder\n"
        "folder = sample_folder()\n"
        "(folder / 'runs').mkdir()\n"
        "print(folder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("napari-asmil-sample-")
    assert not folder.exists()


def test_the_export_command_asks_for_a_file_and_writes_the_overlay(
    make_napari_viewer: Callable[..., Any], pictured: Pictured, tmp_path: Path, monkeypatch: Any, qtbot: Any
) -> None:
    from napari._app_model import get_app_model
    from qtpy.QtWidgets import QFileDialog

    viewer = make_napari_viewer()
    viewer.open(str(pictured.runs[0]), plugin="napari-asmil")
    target = tmp_path / "overlay.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    get_app_model().commands.execute_command("napari-asmil.export_overlay").result()
    qtbot.waitUntil(target.is_file, timeout=20000)


def test_runs_named_on_the_command_line_are_opened_side_by_side_with_the_docks_to_read_them(
    make_napari_viewer: Callable[..., Any], pictured: Pictured, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(window.napari, "Viewer", lambda: opened.append(make_napari_viewer(show=True)) or opened[0])
    monkeypatch.setattr(window.napari, "run", lambda: None)
    window.show([pictured.runs[0].parent])
    controller = Controller.of(opened[0])
    assert [cell.run.path for cell in controller.comparison.cells] == list(pictured.runs)
    assert controller.slide is not None
    assert {layer.data.transform_name for layer in controller.comparison.maps} == {"log10"}
    docks = opened[0].window._wrapped_dock_widgets
    titles = {title: docks[f"{title} (napari-asmil)"].windowTitle() for title in (window.EXPLORE, window.DYNAMICS)}
    assert titles == {title: title for title in titles}
    front = docks[f"{window.DYNAMICS} (napari-asmil)"].widget()
    assert not front.visibleRegion().isEmpty()


def test_a_folder_without_runs_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        window.find_runs([tmp_path])
