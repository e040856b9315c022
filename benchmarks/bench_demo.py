"""What the demo costs and what it shows, on five seeds: an anchor against the same model without one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.measure import Result

SEEDS = range(5)
PAIRS = (("abmil", "abmil_nsf"), ("asmil_no_anchor", "asmil"))


def run() -> Iterator[Result]:
    told = [_demo(seed) for seed in SEEDS]
    yield _result("CPU, imports and pictures included, worst seed", max(s["cpu_seconds"] for s in told), "s", 90)
    shown = {pair: [_pair(s["methods"], *pair) for s in told] for pair in PAIRS}
    abmil, asmil = shown.values()
    yield _result("abmil_nsf / abmil: JSD, worst seed", max(p["jsd"] for p in abmil), "ratio", 0.15)
    yield _result("abmil_nsf - abmil: top-k recall, worst seed", min(p["recall"] for p in abmil), "", 0.10, "at least")
    yield _result("abmil_nsf: effective tiles / M, worst seed", max(p["share"] for p in abmil), "ratio", 0.99)
    yield _result("asmil / asmil_no_anchor: JSD, worst seed", max(p["jsd"] for p in asmil), "ratio", 0.6)
    yield _result("asmil - asmil_no_anchor: tile AUC, mean", mean(p["tile_auc"] for p in asmil), "", 0.03, "at least")
    gained = sum(p["tile_auc"] > 0 for p in asmil)
    yield _result("asmil - asmil_no_anchor: seeds with a tile AUC gain", gained, "of 5", 4, "at least")
    for (plain, anchored), pairs in shown.items():
        yield _result(f"{anchored} - {plain}: AUC, mean", mean(p["auc"] for p in pairs), "", -0.01, "at least")
        worst = min(p["auc"] for p in pairs)
        yield _result(f"{anchored} - {plain}: AUC, worst seed", worst, "")


def _result(case: str, value: float, unit: str, limit: float | None = None, sense: str = "at most") -> Result:
    return Result("demo", case, value, unit, limit, sense)  # type: ignore[arg-type]


def _demo(seed: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        command = ["demo", "--no-window", "--seed", str(seed), "--out", str(out)]
        subprocess.run([sys.executable, "-m", "napari_asmil.cli", *command], check=True, capture_output=True)
        return json.loads((out / "summary.json").read_text())


def _pair(methods: dict, plain: str, anchored: str) -> dict[str, float]:
    without, with_anchor = methods[plain], methods[anchored]
    gains = {"recall": "topk_recall", "tile_auc": "tile_auc", "auc": "auc"}
    return {
        "jsd": with_anchor["jsd_mean_bits"] / without["jsd_mean_bits"],
        "share": with_anchor["effective_share"],
        **{name: with_anchor[key] - without[key] for name, key in gains.items()},
    }
