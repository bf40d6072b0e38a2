"""Spatial pyramid pooling: one map pooled with several receptive fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import widen


@block(widen)
class SPP(nn.Module):
    """Spatial pyramid pooling with parallel max pools of several sizes: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        k: Sizes of the pools in pixels, odd.

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
        """Return the features (N, c2, H, W)."""
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(pool(x) for pool in self.m)], dim=1))


@block(widen)
class SPPF(nn.Module):
    """Faster `SPP` that applies one pool three times, with the same receptive fields: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        k: Size of the pool in pixels, odd. 5 is equivalent to the sizes 5, 9, and 13 of `SPP`.

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
        """Return the features (N, c2, H, W)."""
        levels = [self.cv1(x)]
        for _ in range(3):
            levels.append(self.m(levels[-1]))
        return self.cv2(torch.cat(levels, dim=1))
