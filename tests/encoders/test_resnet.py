"""ResNets by file of weights: torchvision's names and sizes, numbers against plain loops, files that are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from napari_asmil.encoders import get_encoder, torch_encoder
from napari_asmil.encoders.resnet import NETWORKS, BasicBlock, Bottleneck, ResNet
from napari_asmil.errors import InputError

Array = NDArray[np.float64]
CLASSIFIER = {"resnet18": 512 * 1000 + 1000, "resnet50": 2048 * 1000 + 1000}


def shaken(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights and running statistics, so that no layer does nothing."""
    torch.manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_(0, 0.5 / max(1, value[0].numel() if value.ndim > 1 else 1) ** 0.5).add_(
                1.0 if ".bn" in name and name.endswith("weight") else 0.0
            )
    return network.eval()


def conv(x: Array, weight: Array, stride: int, padding: int) -> Array:
    """Convolution of (C, h, w) as it is defined, place by place."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    edge = weight.shape[2]
    rows, columns = ((size - edge) // stride + 1 for size in x.shape[1:])
    out = np.empty((len(weight), rows, columns))
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i * stride : i * stride + edge, j * stride : j * stride + edge]
            out[:, i, j] = (weight * patch).sum(axis=(1, 2, 3))
    return out


def norm(x: Array, w: dict[str, Array], name: str) -> Array:
    scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
    return (x - w[f"{name}.running_mean"][:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]


def block(x: Array, w: dict[str, Array], stride: int, convolutions: int) -> Array:
    """A residual block; of three convolutions the middle one strides, of two the first."""
    strides = (1, stride, 1) if convolutions == 3 else (stride, 1)
    made = x
    for number, step in enumerate(strides, 1):
        weight = w[f"conv{number}.weight"]
        made = norm(conv(made, weight, step, weight.shape[2] // 2), w, f"bn{number}")
        made = np.maximum(made, 0) if number < convolutions else made
    if "downsample.0.weight" in w:
        x = norm(conv(x, w["downsample.0.weight"], stride, 0), w, "downsample.1")
    return np.maximum(made + x, 0)


def plain_resnet(x: Array, w: dict[str, Array], depths: tuple[int, ...], convolutions: int) -> Array:
    """The features of one picture (3, h, w), in float64 loops."""
    x = np.maximum(norm(conv(x, w["conv1.weight"], 2, 3), w, "bn1"), 0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    half = [(size - 3) // 2 + 1 for size in padded.shape[1:]]
    x = np.array(
        [
            [padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(1, 2)) for j in range(half[1])]
            for i in range(half[0])
        ]
    ).transpose(2, 0, 1)
    for stage, depth in enumerate(depths, 1):
        for number in range(depth):
            start = f"layer{stage}.{number}."
            own = {name.removeprefix(start): value for name, value in w.items() if name.startswith(start)}
            x = block(x, own, 2 if stage > 1 and number == 0 else 1, convolutions)
    return x.mean(axis=(1, 2))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file as torchvision's: ResNet-18 with a classifier."""
    state = shaken(ResNet(*NETWORKS["resnet18"])).state_dict()
    path = tmp_path / "resnet18.pth"
    torch.save({**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, path)
    return path


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 whatever is faster here."""
    monkeypatch.setattr(torch_encoder, "GAIN", float("inf"))


@pytest.mark.parametrize(("kind", "parameters"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)])
def test_a_network_has_as_many_parameters_as_torchvisions(kind: str, parameters: int) -> None:
    counted = sum(p.numel() for p in ResNet(*NETWORKS[kind]).parameters())
    assert counted + CLASSIFIER[kind] == parameters


def test_names_of_weights_are_torchvisions() -> None:
    names = ResNet(*NETWORKS["resnet50"]).state_dict().keys()
    assert len(names) == 320 - 2  # torchvision has the classifier besides
    assert {"conv1.weight", "layer1.0.downsample.1.running_var", "layer4.2.bn3.num_batches_tracked"} <= names


@pytest.mark.parametrize(
    ("kind", "depths", "convolutions"),
    [(BasicBlock, (1, 1), 2), (Bottleneck, (1, 2, 1), 3)],
    ids=["basic", "bottleneck"],
)
def test_features_equal_the_definition_in_plain_loops(
    kind: type[BasicBlock] | type[Bottleneck], depths: tuple[int, ...], convolutions: int
) -> None:
    network = shaken(ResNet(kind, depths)).double()
    picture = torch.randn(1, 3, 19, 23, dtype=torch.float64)
    w = {name: value.numpy() for name, value in network.state_dict().items()}
    expected = plain_resnet(picture[0].numpy(), w, depths, convolutions)
    assert np.ptp(expected) > 0.01
    with torch.no_grad():
        np.testing.assert_allclose(network(picture)[0].numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kind", "dim"), [("resnet18", 512), ("resnet50", 2048), ("resnet50_trunc", 1024)])
def test_features_are_as_many_as_the_last_stage_has_channels(kind: str, dim: int, tmp_path: Path) -> None:
    whole = ResNet(*NETWORKS["resnet50" if kind == "resnet50_trunc" else kind])
    torch.save(whole.state_dict(), tmp_path / "w.pt")  # CLAM's truncated network takes the file of the whole one
    encoder = get_encoder(f"{kind}:{tmp_path / 'w.pt'}", "cpu")
    assert (encoder.dim, encoder.tile_px, encoder.mpp) == (dim, 224, None)
    assert encoder(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, dim)


def test_a_tile_is_scaled_and_normalised_as_imagenet_pictures_are(weights: Path, exact: None) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    network = ResNet(*NETWORKS["resnet18"]).eval()
    network.load_state_dict({k: v for k, v in torch.load(weights, weights_only=True).items() if k[:2] != "fc"})
    pictures = (tiles / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.no_grad():
        expected = network.double()(torch.from_numpy(pictures.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(get_encoder(f"resnet18:{weights}", "cpu")(tiles), expected, rtol=1e-3, atol=1e-4)


def test_a_tile_has_the_same_features_in_any_batch(weights: Path, exact: None) -> None:
    tiles = np.random.default_rng(1).integers(0, 256, (11, 224, 224, 3), dtype=np.uint8)
    encoder = get_encoder(f"resnet18:{weights}", "cpu")
    alone = np.concatenate([encoder(tile[None]) for tile in tiles])
    np.testing.assert_allclose(encoder(tiles), alone, rtol=1e-4, atol=1e-5)


def test_tiles_of_another_size_are_resampled_without_aliases(weights: Path, exact: None) -> None:
    encoder = get_encoder(f"resnet18:{weights}", "cpu")
    rows = np.isin(np.arange(896) % 4, (1, 2)) * 255  # every 4th px of what lies between these is white
    stripes = np.broadcast_to(rows[:, None, None], (896, 896, 3)).astype(np.uint8)
    grey = np.full((896, 896, 3), 127, np.uint8)
    far = encoder(np.zeros((1, 896, 896, 3), np.uint8)) - encoder(grey[None])
    near = encoder(stripes[None]) - encoder(grey[None])
    assert np.linalg.norm(near) < 0.1 * np.linalg.norm(far)


def test_bfloat16_is_close_to_float32(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = np.random.default_rng(2).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    monkeypatch.setattr(torch_encoder, "GAIN", 0.0)
    half = get_encoder(f"resnet18:{weights}", "cpu")
    monkeypatch.setattr(torch_encoder, "GAIN", float("inf"))
    full = get_encoder(f"resnet18:{weights}", "cpu")
    assert half.how == "cpu, bfloat16, channels last" and full.how.startswith("cpu, float32")
    assert half.name == full.name
    a, b = half(tiles), full(tiles)
    assert np.abs(a - b).max() > 0 and np.linalg.norm(a - b) < 0.02 * np.linalg.norm(b)


def test_the_name_changes_with_the_weights_and_not_with_the_kind_of_file(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "same.safetensors")
    state["conv1.weight"][0, 0, 0, 0] += 1
    torch.save(state, tmp_path / "other.pth")
    names = [
        get_encoder(f"resnet18:{path}", "cpu").name
        for path in (weights, tmp_path / "same.safetensors", tmp_path / "other.pth")
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("resnet18-") and len(names[0]) == len("resnet18-") + 12


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("pwned",)


def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write in (("a.pt", lambda p: torch.save({"w": Evil()}, p)), ("b.pkl", lambda p: dumped(p))):
        write(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}.*holds more than tensors \(a pickled object"):
            get_encoder(f"resnet18:{tmp_path / name}", "cpu")
    assert not (tmp_path / "pwned").exists()


def dumped(path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump({"w": Evil()}, file, protocol=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("layer2.0.bn1.weight"), r"has no layer2\.0\.bn1\.weight"),
        (lambda state: state.update(head=torch.zeros(2)), "has also head"),
        (lambda state: state.update({"bn1.bias": torch.zeros(3)}), r"bn1\.bias is \(3,\), not \(64,\)"),
        (lambda state: state.clear(), "no tensors by name"),
        (lambda state: state.update(number=3), "no tensors by name"),
    ],
    ids=["missing", "extra", "shape", "empty", "no tensor"],
)
def test_weights_of_something_else_are_named(weights: Path, change, says: str) -> None:
    state = dict(torch.load(weights, weights_only=True))
    change(state)
    torch.save(state, weights)
    with pytest.raises(InputError, match=says):
        get_encoder(f"resnet18:{weights}", "cpu")


@pytest.mark.parametrize("kept", [0, 7, 5000])
def test_a_damaged_file_of_weights_is_a_sentence(weights: Path, kept: int) -> None:
    os.truncate(weights, kept)
    with pytest.raises(InputError, match=r"resnet18\.pth.*no file of weights, or damaged"):
        get_encoder(f"resnet18:{weights}", "cpu")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("resnet18", r"not complete.*resnet18:WEIGHTS"),
        ("colour:file", "not complete"),
        ("resnet18:nowhere.pth", r"nowhere\.pth: There is no such file of weights"),
        ("clairvoyant:7", "no encoder 'clairvoyant'.*resnet50_trunc"),
        ("", "no encoder ''"),
    ],
)
def test_a_specification_that_does_not_fit_is_refused(spec: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        get_encoder(spec)


def test_a_device_that_is_not_here_is_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="no device 'abacus'"):
        get_encoder(f"resnet18:{weights}", "abacus")
