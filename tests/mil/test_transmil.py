from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil import AttentionMIL, build_model
from napari_asmil.mil.methods.transmil import folded_log_map
from napari_asmil.mil.nystrom import attention_row, pseudo_inverse
from tests.mil.tensors import largest_tensor

DIM, HEADS, MARKS, DEPTH = 16, 4, 6, 4


@pytest.fixture
def model() -> AttentionMIL:
    """In double precision."""
    torch.manual_seed(0)
    return build_model("transmil", 12, 3, dim=DIM, heads=HEADS, landmarks=MARKS).double().eval()


def heads_of(x: Tensor) -> list[Tensor]:
    return [x[:, DEPTH * h : DEPTH * (h + 1)] for h in range(HEADS)]


def plain_inverse(a: list[Tensor]) -> list[Tensor]:
    """The iteration of the paper, started from one scale for all heads."""
    scale = torch.stack([m.sum(dim=0) for m in a]).max() * torch.stack([m.sum(dim=1) for m in a]).max()
    inverses = []
    for m in a:
        one, z = torch.eye(len(m), dtype=m.dtype), m.T / scale
        for _ in range(6):
            z = 0.25 * z @ (13 * one - m @ z @ (15 * one - m @ z @ (7 * one - m @ z)))
        inverses.append(z)
    return inverses


def plain_matrices(q: Tensor, k: Tensor) -> list[Tensor]:
    """The whole matrix of Nyström attention for each head, from queries and keys of all tokens (n', D)."""
    segment = len(q) // MARKS
    q_marks = torch.stack([q[i * segment : (i + 1) * segment].mean(dim=0) for i in range(MARKS)])
    k_marks = torch.stack([k[i * segment : (i + 1) * segment].mean(dim=0) for i in range(MARKS)])

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.softmax(a @ b.T / math.sqrt(DEPTH), dim=1)

    parts = list(zip(*(heads_of(t) for t in (q, k, q_marks, k_marks)), strict=True))
    inverses = plain_inverse([kernel(qm, km) for _, _, qm, km in parts])
    return [kernel(qh, km) @ b @ kernel(qm, kh) for (qh, kh, qm, km), b in zip(parts, inverses, strict=True)]


def plain_attention(
    h: Tensor, query: Tensor, key: Tensor, value: Tensor, taps: Tensor, project: torch.nn.Linear
) -> tuple[Tensor, list[Tensor]]:
    """Attention of normalised tokens (n, D), whole matrices and all, and these matrices."""
    padded = torch.cat([h.new_zeros(-len(h) % MARKS, DIM), h])
    v = padded @ value.T
    matrices = plain_matrices(padded @ query.T, padded @ key.T)
    pooled = []
    for head, (matrix, of_head) in enumerate(zip(matrices, heads_of(v), strict=True)):
        nearby = torch.zeros_like(of_head)
        for i in range(len(v)):
            for t in range(33):
                if 0 <= i + t - 16 < len(v):
                    nearby[i] += taps[head, t] * of_head[i + t - 16]
        pooled.append(matrix @ of_head + nearby)
    return project(torch.cat(pooled, dim=1))[-len(h) :], [m[-len(h) :, -len(h) :] for m in matrices]


def plain_tokens(model: AttentionMIL, x: Tensor) -> Tensor:
    """The sequence that reaches the last layer."""
    scorer = model.scorer
    h = torch.relu(scorer.reduce(x))
    side = math.ceil(math.sqrt(len(x)))
    sequence = torch.cat([scorer.cls, h, h[: side * side - len(x)]])
    first = scorer.first
    weights = (layer.weight for layer in (first.query, first.key, first.value))
    sequence = sequence + plain_attention(first.norm(sequence), *weights, first.conv, first.project)[0]
    square = sequence[1:].T.reshape(1, DIM, side, side)
    position = scorer.position
    for conv in (position.seven, position.five, position.three):
        size = conv.kernel_size[0]
        added = functional.conv2d(square, conv.weight, conv.bias, padding=size // 2, groups=DIM)
        sequence = sequence + torch.cat([torch.zeros(1, DIM, dtype=x.dtype), added[0].flatten(1).T])
    return sequence


def plain(model: AttentionMIL, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the CLS rows (H, 1 + a^2) of the last layer's whole matrices."""
    tokens = plain_tokens(model, x)
    taps = torch.cat([torch.zeros(HEADS, 16, dtype=x.dtype), model.conv], dim=1)
    weights = (layer.weight for layer in (model.scorer.query, model.scorer.key, model.value))
    added, matrices = plain_attention(model.scorer.norm(tokens), *weights, taps, model.project)
    logits = model.classifier(model.norm(tokens[0] + added[0]))
    return logits, torch.stack([m[0] for m in matrices])


@pytest.mark.parametrize("tiles", [1, 2, 3, 16, 23])
def test_it_is_transmil_with_whole_matrices(model: AttentionMIL, tiles: int) -> None:
    x = torch.randn(tiles, 12, dtype=torch.float64)
    logits, rows = plain(model, x)
    out = model(x)
    torch.testing.assert_close(out.logits, logits)
    expected = rows[:, 1 : tiles + 1].clone()
    for repeated in range(rows.shape[1] - 1 - tiles):
        expected[:, repeated] += rows[:, 1 + tiles + repeated]
    expected = expected.clamp_min(0)
    torch.testing.assert_close(out.log_rows.exp(), expected / expected.sum(dim=1, keepdim=True))


def test_its_gradients_are_those_of_whole_matrices(model: AttentionMIL) -> None:
    x = torch.randn(11, 12, dtype=torch.float64)
    plain(model, x)[0].square().sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    model(x).logits.square().sum().backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], msg=name)


def test_its_scores_are_the_exact_products_of_cls_and_tiles(model: AttentionMIL) -> None:
    x = torch.randn(23, 12, dtype=torch.float64)
    h = model.scorer.norm(plain_tokens(model, x))
    q, k = heads_of(model.scorer.query(h)), heads_of(model.scorer.key(h))
    expected = torch.stack([kh[1:24] @ qh[0] / math.sqrt(DEPTH) for qh, kh in zip(q, k, strict=True)])
    torch.testing.assert_close(model(x).z, expected)
    torch.testing.assert_close(model.scorer(x).z, expected)


def test_the_normaliser_decides_the_map_of_its_scores_and_nothing_that_is_pooled(model: AttentionMIL) -> None:
    x = torch.randn(23, 12, dtype=torch.float64)
    softmax, nsf = model(x), model(x, Normalizer("nsf"))
    assert not torch.allclose(softmax.alpha, nsf.alpha)
    torch.testing.assert_close(nsf.logits, softmax.logits, rtol=0, atol=0)
    torch.testing.assert_close(nsf.log_rows, softmax.log_rows, rtol=0, atol=0)


def test_where_every_token_is_a_landmark_a_row_is_that_of_exact_attention() -> None:
    torch.manual_seed(0)
    k = torch.randn(2, 9, 4, dtype=torch.float64)
    k = 6 * k / k.norm(dim=-1, keepdim=True)  # every token attends to itself most, so that six iterations converge
    exact = torch.softmax(k @ k.mT / 2, dim=-1)
    torch.testing.assert_close(attention_row(k[:, 2:3], k, k, k), exact[:, 2], rtol=1e-4, atol=1e-6)


def test_the_iteration_comes_to_the_moore_penrose_inverse() -> None:
    torch.manual_seed(0)
    a = torch.softmax(torch.randn(3, 8, 8, dtype=torch.float64), dim=-1)
    a[0, 3] = a[0, 4]  # singular
    torch.testing.assert_close(pseudo_inverse(a, iterations=14), torch.linalg.pinv(a), rtol=1e-6, atol=1e-6)


def test_the_inverse_is_single_precision_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert pseudo_inverse(torch.eye(4, dtype=torch.bfloat16)[None]).dtype == torch.float32


def test_weights_of_repeated_tiles_are_folded_and_negative_ones_left_out() -> None:
    row = torch.tensor([[0.3, 0.2, -0.1, 0.1, 0.4, 0.3, -0.2, 0.1, 0.0, 0.5]])  # CLS, five tiles, four repeated
    expected = torch.tensor([[0.2 - 0.2, -0.1 + 0.1, 0.1 + 0.0, 0.4 + 0.5, 0.3]]).clamp_min(0) / 1.3
    torch.testing.assert_close(folded_log_map(row, 5).exp(), expected)


def test_a_row_with_nothing_positive_is_uniform() -> None:
    row = torch.tensor([[1.5, -0.2, -0.1, -0.1, -0.1]])
    torch.testing.assert_close(folded_log_map(row, 4).exp(), torch.full((1, 4), 0.25))


def test_evidence_is_what_a_row_on_one_tile_alone_would_say(model: AttentionMIL) -> None:
    x = torch.randn(7, 12, dtype=torch.float64)
    tokens = plain_tokens(model, x)
    h = model.scorer.norm(tokens)
    v = h @ model.value.weight.T
    nearby = torch.cat(
        [taps[: len(v)] @ of_head for taps, of_head in zip(model.conv[:, :10], heads_of(v), strict=True)]
    )
    said = [model.classifier(model.norm(tokens[0] + model.project(v[1 + tile] + nearby))) for tile in range(7)]
    torch.testing.assert_close(model.evidence(x), torch.stack(said))


def test_no_matrix_of_all_heads_landmarks_and_tiles_is_made_let_alone_of_tiles_and_tiles() -> None:
    model = build_model("transmil", 12, 2, dim=DIM, heads=HEADS, landmarks=64).train()
    x, label = torch.randn(2000, 12), torch.tensor(1)

    def step() -> None:
        model.loss(model.attend(x, label=label), label).backward()  # type: ignore[no-untyped-call]

    of_a_head = 64 * (45 * 45 + 64)
    assert largest_tensor(step) <= of_a_head


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"dim \(16\) must be a multiple of heads \(3\)"):
        build_model("transmil", 12, 2, dim=16, heads=3)
