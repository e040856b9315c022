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
    typer.echo(demo_table(json.loads((out / "summary.json").read_text())))
    for name in sorted(p.name for p in out.iterdir() if p.suffix in (".png", ".gif", ".json")):
        typer.echo(out / name)
    runs = [out / "runs" / f"{method}.asmil" for method in METHODS]
    if window or (window is None and has_screen()):
        open_in_napari(runs)
    else:
        typer.echo(f"See it in napari:  {_program()} open {out / 'runs'}")


ROWS = {
    "auc": "slide AUC, higher is better",
    "macro_f1": "slide macro F1, higher is better",
    "jsd_mean_bits": "JSD between epochs in bits, low is steady",
    "effective_share": "effective tiles / M: near 1 flat, near 0 collapsed",
    "tumour_mass": "attention inside the tumour, higher is better",
    "topk_recall": "tumour tiles among the top k, higher is better",
    "tile_auc": "tile AUC, higher is better",
    "dice": "Dice after min-max: flat maps score best",
}
"""Numbers of the summary in words; JSD stands over the concentration that keeps it honest."""
FLOORS = {"pooled": "pooled regression", "blind": "blind map"}


def demo_table(summary: dict[str, Any]) -> str:
    """The demo's numbers by method, and beside them what trivial methods reach."""
    columns = summary["methods"] | {words: summary["floors"][name] for name, words in FLOORS.items()}
    lines = ["  ".join(["".ljust(50), *columns])]
    for name, words in ROWS.items():
        shown = (f"{v[name]:.4f}" if name in v else "-" for v in columns.values())
        lines.append(
            "  ".join([words.ljust(50), *(text.rjust(len(c)) for text, c in zip(shown, columns, strict=True))])
        )
    cost = f"{summary['cpu_seconds']:.0f} CPU seconds, {summary['wall_seconds']:.0f} s, seed {summary['seed']}"
    cost += "" if summary["epochs_trained"] else "; nothing was trained, the runs were there"
    of = "Whole slides and maps in the tumour: test slides; JSD (all epochs) and effective tiles: recorded slides."
    return "\n".join([*lines, f"{of} The last two columns are what a method has to beat.", cost])


def _program() -> str:
    """What to type to call us again: our name, or the path that was called where the name is not found."""
    return sys.argv[0] if Path(sys.argv[0]).is_file() and not shutil.which("napari-asmil") else "napari-asmil"
