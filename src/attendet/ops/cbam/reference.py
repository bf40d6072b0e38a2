"""CBAM as a function of tensors, in plain torch: what the fused operators have to compute.

Both weights are read from small pooled tensors, and `channel_weights` and `spatial_weights` are all that is computed
on them; everything else of CBAM is pooling and multiplying the features.

Where several values share a maximum, its gradient is split evenly among them (`torch.amax`). In half precision this
reference rounds after every step, the fused operators round once, at the end; so products that are equal only after
rounding share a maximum here, and do not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ChannelNet:
    """What turns pooled channels into their weights: low + (high - low)·σ(MLP(mean) + MLP(maximum)).

    Attributes:
        fc1_weight: (h, C), and `fc1_bias` (h,) or None.
        fc2_weight: (C, h), and `fc2_bias` (C,) or None.
        range: (2,), the lowest and the highest weight.
    """

    fc1_weight: Tensor
    fc1_bias: Tensor | None
    fc2_weight: Tensor
    fc2_bias: Tensor | None
    range: Tensor


@dataclass(frozen=True)
class SpatialNet:
    """What turns pooled positions into their weights: low + (high - low)·σ(norm(convolution(planes))).

    Attributes:
        conv_weight: (1, 2, k, k), k odd.
        norm_weight: (1,), or None where there is no batch norm; then the next three are None too.
        norm_bias: (1,).
        running_mean: (1,); what the norm subtracts where `batch_statistics` is False.
        running_var: (1,), by whose root it divides.
        range: (2,), the lowest and the highest weight.
        average_first: Whether the planes are mean, maximum; else they are maximum, mean.
        batch_statistics: Whether the norm takes mean and variance of the batch.
        eps: What the norm adds to the variance.
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
    """Mean and biased variance (1,) that a batch norm has seen in a batch of `count` numbers."""

    mean: Tensor
    var: Tensor
    count: int


def cbam(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> tuple[Tensor, BatchStatistics | None]:
    """Gate features by channel, then by position.

    Args:
        x: Features (N, C, H, W), of the dtype of all parameters.
        channel: The channel gate; None for none.
        spatial: The spatial gate; None for none.

    Returns:
        Features of the same shape, and the statistics of the batch where the norm has taken them.

    Source: Woo et al., ECCV 2018, equations 1 to 3.

    Example:
        >>> net = ChannelNet(torch.zeros(2, 8), None, torch.zeros(8, 2), None, torch.tensor([0.0, 1.0]))
        >>> x = torch.rand(1, 8, 3, 3)
        >>> torch.equal(cbam(x, net, None)[0], x / 2)
        True
    """
    statistics = None
    if channel is not None:
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))], 1)
        x = x * gate(channel_logits(pooled, channel), channel.range).to(x.dtype)[:, :, None, None]
    if spatial is not None:
        planes = [x.amax(1), x.mean(1)]
        stacked = torch.stack(planes[::-1] if spatial.average_first else planes, 1)
        logits = functional.conv2d(stacked, spatial.conv_weight, padding=spatial.conv_weight.shape[-1] // 2)
        if spatial.batch_statistics:
            statistics = batch_statistics(logits)
        x = x * gate(normalized(logits, spatial, statistics), spatial.range).to(x.dtype)
    return x, statistics


def gate(logits: Tensor, span: Tensor) -> Tensor:
    """Return the sigmoid of logits, stretched from (0, 1) to (low, high)."""
    low, high = span.unbind()
    return low + (high - low) * torch.sigmoid(logits)


def channel_logits(pooled: Tensor, net: ChannelNet) -> Tensor:
    """Return the sum of what the MLP makes of every pool: (N, pools, C) → (N, C)."""
    hidden = torch.relu(functional.linear(pooled, net.fc1_weight, net.fc1_bias))
    return functional.linear(hidden, net.fc2_weight, net.fc2_bias).sum(1)


def batch_statistics(logits: Tensor) -> BatchStatistics:
    """Return mean and biased variance of (N, 1, H, W), summed row by row."""
    # Sums over few numbers at a time are the same however many threads there are.
    mean = logits.mean(3).mean((0, 2))
    return BatchStatistics(mean, (logits - mean).square().mean(3).mean((0, 2)), logits.numel())


def normalized(logits: Tensor, net: SpatialNet, statistics: BatchStatistics | None) -> Tensor:
    """Return the logits as the batch norm leaves them; as they are where there is none."""
    found = moments(net, statistics)
    if found is None or net.norm_weight is None or net.norm_bias is None:
        return logits
    mean, inverse = found
    return (logits - mean) * inverse * net.norm_weight + net.norm_bias


def moments(net: SpatialNet, statistics: BatchStatistics | None) -> tuple[Tensor, Tensor] | None:
    """Return the mean that the norm subtracts and the inverse deviation it multiplies by, of the batch if given."""
    mean, var = (net.running_mean, net.running_var) if statistics is None else (statistics.mean, statistics.var)
    return None if mean is None or var is None else (mean, torch.rsqrt(var + net.eps))
