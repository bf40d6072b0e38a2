"""CBAM as a function of tensors in plain torch: the reference for the fused operators.

Both gates compute their weights from small pooled tensors. Everything else in CBAM is pooling, and multiplying the
features.

If several values share a maximum, its gradient is split evenly among them (`torch.amax`). In half precision the
reference rounds after every step, whereas the fused operators round once, at the end. Products that are only equal
after rounding therefore share a maximum here, but not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ChannelNet:
    """Parameters of a channel gate: low + (high - low)·σ(MLP(mean) + MLP(maximum)).

    Attributes:
        fc1_weight: Weight (h, C) of the first layer.
        fc1_bias: Bias (h,) of the first layer, or None.
        fc2_weight: Weight (C, h) of the second layer.
        fc2_bias: Bias (C,) of the second layer, or None.
        range: Lowest and highest weight of the gate, (2,).
    """

    fc1_weight: Tensor
    fc1_bias: Tensor | None
    fc2_weight: Tensor
    fc2_bias: Tensor | None
    range: Tensor


@dataclass(frozen=True)
class SpatialNet:
    """Parameters of a spatial gate: low + (high - low)·σ(norm(convolution(planes))).

    Attributes:
        conv_weight: Weight (1, 2, k, k) of the convolution, k odd.
        norm_weight: Scale (1,) of the batch norm; None for no norm, in which case the next three are also None.
        norm_bias: Shift (1,) of the batch norm.
        running_mean: Mean (1,) that the norm subtracts if `batch_statistics` is False.
        running_var: Variance (1,) that the norm uses if `batch_statistics` is False.
        range: Lowest and highest weight of the gate, (2,).
        average_first: Whether the planes are ordered mean, maximum instead of maximum, mean.
        batch_statistics: Whether the norm uses the mean and variance of the batch.
        eps: Value that the norm adds to the variance.
    """

    conv_weight: Tensor
    norm_weight: Tensor | None
    norm_bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    range: Tensor
    average_first: bool = False
    batch_statistics: bool = False
    eps: float = 1e-5


@dataclass(frozen=True)
class BatchStatistics:
    """Mean and biased variance, each of shape (1,), of the `count` values of a batch norm's input."""

    mean: Tensor
    var: Tensor
    count: int


def reference_cbam(
    x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None
) -> tuple[Tensor, BatchStatistics | None]:
    """Apply CBAM: gate the features by channel, then by position.

    Equations 1 to 3 of Woo et al., ECCV 2018.

    Args:
        x: Features (N, C, H, W) with the dtype of all parameters.
        channel: Parameters of the channel gate; None for no channel gate.
        spatial: Parameters of the spatial gate; None for no spatial gate.

    Returns:
        Features of the same shape, and the batch statistics if the norm used them.

    Example:
        >>> net = ChannelNet(torch.zeros(2, 8), None, torch.zeros(8, 2), None, torch.tensor([0.0, 1.0]))
        >>> x = torch.rand(1, 8, 3, 3)
        >>> torch.equal(reference_cbam(x, net, None)[0], x / 2)
        True
    """
    statistics = None
    if channel is not None:
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))], 1)
        x = x * scaled_sigmoid(channel_logits(pooled, channel), channel.range).to(x.dtype)[:, :, None, None]
    if spatial is not None:
        planes = [x.amax(1), x.mean(1)]
        stacked = torch.stack(planes[::-1] if spatial.average_first else planes, 1)
        logits = functional.conv2d(stacked, spatial.conv_weight, padding=spatial.conv_weight.shape[-1] // 2)
        if spatial.batch_statistics:
            statistics = batch_statistics(logits)
        x = x * scaled_sigmoid(normalize_logits(logits, spatial, statistics), spatial.range).to(x.dtype)
    return x, statistics


def scaled_sigmoid(logits: Tensor, range_: Tensor) -> Tensor:
    """Return the sigmoid of logits, scaled from (0, 1) to the range (low, high)."""
    low, high = range_.unbind()
    return low + (high - low) * torch.sigmoid(logits)


def channel_logits(pooled: Tensor, net: ChannelNet) -> Tensor:
    """Return the sum of the MLP's outputs for all pools: (N, pools, C) → (N, C)."""
    hidden = torch.relu(functional.linear(pooled, net.fc1_weight, net.fc1_bias))
    return functional.linear(hidden, net.fc2_weight, net.fc2_bias).sum(1)


def batch_statistics(logits: Tensor) -> BatchStatistics:
    """Return the mean and the biased variance of (N, 1, H, W), summed row by row."""
    # Sums over a few numbers at a time do not depend on the number of threads.
    mean = logits.mean(3).mean((0, 2))
    return BatchStatistics(mean, (logits - mean).square().mean(3).mean((0, 2)), logits.numel())


def normalize_logits(logits: Tensor, net: SpatialNet, statistics: BatchStatistics | None) -> Tensor:
    """Return the logits after the batch norm, or unchanged if the gate has no norm."""
    mean_and_inverse = moments(net, statistics)
    if mean_and_inverse is None or net.norm_weight is None or net.norm_bias is None:
        return logits
    mean, inverse = mean_and_inverse
    return (logits - mean) * inverse * net.norm_weight + net.norm_bias


def moments(net: SpatialNet, statistics: BatchStatistics | None) -> tuple[Tensor, Tensor] | None:
    """Return the mean and the inverse standard deviation of the norm, from the batch statistics if they are given."""
    mean, var = (net.running_mean, net.running_var) if statistics is None else (statistics.mean, statistics.var)
    return None if mean is None or var is None else (mean, torch.rsqrt(var + net.eps))
