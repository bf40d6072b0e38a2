"""Triton kernels of the fused CBAM.

`triton_passes` documents and launches them. The pass `scale` and the pass `feature_gradients` compute one block per
program. The others reduce some channels over a chunk of 8192 positions, or some positions over all channels.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def max_or_nan(values, axis: tl.constexpr):  # noqa: ANN001, ANN201
    """Return the maximum along an axis, or NaN if any value is NaN, as torch does."""
    maximum = tl.max(values, axis)
    has_nan = tl.max((values != values).to(tl.int32), axis)  # noqa: PLR0124  # only NaN differs from itself
    return tl.where(has_nan > 0, float("nan"), maximum)  # pyright: ignore[reportOperatorIssue]


@triton.jit
def reduce_positions_kernel(  # noqa: ANN201
    x, sums, maxima, stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the sums and maxima of some channels over one chunk of positions per program."""
    sample, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    c = (tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    sample_start = x + sample * channels * positions
    total = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    maximum = tl.full((BLOCK_C, BLOCK_P), float("-inf"), tl.float32)
    for start in range(chunk * 8192, tl.minimum((chunk + 1) * 8192, positions), BLOCK_P):
        p = (start + tl.arange(0, BLOCK_P)).to(tl.int64)
        valid = (c < channels)[:, None] & (p < positions)[None, :]
        offsets = c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(sample_start + offsets, mask=valid, other=0).to(tl.float32)
        total += value
        maximum = tl.maximum(maximum, tl.where(valid, value, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    output = (sample * chunks + chunk) * channels + c
    tl.store(sums + output, tl.sum(total, 1), mask=c < channels)
    tl.store(maxima + output, max_or_nan(maximum, 1), mask=c < channels)  # pyright: ignore[reportArgumentType]


@triton.jit
def reduce_channels_kernel(  # noqa: ANN201
    x, channel, sums, maxima, stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the sums and maxima of some positions over all weighted channels per program."""
    sample = tl.program_id(1).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    sample_start = x + sample * channels * positions
    total = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    maximum = tl.full((BLOCK_C, BLOCK_P), float("-inf"), tl.float32)
    for start in range(0, channels, BLOCK_C):
        c = (start + tl.arange(0, BLOCK_C)).to(tl.int64)
        valid = (c < channels)[:, None] & (p < positions)[None, :]
        offsets = c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(sample_start + offsets, mask=valid, other=0).to(tl.float32)
        weight = tl.load(channel + sample * channels + c, mask=c < channels, other=0)
        gated = value * weight[:, None]
        total += tl.where(valid, gated, 0)
        maximum = tl.maximum(maximum, tl.where(valid, gated, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    tl.store(sums + sample * positions + p, tl.sum(total, 0), mask=p < positions)
    tl.store(maxima + sample * positions + p, max_or_nan(maximum, 0), mask=p < positions)  # pyright: ignore[reportArgumentType]


@triton.jit
def scale_kernel(  # noqa: ANN201
    x, channel, position, y, stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Multiply one block of features by both weights per program."""
    sample = tl.program_id(2).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    c = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    valid = (c < channels)[:, None] & (p < positions)[None, :]
    offsets = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
    a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
    s = tl.load(position + sample * positions + p, mask=p < positions, other=0)[None, :]
    value = tl.load(x + offsets, mask=valid, other=0).to(tl.float32)
    tl.store(y + offsets, (value * a * s).to(y.dtype.element_ty), mask=valid)


@triton.jit
def weight_gradients_kernel(  # noqa: ANN201
    x, upstream, channel, position, channel_maxima, position_maxima,  # noqa: ANN001
    channel_sums, channel_ties, position_sums, position_ties,  # noqa: ANN001
    stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the gradients of both weights and the ties for some positions and all channels per program."""
    chunk, sample = tl.program_id(0), tl.program_id(1).to(tl.int64)
    p = (chunk * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    position_index = sample * positions + p
    s = tl.load(position + position_index, mask=p < positions, other=0)[None, :]
    s_max = tl.load(position_maxima + position_index, mask=p < positions, other=0)[None, :]
    total = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    ties = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    for start in range(0, channels, BLOCK_C):
        c = (start + tl.arange(0, BLOCK_C)).to(tl.int64)
        valid = (c < channels)[:, None] & (p < positions)[None, :]
        offsets = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
        a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
        a_max = tl.load(channel_maxima + sample * channels + c, mask=c < channels, other=0)[:, None]
        value = tl.load(x + offsets, mask=valid, other=0).to(tl.float32)
        product = tl.load(upstream + offsets, mask=valid, other=0).to(tl.float32) * value
        total += product * a
        ties += (valid & (value * a == s_max)).to(tl.float32)
        output = (sample * chunks + chunk) * channels + c
        tl.store(channel_sums + output, tl.sum(product * s, 1), mask=c < channels)
        tl.store(channel_ties + output, tl.sum((valid & (value == a_max)).to(tl.float32), 1), mask=c < channels)
    tl.store(position_sums + position_index, tl.sum(total, 0), mask=p < positions)
    tl.store(position_ties + position_index, tl.sum(ties, 0), mask=p < positions)


@triton.jit
def channel_pool_gradients_kernel(  # noqa: ANN201
    x, channel, position_maxima, position_mean, position_max, sums,  # noqa: ANN001
    stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the gradients of some channel weights over one chunk of positions per program."""
    sample, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    c = (tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
    total = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    for start in range(chunk * 8192, tl.minimum((chunk + 1) * 8192, positions), BLOCK_P):
        p = (start + tl.arange(0, BLOCK_P)).to(tl.int64)
        valid = (c < channels)[:, None] & (p < positions)[None, :]
        offsets = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(x + offsets, mask=valid, other=0).to(tl.float32)
        position_index = sample * positions + p
        s_max = tl.load(position_maxima + position_index, mask=p < positions, other=0)[None, :]
        mean_gradient = tl.load(position_mean + position_index, mask=p < positions, other=0)[None, :]
        max_gradient = tl.load(position_max + position_index, mask=p < positions, other=0)[None, :]
        total += value * (mean_gradient + tl.where(value * a == s_max, max_gradient, 0))
    tl.store(sums + (sample * chunks + chunk) * channels + c, tl.sum(total, 1), mask=c < channels)


@triton.jit
def feature_gradients_kernel(  # noqa: ANN201
    x, upstream, channel, position, channel_maxima, position_maxima,  # noqa: ANN001
    channel_mean, channel_max, position_mean, position_max, gradient,  # noqa: ANN001
    stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the gradients of one block of features per program."""
    sample = tl.program_id(2).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    c = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    channel_index, valid_channels = sample * channels + c, c < channels
    position_index, valid_positions = sample * positions + p, p < positions
    a = tl.load(channel + channel_index, mask=valid_channels, other=0)[:, None]
    a_max = tl.load(channel_maxima + channel_index, mask=valid_channels, other=0)[:, None]
    a_mean_gradient = tl.load(channel_mean + channel_index, mask=valid_channels, other=0)[:, None]
    a_max_gradient = tl.load(channel_max + channel_index, mask=valid_channels, other=0)[:, None]
    s = tl.load(position + position_index, mask=valid_positions, other=0)[None, :]
    s_max = tl.load(position_maxima + position_index, mask=valid_positions, other=0)[None, :]
    s_mean_gradient = tl.load(position_mean + position_index, mask=valid_positions, other=0)[None, :]
    s_max_gradient = tl.load(position_max + position_index, mask=valid_positions, other=0)[None, :]
    valid = valid_channels[:, None] & valid_positions[None, :]
    offsets = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
    value = tl.load(x + offsets, mask=valid, other=0).to(tl.float32)
    upstream_value = tl.load(upstream + offsets, mask=valid, other=0).to(tl.float32)
    gated_gradient = upstream_value * s + s_mean_gradient + tl.where(value * a == s_max, s_max_gradient, 0)
    result = a * gated_gradient + a_mean_gradient + tl.where(value == a_max, a_max_gradient, 0)
    tl.store(gradient + offsets, result.to(gradient.dtype.element_ty), mask=valid)
