"""Ghost modules: half of the maps by convolution, the rest from those by cheap depthwise ones (GhostNet, 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv, DWConv
from attendet.blocks.wiring import widen


@block(widen)
class GhostConv(nn.Module):
    """`cv1` makes c2/2 maps, a depthwise 5x5 the rest from them: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        k: Kernel side of cv1 in pixels.
        s: Stride in pixels.
        g: Groups of cv1.
        act: Whether there are activations.

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
        """Return (N, c2, H/s, W/s)."""
        half = self.cv1(x)
        return torch.cat([half, self.cv2(half)], dim=1)


@block(widen)
class GhostBottleneck(nn.Module):
    """Two ghost convolutions and a shortcut: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Incoming channels; at stride 1 they have to equal c2.
        c2: Outgoing channels.
        k: Kernel side of the depthwise convolution of stride 2, in pixels.
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
        """Return (N, c2, H/s, W/s)."""
        return self.conv(x) + self.shortcut(x)
