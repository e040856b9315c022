"""Exported programs: run as torch runs them, and nothing else in the file is."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_asmil.encoders import get_encoder, operators
from napari_asmil.encoders.program import Program
from napari_asmil.encoders.resnet import NETWORKS, ResNet
from napari_asmil.encoders.torch_encoder import TorchEncoder
from napari_asmil.errors import InputError

CPU = torch.device("cpu")
SIDECAR = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "mpp": 0.5, "name": "tiny", "dim": 24}


class Tiny(nn.Module):
    """A convolution and a transformer block: operators of both kinds of network."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 24, 8, 8)
        self.norm = nn.BatchNorm2d(24)
        self.token = nn.Parameter(torch.randn(1, 1, 24))
        self.register_buffer("shift", torch.arange(3.0).view(1, 3, 1, 1))
        self.before = nn.LayerNorm(24)
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)
        self.last = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu_(self.norm(self.patches(x + self.shift * torch.tensor(0.1))))
        x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        h = self.before(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        first, rest = torch.split(self.last(x), [1, x.shape[1] - 1], dim=1)
        return first[:, 0] + rest.mean(dim=1)


class Made:
    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.module = Tiny().eval()
        self.path = folder / "net.pt2"
        batch = torch.export.Dim("batch", min=1, max=512)
        program = torch.export.export(self.module, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},))
        torch.export.save(program, self.path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("exported"))


@pytest.fixture
def program(made: Made, tmp_path: Path) -> Path:
    """A copy of the program with its sidecar."""
    path = tmp_path / "net.pt2"
    path.write_bytes(made.path.read_bytes())
    (tmp_path / "net.json").write_text(json.dumps(SIDECAR))
    return path


Rewrite = Callable[[str, bytes], bytes | None]


def rewrite(path: Path, change: Rewrite, more: dict[str, bytes] | None = None, how: int = zipfile.ZIP_STORED) -> None:
    """Write the archive again with entries changed, left out (None) or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", how) as new:
        for entry in old.infolist():
            content = change(entry.filename.partition("/")[2], old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
        for name, content in (more or {}).items():
            new.writestr(f"net/{name}", content)
    path.write_bytes(out.getvalue())


def json_entry(name: str, change: Callable[[Any], object]) -> Rewrite:
    def rewritten(entry: str, content: bytes) -> bytes:
        if entry != name:
            return content
        told = json.loads(content)
        change(told)
        return json.dumps(told).encode()

    return rewritten


def in_graph(change: Callable[[Any], object]) -> Rewrite:
    return json_entry("models/model.json", lambda told: change(told["graph_module"]["graph"]))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_program_makes_what_its_module_makes(made: Made, count: int) -> None:
    pictures = torch.randn(count, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(Program(made.path, CPU)(pictures), made.module(pictures))


def test_an_encoder_of_a_program_scales_and_normalises_as_its_sidecar_says(program: Path, made: Made) -> None:
    encoder = get_encoder(f"pt2:{program}", "cpu")
    assert (encoder.dim, encoder.tile_px, encoder.mpp) == (24, 32, 0.5)
    assert encoder.name.startswith("tiny-") and encoder.how == "cpu, float32"
    tiles = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    pictures = torch.from_numpy((tiles / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        np.testing.assert_allclose(encoder(tiles), made.module(pictures), rtol=1e-4, atol=1e-5)


def test_a_program_of_one_size_of_batch_is_given_that(program: Path, made: Made) -> None:
    torch.export.save(torch.export.export(made.module, (torch.zeros(3, 3, 32, 32),)), program)
    tiles = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    encoder = get_encoder(f"pt2:{program}", "cpu")
    pictures = torch.from_numpy((tiles / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        np.testing.assert_allclose(encoder(tiles), made.module(pictures), rtol=1e-4, atol=1e-5)
    assert encoder.batch == 3


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (None, "needs a JSON beside it"),
        ("{", "no JSON that can be read"),
        ("[" * 100_000, "no JSON that can be read"),
        ({**SIDECAR, "mean": [0.5, 0.5]}, "mean"),
        ({**SIDECAR, "std": [0.0, 1.0, 1.0]}, r"std\.0"),
        ({**SIDECAR, "size": 10**9}, "size"),
        ({**SIDECAR, "mpp": -1}, "mpp"),
        ({**SIDECAR, "size": 64}, r"takes \(None, 3, 32, 32\), not pictures \(N, 3, 64, 64\)"),
        ({**SIDECAR, "dim": 512}, "makes 24 features, not 512"),
        ([1], "does not fit"),
    ],
)
def test_a_sidecar_that_is_missing_or_does_not_fit_is_named(program: Path, said: object, says: str) -> None:
    beside = program.with_suffix(".json")
    if said is None:
        beside.unlink()
    else:
        beside.write_text(said if isinstance(said, str) else json.dumps(said))
    with pytest.raises(InputError, match=says):
        get_encoder(f"pt2:{program}", "cpu")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, ("pwned",)


EVIL = pickle.dumps(Evil())
BAD_NAME = "x=__import__('os').mkdir('pwned')"


def marked_as_pickled(told: Any) -> None:
    next(iter(told["config"].values()))["use_pickle"] = True


def renamed_input(graph: Any) -> None:
    text = json.dumps(graph).replace('"x"', json.dumps(BAD_NAME))
    graph.clear()
    graph.update(json.loads(text))


def evil_shapes(graph: Any) -> None:
    for value in graph["sym_int_values"].values():
        value["as_expr"]["expr_str"] = "__import__('os').mkdir('pwned')"


TOLD = (
    "from_file.default",
    "_reshape_alias.default",
    "as_strided.default",
    "set_.source_Storage",
    "resize_.default",
    "segment_reduce.default",
    "empty.memory_format",
    "view.dtype",
    "native_batch_norm.default",
    "_cudnn_init_dropout_state.default",
    "nonsense.default",
)
"""Operators that reach beyond their tensors, hand out memory that nobody wrote, or are none."""


def calling(target: str) -> Rewrite:
    return in_graph(lambda graph: graph["nodes"][-1].update(target=target))


@pytest.mark.parametrize(
    ("change", "more", "says"),
    [
        (json_entry("data/weights/model_weights_config.json", marked_as_pickled), {}, "is pickled, which could run"),
        (
            json_entry(
                "data/constants/model_constants_config.json",
                lambda told: told["config"].update(
                    a={"path_name": "opaque_obj_0", "use_pickle": True, "tensor_meta": None}
                ),
            ),
            {"data/constants/opaque_obj_0": EVIL},
            "is pickled",
        ),
        (lambda name, content: content, {"data/aotinductor/model/a.so": b"\x7fELF"}, "holds compiled code"),
        *(
            (calling(f"torch.ops.aten.{name}"), {}, rf"it calls torch\.ops\.aten\.{name}.*none of the op")
            for name in TOLD
        ),
        (calling("torch.ops.load_library"), {}, "only operators of ATen"),
        (calling("torch.os.mkdir"), {}, "only operators of ATen"),
        (calling("_operator.attrgetter"), {}, "only operators of ATen"),
        (json_entry("models/model.json", lambda told: told["schema_version"].update(major=9)), {}, "schema 9"),
        (lambda name, content: None if name == "models/model.json" else content, {}, r"holds no models/model\.json"),
        (lambda name, content: content[:-4] if name == "data/weights/weight_0" else content, {}, "damaged"),
        (lambda name, content: b"[" * 10**6 if name == "models/model.json" else content, {}, "damaged"),
        (in_graph(lambda graph: graph["nodes"].pop(3)), {}, "step 4 of it fails"),
    ],
)
def test_what_a_program_may_not_hold_is_refused(
    program: Path, monkeypatch: pytest.MonkeyPatch, change: Rewrite, more: dict[str, bytes], says: str
) -> None:
    monkeypatch.chdir(program.parent)
    rewrite(program, change, more)
    with pytest.raises(InputError, match=rf"net\.pt2: This exported program is not run: .*{says}"):
        get_encoder(f"pt2:{program}", "cpu")
    assert not Path("pwned").exists()


def test_every_operator_that_is_called_is_one_of_torchs() -> None:
    for wanted in operators.NAMES | operators.SCALED | operators.INSTEAD.keys():
        name, overload = wanted.split(".")
        assert isinstance(getattr(getattr(torch.ops.aten, name), overload), torch._ops.OpOverload), wanted
    reaching = re.compile(r"as_strided|resize|set_\.|empty|_alias|\.out$|rand")
    assert not [name for name in operators.NAMES if reaching.search(name)]


class Convolved(nn.Module):
    """A block as ConvNeXt has it: a convolution by channels, a norm over them, two layers, a scale, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide = nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.norm, self.first, self.second = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.gamma, self.groups = nn.Parameter(torch.full((16,), 0.3)), nn.GroupNorm(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        made = self.norm(self.wide(x).permute(0, 2, 3, 1))
        made = self.second(nn.functional.gelu(self.first(made))) * self.gamma
        x = self.groups(x + made.permute(0, 3, 1, 2))
        return nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Windows(nn.Module):
    """Attention in shifted windows with a bias by place, as Swin has it, and transformer layers as torch has them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.qkv = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 48)
        self.table = nn.Parameter(torch.randn(49, 2))
        places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None]) + 3
        self.at = nn.Buffer(apart[0] * 7 + apart[1])
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True), 2, enable_nested_tensor=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.roll(self.patches(x), (-2, -2), (2, 3)).permute(0, 2, 3, 1)
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, 0))
        x = x.view(-1, 2, 4, 2, 4, 16).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 16)
        q, k, v = self.qkv(x).reshape(-1, 16, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.table[self.at].permute(2, 0, 1).unsqueeze(0)
        x = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).reshape(-1, 64, 16)
        made: torch.Tensor = self.layers(x)
        return made.amax(dim=1)


NETWORKS_TO_EXPORT = {"resnet": lambda: ResNet(*NETWORKS["resnet18"]), "convnext": Convolved, "windows": Windows}


@pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning")  # torch of itself, when it decomposes
@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("kind", NETWORKS_TO_EXPORT)
def test_networks_of_the_usual_kinds_run_as_torch_runs_them(tmp_path: Path, kind: str, decomposed: bool) -> None:
    torch.manual_seed(0)
    module = NETWORKS_TO_EXPORT[kind]().eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.no_grad():
        program = torch.export.export(module, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},))
        torch.export.save(program.run_decompositions() if decomposed else program, tmp_path / "net.pt2")
        pictures = torch.randn(3, 3, 32, 32)
        made = Program(tmp_path / "net.pt2", CPU)(pictures)
        torch.testing.assert_close(made, module(pictures), rtol=1e-4, atol=1e-5)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("_scaled_dot_product_flash_attention_for_cpu", (ones(1, 2, 4, 8), ones(1, 2, 4, 8), ones(1, 2, 3, 8))),
        ("_scaled_dot_product_flash_attention_for_cpu", (ones(9, 2, 4, 8), ones(1, 2, 4, 8), ones(1, 2, 4, 8))),
        ("scaled_dot_product_attention", (ones(1, 2, 4, 8), ones(1, 2, 4, 8), ones(1, 2, 4, 8), ones(4, 3))),
        ("_native_batch_norm_legit_no_training", (ones(2, 64, 2, 2), ones(64), ones(64), ones(3), ones(64), 0.1, 1e-5)),
        ("native_group_norm", (ones(1, 4, 2, 2), ones(4), ones(4), 1, 4, 4000, 2, 1e-5)),
    ],
)
def test_shapes_that_kernels_take_on_trust_are_looked_at_first(name: str, args: tuple[Any, ...]) -> None:
    call = operators.operator(name, "default")
    assert call is not None
    with pytest.raises((ValueError, RuntimeError)):
        call(*args)


@pytest.mark.parametrize("scale", [1e-40, 1e30, float("nan"), -1.0])
def test_a_picture_is_not_scaled_by_what_reads_beside_it(scale: float) -> None:
    call = operators.operator("upsample_nearest2d", "vec")
    assert call is not None
    with pytest.raises(ValueError, match="scales a picture"):
        call(ones(1, 1, 4, 4), None, [scale, 2.0])
    assert call(ones(1, 1, 4, 4), None, [2.0, 2.0]).shape == (1, 1, 8, 8)


def test_a_view_beyond_the_tensor_hands_out_no_foreign_numbers(program: Path) -> None:
    def alias(graph: Any) -> None:
        last = graph["nodes"][-1]
        source = last["inputs"][0]["arg"]
        last["target"] = "torch.ops.aten._reshape_alias.default"
        last["inputs"] = [
            {"name": "self", "arg": source, "kind": 1},
            {"name": "size", "arg": {"as_ints": [1, 2000]}, "kind": 1},
            {"name": "stride", "arg": {"as_ints": [2000, 1]}, "kind": 1},
        ]

    rewrite(program, in_graph(alias))
    with pytest.raises(InputError, match=r"_reshape_alias.*none of the operators"):
        get_encoder(f"pt2:{program}", "cpu")


def test_sizes_are_reckoned_with_numbers_alone_and_of_bounded_length(program: Path) -> None:
    def squared(graph: Any, first: Any) -> None:
        def node(k: int) -> dict[str, Any]:
            arg = {"as_sym_int": {"as_name": f"big{k}"}} if k else first
            given = {"name": "", "arg": arg, "kind": 1}
            made = {"as_sym_int": {"as_name": f"big{k + 1}"}}
            return {"target": "_operator.mul", "inputs": [given, given], "outputs": [made], "metadata": {}}

        graph["nodes"][:0] = [node(k) for k in range(40)]

    for first in ({"as_int": 3}, {"as_ints": [1]}):
        content = program.read_bytes()
        rewrite(program, in_graph(partial(squared, first=first)))
        with pytest.raises(InputError, match=r"step \d+ of it fails on this input \(a (size is too large|number is)"):
            get_encoder(f"pt2:{program}", "cpu")
        program.write_bytes(content)


def test_a_network_that_fails_on_some_batches_is_a_sentence() -> None:
    def moody(pictures: torch.Tensor) -> torch.Tensor:
        if len(pictures) > 3:
            raise RuntimeError("a shape\nthat does not fit")
        return torch.zeros(len(pictures), 5 if len(pictures) < 3 else 4)

    encoder = TorchEncoder(moody, name="moody", size=8, mean=(0, 0, 0), std=(1, 1, 1), device=CPU)
    assert encoder(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 5)
    for count in (3, 4):
        with pytest.raises(InputError, match="encoder moody fails on pictures of 8 px") as told:
            encoder(np.zeros((count, 8, 8, 3), np.uint8))
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("change", [in_graph(renamed_input), in_graph(evil_shapes)], ids=["names", "shapes"])
def test_code_in_the_places_that_torch_itself_would_run_is_not_run(
    program: Path, monkeypatch: pytest.MonkeyPatch, change: Rewrite
) -> None:
    monkeypatch.chdir(program.parent)
    rewrite(program, change)
    try:
        get_encoder(f"pt2:{program}", "cpu")
    except InputError as error:
        assert "not run" in str(error)
    assert not Path("pwned").exists()


def test_example_inputs_are_not_looked_at(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(program.parent)
    rewrite(program, lambda name, content: EVIL if name.startswith("data/sample_inputs") else content)
    assert get_encoder(f"pt2:{program}", "cpu").dim == 24
    assert not Path("pwned").exists()


def test_compressed_entries_are_refused(program: Path) -> None:
    rewrite(program, lambda name, content: content, {"data/zeros": bytes(10**7)}, how=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        get_encoder(f"pt2:{program}", "cpu")


def test_a_module_in_training_mode_is_refused(program: Path) -> None:
    torch.export.save(torch.export.export(Tiny().train(), (torch.zeros(2, 3, 32, 32),)), program)
    with pytest.raises(InputError, match=r"exported while training.*eval"):
        get_encoder(f"pt2:{program}", "cpu")


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_program_is_a_sentence(program: Path, content: bytes) -> None:
    program.write_bytes(content)
    with pytest.raises(InputError, match=r"net\.pt2: This exported program is not run"):
        get_encoder(f"pt2:{program}", "cpu")


def test_a_map_instead_of_features_is_refused(program: Path) -> None:
    maps = nn.Conv2d(3, 4, 3).eval()
    torch.export.save(torch.export.export(maps, (torch.zeros(2, 3, 32, 32),)), program)
    with pytest.raises(InputError, match=r"makes \(2, 4, 30, 30\).*not one row of numbers"):
        get_encoder(f"pt2:{program}", "cpu")
