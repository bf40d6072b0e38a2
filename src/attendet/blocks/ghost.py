"""Ghost modules: a convolution computes half of the maps, a cheap depthwise one the other half (GhostNet, 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv, DWConv
from attendet.blocks.wiring import widen


@block(widen)
class GhostConv(nn.Module):
    """c2/2 maps of a convolution, and c2/2 maps of a depthwise 5x5 of these: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        k: Kernel size of the convolution in pixels.
        s: Stride in pixels.
        g: Number of groups of the convolution.
        act: Whether both convolutions have an activation.

    Example:
        >>> GhostConv(16, 32, 3, 2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, act: bool = True) -> None:
        super().__init__()
        half = c2 // 2
        self.cv1 = Conv(c1, half, k, s, g=g, act=act)
        self.cv2 = Conv(half, half, 5, 1, g=half, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H/s, W/s)."""
        half = self.cv1(x)
        return torch.cat([half, self.cv2(half)], dim=1)


@block(widen)
class GhostBottleneck(nn.Module):
    """Two ghost convolutions and a shortcut: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Number of input channels; must equal c2 for stride 1.
        c2: Number of output channels.
        k: Kernel size of the depthwise convolutions for stride 2, in pixels.
        s: Stride in pixels, 1 or 2.

    Example:
        >>> GhostBottleneck(16, 32, 3, 2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1) -> None:
        super().__init__()
        half = c2 // 2
        self.conv = nn.Sequential(
            GhostConv(c1, half, 1),
            DWConv(half, half, k, s, act=False) if s == 2 else nn.Identity(),
            GhostConv(half, c2, 1, act=False),
        )
        self.shortcut = (
            nn.Sequential(DWConv(c1, c1, k, s, act=False), Conv(c1, c2, 1, act=False)) if s == 2 else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H/s, W/s)."""
        return self.conv(x) + self.shortcut(x)
