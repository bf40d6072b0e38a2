"""The passes over features on a GPU, in Triton, each reading every feature once.

Features (N, C, H·W) are addressed by strides, so that one kernel serves both layouts; a block covers `BLOCK_C` channels
and `BLOCK_P` positions, long where memory is contiguous. Reductions are of a fixed order: every program writes a part
of its own, and parts are added by torch. There are no atomics.

The blocks have not been tuned on a GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS_A_PROGRAM = 8192


class Gates(NamedTuple):
    """Weights, and the maxima they were computed from, of channels (N, C) and positions (N, H, W), all float32."""

    channel: Tensor
    position: Tensor
    channel_maxima: Tensor
    position_maxima: Tensor


class PoolGradients(NamedTuple):
    """What reaches every pooled value, and besides it those that are the maximum, (N, C) and (N, H, W)."""

    channel_every: Tensor
    channel_maximal: Tensor
    position_every: Tensor
    position_maximal: Tensor


class WeightGradients(NamedTuple):
    """What both weights receive through the product, and how many values share each maximum."""

    channel: Tensor
    channel_ties: Tensor
    position: Tensor
    position_ties: Tensor


def pool_positions(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum and maximum of every channel, (N, C)."""
    samples, channels, positions, blocks = plan(x)
    chunks = triton.cdiv(positions, POSITIONS_A_PROGRAM)
    sums, maxima = parts(x, chunks, channels), parts(x, chunks, channels)
    grid = (samples, chunks, triton.cdiv(channels, blocks["BLOCK_C"]))
    launch(pool_positions_kernel, grid, x, sums, maxima, *strides(x), channels, positions, chunks, **blocks)
    return sums.sum(1), maxima.amax(1)


def pool_channels(x: Tensor, channel: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum and maximum over the channels of x times their weights, (N, H, W)."""
    samples, channels, positions, blocks = plan(x)
    sums, maxima = of_positions(x), of_positions(x)
    grid = (triton.cdiv(positions, blocks["BLOCK_P"]), samples)
    launch(pool_channels_kernel, grid, x, channel, sums, maxima, *strides(x), channels, positions, **blocks)
    return sums, maxima


def scale(x: Tensor, channel: Tensor, position: Tensor) -> Tensor:
    """Return x times both weights, in the dtype and layout of x."""
    y = torch.empty_like(x)
    launch(scale_kernel, tiles(x), x, channel, position, y, *strides(x), *x_sizes(x), **plan(x)[3])
    return y


def weigh(x: Tensor, upstream: Tensor, gates: Gates) -> WeightGradients:
    """Return Σ upstream·x·s over positions, Σ upstream·x·a over channels, and how many share each maximum."""
    samples, channels, positions, blocks = plan(x)
    chunks = triton.cdiv(positions, blocks["BLOCK_P"])
    sums, ties = parts(x, chunks, channels), parts(x, chunks, channels)
    position, position_ties = of_positions(x), of_positions(x)
    outputs = (sums, ties, position, position_ties)
    sizes = (channels, positions, chunks)
    launch(weigh_kernel, (chunks, samples), x, upstream, *gates, *outputs, *strides(x), *sizes, **blocks)
    return WeightGradients(sums.sum(1), ties.sum(1), position, position_ties)


def gather(x: Tensor, gates: Gates, every: Tensor, maximal: Tensor) -> Tensor:
    """Return Σ over positions of x·(every + [x·a is the position's maximum]·maximal), (N, C)."""
    samples, channels, positions, blocks = plan(x)
    chunks = triton.cdiv(positions, POSITIONS_A_PROGRAM)
    sums = parts(x, chunks, channels)
    grid = (samples, chunks, triton.cdiv(channels, blocks["BLOCK_C"]))
    inputs = (x, gates.channel, gates.position_maxima, every, maximal)
    launch(gather_kernel, grid, *inputs, sums, *strides(x), channels, positions, chunks, **blocks)
    return sums.sum(1)


def spread(x: Tensor, upstream: Tensor, gates: Gates, pools: PoolGradients) -> Tensor:
    """Return a·(upstream·s + what comes through pools over channels) + what comes through pools over positions."""
    gradient = torch.empty_like(x)
    inputs = (x, upstream, *gates, *pools, gradient)
    launch(spread_kernel, tiles(x), *inputs, *strides(x), *x_sizes(x), **plan(x)[3])
    return gradient


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **blocks: int) -> None:
    """Run a kernel on the device of its first argument; CUDA takes 65,535 programs on all axes but the first."""
    if 0 not in grid:
        with torch.cuda.device_of(arguments[0]):
            kernel[grid](*arguments, **blocks)


def plan(x: Tensor) -> tuple[int, int, int, dict[str, int]]:
    """Return samples, channels, positions, and the sizes of blocks."""
    samples, channels, height, width = x.shape
    blocks = {"BLOCK_C": 4, "BLOCK_P": 256} if x.is_contiguous() else {"BLOCK_C": 64, "BLOCK_P": 16}
    return samples, channels, height * width, blocks


def tiles(x: Tensor) -> tuple[int, int, int]:
    """Return the grid of kernels that write every feature."""
    samples, channels, positions, blocks = plan(x)
    return triton.cdiv(positions, blocks["BLOCK_P"]), triton.cdiv(channels, blocks["BLOCK_C"]), samples


def strides(x: Tensor) -> tuple[int, int]:
    """Return from channel to channel and from position to position."""
    return (x.shape[2] * x.shape[3], 1) if x.is_contiguous() else (1, x.shape[1])


def x_sizes(x: Tensor) -> tuple[int, int]:
    """Return channels and positions."""
    return x.shape[1], x.shape[2] * x.shape[3]


def parts(x: Tensor, count: int, length: int) -> Tensor:
    """Return memory for parts of a reduction, (N, count, length)."""
    return x.new_empty((x.shape[0], count, length), dtype=torch.float32)


def of_positions(x: Tensor) -> Tensor:
    """Return memory for one number per position."""
    return x.new_empty((x.shape[0], *x.shape[2:]), dtype=torch.float32)


@triton.jit
def maximum_over(values, axis: tl.constexpr):  # noqa: ANN001, ANN201
    """Reduce by the maximum, which is NaN where a value is, as torch's is."""
    found = tl.max(values, axis)
    unknown = tl.max((values != values).to(tl.int32), axis)  # noqa: PLR0124  # only a NaN is not itself
    return tl.where(unknown > 0, float("nan"), found)  # pyright: ignore[reportOperatorIssue]


@triton.jit
def pool_positions_kernel(  # noqa: ANN201
    x, sums, maxima, stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: some channels of a sample, over one chunk of positions."""
    sample, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    c = (tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    of_sample = x + sample * channels * positions
    sum_ = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    largest = tl.full((BLOCK_C, BLOCK_P), float("-inf"), tl.float32)
    for start in range(chunk * 8192, tl.minimum((chunk + 1) * 8192, positions), BLOCK_P):
        p = (start + tl.arange(0, BLOCK_P)).to(tl.int64)
        there = (c < channels)[:, None] & (p < positions)[None, :]
        value = tl.load(of_sample + c[:, None] * stride_c + p[None, :] * stride_p, mask=there, other=0).to(tl.float32)
        sum_ += value
        largest = tl.maximum(largest, tl.where(there, value, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    to = (sample * chunks + chunk) * channels + c
    tl.store(sums + to, tl.sum(sum_, 1), mask=c < channels)
    tl.store(maxima + to, maximum_over(largest, 1), mask=c < channels)  # pyright: ignore[reportArgumentType]


@triton.jit
def pool_channels_kernel(  # noqa: ANN201
    x, channel, sums, maxima, stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: some positions of a sample, over all channels."""
    sample = tl.program_id(1).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    of_sample = x + sample * channels * positions
    sum_ = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    largest = tl.full((BLOCK_C, BLOCK_P), float("-inf"), tl.float32)
    for start in range(0, channels, BLOCK_C):
        c = (start + tl.arange(0, BLOCK_C)).to(tl.int64)
        there = (c < channels)[:, None] & (p < positions)[None, :]
        value = tl.load(of_sample + c[:, None] * stride_c + p[None, :] * stride_p, mask=there, other=0).to(tl.float32)
        weight = tl.load(channel + sample * channels + c, mask=c < channels, other=0)
        gated = value * weight[:, None]
        sum_ += tl.where(there, gated, 0)
        largest = tl.maximum(largest, tl.where(there, gated, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    tl.store(sums + sample * positions + p, tl.sum(sum_, 0), mask=p < positions)
    tl.store(maxima + sample * positions + p, maximum_over(largest, 0), mask=p < positions)  # pyright: ignore[reportArgumentType]


@triton.jit
def scale_kernel(  # noqa: ANN201
    x, channel, position, y, stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: one block."""
    sample = tl.program_id(2).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    c = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    there = (c < channels)[:, None] & (p < positions)[None, :]
    at = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
    a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
    s = tl.load(position + sample * positions + p, mask=p < positions, other=0)[None, :]
    value = tl.load(x + at, mask=there, other=0).to(tl.float32)
    tl.store(y + at, (value * a * s).to(y.dtype.element_ty), mask=there)


@triton.jit
def weigh_kernel(  # noqa: ANN201
    x, upstream, channel, position, channel_maxima, position_maxima,  # noqa: ANN001
    channel_sums, channel_ties, position_sums, position_ties,  # noqa: ANN001
    stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: some positions of a sample, over all channels."""
    chunk, sample = tl.program_id(0), tl.program_id(1).to(tl.int64)
    p = (chunk * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    of_position = sample * positions + p
    s = tl.load(position + of_position, mask=p < positions, other=0)[None, :]
    s_max = tl.load(position_maxima + of_position, mask=p < positions, other=0)[None, :]
    sum_ = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    ties = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    for start in range(0, channels, BLOCK_C):
        c = (start + tl.arange(0, BLOCK_C)).to(tl.int64)
        there = (c < channels)[:, None] & (p < positions)[None, :]
        at = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
        a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
        a_max = tl.load(channel_maxima + sample * channels + c, mask=c < channels, other=0)[:, None]
        value = tl.load(x + at, mask=there, other=0).to(tl.float32)
        product = tl.load(upstream + at, mask=there, other=0).to(tl.float32) * value
        sum_ += product * a
        ties += (there & (value * a == s_max)).to(tl.float32)
        to = (sample * chunks + chunk) * channels + c
        tl.store(channel_sums + to, tl.sum(product * s, 1), mask=c < channels)
        tl.store(channel_ties + to, tl.sum((there & (value == a_max)).to(tl.float32), 1), mask=c < channels)
    tl.store(position_sums + of_position, tl.sum(sum_, 0), mask=p < positions)
    tl.store(position_ties + of_position, tl.sum(ties, 0), mask=p < positions)


@triton.jit
def gather_kernel(  # noqa: ANN201
    x, channel, position_maxima, every, maximal, sums,  # noqa: ANN001
    stride_c, stride_p, channels, positions, chunks,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: some channels of a sample, over one chunk of positions."""
    sample, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    c = (tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    a = tl.load(channel + sample * channels + c, mask=c < channels, other=0)[:, None]
    sum_ = tl.zeros((BLOCK_C, BLOCK_P), tl.float32)
    for start in range(chunk * 8192, tl.minimum((chunk + 1) * 8192, positions), BLOCK_P):
        p = (start + tl.arange(0, BLOCK_P)).to(tl.int64)
        there = (c < channels)[:, None] & (p < positions)[None, :]
        at = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(x + at, mask=there, other=0).to(tl.float32)
        of_position = sample * positions + p
        s_max = tl.load(position_maxima + of_position, mask=p < positions, other=0)[None, :]
        to_every = tl.load(every + of_position, mask=p < positions, other=0)[None, :]
        to_maximal = tl.load(maximal + of_position, mask=p < positions, other=0)[None, :]
        sum_ += value * (to_every + tl.where(value * a == s_max, to_maximal, 0))
    tl.store(sums + (sample * chunks + chunk) * channels + c, tl.sum(sum_, 1), mask=c < channels)


@triton.jit
def spread_kernel(  # noqa: ANN201
    x, upstream, channel, position, channel_maxima, position_maxima,  # noqa: ANN001
    channel_every, channel_maximal, position_every, position_maximal, gradient,  # noqa: ANN001
    stride_c, stride_p, channels, positions,  # noqa: ANN001
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program: one block."""
    sample = tl.program_id(2).to(tl.int64)
    p = (tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)).to(tl.int64)
    c = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    of_channel, in_channels = sample * channels + c, c < channels
    of_position, in_positions = sample * positions + p, p < positions
    a = tl.load(channel + of_channel, mask=in_channels, other=0)[:, None]
    a_max = tl.load(channel_maxima + of_channel, mask=in_channels, other=0)[:, None]
    a_every = tl.load(channel_every + of_channel, mask=in_channels, other=0)[:, None]
    a_maximal = tl.load(channel_maximal + of_channel, mask=in_channels, other=0)[:, None]
    s = tl.load(position + of_position, mask=in_positions, other=0)[None, :]
    s_max = tl.load(position_maxima + of_position, mask=in_positions, other=0)[None, :]
    s_every = tl.load(position_every + of_position, mask=in_positions, other=0)[None, :]
    s_maximal = tl.load(position_maximal + of_position, mask=in_positions, other=0)[None, :]
    there = in_channels[:, None] & in_positions[None, :]
    at = sample * channels * positions + c[:, None] * stride_c + p[None, :] * stride_p
    value = tl.load(x + at, mask=there, other=0).to(tl.float32)
    above = tl.load(upstream + at, mask=there, other=0).to(tl.float32)
    of_gated = above * s + s_every + tl.where(value * a == s_max, s_maximal, 0)
    result = a * of_gated + a_every + tl.where(value == a_max, a_maximal, 0)
    tl.store(gradient + at, result.to(gradient.dtype.element_ty), mask=there)
