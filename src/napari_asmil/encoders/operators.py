"""Operators of ATen that an exported program may call: those of image networks that check what they are given.

What is not named here is not called. Left out are operators that reach beyond the numbers of their tensors (views by
strides, memory that was never written, resizing), those that take indices on trust, and the inner halves of operators
whose checks are in the outer half: of these, the ones that exports hold are called by their outer half.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_NAMES = """
abs.default adaptive_avg_pool1d.default adaptive_avg_pool2d.default _adaptive_avg_pool2d.default
adaptive_max_pool2d.default add.Scalar add.Tensor addcmul.default addmm.default alias.default all.default all.dim
amax.default amin.default any.default any.dim arange.default arange.start arange.start_step _assert_scalar.default
_assert_tensor_metadata.default avg_pool1d.default avg_pool2d.default baddbmm.default batch_norm.default
bitwise_and.Tensor bitwise_not.default bitwise_or.Tensor bmm.default cat.default ceil.default celu.default
chunk.default clamp.default clamp.Tensor clamp_max.default clamp_min.default clone.default constant_pad_nd.default
contiguous.default conv1d.default conv1d.padding conv2d.default conv2d.padding convolution.default cos.default
cumsum.default detach.default div.Scalar div.Tensor div.Tensor_mode div.Scalar_mode dropout.default einsum.default
elu.default embedding.default eq.Scalar eq.Tensor erf.default exp.default expand.default expand_as.default
feature_dropout.default flatten.using_ints flip.default floor.default floor_divide.default fmod.Scalar full.default
full_like.default gather.default ge.Scalar ge.Tensor gelu.default glu.default group_norm.default gt.Scalar gt.Tensor
hardsigmoid.default hardswish.default hardtanh.default index.Tensor index_select.default layer_norm.default le.Scalar
le.Tensor leaky_relu.default lift_fresh_copy.default linalg_vector_norm.default linear.default log.default log1p.default
log_softmax.int _log_softmax.default logical_and.default logical_not.default logical_or.default lt.Scalar lt.Tensor
mT.default masked_fill.Scalar masked_fill.Tensor matmul.default max.default max.dim max.other max_pool2d.default
max_pool2d_with_indices.default maximum.default mean.default mean.dim meshgrid.default meshgrid.indexing min.default
min.dim min.other minimum.default mish.default mm.default movedim.int movedim.intlist mul.Scalar mul.Tensor
narrow.default native_layer_norm.default ne.Scalar ne.Tensor neg.default new_full.default new_ones.default
new_zeros.default numpy_T.default ones.default ones_like.default pad.default permute.default pixel_shuffle.default
pixel_unshuffle.default pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor prelu.default reciprocal.default
reflection_pad2d.default relu.default relu6.default remainder.Scalar repeat.default repeat_interleave.self_int
replication_pad2d.default reshape.default rms_norm.default roll.default round.default rsqrt.default rsub.Scalar
scalar_tensor.default select.int selu.default sigmoid.default silu.default sin.default slice.Tensor softmax.int
_softmax.default softplus.default split.Tensor split.sizes split_with_sizes.default sqrt.default square.default
squeeze.default squeeze.dim squeeze.dims stack.default sub.Scalar sub.Tensor sum.default sum.dim_IntList
swapaxes.default swapdims.default sym_size.int t.default tanh.default tensor_split.sections to.device to.dtype
to.dtype_layout _to_copy.default transpose.int tril.default triu.default type_as.default unbind.int unflatten.int
_unsafe_view.default unsqueeze.default var.correction var_mean.correction view.default view_as.default where.ScalarOther
where.ScalarSelf where.self zeros.default zeros_like.default
add_.Scalar add_.Tensor clamp_.default clamp_min_.default copy_.default detach_.default div_.Scalar div_.Tensor
dropout_.default elu_.default exp_.default feature_dropout_.default fill_.Scalar fill_.Tensor gelu_.default
hardsigmoid_.default hardswish_.default hardtanh_.default leaky_relu_.default masked_fill_.Scalar mish_.default
mul_.Scalar mul_.Tensor neg_.default relu6_.default relu_.default sigmoid_.default silu_.default sub_.Scalar
sub_.Tensor tanh_.default zero_.default
"""
"""Names and overloads; the last ones write into a tensor, element by element, and torch refuses where it overlaps."""

_SCALED = """
upsample_bicubic2d.default upsample_bicubic2d.vec upsample_bilinear2d.default upsample_bilinear2d.vec
upsample_nearest2d.default upsample_nearest2d.vec _upsample_bicubic2d_aa.default _upsample_bicubic2d_aa.vec
_upsample_bilinear2d_aa.default _upsample_bilinear2d_aa.vec
"""
"""Operators that take a scale, by which they reckon where to read."""

MOST_SCALED = 64.0
"""Times a picture is enlarged or made smaller."""


def operator(name: str, overload: str) -> Callable[..., Any] | None:
    """The operator of that name and overload, None where it is not one of those that are called.

    Raises
    ------
    AttributeError
        When this torch has none of the name.
    """
    wanted = f"{name}.{overload}"
    if wanted in INSTEAD:
        return INSTEAD[wanted]
    if wanted not in NAMES | SCALED:
        return None
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, name), overload)
    return _in_bounds(found) if wanted in SCALED else found


def _in_bounds(scaled: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(scaled)
    def call(*args: Any, **named: Any) -> Any:
        for given in (*args, *named.values()):
            for one in given if isinstance(given, list | tuple) else [given]:
                if isinstance(one, float) and not 1 / MOST_SCALED <= one <= MOST_SCALED:
                    raise ValueError(f"it scales a picture by {one:g}")
        return scaled(*args, **named)

    return call


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention of tensors whose shapes fit: its kernels take that for granted."""
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1] or query.shape[-1] != key.shape[-1]:
        raise ValueError(f"attention of {tuple(query.shape)} to {tuple(key.shape)} and {tuple(value.shape)}")
    if dropout_p or enable_gqa:
        raise ValueError("attention with dropout, or of groups of heads")
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    return functional.scaled_dot_product_attention(query, key, value, attn_mask, 0.0, is_causal, scale=scale)


def _flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, None]:
    return _attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale), None


def _efficient_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Tensor, None, None, None]:
    return _attention(query, key, value, attn_bias, dropout_p, is_causal, scale=scale), None, None, None


def _batch_norm(
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, None, None]:
    return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps), None, None


def _group_norm(
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, None, None]:
    if input.shape[:2] != (N, C) or math.prod(input.shape[2:]) != HxW:
        raise ValueError(f"a group norm of ({N}, {C}, {HxW}) on {tuple(input.shape)}")
    return functional.group_norm(input, group, weight, bias, eps), None, None


NAMES, SCALED = frozenset(_NAMES.split()), frozenset(_SCALED.split())
INSTEAD: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention.default": _attention,
    "_scaled_dot_product_flash_attention_for_cpu.default": _flash_attention,
    "_scaled_dot_product_efficient_attention.default": _efficient_attention,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "native_group_norm.default": _group_norm,
}
"""What is called instead of an operator that takes shapes on trust."""
