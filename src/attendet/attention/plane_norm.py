"""Group norm with one channel per group, for maps of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
        variance, mean = torch.var_mean(x, dim=(-2, -1), correction=0, keepdim=True)
        normalized = (x - mean) * torch.rsqrt(variance + self.eps)
        return normalized * self.weight[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """Return the number of channels and eps."""
        return f"{self.weight.numel()}, eps={self.eps:g}"
