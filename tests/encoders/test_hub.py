"""Encoders by name, with packages that stand in for timm and transformers: nothing here is downloaded."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_asmil.encoders import get_encoder, licence_notice
from napari_asmil.encoders.licences import KNOWN
from napari_asmil.errors import InputError

TILES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


class Tokens(nn.Module):
    """Two prefix tokens that are constant, then one token a quarter of the picture: its mean colours."""

    num_prefix_tokens = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.config = SimpleNamespace(num_register_tokens=1)

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.avg_pool2d(x, x.shape[2] // 2).flatten(2).transpose(1, 2)
        prefix = torch.tensor([7.0, 8.0]).view(1, 2, 1).expand(len(x), 2, 3)
        return torch.cat([prefix, patches], dim=1) * self.weight


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for timm: remembers how a model was asked for."""
    package, data, layers = ModuleType("timm"), ModuleType("timm.data"), ModuleType("timm.layers")
    package.asked = []  # type: ignore[attr-defined]

    def create_model(name: str, **options: Any) -> nn.Module:
        package.asked.append((name, options))  # type: ignore[attr-defined]
        return Tokens()

    package.create_model = create_model  # type: ignore[attr-defined]
    data.resolve_model_data_config = lambda network: {  # type: ignore[attr-defined]
        "input_size": (3, 32, 32),
        "mean": (0.5, 0.5, 0.5),
        "std": (1.0, 1.0, 1.0),
    }
    layers.SwiGLUPacked = object  # type: ignore[attr-defined]
    for name, module in (("timm", package), ("timm.data", data), ("timm.layers", layers)):
        monkeypatch.setitem(sys.modules, name, module)
    return package


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for transformers."""
    package = ModuleType("transformers")
    package.trusted = []  # type: ignore[attr-defined]

    class Answer(Tokens):
        def forward(self, x: Tensor) -> Any:
            return SimpleNamespace(last_hidden_state=super().forward(x))

    def maker(make: Any) -> Any:
        def from_pretrained(name: str, *, trust_remote_code: bool) -> Any:
            package.trusted.append(trust_remote_code)  # type: ignore[attr-defined]
            return make()

        return SimpleNamespace(from_pretrained=from_pretrained)

    looks = SimpleNamespace(image_mean=[0.5] * 3, image_std=[1.0] * 3, size={"height": 32, "width": 32})
    package.AutoModel = maker(Answer)  # type: ignore[attr-defined]
    package.AutoImageProcessor = maker(lambda: looks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", package)
    return package


def test_a_model_of_timm_is_asked_for_with_its_weights_and_without_its_classifier(timm: ModuleType) -> None:
    encoder = get_encoder("timm:hf-hub:MahmoodLab/UNI", "cpu")
    ((name, options),) = timm.asked
    assert name == "hf-hub:MahmoodLab/UNI"
    assert options == {"pretrained": True, "num_classes": 0, "init_values": 1e-5, "dynamic_img_size": True}
    assert encoder.name.startswith("timm:hf-hub:MahmoodLab/UNI-")
    assert (encoder.dim, encoder.tile_px, encoder.mpp) == (3, 32, 0.5)
    np.testing.assert_array_equal(encoder(TILES), 7)  # the class token


def test_tokens_are_joined_where_the_authors_do_so(timm: ModuleType) -> None:
    encoder = get_encoder("timm:hf-hub:paige-ai/Virchow2", "cpu")
    assert timm.asked[0][1]["act_layer"] is nn.SiLU
    found = encoder(TILES)
    assert found.shape == (3, 6)
    np.testing.assert_array_equal(found[:, :3], 7)
    np.testing.assert_allclose(found[:, 3:], (TILES / 255 - 0.5).mean(axis=(1, 2)), rtol=0.02, atol=0.01)


def test_an_unknown_model_has_no_scale_of_its_own(timm: ModuleType) -> None:
    assert get_encoder("timm:resnet18", "cpu").mpp is None


def test_a_model_of_transformers_gives_its_class_token_and_its_code_is_never_trusted(transformers: ModuleType) -> None:
    encoder = get_encoder("transformers:owkin/phikon", "cpu")
    assert (encoder.dim, encoder.tile_px, encoder.mpp) == (3, 32, 0.5)
    np.testing.assert_array_equal(encoder(TILES), 7)
    assert transformers.trusted == [False, False]
    assert "not for commercial use" in encoder.licence


def test_register_tokens_are_no_patches(transformers: ModuleType) -> None:
    found = get_encoder("transformers:kaiko-ai/midnight", "cpu")(TILES)
    np.testing.assert_allclose(found[:, 3:], (TILES / 255 - 0.5).mean(axis=(1, 2)), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("family", ["timm", "transformers"])
@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ModuleNotFoundError("no such"), r"pip install 'napari-asmil\[{family}\]'"),
        (ModuleNotFoundError("No module named 'torchvision'"), r"pip install 'napari-asmil\[{family}\]'"),
        (
            RuntimeError("operator torchvision::nms does not exist"),
            r"need torchvision, and the one here does not fit torch \d.*--force-reinstall torchvision",
        ),
    ],
)
def test_a_package_that_is_missing_or_broken_is_told_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, family: str, error: Exception, remedy: str
) -> None:
    class Finder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == family:
                raise error

    monkeypatch.delitem(sys.modules, family, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(InputError, match=remedy.format(family=family)) as told:
        get_encoder(f"{family}:some/model", "cpu")
    assert str(error) in str(told.value)


def test_the_edge_that_a_picture_is_cropped_to_counts_more_than_that_it_is_resized_to(transformers: ModuleType) -> None:
    looks = SimpleNamespace(image_mean=[0.5] * 3, image_std=[1.0] * 3)
    looks.size, looks.crop_size = {"shortest_edge": 64}, {"height": 32, "width": 32}
    transformers.AutoImageProcessor = SimpleNamespace(from_pretrained=lambda *_, **__: looks)  # type: ignore[attr-defined]
    assert get_encoder("transformers:owkin/phikon", "cpu").tile_px == 32


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "hf-hub:MahmoodLab/UNI2-h",
            r"https://huggingface\.co/MahmoodLab/UNI2-h.*Ask for access on that page and log in",
        ),
        ("hf-hub:me/mine", r"https://huggingface\.co/me/mine.*Check the name; without a connection"),
        ("resnet18.a1_in1k", r"https://huggingface\.co/timm/resnet18\.a1_in1k"),
    ],
)
def test_a_model_that_cannot_be_had_is_a_sentence_with_its_page(timm: ModuleType, name: str, says: str) -> None:
    def gated(name: str, **options: Any) -> None:
        raise OSError("403 Client Error.\nAccess to model is restricted")

    timm.create_model = gated  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=rf"cannot be had \(OSError: 403 Client Error\.\).*{says}") as told:
        get_encoder(f"timm:{name}", "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("timm:hf-hub:mahmoodlab/uni", "CC-BY-NC-ND-4.0; not for commercial use; gated: ask for access on its page"),
        ("timm:hf_hub:bioptimus/H-optimus-0", "Apache-2.0; https://huggingface.co/bioptimus/H-optimus-0"),
        ("transformers:owkin/phikon-v2", "Owkin's licence; not for commercial use"),
        ("timm:resnet50.tv_in1k", "BSD-3-Clause; https://huggingface.co/timm/resnet50.tv_in1k"),
        ("transformers:some/one", "licence unknown: see https://huggingface.co/some/one"),
        ("timm:vit_tiny", "licence unknown: see https://huggingface.co/timm/vit_tiny"),
        ("resnet50:w.pth", "nothing is downloaded"),
        ("colour", "nothing to download"),
    ],
)
def test_the_licence_is_known_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, spec: str, says: str) -> None:
    for package in ("timm", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    assert licence_notice(spec).startswith(says) or licence_notice(spec).endswith(says)


def test_every_known_model_says_its_licence() -> None:
    assert len(KNOWN) > 15 and all(model.licence for model in KNOWN.values())
