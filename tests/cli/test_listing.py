from __future__ import annotations

from typer.testing import CliRunner

from napari_asmil.cli import app
from napari_asmil.mil.names import method_names
from napari_asmil.mil.registry import model_class, settings_of
from napari_asmil.training import PRESETS, STABILIZERS


def test_methods_lists_every_method_with_source_and_settings_every_ending_and_every_preset() -> None:
    told = CliRunner().invoke(app, ["methods"])
    assert told.exit_code == 0
    lines = told.output.splitlines()
    for name in method_names():
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{name} "))
        assert model_class(name).source in lines[at]
        assert all(f"{setting}=" in lines[at + 1] for setting in settings_of(name))
    for named in (*(f"_{ending}" for ending in STABILIZERS if ending), *PRESETS):
        assert any(line.startswith(f"{named} ") for line in lines)
