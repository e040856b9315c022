"""Nyström attention in linear memory (Xiong et al., AAAI 2021), with what TransMIL adds to it.

``softmax(Q K^T) ~ F B G`` with ``F = softmax(Q K~^T)`` (n, m), ``B = pinv(softmax(Q~ K~^T))`` and
``G = softmax(Q~ K^T)`` (m, n), scores over sqrt(d); the m landmarks Q~ and K~ are the means of equal segments of
the sequence, which zeros lengthen at its front. Multiplied from the right, neither F nor G is ever formed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from napari_asmil.mil.layers import full_precision
from napari_asmil.mil.normalizers import wide

KERNEL = 33
"""Tokens that the convolution of the values sees."""


class NystromAttention(nn.Module):
    """Multi-head Nyström self-attention, a depthwise convolution of the values over tokens added to it.

    Parameters
    ----------
    dim, heads, landmarks : int
        D, H (a divisor of D) and m.
    """

    def __init__(self, dim: int, heads: int, landmarks: int) -> None:
        super().__init__()
        self.heads = heads
        self.landmarks = landmarks
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.conv = nn.Parameter(torch.empty(heads, KERNEL).uniform_(-1, 1) / math.sqrt(KERNEL))
        self.project = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (n, D) to (n, D), of any floating dtype."""
        padded = front_padded(self.norm(x), self.landmarks)
        marks = segment_means(padded, self.landmarks)
        values = self.value(padded)
        parts = (self.query(padded[-len(x) :]), self.key(padded), values, self.query(marks), self.key(marks))
        q, k, v, q_marks, k_marks = (by_head(part, self.heads)[None] for part in parts)
        marked = functional.scaled_dot_product_attention(q_marks, k, v)
        with full_precision(x):
            mixed = landmark_inverse(q_marks, k_marks) @ wide(marked)
        attended = functional.scaled_dot_product_attention(q, k_marks, mixed.to(v.dtype))
        joined = attended[0].transpose(0, 1).reshape(x.shape) + self._convolved(values)[-len(x) :]
        return torch.as_tensor(self.dropout(self.project(joined)))

    def _convolved(self, values: Tensor) -> Tensor:
        """Values (n, D), each head's convolved over tokens by its kernel."""
        n, dim = values.shape
        kernel = self.conv.repeat_interleave(dim // self.heads, dim=0).view(dim, 1, KERNEL, 1)
        column = values.view(1, n, 1, dim).permute(0, 3, 1, 2)
        return functional.conv2d(column, kernel, padding=(KERNEL // 2, 0), groups=dim)[0, :, :, 0].T


def front_padded(x: Tensor, landmarks: int) -> Tensor:
    """Tokens (n, D) with rows of zeros before them, so that their number is a multiple of m."""
    return functional.pad(x, (0, 0, -len(x) % landmarks, 0))


def segment_means(x: Tensor, landmarks: int) -> Tensor:
    """Means (m, D) of m equal segments of a sequence (n, D)."""
    return x.view(landmarks, -1, x.shape[-1]).mean(dim=1)


def by_head(x: Tensor, heads: int) -> Tensor:
    """Rows (n, D) to (H, n, D / H)."""
    return x.view(len(x), heads, -1).transpose(0, 1)


def attention_kernel(q: Tensor, k: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) of queries (H, a, d) and keys (H, b, d): (H, a, b), at least float32."""
    with full_precision(q):
        return torch.softmax(wide(q) @ wide(k).mT / math.sqrt(q.shape[-1]), dim=-1)


def pseudo_inverse(a: Tensor, iterations: int = 6) -> Tensor:
    """Moore-Penrose inverse of positive matrices (H, m, m) by iteration, at least float32.

    ``Z <- Z (13 - A Z (15 - A Z (7 - A Z))) / 4`` from the transpose over the largest row sum times the largest
    column sum of all heads (Razavi et al., 2014; eq. 11 of Xiong et al.). Six iterations are an approximation.
    """
    with full_precision(a):
        a = wide(a)
        one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        z = a.mT / (a.sum(dim=-1).max() * a.sum(dim=-2).max())
        for _ in range(iterations):
            az = a @ z
            z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
        return z


def landmark_inverse(q_marks: Tensor, k_marks: Tensor) -> Tensor:
    """B (H, m, m) of landmarks (H, m, d)."""
    return pseudo_inverse(attention_kernel(q_marks, k_marks))


def attention_row(q: Tensor, q_marks: Tensor, k_marks: Tensor, k: Tensor) -> Tensor:
    """The row of F B G (H, n) that belongs to one query (H, 1, d), at least float32.

    G is formed head by head, and anew in the backward pass. The approximation may be slightly negative, and sums
    to one over all n keys only as far as B is an inverse.
    """
    with full_precision(q):
        weights = attention_kernel(q, k_marks) @ landmark_inverse(q_marks, k_marks)
        rows = [
            checkpoint(_weighted, *head, use_reentrant=False, preserve_rng_state=False)
            for head in zip(weights, q_marks, k, strict=True)
        ]
        return torch.cat(rows)


def _weighted(weights: Tensor, q_marks: Tensor, k: Tensor) -> Tensor:
    return weights @ attention_kernel(q_marks, k)
