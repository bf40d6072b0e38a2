"""Group norm with a group for every channel, on maps of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PlaneNorm(nn.Module):
    """Every plane minus its mean, over its deviation, then scaled and shifted by channel.

    It computes what `torch.nn.GroupNorm(channels, channels)` does and has its keys, but also takes a batch of one map
    of one position, where that raises.

    Args:
        channels: Channels of the features.
        eps: What is added to the variance.

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
        variance, mean = torch.var_mean(x, dim=(-2, -1), correction=0, keepdim=True)
        normed = (x - mean) * torch.rsqrt(variance + self.eps)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """Say how many channels it scales."""
        return f"{self.weight.numel()}, eps={self.eps:g}"
