"""Spatial pyramid pooling: the same map at several receptive fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import widen


@block(widen)
class SPP(nn.Module):
    """Max-pools of several sizes side by side: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        k: Sides of the pools in pixels, odd.

    Example:
        >>> SPP(16, 32)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, k: Sequence[int] = (5, 9, 13)) -> None:
        super().__init__()
        hidden = c1 // 2
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(hidden * (len(k) + 1), c2, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(side, stride=1, padding=side // 2) for side in k)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(pool(x) for pool in self.m)], dim=1))


@block(widen)
class SPPF(nn.Module):
    """`SPP` with one pool thrice in a row, which sees the same fields in less time: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        k: Side of the pool in pixels, odd; 5 sees what SPP's 5, 9, 13 see.

    Example:
        >>> SPPF(16, 32)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        hidden = c1 // 2
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(hidden * 4, c2, 1)
        self.m = nn.MaxPool2d(k, stride=1, padding=k // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        levels = [self.cv1(x)]
        for _ in range(3):
            levels.append(self.m(levels[-1]))
        return self.cv2(torch.cat(levels, dim=1))
