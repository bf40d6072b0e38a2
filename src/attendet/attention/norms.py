"""Norms for maps of any size: batch norm with masks and single values, and group norm with one channel per group."""

from __future__ import annotations

import math
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from attendet.attention.dims import NORMS, zero_padding


class PlaneNorm(nn.Module):
    """Normalization of every channel over its positions, followed by a scale and a shift per channel.

    It computes the same as `torch.nn.GroupNorm(channels, channels)` and has the same keys, but it also accepts a batch
    with a single map of a single position, for which `GroupNorm` raises an error.

    Args:
        channels: Number of channels of the features.
        eps: Value that is added to the variance.

    Example:
        >>> x = torch.rand(2, 8, 5, 4)
        >>> PlaneNorm(8)(x).allclose(nn.GroupNorm(8, 8)(x), atol=1e-5)
        True
        >>> PlaneNorm(8)(torch.rand(1, 8, 1, 1)).abs().max()
        tensor(0., grad_fn=<MaxBackward1>)
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., C, H, W) normalized over H and W."""
        if x.numel() == 0:
            return x * self.weight[:, None, None] + self.bias[:, None, None]
        # Two means instead of `torch.var_mean`, which the converter of ncnn does not know.
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        centered = values - values.mean((-2, -1), keepdim=True)
        variance = centered.square().mean((-2, -1), keepdim=True)
        normalized = (centered * torch.rsqrt(variance + self.eps)).to(x.dtype)
        return normalized * self.weight[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """Return the number of channels and eps."""
        return f"{self.weight.numel()}, eps={self.eps:g}"


def normalize(norm: nn.Module, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Apply a batch norm to the real positions only, and return zero at padded positions.

    In training mode, a batch with a single value per channel has no variance: the value is its own mean. Where
    `torch.nn.BatchNorm2d` raises an error, the running statistics are then used instead, and not updated.

    Args:
        norm: A batch norm, or an identity.
        x: Features (N, C, *positions); (N, C) for `BatchNorm1d`.
        mask: Mask (N, *positions) of the real positions; None if all are real.

    Returns:
        Normalized features of the same shape.

    Example:
        >>> normalize(nn.BatchNorm2d(2), torch.tensor([[[[3.0]], [[4.0]]]])).flatten().round(decimals=3)
        tensor([3., 4.], grad_fn=<RoundBackward1>)
    """
    if isinstance(norm, nn.Identity) or not norm.training:
        return zero_padding(norm(x), mask)
    if not _is_ordinary(norm):
        return norm(x) if mask is None else _normalize_real_positions(norm, x, mask)
    if mask is not None:
        return _normalize_with_mask(norm, x, mask)
    if x.shape[0] * math.prod(x.shape[2:]) != 1:
        return norm(x)
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


class _OrdinaryNorm(Protocol):
    """A batch norm as our modules create it: with parameters, running statistics, and a fixed momentum."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    eps: float

    def __call__(self, x: Tensor) -> Tensor: ...


def _is_ordinary(norm: nn.Module) -> TypeGuard[_OrdinaryNorm]:
    """Return whether a norm is one of our own, and not, for example, a SyncBatchNorm that replaced it."""
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) or type(norm) not in NORMS.values():
        return False
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def _normalize_real_positions(norm: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Apply any norm to a batch of all real positions, each as an image with a single position."""
    real = x.movedim(1, -1)[mask]
    normalized = norm(real.reshape(*real.shape, *[1] * (x.ndim - 2))).flatten(1)
    output = normalized.new_zeros(x.movedim(1, -1).shape)
    output[mask] = normalized
    return output.movedim(-1, 1)


def _normalize_with_mask(norm: _OrdinaryNorm, x: Tensor, mask: Tensor) -> Tensor:
    """Apply a batch norm in training mode, with tensors of fixed shapes only, which compile as one graph."""
    axes, shape = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    values = zero_padding(x.to(torch.promote_types(x.dtype, torch.float32)), mask)
    count = mask.sum()
    mean = values.sum(axes) / count.clamp(min=1)
    centered = zero_padding(values - mean.reshape(shape), mask)
    var = centered.square().sum(axes) / count.clamp(min=1)
    has_variance = count > 1
    used_mean = torch.where(has_variance, mean, norm.running_mean)
    used_var = torch.where(has_variance, var, norm.running_var)
    scale = norm.weight * torch.rsqrt(used_var + norm.eps)
    y = (values - used_mean.reshape(shape)) * scale.reshape(shape) + norm.bias.reshape(shape)
    _update(norm, mean, var * count / (count - 1).clamp(min=1), has_variance)
    return zero_padding(y.to(x.dtype), mask)


@torch.no_grad()
def _update(norm: _OrdinaryNorm, mean: Tensor, var: Tensor, has_variance: Tensor) -> None:
    """Update the running statistics of a batch norm if the batch has a variance."""
    for running, value in ((norm.running_mean, mean), (norm.running_var, var)):
        running.copy_(torch.where(has_variance, running.lerp(value.to(running.dtype), norm.momentum), running))
    norm.num_batches_tracked.add_(has_variance)
