"""The fused CBAM on a GPU: passes in Triton, and between them plain torch on small tensors, in float32.

| pass | reads | writes | because |
|---|---|---|---|
| `pool_positions` | x | | channel weights need every position |
| `pool_channels` | x | | spatial weights need every channel, weighed |
| `scale` | x | y | |
| `weigh` | x, upstream | | gradients of both weights |
| `gather` | x | | the channel weights also reach the pools over channels |
| `spread` | x, upstream | gradient of x | |

Nothing of the size of the features is kept for the backward pass but the features themselves.
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
    gate,
    moments,
    normalized,
)
from attendet.ops.cbam.saved_tensors import Kept, ParameterGradients
from attendet.ops.cbam.triton_passes import Gates, PoolGradients


def forward(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> tuple[Tensor, Kept]:
    """Return the gated features and what the backward pass needs. The nets are float32."""
    samples, channels, height, width = x.shape
    kept = Kept(*(x.new_empty(0, dtype=torch.float32) for _ in range(6)))
    if channel is not None:
        sums, maxima = passes.pool_positions(x)
        pooled = torch.stack([sums / (height * width), maxima], 1)
        kept = replace(kept, pooled=pooled, channel_logits=channel_logits(pooled, channel))
    weights = channel_weights(kept, channel, samples, channels)
    if spatial is not None:
        sums, maxima = passes.pool_channels(x, weights)
        planes = [maxima, sums / channels]
        stacked = torch.stack(planes[::-1] if spatial.average_first else planes, 1)
        with exact_convolutions():
            logits = functional.conv2d(stacked, spatial.conv_weight, padding=spatial.conv_weight.shape[-1] // 2)
        kept = replace(kept, planes=stacked, spatial_logits=logits)
        if spatial.batch_statistics:
            statistics = batch_statistics(logits)
            kept = replace(kept, mean=statistics.mean, var=statistics.var)
    position = position_weights(kept, spatial, (samples, height, width))
    return passes.scale(x, weights, position), kept


def backward(
    x: Tensor, upstream: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None, kept: Kept
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradient of the features and of the parameters."""
    _, channels, height, width = x.shape
    gates = gates_of(kept, x, channel, spatial)
    channel_gradient, channel_ties, position_gradient, position_ties = passes.weigh(x, upstream, gates)
    gradients = ParameterGradients()
    every, maximal = torch.zeros_like(gates.position), torch.zeros_like(gates.position)
    if spatial is not None:
        planes_gradient, gradients = spatial_backward(position_gradient, spatial, kept)
        of_maximum, of_mean = planes_gradient.unbind(1)[:: -1 if spatial.average_first else 1]
        every, maximal = (of_mean / channels).contiguous(), (of_maximum / position_ties).contiguous()
    pools = PoolGradients(torch.zeros_like(gates.channel), torch.zeros_like(gates.channel), every, maximal)
    if channel is not None:
        if spatial is not None:
            channel_gradient = channel_gradient + passes.gather(x, gates, every, maximal)
        pooled_gradient, gradients = channel_backward(channel_gradient, channel, kept, gradients)
        of_mean, of_maximum = pooled_gradient.unbind(1)
        pools = PoolGradients(of_mean / (height * width), of_maximum / channel_ties, every, maximal)
    return passes.spread(x, upstream, gates, pools), gradients


def channel_weights(kept: Kept, channel: ChannelNet | None, samples: int, channels: int) -> Tensor:
    """Return the weights (N, C), 1 without a gate; in the backward pass they are bit for bit those of the forward."""
    if channel is None:
        return kept.pooled.new_ones(samples, channels)
    return gate(kept.channel_logits, channel.range)


def position_weights(kept: Kept, spatial: SpatialNet | None, shape: tuple[int, int, int]) -> Tensor:
    """Return the weights (N, H, W), 1 without a gate."""
    if spatial is None:
        return kept.pooled.new_ones(shape)
    return gate(normalized(kept.spatial_logits, spatial, kept.statistics()), spatial.range).squeeze(1)


def gates_of(kept: Kept, x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> Gates:
    """Return both weights and maxima; where there is no pool, the maximum is a NaN, which nothing equals."""
    samples, channels, height, width = x.shape
    weights = channel_weights(kept, channel, samples, channels)
    position = position_weights(kept, spatial, (samples, height, width))
    nowhere = float("nan")
    channel_maxima = torch.full_like(weights, nowhere) if channel is None else kept.pooled[:, 1].contiguous()
    if spatial is None:
        return Gates(weights, position, channel_maxima, torch.full_like(position, nowhere))
    return Gates(weights, position, channel_maxima, kept.planes[:, int(spatial.average_first)].contiguous())


def channel_backward(
    upstream: Tensor, net: ChannelNet, kept: Kept, gradients: ParameterGradients
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradient of the pooled channels (N, 2, C), and `gradients` with those of the MLP."""
    logits = upstream * gate_slope(kept.channel_logits, net.range)
    hidden = functional.linear(kept.pooled, net.fc1_weight, net.fc1_bias)
    # Both pools pass the second layer and are added: each receives the same.
    to_hidden = (logits @ net.fc2_weight).unsqueeze(1) * (hidden > 0)
    rows, pooled = to_hidden.flatten(0, 1), kept.pooled.flatten(0, 1)
    gradients = replace(
        gradients,
        fc1_weight=rows.T @ pooled,
        fc1_bias=None if net.fc1_bias is None else rows.sum(0),
        fc2_weight=logits.T @ hidden.relu().sum(1),
        fc2_bias=None if net.fc2_bias is None else kept.pooled.shape[1] * logits.sum(0),
    )
    return to_hidden @ net.fc1_weight, gradients


def spatial_backward(upstream: Tensor, net: SpatialNet, kept: Kept) -> tuple[Tensor, ParameterGradients]:
    """Return the gradient of the planes (N, 2, H, W), and those of convolution and norm."""
    statistics = kept.statistics()
    normed = normalized(kept.spatial_logits, net, statistics)
    logits = upstream.unsqueeze(1) * gate_slope(normed, net.range)
    norm_weight = norm_bias = None
    found = moments(net, statistics)
    if found is not None and net.norm_weight is not None:
        mean, inverse = found
        unit = (kept.spatial_logits - mean) * inverse
        norm_weight, norm_bias = total(logits * unit), total(logits)
        # The statistics of the batch depend on every logit, those of the past on none.
        centered = logits if statistics is None else logits - (norm_bias + unit * norm_weight) / statistics.count
        logits = centered * (net.norm_weight * inverse)
    reach = [net.conv_weight.shape[-1] // 2] * 2
    with exact_convolutions():
        planes, conv_weight, _ = torch.ops.aten.convolution_backward(
            logits, kept.planes, net.conv_weight, None, [1, 1], reach, [1, 1], False, [0, 0], 1, [True, True, False]
        )
    return planes, ParameterGradients(conv_weight=conv_weight, norm_weight=norm_weight, norm_bias=norm_bias)


def exact_convolutions() -> AbstractContextManager[None]:
    """Return a context in which convolutions are of full float32, and the same from run to run."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def gate_slope(logits: Tensor, span: Tensor) -> Tensor:
    """Return the derivative of `gate`."""
    low, high = span.unbind()
    sigmoid = torch.sigmoid(logits)
    return (high - low) * sigmoid * (1 - sigmoid)


def total(planes: Tensor) -> Tensor:
    """Return the sum (1,) of (N, 1, H, W)."""
    return planes.sum((0, 2, 3))
