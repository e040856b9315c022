"""A training step on one thread: ASMIL with its true anchor beside the embedding alone, gated ABMIL and plain code.

The floor is what no method can do without: the embedding of the tiles and the gradient of its weight. Every step is
whole: anchor, forward, backward, clip, optimiser, EMA. Peak memory is of a process that does little else.
"""

import copy
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional

from benchmarks.measure import Result, cpu_ms, median
from benchmarks.plain_asmil import PlainAsmil

D_IN, DIM, TOKENS = 384, 128, 8
TILES = {"1k": 1000, "10k": 10_000, "50k": 50_000, "100k": 100_000}
JUDGED = "50k"
PLAIN, LEANER = "plain per-token code", "plain per-token code, of the anchor the scores alone"
MB = 2**20


def run() -> Iterator[Result]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for case, tiles in TILES.items():
            yield from _at(case, tiles)
    finally:
        torch.set_num_threads(threads)
    yield from _memory()


def _at(case: str, tiles: int) -> Iterator[Result]:
    x = torch.randn(tiles, D_IN)
    steps = {
        "floor": floor(x),
        "ABMIL": step_of("abmil", x),
        "ASMIL": step_of("asmil", x),
        "ASMIL, released layout": step_of("asmil", x, layout="released"),
        "ASMIL, shared embedding": step_of("asmil", x, shares_embedding=True),
        "ASMIL, released layout, shared embedding": step_of("asmil", x, layout="released", shares_embedding=True),
    }
    judged = case == JUDGED
    if judged:
        steps[PLAIN] = plain_step(x)
        steps[LEANER] = plain_step(x, scores_alone=True)
    took = cpu_ms(*steps.values(), repeats=max(3, min(30, 200_000 // tiles)), warmup=1)
    ms = {name: median(times) for name, times in zip(steps, took, strict=True)}
    for name, value in ms.items():
        yield Result("step", f"{name}, {case} tiles", value, "ms CPU")
    for layout in ("", ", released layout"):
        for kind, floors, abmils in (("", 2.1, 1.0), (", shared embedding", 1.6, None)):
            name = f"ASMIL{layout}{kind}"
            yield _ratio(ms, name, "floor", case, floors if judged else None)
            yield _ratio(ms, name, "ABMIL", case, abmils if judged else None)
    for name, limit in ((PLAIN, 6), (LEANER, None)) if judged else ():
        yield _ratio(ms, name, "ASMIL, released layout", case, limit, "at least")


def _ratio(ms: dict[str, float], name: str, other: str, case: str, limit: float | None, *sense: str) -> Result:
    return Result("step", f"{name} / {other}, {case} tiles", ms[name] / ms[other], "ratio", limit, *sense)


def floor(x: torch.Tensor) -> Callable[[], object]:
    """The embedding of the tiles and the gradient of its weight."""
    weight = torch.randn(DIM, D_IN) / D_IN**0.5
    upstream = torch.randn(len(x), DIM)
    return lambda: (x @ weight.T, upstream.T @ x)


def step_of(method: str, x: torch.Tensor, **changes: object) -> Callable[[], object]:
    """A whole training step of the stable preset on the bag `x`."""
    from napari_asmil.training import preset
    from napari_asmil.training.state import Sizes, State
    from napari_asmil.training.step import train_step

    words = ",".join(f"{name}={str(value).lower()}" for name, value in changes.items())
    recipe = preset("stable", f"{method}:{words}")
    state = State.fresh(recipe, Sizes(D_IN, 2, 100), torch.device("cpu"))
    label = torch.tensor(1)
    return lambda: train_step(state, recipe, x, label, "a", 0.0)


def plain_step(x: torch.Tensor, *, scores_alone: bool = False) -> Callable[[], object]:
    """The same step with the network written out plainly; the anchor is asked as the model is, or for scores alone."""
    model = PlainAsmil(D_IN, DIM, TOKENS, 2)
    anchor = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    label = torch.tensor([1])

    def step() -> None:
        with torch.no_grad():
            sigmoid = torch.sigmoid(anchor.scores(x) if scores_alone else anchor(x)[1])
            target = sigmoid / sigmoid.sum(dim=1, keepdim=True)
        logits, z = model(x)
        loss = functional.cross_entropy(logits[None], label)
        loss = loss - 0.01 * (target * z.log_softmax(dim=1)).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        with torch.no_grad():
            for mine, online in zip(anchor.parameters(), model.parameters(), strict=True):
                mine.lerp_(online, 0.001)

    return step


def _memory() -> Iterator[Result]:
    bag = TILES[JUDGED] * D_IN * 4 / MB
    released: dict[str, object] = {"layout": "released"}
    for name, method, changes, limit in (
        ("ABMIL", "abmil", {}, None),
        ("ASMIL", "asmil", {}, 5.0),
        ("ASMIL, released layout", "asmil", released, 5.0),
        ("ASMIL, released layout, shared embedding", "asmil", {**released, "shares_embedding": True}, 2.5),
    ):
        grown = _peak_mb(method, TILES[JUDGED], changes) / bag
        yield Result("step", f"extra memory, {name}, {JUDGED} tiles", grown, "bags", limit)
    grown = _peak_mb("transmil", TILES["100k"], {"dim": 512})
    yield Result("step", "extra memory, TransMIL of D = 512, 100k tiles", grown, "MB", 4096)


def _peak_mb(method: str, tiles: int, changes: dict[str, object]) -> float:
    code = f"from benchmarks.bench_step import peak; print(peak({method!r}, {tiles}, {changes!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=900)
    return float(told.stdout) / MB


def peak(method: str, tiles: int, changes: dict[str, object]) -> int:
    """Bytes by which the peak memory of this process grows over three steps, after one on a small bag."""
    torch.set_num_threads(1)
    step_of(method, torch.randn(100, D_IN), **changes)()
    x = torch.randn(tiles, D_IN)
    step = step_of(method, x, **changes)
    before = _peak_kb()
    for _ in itertools.repeat(None, 3):
        step()
    return (_peak_kb() - before) * 1024


def _peak_kb() -> int:
    """Peak resident size of this process; that of `resource` counts the parent's before the fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
