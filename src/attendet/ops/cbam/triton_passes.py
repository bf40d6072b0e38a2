"""Passes over the features on a GPU in Triton; each pass reads every feature once.

Features (N, C, H·W) are addressed by strides, so that one kernel supports both layouts. A block covers `BLOCK_C`
channels and `BLOCK_P` positions, and is long along the contiguous axis. Reductions have a fixed order: every program
writes a partial result, and torch adds the partial results. There are no atomics.

The block sizes have not been tuned on a GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from attendet.ops.cbam.triton_kernels import (
    channel_pool_gradients_kernel,
    feature_gradients_kernel,
    reduce_channels_kernel,
    reduce_positions_kernel,
    scale_kernel,
    weight_gradients_kernel,
)

# The kernels repeat this number, because they cannot read Python globals.
POSITIONS_PER_PROGRAM = 8192


class GateValues(NamedTuple):
    """Weights and maxima of both gates in float32.

    Attributes:
        channel: Weights of the channels, (N, C).
        position: Weights of the positions, (N, H, W).
        channel_maxima: Maxima of the channels over positions, (N, C).
        position_maxima: Maxima of the positions over weighted channels, (N, H, W).
    """

    channel: Tensor
    position: Tensor
    channel_maxima: Tensor
    position_maxima: Tensor


class PoolGradients(NamedTuple):
    """Gradients of the features through the pools.

    Attributes:
        channel_mean: Gradient of every value of a channel through its mean, (N, C).
        channel_max: Additional gradient of the values that are the maximum of a channel, (N, C).
        position_mean: Gradient of every weighted value of a position through its mean, (N, H, W).
        position_max: Additional gradient of the weighted values that are the maximum of a position, (N, H, W).
    """

    channel_mean: Tensor
    channel_max: Tensor
    position_mean: Tensor
    position_max: Tensor


class WeightGradients(NamedTuple):
    """Gradients of both weights through the product with the features, and the number of values at each maximum.

    Attributes:
        channel: Gradient of the channel weights, (N, C).
        channel_ties: Number of positions that share the maximum of a channel, (N, C).
        position: Gradient of the position weights, (N, H, W).
        position_ties: Number of channels that share the maximum of a position, (N, H, W).
    """

    channel: Tensor
    channel_ties: Tensor
    position: Tensor
    position_ties: Tensor


def reduce_positions(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum and the maximum of every channel, (N, C)."""
    samples, channels, positions, blocks = _sizes(x)
    chunks = triton.cdiv(positions, POSITIONS_PER_PROGRAM)
    sums, maxima = _partial_results(x, chunks, channels), _partial_results(x, chunks, channels)
    grid = (samples, chunks, triton.cdiv(channels, blocks["BLOCK_C"]))
    _launch(reduce_positions_kernel, grid, x, sums, maxima, *_strides(x), channels, positions, chunks, **blocks)
    return sums.sum(1), maxima.amax(1)


def reduce_channels(x: Tensor, channel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum and the maximum over the channels of x times the channel weights, (N, H, W)."""
    samples, channels, positions, blocks = _sizes(x)
    sums, maxima = _position_values(x), _position_values(x)
    grid = (triton.cdiv(positions, blocks["BLOCK_P"]), samples)
    _launch(reduce_channels_kernel, grid, x, channel, sums, maxima, *_strides(x), channels, positions, **blocks)
    return sums, maxima


def scale(x: Tensor, channel: Tensor, position: Tensor) -> Tensor:
    """Return x times both weights, in the dtype and layout of x."""
    y = torch.empty_like(x)
    _, channels, positions, blocks = _sizes(x)
    _launch(scale_kernel, _block_grid(x), x, channel, position, y, *_strides(x), channels, positions, **blocks)
    return y


def weight_gradients(x: Tensor, upstream: Tensor, gates: GateValues) -> WeightGradients:
    """Return Σ upstream·x·s over positions, Σ upstream·x·a over channels, and the number of values at each maximum.

    a are the channel weights, and s the position weights.
    """
    samples, channels, positions, blocks = _sizes(x)
    chunks = triton.cdiv(positions, blocks["BLOCK_P"])
    sums, ties = _partial_results(x, chunks, channels), _partial_results(x, chunks, channels)
    position, position_ties = _position_values(x), _position_values(x)
    outputs = (sums, ties, position, position_ties)
    sizes = (channels, positions, chunks)
    grid = (chunks, samples)
    _launch(weight_gradients_kernel, grid, x, upstream, *gates, *outputs, *_strides(x), *sizes, **blocks)
    return WeightGradients(sums.sum(1), ties.sum(1), position, position_ties)


def channel_pool_gradients(x: Tensor, gates: GateValues, position_mean: Tensor, position_max: Tensor) -> Tensor:
    """Return the gradient of the channel weights through the pools over channels, (N, C).

    It is Σ over positions of x·(position_mean + [x·a is the maximum of the position]·position_max).
    """
    samples, channels, positions, blocks = _sizes(x)
    chunks = triton.cdiv(positions, POSITIONS_PER_PROGRAM)
    sums = _partial_results(x, chunks, channels)
    grid = (samples, chunks, triton.cdiv(channels, blocks["BLOCK_C"]))
    inputs = (x, gates.channel, gates.position_maxima, position_mean, position_max)
    _launch(channel_pool_gradients_kernel, grid, *inputs, sums, *_strides(x), channels, positions, chunks, **blocks)
    return sums.sum(1)


def feature_gradients(x: Tensor, upstream: Tensor, gates: GateValues, pools: PoolGradients) -> Tensor:
    """Return the gradient of x: a·(upstream·s + through pools over channels) + through pools over positions."""
    gradient = torch.empty_like(x)
    inputs = (x, upstream, *gates, *pools, gradient)
    _, channels, positions, blocks = _sizes(x)
    _launch(feature_gradients_kernel, _block_grid(x), *inputs, *_strides(x), channels, positions, **blocks)
    return gradient


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **blocks: int) -> None:
    """Run a kernel on the device of its first argument. CUDA limits all grid axes but the first to 65,535 programs."""
    if 0 not in grid:
        with torch.cuda.device_of(arguments[0]):
            kernel[grid](*arguments, **blocks)


def _sizes(x: Tensor) -> tuple[int, int, int, dict[str, int]]:
    """Return the numbers of samples, channels, and positions, and the block sizes."""
    samples, channels, height, width = x.shape
    blocks = {"BLOCK_C": 4, "BLOCK_P": 256} if x.is_contiguous() else {"BLOCK_C": 64, "BLOCK_P": 16}
    return samples, channels, height * width, blocks


def _block_grid(x: Tensor) -> tuple[int, int, int]:
    """Return the grid of the kernels that write every feature, one block per program."""
    samples, channels, positions, blocks = _sizes(x)
    return triton.cdiv(positions, blocks["BLOCK_P"]), triton.cdiv(channels, blocks["BLOCK_C"]), samples


def _strides(x: Tensor) -> tuple[int, int]:
    """Return the strides between channels and between positions."""
    return (x.shape[2] * x.shape[3], 1) if x.is_contiguous() else (1, x.shape[1])


def _partial_results(x: Tensor, count: int, length: int) -> Tensor:
    """Return memory (N, count, length) for the partial results of a reduction."""
    return x.new_empty((x.shape[0], count, length), dtype=torch.float32)


def _position_values(x: Tensor) -> Tensor:
    """Return memory (N, H, W) for one number per position."""
    return x.new_empty((x.shape[0], *x.shape[2:]), dtype=torch.float32)
