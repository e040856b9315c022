"""What a method costs on this machine: parameters, multiply-adds, time and memory for one bag."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.files import json_text, write_text
from napari_asmil.training.device import pick_device
from napari_asmil.training.presets import preset
from napari_asmil.training.recipe import Recipe
from napari_asmil.training.state import Sizes, State, check_method, seeded
from napari_asmil.training.step import train_step
from napari_asmil.training.tables import columns
from napari_asmil.words import listed

REPEATS = 5
MB = 2**20
FUSED_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # unknown to torch's counter


@dataclass(frozen=True)
class Cost:
    """One method on one bag of M tiles.

    Attributes
    ----------
    recipe, tiles, features, classes, device
        What was measured; a row of the same is not measured again.
    parameters : int
        That learn, and are there at inference; an anchor's are `extra_parameters`, in training only.
    macs : float
        Multiply-adds of one prediction: matrix products, fused attention and convolutions, as
        `torch.utils.flop_counter` counts them, zeros that fill up a kernel's width included.
    step_ms, predict_ms : float
        Median time of a whole training step and of one prediction; CPU time of one thread where there is no GPU.
    step_mb, predict_mb : float
        Memory beyond weights and bag: the allocator's peak on CUDA; on a CPU the growth of the process's peak.
    """

    variant: str
    label: str
    recipe: dict[str, Any]
    tiles: int
    features: int
    classes: int
    device: str
    parameters: int
    extra_parameters: int
    macs: float
    step_ms: float
    predict_ms: float
    step_mb: float
    predict_mb: float


def cost(
    variants: Sequence[str],
    out: str | Path,
    *,
    tiles: int = 2000,
    features: int = 384,
    classes: int = 3,
    device: str = "auto",
    preset_name: str = "paper",
    stop: Flag | None = None,
) -> Iterator[Event]:
    """Measure variants one after another, each step and prediction in a process of its own.

    ``cost.json`` and ``cost.txt`` grow by a row for each; rows that are there are kept and not measured again.

    Raises
    ------
    InputError
        When a variant, a preset or the device is not known, or rows of other sizes, device or recipe are in the way.
    """
    out, chosen = Path(out), pick_device(device)
    recipes = {variant: preset(preset_name, variant) for variant in variants}
    sizes = Sizes(features, classes, 100)
    for recipe in recipes.values():
        check_method(recipe, sizes)
    found = _measured_before(out / "cost.json")
    shared: dict[str, Any] = {"tiles": tiles, "features": features, "classes": classes, "device": str(chosen)}
    _check_same(found, recipes, shared, out / "cost.json")
    out.mkdir(parents=True, exist_ok=True)
    yield Started(out, len(recipes), unit="methods")
    for done, (variant, recipe) in enumerate(recipes.items(), 1):
        if stop is not None and stop.is_set():
            yield Finished(out, "stopped", f"Stopped before {variant}. Start again to go on.")
            return
        yield BatchDone(epoch=0, step=done, steps=len(recipes), phase=variant)
        began = time.monotonic()
        if variant not in found:
            asked = (recipe.as_json(), tiles, sizes, str(chosen))
            numbers = _alone(measure_prediction, *asked) | _alone(measure_step, *asked)
            found[variant] = Cost(variant=variant, label=recipe.label, recipe=asked[0], **shared, **numbers)
            write_text(out / "cost.json", json_text([asdict(one) for one in found.values()], indent=1) + "\n")
            write_text(out / "cost.txt", as_text(list(found.values())) + "\n")
        yield EpochDone(out, done, len(recipes), time.monotonic() - began)
    yield Finished(out, "done", f"{len(found)} methods, in cost.txt and cost.json.")


def _measured_before(path: Path) -> dict[str, Cost]:
    if not path.is_file():
        return {}
    try:
        rows = [Cost(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise InputError(f"These costs cannot be read ({error}).", remedy="Choose another folder.", path=path) from None
    return {row.variant: row for row in rows}


def _check_same(
    found: Mapping[str, Cost], recipes: Mapping[str, Recipe], shared: Mapping[str, object], path: Path
) -> None:
    for row in found.values():
        recipe = recipes.get(row.variant)
        other = [what for what, wanted in shared.items() if getattr(row, what) != wanted]
        if recipe is not None and Recipe.make(row.recipe) != recipe:
            other.append("settings")
        if other:
            raise InputError(
                f"The cost of {row.variant} that is there was measured with other {listed(other)}.",
                remedy="Choose another folder.",
                path=path,
            )


def _alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call in a fresh process, which holds no memory that something before has left."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(function, *arguments).result()


@torch.no_grad()
def measure_prediction(recipe_json: dict[str, Any], tiles: int, sizes: Sizes, device_name: str) -> dict[str, Any]:
    """Size and prediction of one method in this process, which should do nothing else before."""
    recipe, state, device = _begin(recipe_json, sizes, device_name)
    model = state.model.eval().requires_grad_(False)

    def predict(x: torch.Tensor) -> None:
        model.attend(model.prepare(x), recipe.normalizer)

    mb, ms = _measured(predict, tiles, sizes, device)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "macs": _macs(predict, torch.randn(tiles, sizes.n_features).to(device)),
        "predict_mb": mb,
        "predict_ms": ms,
    }


def measure_step(recipe_json: dict[str, Any], tiles: int, sizes: Sizes, device_name: str) -> dict[str, Any]:
    """Anchor and training step of one method in this process, which should do nothing else before."""
    recipe, state, device = _begin(recipe_json, sizes, device_name)
    label = torch.tensor(1, device=device)

    def step(x: torch.Tensor) -> None:
        with seeded(0):
            train_step(state, recipe, x, label, "bag", 0.0)

    mb, ms = _measured(step, tiles, sizes, device)
    extra = 0 if state.anchor is None else sum(p.numel() for p in state.anchor.parameters())
    return {"extra_parameters": extra, "step_mb": mb, "step_ms": ms}


def _begin(recipe_json: dict[str, Any], sizes: Sizes, device_name: str) -> tuple[Recipe, State, torch.device]:
    recipe, device = Recipe.make(recipe_json), torch.device(device_name)
    if device.type == "cpu":
        torch.set_num_threads(1)
    return recipe, State.fresh(recipe, sizes, device), device


def _measured(
    do: Callable[[torch.Tensor], None], tiles: int, sizes: Sizes, device: torch.device
) -> tuple[float, float]:
    """MB and ms on a bag of `tiles`, after a small one that loads what torch loads when first used."""
    small, x = (torch.randn(count, sizes.n_features).to(device) for count in (16, tiles))
    do(small)
    return _peak_mb(do, x, device), _median_ms(do, x, device)


def _macs(do: Callable[[torch.Tensor], None], x: torch.Tensor) -> float:
    with FlopCounterMode(display=False, custom_mapping={FUSED_ON_CPU: _fused_flops}) as counter:
        do(x)
    return float(counter.get_total_flops() / 2)


def _fused_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _median_ms(do: Callable[[torch.Tensor], None], x: torch.Tensor, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for _ in range(REPEATS):
        _wait(device)
        began = clock()
        do(x)
        _wait(device)
        times.append((clock() - began) * 1000)
    return statistics.median(times)


def _peak_mb(do: Callable[[torch.Tensor], None], x: torch.Tensor, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        do(x)
        return (torch.cuda.max_memory_allocated(device) - before) / MB
    _forget_peak()
    before = _peak_of_process()
    do(x)
    return (_peak_of_process() - before) / MB


def _forget_peak() -> None:
    """Let the process's peak be what it holds now, where the system can: creating a bag or weights may take more."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_of_process() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(high.split()[1]) * 1024
    if sys.platform == "win32":
        raise InputError("Peak memory is not measured on Windows.")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def as_text(found: Sequence[Cost]) -> str:
    """A table of the costs."""
    device = found[0].device
    heading = (
        f"One bag of {found[0].tiles} tiles on {device}{' (one thread, CPU time)' if device == 'cpu' else ''}. Extra"
        " parameters are an anchor's, in training only. MACs: one prediction. Memory: peak beyond weights and bag."
    )
    rows = [("method", "parameters", "extra", "MACs", "step", "step memory", "prediction", "its memory")]
    for one in found:
        rows.append(
            (
                one.label,
                f"{one.parameters / 1e3:.0f} k",
                f"{one.extra_parameters / 1e3:.0f} k" if one.extra_parameters else "-",
                f"{one.macs / 1e6:.0f} M",
                f"{one.step_ms:.1f} ms",
                f"{one.step_mb:.0f} MB",
                f"{one.predict_ms:.1f} ms",
                f"{one.predict_mb:.0f} MB",
            )
        )
    return f"{heading}\n\n{columns(rows)}"
