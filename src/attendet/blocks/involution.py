"""Involution (Li et al., CVPR 2021, arXiv:2103.06255)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import widen
from attendet.errors import OptionError


@block(widen)
class Involution(nn.Module):
    """A convolution whose kernel is computed at every position and shared by channels: (N, C, H, W) → (N, C, H/s, W/s).

    The kernel of a position is W1 · relu(bn(W0 · x)) of its features (equation 6), K x K values per group; the output
    is the sum of the K x K neighbors weighted by it (equation 4). With a stride, the kernels are computed from the
    average-pooled features.

    Args:
        c1: Number of input channels.
        c2: Number of output channels, equal to c1.
        k: Kernel size K in pixels, odd.
        s: Stride in pixels.
        reduction: Ratio of the channels to the hidden channels of the kernel computation.
        group_channels: Number of channels that share a kernel.

    Raises:
        OptionError: If c1 and c2 differ, or the channels cannot be divided into groups.

    Example:
        >>> Involution(32, 32)(torch.rand(1, 32, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, k: int = 7, s: int = 1, *, reduction: int = 4, group_channels: int = 16
    ) -> None:
        super().__init__()
        if c1 != c2:
            raise OptionError(f"the output width must be that of the input, {c1}, got {c2}")
        if c1 % group_channels:
            raise OptionError(f"the channels must be a multiple of {group_channels}, got {c1}")
        self.groups = c1 // group_channels
        self.kernel_size, self.stride = k, s
        self.reduce = nn.Sequential(
            nn.Conv2d(c1, c1 // reduction, 1, bias=False), nn.BatchNorm2d(c1 // reduction), nn.ReLU()
        )
        self.span = nn.Conv2d(c1 // reduction, k * k * self.groups, 1)
        self.pool = nn.AvgPool2d(s, s) if s > 1 else nn.Identity()
        self.unfold = nn.Unfold(k, padding=(k - 1) // 2, stride=s)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H/s, W/s)."""
        kernels = self.span(self.reduce(self.pool(x)))
        batch, _, height, width = kernels.shape
        taps = self.kernel_size**2
        kernels = kernels.view(batch, self.groups, 1, taps, height, width)
        patches = self.unfold(x).view(batch, self.groups, -1, taps, height, width)
        return torch.sum(kernels * patches, dim=3).view(batch, -1, height, width)
