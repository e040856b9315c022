"""The command line: the window's jobs without a window, through the same functions.

Every command ends in a sentence: exit code 0 when done, 2 when something given cannot be used, 3 when the
job was stopped and can be resumed, 130 when Ctrl-C came before there was one.
"""

from __future__ import annotations

import sys
import tempfile
import traceback

import typer

from napari_asmil.cli.bags import encoders, extract, tissue
from napari_asmil.cli.benchmarking import app as benchmarking
from napari_asmil.cli.demonstration import demo
from napari_asmil.cli.exporting import export
from napari_asmil.cli.jobs import interruptible, screen
from napari_asmil.cli.listing import methods
from napari_asmil.cli.looking import info, open_in_napari
from napari_asmil.cli.maps import import_maps
from napari_asmil.cli.models import attend, train
from napari_asmil.errors import InputError

app = typer.Typer(
    name="napari-asmil",
    help="Watch what a slide model looks at while it learns.",
    epilog="Exit codes: 0 done, 2 something given cannot be used, 3 stopped, can be gone on with; 1 our error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (info, extract, tissue, train, attend, export, methods, encoders, demo):
    app.command()(command)
app.command("map")(import_maps)
app.command("open")(open_in_napari)
app.add_typer(benchmarking, name="benchmark")


INTERRUPTED = 130
"""What typer leaves with after a Ctrl-C that no job took up."""


def main() -> None:
    """Entry point: no command ends in a bare traceback."""
    try:
        with interruptible():
            app()
    except SystemExit as left:
        if left.code == INTERRUPTED:
            _leave("Stopped before anything was started.", INTERRUPTED)
        raise
    except InputError as error:
        _leave(str(error), 2)
    except Exception as error:  # noqa: BLE001 - the last resort, told in words
        with tempfile.NamedTemporaryFile("w", prefix="napari-asmil-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        _leave(f"This should not have happened ({type(error).__name__}: {error}). Please report it with {log.name}.", 1)


def _leave(sentence: str, code: int) -> None:
    screen.print(sentence, soft_wrap=True, markup=False)
    sys.exit(code)
