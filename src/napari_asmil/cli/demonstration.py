"""Everything once, on simulated slides: ``demo``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_asmil.cli.jobs import Device, finish, follow
from napari_asmil.cli.looking import has_screen, open_in_napari


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The demo's folder.")] = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Decides the cohort and the trainings.")] = 0,
    window: Annotated[
        bool | None,
        typer.Option("--window/--no-window", help="Open napari at the end; by default if there is a screen."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Train four models on simulated slides with known truth and show their attention over the epochs."""
    from napari_asmil.demo.run_demo import METHODS
    from napari_asmil.demo.run_demo import demo as run_demo

    typer.echo("Simulated embeddings on drawn slides: mechanisms, not medicine.")
    done = follow(lambda stop: run_demo(out, seed=seed, device=device, stop=stop, cpu_before=0.0), "demo")
    if done.why != "done":
        finish(done)
    typer.echo(_demo_table(json.loads((out / "summary.json").read_text())))
    for name in sorted(p.name for p in out.iterdir() if p.suffix in (".png", ".gif", ".json")):
        typer.echo(out / name)
    runs = [out / "runs" / f"{method}.asmil" for method in METHODS]
    if window or (window is None and has_screen()):
        open_in_napari(runs)
    else:
        typer.echo(f"See it in napari:  {_program()} open {out / 'runs'}")


def _demo_table(summary: dict[str, Any]) -> str:
    """The demo's numbers, JSD beside the concentration that keeps it honest."""
    columns = ("auc", "macro_f1", "jsd_mean_bits", "effective_share", "tumour_mass", "topk_recall", "tile_auc", "dice")
    lines = [" ".join(f"{name:>15}" for name in ("", *columns))]
    for method, values in summary["methods"].items():
        lines.append(" ".join([f"{method:>15}", *(f"{values[name]:>15.4f}" for name in columns)]))
    cost = f"{summary['cpu_seconds']:.0f} CPU seconds, {summary['wall_seconds']:.0f} s, seed {summary['seed']}"
    return "\n".join([*lines, cost])


def _program() -> str:
    """What to type to call us again: our name, or the path that was called where the name is not found."""
    return sys.argv[0] if Path(sys.argv[0]).is_file() and not shutil.which("napari-asmil") else "napari-asmil"
