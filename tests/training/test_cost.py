from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Finished
from napari_asmil.mil import build_model
from napari_asmil.mil.names import method_names
from napari_asmil.training import preset
from napari_asmil.training.cost import cost, measure_prediction, measure_step
from napari_asmil.training.state import Sizes
from napari_asmil.training.variants import variant_of

TILES, D_IN, DIM, ATTENTION, CLASSES = 40, 24, 16, 8, 3
SMALL = f"dim={DIM},attention_dim={ATTENTION}"


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_parameters_and_multiply_adds_of_gated_abmil_are_those_counted_by_hand() -> None:
    recipe = preset("stable", f"abmil_nsf:{SMALL}")
    asked = (recipe.as_json(), TILES, Sizes(D_IN, CLASSES, 10), "cpu")
    prediction, step = measure_prediction(*asked), measure_step(*asked)
    scorer = D_IN * DIM + (DIM + 1) * 2 * ATTENTION + ATTENTION + 1
    assert prediction["parameters"] == scorer + (DIM + 1) * CLASSES
    assert step["extra_parameters"] == scorer
    per_tile = D_IN * DIM + DIM * 2 * ATTENTION + ATTENTION + DIM
    assert prediction["macs"] == TILES * per_tile + DIM * CLASSES
    assert step["step_ms"] > prediction["predict_ms"] > 0


def test_multiply_adds_of_fused_attention_are_counted_too() -> None:
    heads, depth = 2, DIM // 2
    recipe = preset("stable", f"abmilx:dim={DIM},heads={heads}")
    found = measure_prediction(recipe.as_json(), TILES, Sizes(D_IN, CLASSES, 10), "cpu")
    local, queries_and_keys, plus = depth * depth + depth, 2 * depth * depth, TILES * 2 * depth
    per_tile = D_IN * DIM + heads * (local + queries_and_keys + plus + depth)
    assert found["macs"] == TILES * per_tile + DIM * DIM + DIM * CLASSES


def test_a_step_takes_at_least_the_memory_of_what_it_keeps_for_the_way_back(tmp_path: Path) -> None:
    tiles, features, variant = 20_000, 384, "abmil:dim=128,attention_dim=128"
    list(cost([variant], tmp_path, tiles=tiles, features=features, device="cpu", preset_name="stable"))
    (one,) = json.loads((tmp_path / "cost.json").read_text())
    kept = kept_for_backward(variant, tiles, features) / 2**20
    assert kept > 30
    assert kept <= one["step_mb"] < 5 * kept
    assert 0 < one["predict_mb"] < one["step_mb"]


def kept_for_backward(variant: str, tiles: int, features: int) -> int:
    """Bytes that autograd keeps of a forward pass, besides weights and the bag."""
    model = build_model("abmil", features, CLASSES, **preset("stable", variant).settings)
    x = torch.randn(tiles, features)
    own = {part.untyped_storage().data_ptr() for part in (x, *model.parameters())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (at := tensor.untyped_storage().data_ptr()) not in own:
            kept[at] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    assert out.logits.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("method", method_names())
def test_every_method_can_be_measured(method: str) -> None:
    recipe = preset("paper", variant_of(method))
    asked = (recipe.as_json(), TILES, Sizes(D_IN, CLASSES, 10), "cpu")
    prediction, step = measure_prediction(*asked), measure_step(*asked)
    assert prediction["macs"] > TILES * D_IN
    assert prediction["parameters"] > 0 and step["step_ms"] > 0


def costs(out: Path, *variants: str, **changes: object) -> list[object]:
    settings = {"tiles": TILES, "features": D_IN, "device": "cpu", "preset_name": "stable"}
    return list(cost(variants, out, **(settings | changes)))


def test_what_is_measured_is_written_at_once_and_a_stopped_measurement_goes_on(tmp_path: Path) -> None:
    variants, stop = (f"abmil:{SMALL}", f"mean:dim={DIM}"), threading.Event()
    for event in cost(variants, tmp_path, tiles=TILES, features=D_IN, device="cpu", preset_name="stable", stop=stop):
        if isinstance(event, EpochDone):
            stop.set()
    assert isinstance(event, Finished) and event.why == "stopped"
    (first,) = json.loads((tmp_path / "cost.json").read_text())
    assert first["variant"] == variants[0]
    costs(tmp_path, *variants)
    kept, added = json.loads((tmp_path / "cost.json").read_text())
    assert kept == first and added["variant"] == variants[1]
    text = (tmp_path / "cost.txt").read_text()
    assert "ABMIL" in text and "mean pooling" in text


def test_costs_of_other_arguments_are_in_the_way(tmp_path: Path) -> None:
    costs(tmp_path, f"mean:dim={DIM}")
    before = (tmp_path / "cost.json").read_bytes()
    for what, changes in (
        ("tiles", {"tiles": TILES + 1}),
        ("features", {"features": D_IN + 1}),
        ("classes", {"classes": 4}),
        ("settings", {"preset_name": "paper"}),
    ):
        with pytest.raises(InputError, match=f"measured with other {what}"):
            costs(tmp_path, f"mean:dim={DIM}", **changes)
    assert (tmp_path / "cost.json").read_bytes() == before


def test_each_method_is_measured_in_a_process_of_its_own_and_tabled(tmp_path: Path) -> None:
    *_, last = cost([f"abmil:{SMALL}"], tmp_path, tiles=TILES, features=D_IN, device="cpu", preset_name="stable")
    assert isinstance(last, Finished) and last.why == "done"
    (one,) = json.loads((tmp_path / "cost.json").read_text())
    assert (one["label"], one["tiles"], one["extra_parameters"]) == ("ABMIL", TILES, 0)
    text = (tmp_path / "cost.txt").read_text()
    assert "ABMIL" in text and "one thread, CPU time" in text


def test_an_unknown_method_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nomil"):
        list(cost(["abmil", "nomil"], tmp_path / "out", device="cpu"))
    assert not (tmp_path / "out").exists()
