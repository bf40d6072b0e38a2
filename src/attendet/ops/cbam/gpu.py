"""The fused CBAM on a GPU: passes over the features in Triton, and plain torch on small float32 tensors in between.

| pass | reads | writes | reason for a separate pass |
|---|---|---|---|
| `reduce_positions` | x | | channel weights depend on every position |
| `reduce_channels` | x | | spatial weights depend on every weighted channel |
| `scale` | x | y | |
| `weight_gradients` | x, upstream | | gradients of both weights |
| `channel_pool_gradients` | x | | channel weights also affect the pools over channels |
| `feature_gradients` | x, upstream | gradient of x | |

The features themselves are the only tensor of their size that is saved for the backward pass.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from attendet.ops.cbam import triton_passes as passes
from attendet.ops.cbam.reference import (
    ChannelNet,
    SpatialNet,
    batch_statistics,
    channel_logits,
    moments,
    normalize_logits,
    scaled_sigmoid,
)
from attendet.ops.cbam.saved_tensors import ParameterGradients, SavedTensors
from attendet.ops.cbam.triton_passes import GateValues, PoolGradients


def forward(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> tuple[Tensor, SavedTensors]:
    """Return the gated features, and the tensors that the backward pass needs. All parameters are float32."""
    samples, channels, height, width = x.shape
    saved = SavedTensors(*(x.new_empty(0, dtype=torch.float32) for _ in range(6)))
    if channel is not None:
        sums, maxima = passes.reduce_positions(x)
        pooled = torch.stack([sums / (height * width), maxima], 1)
        saved = replace(saved, pooled=pooled, channel_logits=channel_logits(pooled, channel))
    weights = _channel_weights(saved, channel, samples, channels)
    if spatial is not None:
        sums, maxima = passes.reduce_channels(x, weights)
        planes = [maxima, sums / channels]
        stacked = torch.stack(planes[::-1] if spatial.average_first else planes, 1)
        with _float32_convolutions():
            logits = functional.conv2d(stacked, spatial.conv_weight, padding=spatial.conv_weight.shape[-1] // 2)
        saved = replace(saved, planes=stacked, spatial_logits=logits)
        if spatial.batch_statistics:
            statistics = batch_statistics(logits)
            saved = replace(saved, mean=statistics.mean, var=statistics.var)
    position = _position_weights(saved, spatial, (samples, height, width))
    return passes.scale(x, weights, position), saved


def backward(
    x: Tensor, upstream: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None, saved: SavedTensors
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradients of the features and of the parameters."""
    _, channels, height, width = x.shape
    gates = _gate_values(saved, x, channel, spatial)
    channel_gradient, channel_ties, position_gradient, position_ties = passes.weight_gradients(x, upstream, gates)
    gradients = ParameterGradients()
    position_mean, position_max = torch.zeros_like(gates.position), torch.zeros_like(gates.position)
    if spatial is not None:
        planes_gradient, gradients = _spatial_backward(position_gradient, spatial, saved)
        max_gradient, mean_gradient = planes_gradient.unbind(1)[:: -1 if spatial.average_first else 1]
        position_mean = (mean_gradient / channels).contiguous()
        position_max = (max_gradient / position_ties).contiguous()
    pools = PoolGradients(torch.zeros_like(gates.channel), torch.zeros_like(gates.channel), position_mean, position_max)
    if channel is not None:
        if spatial is not None:
            channel_gradient = channel_gradient + passes.channel_pool_gradients(x, gates, position_mean, position_max)
        pooled_gradient, gradients = _channel_backward(channel_gradient, channel, saved, gradients)
        mean_gradient, max_gradient = pooled_gradient.unbind(1)
        pools = PoolGradients(
            mean_gradient / (height * width), max_gradient / channel_ties, position_mean, position_max
        )
    return passes.feature_gradients(x, upstream, gates, pools), gradients


def _channel_weights(saved: SavedTensors, channel: ChannelNet | None, samples: int, channels: int) -> Tensor:
    """Return the channel weights (N, C), 1 without a gate; forward and backward passes get identical bits."""
    if channel is None:
        return saved.pooled.new_ones(samples, channels)
    return scaled_sigmoid(saved.channel_logits, channel.range)


def _position_weights(saved: SavedTensors, spatial: SpatialNet | None, shape: tuple[int, int, int]) -> Tensor:
    """Return the spatial weights (N, H, W), 1 without a gate."""
    if spatial is None:
        return saved.pooled.new_ones(shape)
    logits = normalize_logits(saved.spatial_logits, spatial, saved.statistics())
    return scaled_sigmoid(logits, spatial.range).squeeze(1)


def _gate_values(saved: SavedTensors, x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> GateValues:
    """Return the weights and maxima of both gates; without a gate the maxima are NaN, which no value equals."""
    samples, channels, height, width = x.shape
    weights = _channel_weights(saved, channel, samples, channels)
    position = _position_weights(saved, spatial, (samples, height, width))
    nan = float("nan")
    channel_maxima = torch.full_like(weights, nan) if channel is None else saved.pooled[:, 1].contiguous()
    if spatial is None:
        return GateValues(weights, position, channel_maxima, torch.full_like(position, nan))
    return GateValues(weights, position, channel_maxima, saved.planes[:, int(spatial.average_first)].contiguous())


def _channel_backward(
    upstream: Tensor, net: ChannelNet, saved: SavedTensors, gradients: ParameterGradients
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradient of the pooled channels (N, 2, C), and `gradients` with the gradients of the MLP added."""
    logits = upstream * _scaled_sigmoid_derivative(saved.channel_logits, net.range)
    hidden = functional.linear(saved.pooled, net.fc1_weight, net.fc1_bias)
    # The outputs of the second layer for both pools are added, so both pools receive the same gradient.
    hidden_gradient = (logits @ net.fc2_weight).unsqueeze(1) * (hidden > 0)
    rows, pooled = hidden_gradient.flatten(0, 1), saved.pooled.flatten(0, 1)
    gradients = replace(
        gradients,
        fc1_weight=rows.T @ pooled,
        fc1_bias=None if net.fc1_bias is None else rows.sum(0),
        fc2_weight=logits.T @ hidden.relu().sum(1),
        fc2_bias=None if net.fc2_bias is None else saved.pooled.shape[1] * logits.sum(0),
    )
    return hidden_gradient @ net.fc1_weight, gradients


def _spatial_backward(upstream: Tensor, net: SpatialNet, saved: SavedTensors) -> tuple[Tensor, ParameterGradients]:
    """Return the gradients of the planes (N, 2, H, W), the convolution, and the norm."""
    statistics = saved.statistics()
    normalized = normalize_logits(saved.spatial_logits, net, statistics)
    logits = upstream.unsqueeze(1) * _scaled_sigmoid_derivative(normalized, net.range)
    norm_weight = norm_bias = None
    mean_and_inverse = moments(net, statistics)
    if mean_and_inverse is not None and net.norm_weight is not None:
        mean, inverse = mean_and_inverse
        unit = (saved.spatial_logits - mean) * inverse
        norm_weight, norm_bias = _sum(logits * unit), _sum(logits)
        # Batch statistics depend on every logit; running statistics are constants.
        centered = logits if statistics is None else logits - (norm_bias + unit * norm_weight) / statistics.count
        logits = centered * (net.norm_weight * inverse)
    padding = [net.conv_weight.shape[-1] // 2] * 2
    with _float32_convolutions():
        planes, conv_weight, _ = torch.ops.aten.convolution_backward(
            logits, saved.planes, net.conv_weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [True, True, False]
        )
    return planes, ParameterGradients(conv_weight=conv_weight, norm_weight=norm_weight, norm_bias=norm_bias)


def _float32_convolutions() -> AbstractContextManager[None]:
    """Return a context in which convolutions use full float32 precision and are deterministic."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def _scaled_sigmoid_derivative(logits: Tensor, range_: Tensor) -> Tensor:
    low, high = range_.unbind()
    sigmoid = torch.sigmoid(logits)
    return (high - low) * sigmoid * (1 - sigmoid)


def _sum(planes: Tensor) -> Tensor:
    """Return the sum (1,) of (N, 1, H, W)."""
    return planes.sum((0, 2, 3))
