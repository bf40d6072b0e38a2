"""Convolution, batch norm, activation: what everything else is made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import widen
from attendet.errors import OptionError


@block(widen)
class Conv(nn.Module):
    """Conv2d without bias → BatchNorm2d → SiLU: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        k: Kernel side in pixels.
        s: Stride in pixels.
        p: Padding in pixels; by default half the kernel, which keeps the size at stride 1.
        g: Groups.
        act: Whether there is an activation.

    Raises:
        OptionError: If act is no boolean: other releases have a dilation in its place.

    Example:
        >>> Conv(3, 16, 6, 2, 2)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 16, 32, 32])
    """

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(act, bool):
            raise OptionError(f"the activation is {act!r}", remedy="write True or False; nn.Conv2d takes a dilation")
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2 if p is None else p, groups=g, bias=False)
        self.bn: nn.Module = norm(c2)
        self.act = nn.SiLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H/s, W/s)."""
        return self.act(self.bn(self.conv(x)))


@block(widen)
class DWConv(Conv):
    """`Conv` with as many groups as both widths allow: gcd(c1, c2).

    Example:
        >>> DWConv(16, 32, 3).conv.groups
        16
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, act: bool = True) -> None:
        super().__init__(c1, c2, k, s, g=math.gcd(c1, c2), act=act)


@block(widen)
class Focus(nn.Module):
    """Every second pixel of every second row onto channels, then `conv`: (N, c1, H, W) → (N, c2, H/2, W/2).

    Example:
        >>> Focus(3, 16, 3)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 16, 32, 32])
    """

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = Conv(4 * c1, c2, k, s, p, g, act)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H/2, W/2)."""
        rows = x[..., ::2, :], x[..., 1::2, :]
        return self.conv(torch.cat([*(row[..., ::2] for row in rows), *(row[..., 1::2] for row in rows)], dim=1))


def norm(channels: int) -> nn.BatchNorm2d:
    """Return YOLOv5's batch norm, whose epsilon and momentum are not torch's."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)
